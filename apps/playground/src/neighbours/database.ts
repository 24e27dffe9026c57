/** The database that the tabs share: a few records that all of them write over and over. */
import { collection, createDatabase, type Database, type DatabaseOptions } from "tidemark";

export const neighboursName = "tidemark-demo-neighbours";

interface Note {
  readonly id: string;
  readonly n: number;
  readonly text: string;
}

const collections = { notes: collection<Note>()({ key: "id" }) };

export const openNeighbours = (
  options: Pick<DatabaseOptions<typeof collections>, "worker"> = {},
): Database<typeof collections> =>
  createDatabase({ name: neighboursName, memtableMaxBytes: 256 * 1024, collections, ...options });
