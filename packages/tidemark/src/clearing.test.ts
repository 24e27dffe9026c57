import { describe, expect, test } from "vitest";
import { byteKey, tableId } from "./base/brand.ts";
import { encodeKey } from "./codec/key.ts";
import { tablePrefix } from "./codec/record.ts";
import { Reader } from "./mvcc/reader.ts";
import { catalogAt, encodeCatalog, liveTables } from "./mvcc/schema.ts";
import type { Read, Storage } from "./storage/contract.ts";
import {
  add,
  clear,
  commit,
  databaseName,
  del,
  itemOf,
  itemsAt,
  itemsIn,
  put,
  stage,
  type Tab,
  World,
  write,
} from "./test-world.test-support.ts";
import { decodeEntry } from "./wal/entry.ts";

const begin = (tab: Tab, handle: number, tracked = true) =>
  tab.database.begin(handle, { tracked, isolation: "serializable", fresh: true, attempt: 0 });

async function clearing(tab: Tab): ReturnType<typeof commit> {
  await clear(tab, await begin(tab, -1));
  return commit(tab, -1, []);
}

async function contents(tab: Tab): Promise<string[]> {
  const view = await begin(tab, -2, false);
  const items = await itemsIn(view);
  await tab.database.end(-2);
  return items.map((i) => `${i.id}=${i.n}`);
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

/** Counts the blocks read. */
function counting(): { readonly reads: { blocks: number }; readonly connect: (storage: Storage) => Storage } {
  const reads = { blocks: 0 };
  const connect = (storage: Storage): Storage => ({
    commit: (batch) => storage.commit(batch),
    close: () => storage.close(),
    read: (what: readonly Read[]) => {
      reads.blocks += what.filter((r) => r.store === "blocks").length;
      return storage.read(what);
    },
  });
  return { reads, connect };
}

describe("clearing a collection", () => {
  test("[MV11] costs one small entry, whatever its size", { timeout: 60_000 }, async () => {
    const { reads, connect } = counting();
    const world = new World({ connect, cacheMaxBytes: 1 });
    const tab = await world.open();
    const cost: { bytes: number; blocks: number }[] = [];
    for (const many of [1, 50_000]) {
      const items = Array.from({ length: many }, (_, i) => put({ id: `k${i}`, n: i, at: i % 100 }));
      await write(tab, items);
      await world.upkeep(tab);
      reads.blocks = 0;
      const head = tab.database.store.head.seq;
      const { seq } = await clearing(tab);
      expect(seq).toBe(head + 1);
      const bytes = tab.sent.at(-1)!.length - encodeCatalog(tab.database.catalog).length;
      expect(decodeEntry(tab.sent.at(-1)!).commits.map((c) => c.writes.length)).toEqual([1]);
      cost.push({ bytes, blocks: reads.blocks });
      expect(await contents(tab)).toEqual([]);
    }
    // The catalog's own last version is looked up where it lies, as that of any key that is written.
    for (const { bytes, blocks } of cost) expect([bytes < 1024, blocks <= 1]).toEqual([true, true]);
  });

  test("[MV11][MV2] leaves the views below it as they are, also when all of it is folded", async () => {
    const world = new World({ cacheMaxBytes: 1 });
    const [a, b] = [await world.open(), await world.open()];
    const items = Array.from({ length: 50 }, (_, i) => ({ id: `k${i + 10}`, n: i, at: i, pad: "p".repeat(2000) }));
    await write(a, items.map(put));
    await world.upkeep(a);
    const views = [await begin(a, 1, false), await begin(b, 1, false)];
    await clearing(b);
    await write(a, [put({ id: "k10", n: -1, at: 3 })]);
    for (const answering of [[b], []]) {
      for (const view of views) {
        expect(await itemsIn(view)).toEqual(items);
        expect(await itemsAt(view, 3, 5)).toEqual(items.slice(3, 5));
        expect(await itemOf(view, "k10")).toEqual(items[0]);
      }
      expect([await contents(a), await contents(b)]).toEqual([["k10=-1"], ["k10=-1"]]);
      await world.upkeep(a, answering);
    }
  });

  test("[MV11] makes way for the same keys and unique keys again", async () => {
    const tab = await new World().open();
    await write(tab, [put({ id: "a", n: 1, slug: "x" })]);
    await clearing(tab);
    expect((await write(tab, [add({ id: "a", n: 2, slug: "x" })])).existed).toEqual([false]);
    await clearing(tab);
    expect((await write(tab, [del("a"), put({ id: "b", n: 3, slug: "x" })])).existed).toEqual([false, false]);
    expect(await contents(tab)).toEqual(["b=3"]);
  });

  test("[MV11][MV3] by two transactions of one view: the second runs again, and what came between goes", async () => {
    const world = new World();
    const [a, b] = [await world.open(), await world.open()];
    await write(a, [put({ id: "a", n: 1 })]);
    await clear(a, await begin(a, 1));
    await clear(b, await begin(b, 1));
    await commit(a, 1, []);
    await write(a, [put({ id: "b", n: 2 })]);
    await expect(commit(b, 1, [])).rejects.toMatchObject({ code: "CONFLICT", details: { by: "schema" } });
    expect(await contents(b)).toEqual(["b=2"]);
    await clearing(b);
    expect([await contents(a), await contents(b)]).toEqual([[], []]);
  });

  test("[MV11][MV3] fails a transaction that read what it cleared", async () => {
    const world = new World();
    const [a, b] = [await world.open(), await world.open()];
    await write(a, [put({ id: "a", n: 1 })]);
    const tx = await begin(b, 1);
    const n = (await itemOf(tx, "a"))!.n;
    await clearing(a);
    await expect(commit(b, 1, [put({ id: "a", n: n + 1 })])).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await contents(b)).toEqual([]);
  });

  test("[MV11] in one group with a write that follows it: the write is not lost in a table that is gone", async () => {
    let append = Promise.resolve();
    let open: () => void = () => undefined;
    const connect = (storage: Storage): Storage => ({
      close: () => storage.close(),
      read: (what) => storage.read(what),
      commit: async (batch) => {
        await append;
        return storage.commit(batch);
      },
    });
    const tab = await new World({ connect }).open();
    await write(tab, [put({ id: "a", n: 1 })]);
    await clear(tab, await begin(tab, 1));
    append = new Promise((resolve) => (open = resolve));
    // What is called while an append is under way makes the next group.
    const calls = [write(tab, [put({ id: "b", n: 2 })])];
    await settle();
    calls.push(commit(tab, 1, []));
    await settle();
    calls.push(write(tab, [put({ id: "c", n: 3 })]));
    await settle();
    open();
    expect((await Promise.all(calls)).map((done) => done.seq)).toEqual([3, 4, 5]);
    expect(await contents(tab)).toEqual(["c=3"]);
  });
});

describe("a transaction that clears", () => {
  test("[MV11] goes on with an empty collection; what it wrote before is not even logged", async () => {
    const tab = await new World().open();
    await write(tab, [put({ id: "a", n: 1, at: 1, slug: "x" })]);
    const tx = await begin(tab, 1);
    await stage(tab, tx, [put({ id: "b", n: 2, at: 2 })]);
    await clear(tab, tx);
    expect(await itemsIn(tx)).toEqual([]);
    expect(await itemsAt(tx, 0, 9)).toEqual([]);
    await stage(tab, tx, [add({ id: "a", n: 3, at: 3, slug: "x" })]);
    await clear(tab, tx);
    await stage(tab, tx, [add({ id: "a", n: 4, at: 4, slug: "x" })]);
    expect((await itemsAt(tx, 0, 9)).map((i) => i.n)).toEqual([4]);
    await commit(tab, 1, [put({ id: "c", n: 5, slug: "y" })]);
    expect(await contents(tab)).toEqual(["a=4", "c=5"]);
    expect(decodeEntry(tab.sent.at(-1)!).commits[0]!.writes).toHaveLength(3);
  });

  test("[MV11] and does not commit leaves no trace", async () => {
    const tab = await new World().open();
    await write(tab, [put({ id: "a", n: 1 })]);
    const { epoch } = tab.database.schema;
    await clear(tab, await begin(tab, 1));
    await tab.database.end(1);
    expect(tab.database.schema.epoch).toBe(epoch);
    expect(await contents(tab)).toEqual(["a=1"]);
  });

  test("[MV11][MV3] keeps its new unique keys unique, and says whose they are", async () => {
    const world = new World();
    const tab = await world.open();
    await write(tab, [put({ id: "a", n: 1, slug: "x" })]);
    await world.upkeep(tab);
    await clear(tab, await begin(tab, 1));
    const twice = [put({ id: "b", n: 2, slug: "x" }), put({ id: "c", n: 3, slug: "x" })];
    await expect(commit(tab, 1, twice)).rejects.toMatchObject({
      code: "CONSTRAINT",
      details: { collection: "items", index: "slug", key: "c", constraint: "unique" },
    });
    expect(await contents(tab)).toEqual(["a=1"]);
  });
});

describe("tables", () => {
  test("[MV11] whoever names them by another schema than the handle's is refused", async () => {
    const tab = await new World().open();
    const { database } = tab;
    await write(tab, [put({ id: "a", n: 1 })]);
    const old = database.schema.epoch;
    await begin(tab, 1, false);
    await clearing(tab);
    const refused = { code: "CONFLICT", details: { by: "schema" } };
    const nothing = (): Promise<string> => Promise.resolve("read");
    await expect(database.reading(0, old, nothing)).rejects.toMatchObject(refused);
    await expect(database.reading(1, database.schema.epoch, nothing)).rejects.toMatchObject(refused);
    await expect(database.write({ writes: new Uint8Array() }, old, "relaxed", "")).rejects.toMatchObject(refused);
    expect(await database.reading(0, database.schema.epoch, nothing)).toBe("read");
    expect(await database.reading(1, old, nothing)).toBe("read");
    expect((await database.catalogOf(1)).epoch).toBe(old);
  });

  test("[MV11][VG1] what is live at any seq is live at every earlier one, or was not given out there yet", async () => {
    const world = new World();
    const tab = await world.open();
    for (let n = 0; n < 4; n++) {
      await write(tab, [put({ id: "a", n })]);
      await clearing(tab);
      if (n === 1) await world.upkeep(tab);
    }
    const { head, fence } = tab.database.store;
    const reader = new Reader(tab.database.store);
    const catalogs = [];
    for (let at = fence.seq as number; at <= head.seq; at++)
      catalogs.push(await catalogAt(reader, at as typeof fence.seq));
    expect(new Set(catalogs.map((c) => c.epoch)).size).toBe(3);
    for (const [i, earlier] of catalogs.entries()) {
      const live = liveTables(earlier);
      expect(live.size).toBe(4);
      for (const later of catalogs.slice(i)) {
        for (const table of liveTables(later)) expect(live.has(table) || table >= earlier.nextTable).toBe(true);
      }
    }
  });

  test("[MV11] that are gone can still be spoken of", async () => {
    const tab = await new World().open();
    const { table, indexes } = tab.database.catalog.collections["items"]!;
    const of = (id: number) => byteKey(tablePrefix(tableId(id)) + encodeKey("a", "id"));
    await clearing(tab);
    for (const gone of [table, indexes["at"]!.table, indexes["slug"]!.table, 999]) {
      expect(tab.database.describe(of(gone))).toEqual({ collection: "$cleared", key: undefined });
    }
    expect(tab.database.describe(of(tab.database.catalog.collections["items"]!.table))).toEqual({
      collection: "items",
      key: "a",
    });
    expect(tab.database.describe(of(0))).toEqual({ collection: "$catalog", key: undefined });
  });

  test("[MV11][MV4] of a clearing that was struck are never taken for those of the next", async () => {
    const world = new World();
    const a = await world.open();
    await write(a, [put({ id: "a", n: 1 })]);
    const { seq } = await clearing(a);
    const struck = a.database.schema;
    world.medium.damage(databaseName, "log", seq, 20);
    const b = await world.open();
    expect(await contents(b)).toEqual(["a=1"]);
    await clearing(b);
    await a.database.store.follow();
    expect(b.database.schema.epoch).not.toBe(struck.epoch);
    expect(a.database.schema.epoch).toBe(b.database.schema.epoch);
    const stale = a.database.write({ writes: new Uint8Array() }, struck.epoch, "relaxed", "");
    await expect(stale).rejects.toMatchObject({ code: "CONFLICT", details: { by: "schema" } });
  });
});

describe("clearing in a snapshot transaction", () => {
  const beginSnapshot = (tab: Tab, handle: number) =>
    tab.database.begin(handle, { tracked: true, isolation: "snapshot", fresh: true, attempt: 0 });

  test("[MV3] counts as writing every record that there was: it loses against whoever wrote one since its view", async () => {
    const tab = await new World().open();
    await write(tab, [put({ id: "a", n: 1 })]);
    await clear(tab, await beginSnapshot(tab, -1));
    await write(tab, [put({ id: "b", n: 2 })]);
    await expect(commit(tab, -1, [])).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await contents(tab)).toEqual(["a=1", "b=2"]);
    await clear(tab, await beginSnapshot(tab, -3));
    await commit(tab, -3, []);
    expect(await contents(tab)).toEqual([]);
  });
});
