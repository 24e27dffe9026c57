import { collection, type Database, openDatabase } from "tidemark";

type Note = { id: string; text: string };
const collections = { notes: collection<Note>()({ key: "id" }) };

let n = 0;
export const freshDatabase = (): Promise<Database<typeof collections>> =>
  openDatabase({ name: `test-${n++}`, storage: "memory", collections });
