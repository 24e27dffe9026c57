import { collection, openDatabase } from "tidemark";

type Note = { id: string; text: string };
export const db = await openDatabase({
  name: "bundled",
  collections: { notes: collection<Note>()({ key: "id" }) },
  worker: () => new Worker(new URL("tidemark/worker", import.meta.url), { type: "module" }),
});
