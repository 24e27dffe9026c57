import { describe, expect, test } from "vitest";
import { type BlockId, type TableId, tableId } from "./base/brand.ts";
import { tableOf } from "./codec/record.ts";
import type { Catalog } from "./codec/schema.ts";
import { deadIn } from "./gc/dead-tables.ts";
import { chunkKeys, faults, large } from "./large-values.test-support.ts";
import { emptyCatalog } from "./mvcc/schema.ts";
import { verify } from "./mvcc/verify.ts";
import type { BlockInfo } from "./segments/block-info.ts";
import type { Read, Storage } from "./storage/contract.ts";
import { clear, commit, itemsAt, itemsIn, put, type Tab, World, write } from "./test-world.test-support.ts";

const begin = (tab: Tab, handle: number) =>
  tab.database.begin(handle, { tracked: false, isolation: "serializable", fresh: true, attempt: 0 });

async function clearing(tab: Tab): Promise<void> {
  const tx = await tab.database.begin(-1, { tracked: true, isolation: "serializable", fresh: true, attempt: 0 });
  await clear(tab, tx);
  await commit(tab, -1, []);
}

/** Notes which blocks are read. */
function noting(): { readonly read: Set<BlockId>; readonly connect: (storage: Storage) => Storage } {
  const read = new Set<BlockId>();
  const connect = (storage: Storage): Storage => ({
    commit: (batch) => storage.commit(batch),
    close: () => storage.close(),
    read: (what: readonly Read[]) => {
      for (const r of what) if (r.kind === "get" && r.store === "blocks") read.add(r.key as BlockId);
      return storage.read(what);
    },
  });
  return { read, connect };
}

const tablesIn = (tab: Tab): ReadonlySet<TableId> => tab.database.schema.tables;

/** Blocks that hold nothing but these tables, as their keys show. */
function blocksOf(tab: Tab, tables: ReadonlySet<TableId>): readonly BlockInfo[] {
  const isInside = ({ first, last }: BlockInfo): boolean => {
    for (let table = tableOf(first.key); table <= tableOf(last.key); table = tableId(table + 1)) {
      if (!tables.has(table)) return false;
    }
    return true;
  };
  return [...tab.database.store.manifest.all()].filter(isInside);
}

/** The tables of `before` that are in force no more. */
const left = (tab: Tab, before: ReadonlySet<TableId>): ReadonlySet<TableId> =>
  new Set([...before].filter((table) => !tablesIn(tab).has(table)));

describe("tables left behind by a clearing", () => {
  test("[MV11][VG1] go without being read, once no view can look at them any more", async () => {
    const { read, connect } = noting();
    const world = new World({ connect, cacheMaxBytes: 1 });
    const [a, b] = [await world.open(), await world.open()];
    const items = Array.from({ length: 5000 }, (_, i) => ({ id: `k${i + 10_000}`, n: i, at: i, slug: `s${i}` }));
    await write(a, items.map(put));
    await world.upkeep(a, [b]);
    const view = await begin(b, 1);
    const before = tablesIn(a);
    await clearing(a);
    const dead = left(a, before);
    const blocks = blocksOf(a, dead);
    expect(blocks.length).toBeGreaterThan(1000); // several steps

    await world.upkeep(a, [b]);
    expect(blocksOf(a, dead)).toEqual(blocks);
    expect(await itemsIn(view)).toEqual(items);
    expect(await itemsAt(view, 40, 43)).toEqual(items.slice(40, 43));

    await b.database.end(1);
    await b.database.store.follow(); // a tab without a view pins what it knows
    await write(a, [put({ id: "new", n: 1, at: 1 })]);
    read.clear();
    await world.upkeep(a, [b]);
    expect(blocksOf(a, dead)).toEqual([]);
    expect(blocks.filter(({ id }) => read.has(id))).toEqual([]);
    const [stored] = await a.storage.read([{ kind: "keys", store: "blocks", range: {} }]);
    const ids = new Set(stored!.map(({ key }) => key));
    expect(blocks.filter(({ id }) => ids.has(id))).toEqual([]);
    expect(await itemsIn(await begin(b, 2))).toEqual([{ id: "new", n: 1, at: 1 }]);
    expect((await verify(a.database.store)).damage).toEqual([]);
  });

  test("[MV11] go with the first checkpoint after it, where nobody looks", async () => {
    const world = new World();
    const tab = await world.open();
    await write(
      tab,
      Array.from({ length: 100 }, (_, i) => put({ id: `k${i}`, n: i, at: i })),
    );
    await world.upkeep(tab);
    const before = tablesIn(tab);
    await clearing(tab);
    const dead = left(tab, before);
    expect(blocksOf(tab, dead).length).toBeGreaterThan(5);
    await world.upkeep(tab);
    expect(blocksOf(tab, dead)).toEqual([]);
  });

  test("[MV11] are the gaps between those in force, below the next one to be given out", () => {
    const catalog = (nextTable: number, ...tables: readonly number[]): Catalog => ({
      ...emptyCatalog,
      nextTable,
      collections: Object.fromEntries(tables.map((n) => [`c${n}`, { table: tableId(n), key: "id", indexes: {} }])),
    });
    expect(deadIn(emptyCatalog)).toEqual([]);
    expect(deadIn(catalog(3, 2, 1))).toEqual([]);
    expect(deadIn(catalog(4))).toEqual([{ from: 1, to: 4 }]);
    expect(deadIn(catalog(9, 6, 3, 4))).toEqual([
      { from: 1, to: 3 },
      { from: 5, to: 6 },
      { from: 7, to: 9 },
    ]);
  });

  test("[MV11] take their values out of line along", async () => {
    const world = new World();
    const tab = await world.open();
    const items = Array.from({ length: 60 }, (_, i) => ({ ...large(`k${i + 10}`, i, 33_000), at: i, slug: `s${i}` }));
    await write(tab, items.map(put));
    await world.upkeep(tab);
    const view = await begin(tab, 1);
    await clearing(tab);
    await world.upkeep(tab);
    expect(await itemsIn(view)).toEqual(items);
    expect(await faults(tab)).toEqual([]);
    await tab.database.end(1);

    await write(tab, [put(large("b", 1))]);
    const before = (await chunkKeys(tab.storage)).length;
    await world.upkeep(tab);
    expect(before).toBe(62);
    // Few are left: those in a block that holds a live table too.
    expect((await chunkKeys(tab.storage)).length).toBeLessThan(12);
    expect(await faults(tab)).toEqual([]);
    expect((await verify(tab.database.store)).damage).toEqual([]);
    expect(await itemsIn(await begin(tab, 2))).toEqual([large("b", 1)]);
  });
});
