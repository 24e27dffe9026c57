import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Item } from "../items.ts";
import type { Peer, Table } from "./peer.ts";

interface Store {
  key: string;
  value: Item;
  indexes: { listId: number };
}
interface Schema extends DBSchema {
  items: Store;
  warmup: Store;
}
const names = ["items", "warmup"] as const;

/** IndexedDB itself, through the thinnest wrapper. */
export const idb: Peer = {
  async open(name) {
    const db = await openDB<Schema>(name, 1, {
      upgrade: (created) => {
        for (const store of names) created.createObjectStore(store, { keyPath: "id" }).createIndex("listId", "listId");
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
  return {
    putMany: async (items) => {
      const tx = db.transaction(store, "readwrite", { durability: "relaxed" });
      await Promise.all([...items.map((item) => tx.store.put(item)), tx.done]);
    },
    put: (item) => db.put(store, item),
    get: (id) => db.get(store, id),
    getMany: (ids) => {
      const tx = db.transaction(store);
      return Promise.all(ids.map((id) => tx.store.get(id)));
    },
    all: () => db.getAll(store),
    count: () => db.count(store),
    countOfList: (listId) => db.countFromIndex(store, "listId", listId),
  };
}
