import { afterEach, describe, expect, test, vi } from "vitest";
import { collection, createDatabase, type Database, deleteDatabase, type Live } from "./index.ts";
import { ownWorker } from "./own-worker.test-support.ts";

const rows = collection<{ id: string; v: number }>()({ key: "id" });
type Db = Database<{ rows: typeof rows }>;

let n = 0;
const made: Db[] = [];
function make(name = `live-client${n++}`): Db {
  const db = createDatabase({
    name,
    collections: { rows },
    storage: "memory",
    worker: false,
    ...ownWorker(made.length),
  });
  made.push(db);
  return db;
}
afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all(made.splice(0).map((db) => db.close()));
});

const countOf = (db: Db): Live<number> => db.live((q) => q.collection("rows").count());
const pause = (ms = 10): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("a live query", () => {
  test.each(["before opening", "on an open database"])("subscribed, left and subscribed at once, %s", async (when) => {
    const db = make();
    if (when === "on an open database") await db.open();
    const live = countOf(db);
    const [left, seen]: [number[], number[]] = [[], []];
    live.subscribe((v) => left.push(v)).unsubscribe();
    const subscription = live.subscribe((v) => seen.push(v));
    await expect.poll(() => seen).toEqual([0]);
    await db.collection("rows").put({ id: "a", v: 1 });
    await expect.poll(() => seen).toEqual([0, 1]);
    expect(left).toEqual([]);
    expect(live.error).toBeUndefined();
    subscription.unsubscribe();
  });

  test("left in the middle of a run: that run says nothing, and the next is whole", async () => {
    const db = make();
    await db.open();
    const gates: (() => void)[] = [];
    const live = db.live(async (q) => {
      const first = await q.collection("rows").count();
      await new Promise<void>((resolve) => gates.push(resolve));
      return first + (await q.collection("rows").count());
    });
    const seen: unknown[] = [];
    const first = live.subscribe({ next: (v) => seen.push(["first", v]), error: (e) => seen.push(e) });
    await expect.poll(() => gates.length).toBe(1);
    first.unsubscribe();
    live.subscribe({ next: (v) => seen.push(["second", v]), error: (e) => seen.push(e) });
    await expect.poll(() => gates.length).toBe(2);
    gates[0]!();
    await pause();
    expect(seen).toEqual([]);
    gates[1]!();
    await expect.poll(() => seen).toEqual([["second", 0]]);
  });

  test("touched right after a run runs again", async () => {
    const db = make();
    await db.open();
    const seen: number[] = [];
    const live = countOf(db);
    live.subscribe((v) => {
      seen.push(v);
      if (v < 20) void db.collection("rows").put({ id: `k${v}`, v });
    });
    await expect.poll(() => seen.at(-1)).toBe(20);
    expect(seen).toEqual(Array.from({ length: 21 }, (_, i) => i));
  });

  test("gives a second subscriber the value there is, undefined too", async () => {
    const db = make();
    const live = db.live((q) => q.collection("rows").get("none"));
    const seen: unknown[] = [];
    live.subscribe((v) => seen.push(["first", v]));
    await expect.poll(() => seen).toEqual([["first", undefined]]);
    live.subscribe((v) => seen.push(["second", v]));
    expect(seen).toEqual([
      ["first", undefined],
      ["second", undefined],
    ]);
  });

  test("keeps `current` the same object until it emits the next", async () => {
    const db = make();
    const live = db.live((q) => q.collection("rows").all());
    const seen: unknown[] = [];
    const subscription = live.subscribe((v) => seen.push(v));
    await expect.poll(() => seen.length).toBe(1);
    const { current } = live;
    expect(seen[0]).toBe(current);
    subscription.unsubscribe();
    expect(live.current).toBe(current);
    live.subscribe((v) => seen.push(v));
    expect(live.current).toBe(current);
    await expect.poll(() => seen.length).toBe(2);
    expect(live.current).toBe(seen[1]);
  });

  test("subscribed twice with one observer is subscribed twice", async () => {
    const db = make();
    let calls = 0;
    const observer = { next: () => void calls++ };
    const live = countOf(db);
    const first = live.subscribe(observer);
    live.subscribe(observer);
    await expect.poll(() => calls).toBe(2);
    first.unsubscribe();
    first.unsubscribe();
    await db.collection("rows").put({ id: "a", v: 1 });
    await expect.poll(() => calls).toBe(3);
  });

  test("an observer that throws harms neither the others nor the query", async () => {
    const reported: unknown[] = [];
    vi.stubGlobal("reportError", (e: unknown) => reported.push(e));
    const db = make();
    const seen: number[] = [];
    const live = countOf(db);
    live.subscribe(() => {
      throw new Error("mine");
    });
    live.subscribe((v) => seen.push(v));
    await expect.poll(() => seen).toEqual([0]);
    await db.collection("rows").put({ id: "a", v: 1 });
    await expect.poll(() => seen).toEqual([0, 1]);
    expect(reported).toEqual([new Error("mine"), new Error("mine")]);
    expect(live.error).toBeUndefined();
  });

  test("that fails ends its subscriptions; a new one clears the error", async () => {
    const db = make();
    let fails = true;
    const live = db.live(async (q) => {
      if (fails) throw new Error("query");
      return q.collection("rows").count();
    });
    const errors: unknown[] = [];
    live.subscribe({ error: (e) => errors.push(e) });
    live.subscribe({ error: (e) => errors.push(e) });
    await expect.poll(() => errors).toEqual([new Error("query"), new Error("query")]);
    expect(live.error).toEqual(new Error("query"));
    fails = false;
    const seen: number[] = [];
    live.subscribe((v) => seen.push(v));
    expect(live.error).toBeUndefined();
    await expect.poll(() => seen).toEqual([0]);
  });

  test.each(["closed", "deleted"])("ends when the database is %s", async (how) => {
    const name = `live-client${n++}`;
    const db = make(name);
    const live = countOf(db);
    const seen: unknown[] = [];
    live.subscribe({ next: (v) => seen.push(v), error: (e) => seen.push((e as { code: string }).code) });
    await expect.poll(() => seen).toEqual([0]);
    await (how === "closed" ? db.close() : deleteDatabase(name, { storage: "memory" }));
    await expect.poll(() => seen).toEqual([0, "CLOSED"]);
    expect(live.error).toMatchObject({ code: "CLOSED", details: { reason: how } });
    live.subscribe({ error: (e) => seen.push((e as { code: string }).code) });
    await expect.poll(() => seen).toEqual([0, "CLOSED", "CLOSED"]);
  });
});
