import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Item } from "../items.ts";
import { type IndexedField, type Peer, relaxed, type Table } from "./peer.ts";

interface Store {
  key: string;
  value: Item;
  indexes: { listId: number; amount: number; createdAt: Date };
}
interface Schema extends DBSchema {
  items: Store;
  warmup: Store;
}
const names = ["items", "warmup"] as const;

/**
 * IndexedDB itself, through the thinnest wrapper: its shortcuts for single calls; one transaction with all requests under
 * way at once, as its documentation advises, for many.
 */
export const idb: Peer = {
  title: "IndexedDB",
  answer: relaxed,
  isStored: true,
  keepsUndefined: true,
  sharesTabs: true,
  async open(name: string, indexes: readonly IndexedField[]) {
    const db = await openDB<Schema>(name, 1, {
      upgrade: (created) => {
        for (const named of names) {
          const store = created.createObjectStore(named, { keyPath: "id" });
          for (const field of indexes) store.createIndex(field, field);
        }
      },
    });
    return {
      name,
      items: table(db, "items"),
      warmup: table(db, "warmup"),
      close: () => Promise.resolve(db.close()),
    };
  },
};

function table(db: IDBPDatabase<Schema>, store: (typeof names)[number]): Table {
  const many = async (request: (tx: ReturnType<typeof writing>) => Promise<unknown>[]): Promise<void> => {
    const tx = writing();
    await Promise.all([...request(tx), tx.done]);
  };
  const writing = () => db.transaction(store, "readwrite", { durability: "relaxed" });
  const putMany = (items: readonly Item[]) => many((tx) => items.map((item) => tx.store.put(item)));
  const put = (item: Item) => db.put(store, item);
  return {
    insertMany: putMany,
    insert: put,
    replaceMany: putMany,
    replace: put,
    deleteMany: (ids) => many((tx) => ids.map((id) => tx.store.delete(id))),
    get: (id) => db.get(store, id),
    getMany: (ids) => {
      const tx = db.transaction(store);
      return Promise.all(ids.map((id) => tx.store.get(id)));
    },
    all: () => db.getAll(store),
    from: (id, limit) => db.getAll(store, IDBKeyRange.lowerBound(id), limit),
    count: () => db.count(store),
    countOfList: (listId) => db.countFromIndex(store, "listId", listId),
    amountBetween: (from, to) => db.getAllFromIndex(store, "amount", IDBKeyRange.bound(from, to, false, true)),
  };
}
