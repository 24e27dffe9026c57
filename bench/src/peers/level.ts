import { BrowserLevel } from "browser-level";
import { fromPlain, type Item, type PlainItem, toPlain } from "../items.ts";
import { type IndexedField, type Peer, relaxed, type Table } from "./peer.ts";

/**
 * A store of keys and values. An index is what its documentation advises: a sublevel whose keys are the indexed value and
 * the id, written in the same batch as the record. Who replaces or deletes reads what was there, for its old entries.
 */
export const level: Peer = {
  title: "browser-level",
  answer: relaxed,
  isStored: true,
  keepsUndefined: false,
  sharesTabs: true,
  async open(name, indexes) {
    const db = new BrowserLevel(name);
    await db.open();
    return { name, items: table(db, "items", indexes), warmup: table(db, "warmup", indexes), close: () => db.close() };
  },
};

const digits = 16;
const padded = (n: number): string => String(n).padStart(digits, "0");
const entryOf = (item: PlainItem, field: IndexedField): string => `${padded(item[field])}!${item.id}`;

function table(db: BrowserLevel, name: string, fields: readonly IndexedField[]): Table {
  const records = db.sublevel<string, PlainItem>(name, { valueEncoding: "json" });
  const entries = (field: IndexedField) => db.sublevel(`${name}-${field}`, { valueEncoding: "utf8" });
  const indexes = fields.map((field) => ({ field, index: entries(field) }));
  const [byList, byAmount] = [entries("listId"), entries("amount")];

  const writes = (item: PlainItem) => [
    { type: "put" as const, sublevel: records, key: item.id, value: item },
    ...indexes.map(({ field, index }) => ({
      type: "put" as const,
      sublevel: index,
      key: entryOf(item, field),
      value: "",
    })),
  ];
  const removals = (item: PlainItem) =>
    indexes.map(({ field, index }) => ({ type: "del" as const, sublevel: index, key: entryOf(item, field) }));
  const batch = (operations: Parameters<typeof db.batch<string, PlainItem | string>>[0]) =>
    db.batch<string, PlainItem | string>(operations, {});
  const insertMany = (items: readonly Item[]) => batch(items.flatMap((item) => writes(toPlain(item))));
  const present = async (ids: readonly string[]): Promise<PlainItem[]> =>
    (await records.getMany([...ids])).filter((item) => item !== undefined);
  const replaceMany = async (items: readonly Item[]) => {
    const old = await present(items.map(({ id }) => id));
    await batch([...old.flatMap(removals), ...items.flatMap((item) => writes(toPlain(item)))]);
  };
  return {
    insertMany,
    insert: (item) => insertMany([item]),
    replaceMany,
    replace: (item) => replaceMany([item]),
    deleteMany: async (ids) => {
      const old = await present(ids);
      await batch(old.flatMap((item) => [...removals(item), { type: "del", sublevel: records, key: item.id }]));
    },
    get: async (id) => {
      const found = await records.get(id);
      return found && fromPlain(found);
    },
    getMany: async (ids) => (await records.getMany([...ids])).map((item) => item && fromPlain(item)),
    all: async () => (await records.values().all()).map(fromPlain),
    from: async (id, limit) => (await records.values({ gte: id, limit }).all()).map(fromPlain),
    count: async () => (await records.keys().all()).length,
    countOfList: async (listId) => {
      const keys = await byList.keys({ gte: padded(listId), lt: padded(listId + 1) }).all();
      return keys.length;
    },
    amountBetween: async (from, to) => {
      const keys = await byAmount.keys({ gte: padded(from), lt: padded(to) }).all();
      const found = await records.getMany(keys.map((key) => key.slice(digits + 1)));
      return found.filter((item) => item !== undefined).map(fromPlain);
    },
  };
}
