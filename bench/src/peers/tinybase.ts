import { createIndexes, createStore, type Indexes, type Row } from "tinybase";
import { createIndexedDbPersister, type IndexedDbPersister } from "tinybase/persisters/persister-indexed-db";
import { fromPlain, type Item, type PlainItem, toPlain } from "../items.ts";
import { type IndexedField, type Peer, relaxed, type Table } from "./peer.ts";

/**
 * A store in memory. Its persister writes a whole table at each save, so a write that is to be stored when it is answered
 * costs that; what is written meanwhile waits for the next save together. Other tabs hear of it by polling, once a second
 * unless told otherwise, which is how its documentation has it;
 * only who watches polls here.
 */
export const tinybase: Peer = {
  title: "TinyBase",
  answer: relaxed,
  isStored: true,
  keepsUndefined: false,
  sharesTabs: true,
  async open(name, indexes) {
    const store = createStore();
    const persister = createIndexedDbPersister(store, name);
    await persister.load();
    if (!store.hasTables()) await persister.save(); // makes the stores, without which nobody can watch
    const save = savesTogether(() => persister.save());
    return {
      name,
      items: table(persister, "items", indexes, save),
      warmup: table(persister, "warmup", indexes, save),
      close: async () => {
        await persister.destroy();
      },
    };
  },
};

/** A save for all who ask while the last one is under way. */
function savesTogether(save: () => Promise<unknown>): () => Promise<unknown> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<unknown> | undefined;
  return () =>
    (next ??= running.then(() => {
      next = undefined;
      running = save();
      return running;
    }));
}

const rowOf = (item: Item): Row => {
  const { note, id: _, ...plain } = toPlain(item);
  return note === undefined ? plain : { ...plain, note };
};

function table(
  persister: IndexedDbPersister,
  of: string,
  fields: readonly IndexedField[],
  save: () => Promise<unknown>,
): Table {
  const store = persister.getStore();
  const indexes = createIndexes(store);
  const nameOf = (field: IndexedField): string => `${of} ${field}`; // a store has one set of them, for all tables
  // Slices are by value for what is looked up, and one slice in order for what is searched by range.
  for (const field of fields) {
    if (field === "listId") indexes.setIndexDefinition(nameOf(field), of, field);
    else indexes.setIndexDefinition(nameOf(field), of, () => "", field);
  }

  const itemOf = (id: string): Item => fromPlain({ id, ...store.getRow(of, id) } as PlainItem);
  const setMany = (items: readonly Item[]): Promise<unknown> => {
    store.transaction(() => {
      for (const item of items) store.setRow(of, item.id, rowOf(item));
    });
    return save();
  };
  const get = (id: string): Promise<Item | undefined> => Promise.resolve(store.hasRow(of, id) ? itemOf(id) : undefined);
  return {
    insertMany: setMany,
    insert: (item) => setMany([item]),
    replaceMany: setMany,
    replace: (item) => setMany([item]),
    deleteMany: (ids) => {
      store.transaction(() => {
        for (const id of ids) store.delRow(of, id);
      });
      return save();
    },
    get,
    getMany: (ids) => Promise.all(ids.map(get)),
    all: () => Promise.resolve(store.getRowIds(of).map(itemOf)),
    from: (id, limit) => {
      const ids = store.getRowIds(of).sort();
      const first = lowerBound(ids, (at) => at >= id);
      return Promise.resolve(ids.slice(first, first + limit).map(itemOf));
    },
    count: () => Promise.resolve(store.getRowCount(of)),
    countOfList: (listId) => Promise.resolve(indexes.getSliceRowIds(nameOf("listId"), String(listId)).length),
    amountBetween: (from, to) => Promise.resolve(amountsBetween(indexes, from, to).map(itemOf)),
    watchList: async (listId, told) => {
      await persister.startAutoLoad(); // what other tabs write is to be seen
      const slice = String(listId);
      const tell = (): void => told(indexes.getSliceRowIds(nameOf("listId"), slice).map(itemOf));
      const listener = indexes.addSliceRowIdsListener(nameOf("listId"), slice, tell);
      tell();
      return () => {
        indexes.delListener(listener);
        void persister.stopAutoLoad();
      };
    },
  };

  function amountsBetween(by: Indexes, from: number, to: number): string[] {
    const ids = by.getSliceRowIds(nameOf("amount"), "");
    const amountOf = (id: string): number => Number(store.getCell(of, id, "amount"));
    return ids.slice(
      lowerBound(ids, (id) => amountOf(id) >= from),
      lowerBound(ids, (id) => amountOf(id) >= to),
    );
  }
}

/** The first position from which on `reached` holds. */
function lowerBound(ids: readonly string[], reached: (id: string) => boolean): number {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (reached(ids[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
