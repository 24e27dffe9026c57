import { Dexie, type EntityTable } from "dexie";
import type { Item } from "../items.ts";
import type { Peer, Table } from "./peer.ts";

export const dexie: Peer = {
  async open(name) {
    const db = new Dexie(name, { chromeTransactionDurability: "relaxed" });
    db.version(1).stores({ items: "id, listId", warmup: "id, listId" });
    await db.open();
    return {
      name,
      items: table(db.table("items")),
      warmup: table(db.table("warmup")),
      close: () => Promise.resolve(db.close()),
    };
  },
};

function table(of: EntityTable<Item, "id">): Table {
  return {
    putMany: async (items) => of.bulkPut(items),
    put: async (item) => of.put(item),
    get: async (id) => of.get(id),
    getMany: async (ids) => of.bulkGet([...ids]),
    all: async () => of.toArray(),
    count: async () => of.count(),
    countOfList: async (listId) => of.where("listId").equals(listId).count(),
  };
}
