/**
 * Tabs of two builds on one database. Both are bundled as the package is (rolldown.builds.config.ts): the present one,
 * and one of tomorrow that stores by other formats, in which "whole" differs by the number of the whole alone. They run
 * on one IndexedDB, with the same locks and channels.
 */
import "fake-indexeddb/auto";
import { execFileSync } from "node:child_process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { openDB } from "idb";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { wholeFormat } from "./codec/formats.ts";
import type * as Tidemark from "./index.ts";

type Build = typeof Tidemark;
type Record_ = { id: string; n: number; text?: string };
const builds = new URL("../../../node_modules/.cache/tidemark-builds/", import.meta.url);
const load = async (name: string): Promise<Build> =>
  (await import(pathToFileURL(fileURLToPath(new URL(`${name}/index.js`, builds))).href)) as Build;

let present: Build;
beforeAll(async () => {
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  execFileSync("pnpm", ["run", "builds"], { cwd, stdio: "ignore" });
  present = await load("present");
}, 60_000);

const { format } = wholeFormat;
const unsupported = { code: "FORMAT_UNSUPPORTED" };
const collectionsOf = ({ collection }: Build) => ({
  rows: collection<Record_>()({ key: "id", indexes: { n: "n" } }),
});
type Db = Tidemark.Database<ReturnType<typeof collectionsOf>>;

let databases = 0;
const open: Db[] = [];
afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all(open.splice(0).map((db) => db.close()));
});

interface Tab {
  readonly db: Db;
  readonly rows: Tidemark.Collection<ReturnType<typeof collectionsOf>["rows"]>;
  /** What it was told. */
  readonly outdated: unknown[];
  readonly errors: unknown[];
}

async function tabOf(build: Build, name: string): Promise<Tab> {
  const db = build.createDatabase({ name, collections: collectionsOf(build), worker: false });
  const tab: Tab = { db, rows: db.collection("rows"), outdated: [], errors: [] };
  db.on("outdated", (event) => tab.outdated.push(event));
  db.on("error", (error) => tab.errors.push(error));
  open.push(db);
  await db.open();
  return tab;
}

/** A tab that no message of others reaches. */
async function deafTabOf(build: Build, name: string): Promise<Tab> {
  class Deaf {
    addEventListener(): void {}
    postMessage(): void {}
    close(): void {}
  }
  vi.stubGlobal("BroadcastChannel", Deaf);
  const tab = await tabOf(build, name);
  vi.unstubAllGlobals();
  return tab;
}

const numbered = (from: number, to: number): Record_[] =>
  Array.from({ length: to - from }, (_, i) => ({ id: `r${String(from + i).padStart(4, "0")}`, n: from + i }));

/** All that is stored, byte by byte. */
async function stored(name: string): Promise<unknown> {
  const idb = await openDB(`tidemark/${name}`);
  const stores = Array.from(idb.objectStoreNames);
  const all = stores.map(async (store) => [store, await idb.getAllKeys(store), await idb.getAll(store)]);
  const found = await Promise.all(all);
  idb.close();
  return found;
}

describe.each(["whole", "all"])("a tab of the present build, and one of tomorrow's (%s)", (kind) => {
  let next: Build;
  beforeAll(async () => {
    next = await load(kind);
  });
  const nameOf = (): string => `builds ${kind} ${databases++}`;

  /** Whatever the old tab had stored in blocks the new one has written anew. */
  async function overwritten(): Promise<{ readonly old: Tab; readonly now: Tab }> {
    const name = nameOf();
    const old = await tabOf(present, name);
    await old.rows.addMany(numbered(0, 500));
    await old.db.checkpoint();
    const now = await tabOf(next, name);
    await expect.poll(() => old.outdated).toHaveLength(1);
    await now.rows.putMany(numbered(0, 500).map((r) => ({ ...r, text: "new" })));
    await now.db.checkpoint();
    return { old, now };
  }

  test("[MV10] the new one opens what is there; the old one is told once, and can write nothing any more", async () => {
    const name = nameOf();
    const old = await tabOf(present, name);
    await old.rows.addMany(numbered(0, 300));
    await old.db.checkpoint();
    await old.rows.addMany(numbered(300, 320));
    const view = await old.db.readView();

    const now = await tabOf(next, name);
    expect(await now.rows.all()).toEqual(numbered(0, 320));
    await now.rows.put({ id: "new", n: -1 });
    await expect.poll(() => old.outdated).toEqual([{ reason: "format", declared: 1 }]);

    const before = await stored(name);
    const attempts: readonly (() => Promise<unknown>)[] = [
      () => old.rows.put({ id: "old", n: 0 }),
      () => old.rows.addMany(numbered(900, 905)),
      () => old.rows.update("r0001", { n: 5 }),
      () => old.rows.delete("r0001"),
      () => old.rows.where("n").above(3).delete(),
      () => old.rows.clear(),
      () => old.db.transaction(async (tx) => tx.collection("rows").put({ id: "old", n: 0 })),
      () => old.rows.put({ id: "large", n: 0, text: "x".repeat(300_000) }),
      () => old.db.snapshots.create("mine"),
      () => old.db.checkpoint(),
      () => old.db.gc.run(),
      () => old.db.readView({ fresh: true }),
    ];
    for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject(unsupported);
    expect(await stored(name)).toEqual(before);

    // What it had in memory it reads on, all of it as it was; a view does not change.
    expect(await old.rows.get("r0310")).toEqual({ id: "r0310", n: 310 });
    expect(await view.collection("rows").get("r0310")).toEqual({ id: "r0310", n: 310 });
    expect(await view.collection("rows").get("new")).toBeUndefined();
    const all = await view
      .collection("rows")
      .all()
      .catch((e: unknown) => e);
    if (Array.isArray(all)) expect(all).toEqual(numbered(0, 320));
    else expect(all).toMatchObject(unsupported);

    expect(old.outdated).toHaveLength(1);
    expect(old.errors).toEqual([]);
    expect((await now.db.verify()).damage).toEqual([]);
    expect(now.errors).toEqual([]);
  });

  test("[MV10] a tab that hears nothing finds out by itself: its write is refused, and never counts", async () => {
    const name = nameOf();
    const old = await deafTabOf(present, name);
    await old.rows.addMany(numbered(0, 10));
    const now = await tabOf(next, name);
    await expect(old.rows.put({ id: "old", n: 0 })).rejects.toMatchObject(unsupported);
    expect(old.outdated).toEqual([{ reason: "format", declared: 1 }]);
    expect(await now.rows.all()).toEqual(numbered(0, 10));
    await now.rows.put({ id: "new", n: -1 });
    await now.db.checkpoint();
    await expect(old.rows.put({ id: "old", n: 0 })).rejects.toMatchObject(unsupported);
    const again = await tabOf(next, name);
    expect((await again.rows.all()).map(({ id }) => id)).toEqual(["new", ...numbered(0, 10).map(({ id }) => id)]);
    expect((await again.db.verify()).damage).toEqual([]);
  });

  test("[MV10] [TB2] upkeep goes over to the new build at once, and never back", async () => {
    const name = nameOf();
    const old = await tabOf(present, name); // does upkeep
    const other = await deafTabOf(present, name); // stands in line for it
    await old.rows.addMany(numbered(0, 200));
    const now = await tabOf(next, name);
    await expect.poll(() => old.outdated).toHaveLength(1);
    for (let round = 0; round < 3; round++) await now.rows.putMany(numbered(0, 200));
    await now.db.checkpoint();
    const report = await now.db.gc.run();
    expect(report.heldBack.length).toBeGreaterThan(0); // the old tabs' pins count
    await old.db.close();
    await now.db.close();
    const before = await stored(name);
    await expect.poll(() => other.outdated).toEqual([{ reason: "format", declared: 1 }]); // upkeep came to it
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await stored(name)).toEqual(before);
    const again = await tabOf(next, name);
    await again.db.checkpoint();
    expect(await again.rows.all()).toEqual(numbered(0, 200));
    expect((await again.db.verify()).damage).toEqual([]);
  });

  test("[MV10] reading on never gives what was not there: what was folded meanwhile is refused", async () => {
    const { old, now } = await overwritten();
    const { holders } = await now.db.gc.explain();
    for (const { kind: of, id } of holders) if (of === "pin") await now.db.gc.evict(id).catch(() => undefined);
    await now.db.gc.run();
    for (const read of [
      () => old.rows.all(),
      () => old.rows.where("n").between(5, 9).toArray(),
      () => old.rows.count(),
    ]) {
      const found = await read().catch((e: unknown) => e);
      if (found instanceof Error) expect(found).toMatchObject({ code: /FORMAT_UNSUPPORTED|READ_VIEW_EVICTED/ });
      else if (Array.isArray(found)) for (const record of found) expect(record).not.toHaveProperty("text");
    }
  });

  test("[MV8] [MV10] what the new build wrote is no damage to the old one, neither to verify nor to salvage", async () => {
    const { old, now } = await overwritten();
    await now.db.gc.run();
    const seen: unknown = await old.db.verify().catch((e: unknown) => e);
    if (seen instanceof Error) expect(seen).toMatchObject(unsupported);
    else expect(seen).toMatchObject({ damage: [] });
    const stream: unknown = await new Response(old.db.salvage()).arrayBuffer().catch((e: unknown) => e);
    if (stream instanceof ArrayBuffer) {
      const copy = await tabOf(present, nameOf());
      const { damage, collections } = await copy.db.import(new Blob([stream]).stream());
      expect([damage, collections]).toEqual([[], { rows: 500 }]);
    } else expect(stream).toMatchObject(unsupported);
  });

  test("[MV10] the old build does not open what the new one has upgraded, and changes nothing of it", async () => {
    const name = nameOf();
    const now = await tabOf(next, name);
    await now.rows.addMany(numbered(0, 50));
    const before = await stored(name);
    await expect(tabOf(present, name)).rejects.toMatchObject({
      ...unsupported,
      details: { found: format + 1, supported: format },
    });
    expect(await stored(name)).toEqual(before);
    await now.db.close();
    const idle = await stored(name);
    await expect(tabOf(present, name)).rejects.toMatchObject({
      ...unsupported,
      details: { found: format + 1, supported: format },
    });
    expect(await stored(name)).toEqual(idle);
    const reloaded = await tabOf(next, name);
    expect(await reloaded.rows.all()).toEqual(numbered(0, 50));
  });

  test("[MV10] an old page lists its own databases, and deletes a newer one whole or not at all", async () => {
    const [name, own] = [nameOf(), nameOf()];
    const [now, mine] = [await tabOf(next, name), await tabOf(present, own)];
    await now.rows.addMany(numbered(0, 50));
    await mine.rows.addMany(numbered(0, 3));
    expect(await present.listDatabases({ worker: false })).toContainEqual({ name: own, version: 1 });
    const closed: unknown[] = [];
    now.db.on("closed", (event) => closed.push(event));
    const refusal: unknown = await present.deleteDatabase(name, { worker: false }).catch((e: unknown) => e);
    if (refusal === undefined) {
      await expect.poll(() => closed).toEqual([{ reason: "deleted" }]);
      expect(await (await tabOf(next, name)).rows.count()).toBe(0);
    } else {
      expect(refusal).toMatchObject(unsupported);
      expect(await now.rows.all()).toEqual(numbered(0, 50));
      expect(closed).toEqual([]);
    }
  });

  test("[MV10] [MV1] whatever the old tab writes as the new one opens either counts or is refused", async () => {
    for (let seed = 0; seed < 12; seed++) {
      const name = nameOf();
      const old = await (seed % 2 === 0 ? tabOf : deafTabOf)(present, name);
      await old.rows.addMany(numbered(0, 5));
      const kept = new Map(numbered(0, 5).map((r) => [r.id, r]));
      let opening: Promise<Tab> | undefined;
      const writes: Promise<unknown>[] = [];
      const write = async (record: Record_): Promise<void> => {
        try {
          await old.rows.put(record);
          kept.set(record.id, record);
        } catch (e) {
          expect(e).toMatchObject(unsupported);
        }
      };
      for (let i = 0; i < 24; i++) {
        if (i === seed * 2) opening = tabOf(next, name);
        writes.push(write({ id: `w${i}`, n: i, ...(i % 7 === 3 ? { text: "x".repeat(70_000) } : {}) }));
        if (i % 3 !== seed % 3) await new Promise((resolve) => setTimeout(resolve, seed % 4));
      }
      await Promise.all(writes);
      const now = await (opening ?? tabOf(next, name));
      const found = await now.rows.all();
      expect(
        found.map(({ id }) => id),
        `seed ${seed}`,
      ).toEqual([...kept.keys()].toSorted());
      expect(found).toEqual(found.map(({ id }) => kept.get(id)));
      await now.db.checkpoint();
      expect((await now.db.verify()).damage).toEqual([]);
      await Promise.all(open.splice(0).map((db) => db.close()));
    }
  });
});
