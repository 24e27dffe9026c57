import { useLiveQuery, useRecord, useSuspenseLiveQuery } from "@tidemark/react";
import { Suspense, useState } from "react";
import { createRoot } from "react-dom/client";
import { collection, createDatabase } from "tidemark";

type Note = { id: string; list: string; text: string };
const db = createDatabase({
  name: "notebook",
  collections: { notes: collection<Note>()({ key: "id", indexes: { list: "list" } }) },
});

function Notes({ list, onPick }: { list: string; onPick: (id: string) => void }) {
  const notes = useLiveQuery(db, (q) => q.collection("notes").where("list").equals(list).toArray(), [list]);
  if (!notes) return <p>One moment…</p>;
  return notes.map((note) => (
    <button key={note.id} onClick={() => onPick(note.id)}>
      {note.text}
    </button>
  ));
}

function Picked({ id }: { id: string | undefined }) {
  const note = useRecord(db.collection("notes"), id);
  return <h1>{note ? note.text : "Pick a note"}</h1>;
}

function Total() {
  const total = useSuspenseLiveQuery(db, (q) => q.collection("notes").count(), ["number of notes"]);
  return <p>{total} notes in all</p>;
}

function App() {
  const [picked, pick] = useState<string>();
  return (
    <>
      <Picked id={picked} />
      <Notes list="home" onPick={pick} />
      <Suspense fallback={<p>Counting…</p>}>
        <Total />
      </Suspense>
    </>
  );
}

createRoot(document.body.appendChild(document.createElement("main"))).render(<App />);
await db.collection("notes").put({ id: "a", list: "home", text: "Water the plants" }); // shown, in every tab
