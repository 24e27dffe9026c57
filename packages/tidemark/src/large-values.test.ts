import { beforeEach, describe, expect, test } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import { encodeKey } from "./codec/key.ts";
import { byteKey } from "./base/brand.ts";
import { tablePrefix } from "./codec/record.ts";
import { unpackValues } from "./codec/values.ts";
import { tableRange } from "./collections/catalog.ts";
import { define } from "./collections/define.ts";
import { buildAll } from "./collections/building.ts";
import { defaultWork } from "./gc/work.ts";
import type { Isolation } from "./mvcc/group.ts";
import { verify } from "./mvcc/verify.ts";
import { chunkKeys, faults, large, largestCall, references, stagedRows, sweep } from "./large-values.test-support.ts";
import {
  add,
  commit,
  databaseName,
  del,
  type Item,
  itemsAt,
  itemsIn,
  put,
  stage,
  type Tab,
  World,
  write,
} from "./test-world.test-support.ts";

const maxMovedBytes = 260 * 1024;

let world: World;
let tab: Tab;
beforeEach(async () => {
  world = new World();
  tab = await world.open();
});

const begin = (of: Tab, handle: number, isolation: Isolation = "serializable") =>
  of.database.begin(handle, { tracked: true, isolation, fresh: true, attempt: 0 });
const view = (of: Tab, handle: number) =>
  of.database.begin(handle, { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 });

async function items(of: Tab): Promise<Item[]> {
  const seen = await itemsIn(await view(of, 99));
  await of.database.end(99);
  return seen;
}
const get = async (of: Tab, id: string): Promise<unknown> => {
  const { collections, epoch } = of.database.catalog;
  const key = byteKey(tablePrefix(collections["items"]!.table) + encodeKey(id, "items.id"));
  return unpackValues(await of.database.reading(0, epoch, (h) => of.database.get(h, [key])))[0];
};

const values = { skip: 0, wants: "values" } as const;

describe("a large value", () => {
  test("[MV11] of 20 MB, and 200 of 100 KB, are written, folded and read in small transactions", async () => {
    const whale = large("whale", 1, 20_000_000);
    const many = Array.from({ length: 200 }, (_, i) => large(`m${1000 + i}`, i));
    const most = await largestCall(world, async () => {
      await write(tab, [put(whale)]);
      await write(tab, many.map(put), "strict");
      await world.upkeep(tab);
      expect(await get(tab, "whale")).toEqual(whale);
      expect(await items(tab)).toEqual([...many, whale]);
    });
    expect(most).toBeLessThan(maxMovedBytes);
    expect(tab.database.store.log.sizeBytes + tab.database.store.memtable.sizeBytes).toBeLessThan(64 * 1024);
    expect(await faults(tab)).toEqual([]);
    const other = await world.open();
    expect(await get(other, "whale")).toEqual(whale);
  });

  test("[MV11] costs no storage call beside its pieces: the commit itself publishes it", async () => {
    await write(tab, [put(large("a", 1))]);
    const { commits } = world.medium.stats;
    await write(tab, [put(large("a", 2, 200_000))]);
    expect(world.medium.stats.commits - commits).toBe(2);
    await write(tab, [put(large("a", 3, 400_000))]);
    expect(world.medium.stats.commits - commits).toBe(2 + 3);
  });

  test("[MV11] counts in full towards what one answer carries", async () => {
    await write(
      tab,
      Array.from({ length: 10 }, (_, i) => put(large(`k${i}`, i))),
    );
    const { collections, epoch } = tab.database.catalog;
    const range = tableRange(collections["items"]!.table);
    const query = { ranges: [range], records: undefined, reverse: false, limit: undefined, once: undefined };
    const first = await tab.database.scan(0, epoch, { ...query, ...values, maxBytes: 250_000 });
    expect(unpackValues(first.values!)).toHaveLength(3);
    const rest = await tab.database.scan(first.handle, epoch, {
      ...query,
      ...values,
      ranges: [first.rest!.left],
      maxBytes: 1,
    });
    expect(unpackValues(rest.values!)).toEqual([large("k3", 3)]);
  });

  test("[MV2][MV11] stays readable to a view that is older than what replaced it", async () => {
    const other = await world.open();
    await write(tab, [put(large("a", 1)), put({ id: "b", n: 1 })]);
    const old = await view(other, 7);
    await write(tab, [put(large("a", 2)), del("b")]);
    await write(tab, [del("a")]);
    await world.upkeep(tab, [other]);
    expect(await itemsIn(old)).toEqual([large("a", 1), { id: "b", n: 1 }]);
    expect(await items(tab)).toEqual([]);
  });

  test("[MV11] written before a small one of the same key is overwritten by it", async () => {
    await Promise.all([
      write(tab, [put(large("a", 1, 3_000_000))]),
      write(tab, [put({ id: "a", n: 2 })]),
      write(tab, [put(large("b", 3))]),
      write(tab, [put({ id: "b", n: 4 })]),
    ]);
    expect(await items(tab)).toEqual([
      { id: "a", n: 2 },
      { id: "b", n: 4 },
    ]);
    await tab.database.idle();
    expect(await faults(tab)).toEqual([]);
  });

  test("[MV11] is deleted again when its commit fails", async () => {
    await write(tab, [put({ id: "a", n: 1 })]);
    await expect(write(tab, [add(large("a", 2)), put(large("b", 2))])).rejects.toMatchObject({ code: "CONSTRAINT" });
    expect(await chunkKeys(tab.storage)).toEqual([]);
    expect(await stagedRows(tab.storage)).toEqual([]);
  });

  test("[MV9][MV11] that the disk has no room for leaves nothing behind, and all else readable", async () => {
    await write(tab, [put(large("a", 1))]);
    const before = await chunkKeys(tab.storage);
    world.medium.quotaBytes = world.medium.usedBytes + 1_000_000;
    await expect(write(tab, [put(large("b", 2, 5_000_000))])).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    expect(await chunkKeys(tab.storage)).toEqual(before);
    expect(await stagedRows(tab.storage)).toEqual([]);
    expect(await items(tab)).toEqual([large("a", 1)]);
  });

  test("[MV10][MV11] gets the keys of a new index, and stays where it is", async () => {
    await write(tab, [put({ ...large("a", 5), at: 5 }), put({ id: "b", n: 6 })]);
    const before = await chunkKeys(tab.storage);
    const byN = { n: { path: "n", unique: false, multi: false } };
    await define(tab.database, {
      version: 1,
      dropCollections: [],
      collections: { items: { key: "id", indexes: byN } },
    });
    await buildAll(tab.database);
    const { collections, epoch } = tab.database.catalog;
    const { indexes, table } = collections["items"]!;
    const query = { ranges: [tableRange(indexes["n"]!.table)], records: table, reverse: false, limit: undefined };
    const found = await tab.database.scan(0, epoch, { ...query, ...values, once: undefined, maxBytes: Infinity });
    expect(unpackValues(found.values!)).toEqual([
      { ...large("a", 5), at: 5 },
      { id: "b", n: 6 },
    ]);
    expect(await itemsAt(await view(tab, 3), 0, 9)).toEqual([{ ...large("a", 5), at: 5 }]);
    expect(await chunkKeys(tab.storage)).toEqual(before);
    expect(await references(tab.database.store)).toHaveLength(2);
  });

  test("[MV8] that is damaged is told with its key; the others stay readable", async () => {
    await write(tab, [put(large("a", 1)), put(large("b", 2))]);
    const [first] = await chunkKeys(tab.storage);
    world.medium.damage(databaseName, "blobs", first!, 999);
    const failed = await get(tab, "a").catch((e: unknown) => e);
    expect(isTidemarkError(failed, "CORRUPT")).toBe(true);
    const { key } = (failed as { details: { key: string } }).details;
    expect(tab.database.describe(byteKey(key))).toMatchObject({ collection: "items", key: "a" });
    expect(await get(tab, "b")).toEqual(large("b", 2));
  });
});

describe("a transaction with large values", () => {
  test("[MV11] sees them before it commits, and what it replaced or deleted is not kept", async () => {
    const tx = await begin(tab, 1);
    const { database } = tab;
    await stage(tab, tx, [put(large("a", 1)), put(large("b", 1)), put(large("c", 1, 300_000))]);
    await stage(tab, tx, [put(large("b", 2)), del("c")]);
    expect(await itemsIn(tx)).toEqual([large("a", 1), large("b", 2)]);
    await database.commit(tx, "relaxed", "");
    await database.end(1);
    expect(await items(tab)).toEqual([large("a", 1), large("b", 2)]);
    expect(await faults(tab)).toEqual([]);
  });

  test("[MV11] leaves nothing behind when it is dropped, fails, or has replaced them all", async () => {
    await stage(tab, await begin(tab, 1), [put(large("a", 1))]);
    await tab.database.end(1);
    expect(await faults(tab)).toEqual([]);

    const tx = await begin(tab, 2);
    await itemsIn(tx);
    await write(tab, [put({ id: "z", n: 1 })]);
    await expect(commit(tab, 2, [put(large("a", 1))])).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await faults(tab)).toEqual([]);

    await stage(tab, await begin(tab, 3), [put(large("a", 1)), put(large("b", 1))]);
    await commit(tab, 3, [put({ id: "a", n: 2 }), del("b")]);
    expect(await items(tab)).toEqual([
      { id: "a", n: 2 },
      { id: "z", n: 1 },
    ]);
    expect(await faults(tab)).toEqual([]);
  });
});

describe("sweeping", () => {
  test("[MV11][TB4] takes what a dead tab staged, not what a living one does or any has published", async () => {
    const [dead, living] = [await world.open(), await world.open()];
    await write(dead, [put(large("a", 1))]);
    await stage(dead, await begin(dead, 1), [put(large("b", 2))]);
    await stage(living, await begin(living, 1), [put(large("c", 3))]);
    world.kill(dead);
    expect(await sweep(world, tab.storage)).toBe(1);
    expect(await stagedRows(tab.storage)).toMatchObject([{ tab: living.id }]);
    await commit(living, 1, []);
    expect(await items(tab)).toEqual([large("a", 1), large("c", 3)]);
    expect(await faults(tab)).toEqual([]);
  });

  test("[MV11] of a tab that lives after all costs it the commit, and nobody a value", async () => {
    await stage(tab, await begin(tab, 1), [put(large("a", 1))]);
    const other = await world.open();
    world.live.delete(tab.id);
    await sweep(world, other.storage);
    await expect(commit(tab, 1, [])).rejects.toMatchObject({ code: "CONFLICT" }); // it runs again
    await write(tab, [put(large("a", 2))]);
    expect(await items(tab)).toEqual([large("a", 2)]);
    expect(await faults(tab)).toEqual([]);
  });
});

test("[MV8][MV11] of two versions that share a value, the one that nobody can read may outlive it: that is no damage", async () => {
  const levels = { minLevelBytes: 200, maxStepBytes: 900 };
  const small = new World({ rewrite: { ...defaultWork, targetBytes: 300, maxStoreBytes: 700, levels } });
  const opened = await small.open();
  await write(opened, [put(large("z5x", 5))]);
  await write(
    opened,
    Array.from({ length: 60 }, (_, i) => put({ id: `z${i}`, n: i, pad: "p".repeat(60) })),
  );
  await small.upkeep(opened);
  // To fill the new index the record is written again, with its value where it is.
  const indexes = { n: { path: "n", unique: false, multi: false } };
  await define(opened.database, { version: 1, dropCollections: [], collections: { items: { key: "id", indexes } } });
  await buildAll(opened.database);
  await write(opened, [put(large("z5x", 6))]);
  await small.upkeep(opened);
  expect((await verify(opened.database.store)).damage).toEqual([]);
});
