import { useLiveQuery, useRecord } from "@tidemark/react";
import { useState } from "react";
import { db, edition } from "./database.ts";

const heading = "Notes, 1";

export function Notes() {
  const [added, setAdded] = useState(0);
  const notes = useLiveQuery(db, (q) => q.collection("notes").all());
  const last = useRecord(db.collection("notes"), `note ${added}`);
  const add = (): void => {
    const id = `note ${added + 1}`;
    void db.collection("notes").put({ id, text: `${id} of ${heading}` });
    setAdded(added + 1);
  };
  return (
    <>
      <h1>{heading}</h1>
      <button onClick={add}>Add a note</button>
      <output>
        {added} added here, {notes?.length ?? "…"} stored by edition {edition}; the last is {last?.text ?? "none"}
      </output>
    </>
  );
}
