import { Dexie, type EntityTable, liveQuery } from "dexie";
import type { Item } from "../items.ts";
import { type Peer, relaxed, type Table } from "./peer.ts";

/** Its bulk calls for many records; `liveQuery` for what is watched. */
export const dexie: Peer = {
  title: "Dexie",
  answer: relaxed,
  isStored: true,
  keepsUndefined: true,
  sharesTabs: true,
  async open(name, indexes) {
    const db = new Dexie(name, { chromeTransactionDurability: "relaxed" });
    const schema = ["id", ...indexes].join(", ");
    db.version(1).stores({ items: schema, warmup: schema });
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
  const putMany = async (items: readonly Item[]) => of.bulkPut(items);
  const put = async (item: Item) => of.put(item);
  return {
    insertMany: putMany,
    insert: put,
    replaceMany: putMany,
    replace: put,
    deleteMany: async (ids) => of.bulkDelete([...ids]),
    get: async (id) => of.get(id),
    getMany: async (ids) => of.bulkGet([...ids]),
    all: async () => of.toArray(),
    from: async (id, limit) => of.where("id").aboveOrEqual(id).limit(limit).toArray(),
    count: async () => of.count(),
    countOfList: async (listId) => of.where("listId").equals(listId).count(),
    amountBetween: async (from, to) => of.where("amount").between(from, to).toArray(),
    watchList: (listId, told) => {
      const subscription = liveQuery(() => of.where("listId").equals(listId).toArray()).subscribe(told);
      return Promise.resolve(() => subscription.unsubscribe());
    },
  };
}
