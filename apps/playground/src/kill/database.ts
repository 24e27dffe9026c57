/** The database that the tabs write to, of which one is killed. */
import { collection, createDatabase, type Database } from "tidemark";

export const writesName = "tidemark-demo-tabs";

interface Write {
  readonly tab: string;
  readonly n: number;
  readonly text: string;
}

const collections = { writes: collection<Write>()({ key: ["tab", "n"] }) };

export const openWrites = (): Database<typeof collections> =>
  createDatabase({ name: writesName, memtableMaxBytes: 1024 * 1024, collections });
