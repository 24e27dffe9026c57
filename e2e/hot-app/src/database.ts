/// <reference types="vite/client" />
import { collection, createDatabase, type Database } from "tidemark";

type Note = { id: string; text: string };
const collections = { notes: collection<Note>()({ key: "id", indexes: {} }) };

export const edition = 1;
export const db = createDatabase({ name: "hot", collections });

if (import.meta.hot) {
  const data = import.meta.hot.data as { db?: Database<typeof collections> };
  const former = data.db;
  data.db = db;
  setTimeout(() => void former?.close(), 1000); // once no component shows what it read
}
