import { collection, openDatabase } from "tidemark";
import type { Item } from "../items.ts";
import { type IndexedField, type Opened, type Peer, relaxed, type Table } from "./peer.ts";

/** With its defaults. */
export const tidemark: Peer = {
  title: "Tidemark",
  answer: relaxed,
  isStored: true,
  keepsUndefined: true,
  sharesTabs: true,
  open: (name, indexes) => openTidemark(name, indexes),
};

/** Keeps all that is measured in the memtable; by default it would begin to fold it into blocks at 4 MB. */
export const unfolded = { memtableMaxBytes: 256 * 1024 * 1024 } as const;

export const tidemarkUnfolded: Peer = {
  ...tidemark,
  title: "Tidemark, memtable",
  open: async (name, indexes) => {
    const { fold: _, ...opened } = await openTidemark(name, indexes, unfolded);
    return opened;
  },
};

export async function openTidemark(
  name: string,
  indexes: readonly IndexedField[],
  options: { memtableMaxBytes?: number } = {},
): Promise<Opened & { fold: () => Promise<unknown> }> {
  // The queries name all three; which of them there are is up to the work.
  const declared = Object.fromEntries(indexes.map((field) => [field, field])) as Record<IndexedField, IndexedField>;
  const items = collection<Item>()({ key: "id", indexes: declared });
  const db = await openDatabase({ name, collections: { items, warmup: items }, ...options });
  const table = (of: "items" | "warmup"): Table => {
    const records = db.collection(of);
    const putMany = (values: readonly Item[]) => records.putMany(values);
    const put = (value: Item) => records.put(value);
    return {
      insertMany: putMany,
      insert: put,
      replaceMany: putMany,
      replace: put,
      deleteMany: (ids) => records.deleteMany(ids),
      get: (id) => records.get(id),
      getMany: (ids) => records.getMany(ids),
      all: () => records.all(),
      from: (id, limit) => records.where().aboveOrEqual(id).limit(limit).toArray(),
      count: () => records.count(),
      countOfList: (listId) => records.where("listId").equals(listId).count(),
      amountBetween: (from, to) => records.where("amount").between(from, to).toArray(),
      watchList: (listId, told) => {
        const subscription = records.where("listId").equals(listId).subscribe(told);
        return Promise.resolve(() => subscription.unsubscribe());
      },
    };
  };
  return {
    name,
    items: table("items"),
    warmup: table("warmup"),
    fold: () => db.checkpoint(),
    storedBytes: async () => {
      const { logBytes, blockBytes, blobBytes, metaBytes } = await db.storage.metrics();
      return logBytes + blockBytes + blobBytes + metaBytes;
    },
    close: () => db.close(),
  };
}
