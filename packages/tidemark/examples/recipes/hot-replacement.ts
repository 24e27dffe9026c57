import { collection, createDatabase } from "tidemark";

declare global {
  /** As `vite/client` has it. */
  interface ImportMeta {
    readonly hot?: { readonly data: { db?: { close(): Promise<void> } } };
  }
}

type Note = { id: string; text: string };
const collections = { notes: collection<Note>()({ key: "id" }) };

export const db = createDatabase({ name: "app", collections });

if (import.meta.hot) {
  const { data } = import.meta.hot;
  const former = data.db;
  data.db = db;
  setTimeout(() => void former?.close(), 1000); // once no component shows what it read
}
