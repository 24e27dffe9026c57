import { createRxDatabase, type RxCollection, type RxJsonSchema } from "rxdb/plugins/core";
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie";
import { fromPlain, type PlainItem, toPlain } from "../items.ts";
import { type IndexedField, type Peer, relaxed, type Table } from "./peer.ts";

/**
 * On its free storage, Dexie's, which advises indexes on required fields only and wants bounds for their values. Each
 * query names its index. It keeps results and documents in memory and answers the same query again from there.
 */
export const rxdb: Peer = {
  title: "RxDB",
  answer: relaxed,
  isStored: true,
  keepsUndefined: false,
  sharesTabs: true,
  async open(name, indexes) {
    const db = await createRxDatabase({ name, storage: getRxStorageDexie() });
    const schema = schemaOf(indexes);
    const { items, warmup } = await db.addCollections({ items: { schema }, warmup: { schema } });
    return {
      name,
      items: table(items),
      warmup: table(warmup),
      close: async () => {
        await db.close();
      },
    };
  },
};

const schemaOf = (indexes: readonly IndexedField[]): RxJsonSchema<PlainItem> => ({
  version: 0,
  type: "object",
  primaryKey: "id",
  properties: {
    id: { type: "string", maxLength: 40 },
    listId: { type: "integer", minimum: 0, maximum: 10_000, multipleOf: 1 },
    title: { type: "string" },
    amount: { type: "integer", minimum: 0, maximum: 100_000, multipleOf: 1 },
    done: { type: "boolean" },
    createdAt: { type: "integer", minimum: 0, maximum: 4_000_000_000_000, multipleOf: 1 },
    note: { type: "string" },
  },
  required: ["id", "listId", "title", "amount", "done", "createdAt"],
  indexes: [...indexes],
});

function table(of: RxCollection<PlainItem>): Table {
  const plain = (items: Parameters<Table["insertMany"]>[0]): PlainItem[] => items.map(toPlain);
  return {
    insertMany: async (items) => all(await of.bulkInsert(plain(items))),
    insert: (item) => of.insert(toPlain(item)),
    replaceMany: async (items) => all(await of.bulkUpsert(plain(items))),
    replace: (item) => of.upsert(toPlain(item)),
    deleteMany: async (ids) => all(await of.bulkRemove([...ids])),
    get: async (id) => {
      const found = await of.findOne(id).exec();
      return found ? fromPlain(found.toJSON()) : undefined;
    },
    getMany: async (ids) => {
      const found = await of.findByIds([...ids]).exec();
      return ids.map((id) => {
        const item = found.get(id);
        return item && fromPlain(item.toJSON());
      });
    },
    all: async () => (await of.find().exec()).map((item) => fromPlain(item.toJSON())),
    from: async (id, limit) => {
      const found = await of.find({ selector: { id: { $gte: id } }, sort: [{ id: "asc" }], limit }).exec();
      return found.map((item) => fromPlain(item.toJSON()));
    },
    count: () => of.count().exec(),
    countOfList: (listId) => of.count({ selector: { listId }, index: ["listId", "id"] }).exec(),
    amountBetween: async (from, to) => {
      const selector = { amount: { $gte: from, $lt: to } };
      const found = await of.find({ selector, sort: [{ amount: "asc" }], index: ["amount", "id"] }).exec();
      return found.map((item) => fromPlain(item.toJSON()));
    },
    watchList: (listId, told) => {
      const query = of.find({ selector: { listId }, index: ["listId", "id"] });
      const subscription = query.$.subscribe((found) => told(found.map((item) => fromPlain(item.toJSON()))));
      return Promise.resolve(() => subscription.unsubscribe());
    },
  };
}

/** Its bulk calls answer with what failed instead of throwing. */
function all(answer: { readonly error: readonly unknown[] }): void {
  if (answer.error.length > 0) throw new Error(`RxDB did not write: ${JSON.stringify(answer.error[0])}`);
}
