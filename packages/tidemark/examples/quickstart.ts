import { collection, openDatabase } from "tidemark";

type Note = { id: string; text: string; updatedAt: Date };
const db = await openDatabase({
  name: "notes",
  collections: { notes: collection<Note>()({ key: "id", indexes: { updatedAt: "updatedAt" } }) },
});
const notes = db.collection("notes");

await notes.put({ id: "a", text: "Hello", updatedAt: new Date() });
await notes.update("a", { text: "Hello, tide" });
const latest = db.live((q) => q.collection("notes").where("updatedAt").reverse().limit(10).toArray());
latest.subscribe((list) => console.log(list.map((note) => note.text))); // runs again on a commit in any tab

await db.transaction(async (tx) => (await tx.collection("notes").count()) < 100); // atomic over any collections
