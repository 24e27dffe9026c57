/** The database of this section: one text, written over and over. */
import { collection, createDatabase } from "tidemark";

export const heldName = "tidemark-demo-held";

export const held = createDatabase({
  name: heldName,
  memtableMaxBytes: 1024 * 1024,
  collections: { texts: collection<{ readonly id: string; readonly text: string }>()({ key: "id" }) },
});
