import { afterEach, describe, expect, expectTypeOf, test } from "vitest";
import { collection, createDatabase, type Database, type RecordVersion } from "./index.ts";

interface Note {
  id: string;
  n: number;
  at?: Date;
  pad?: string;
}
const notes = collection<Note>()({ key: "id", indexes: { n: "n" } });
type Db = Database<{ notes: typeof notes }>;
let count = 0;
const open: Db[] = [];
const make = (): Db => {
  const db = createDatabase({ name: `history${count++}`, collections: { notes }, storage: "memory", worker: false });
  open.push(db);
  return db;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((db) => db.close()));
});

/** What is left when the stamps, which rise with the seqs, were looked at. */
const shown = (versions: readonly RecordVersion<Note>[]): readonly (number | undefined)[] => {
  const order = versions.map(({ stamp, seq }) => [stamp, seq]);
  expect(order).toEqual(order.toSorted(([a], [b]) => b! - a!));
  return versions.map(({ value, deleted }) => {
    expect(deleted).toBe(value === undefined ? true : undefined);
    return value?.n;
  });
};

describe("history", () => {
  test("[MV2] has every version that is there, newest first, deletions included", async () => {
    const db = make();
    const c = db.collection("notes");
    const view = await db.readView(); // keeps what follows
    const before = Date.now();
    await c.put({ id: "a", n: 1, at: new Date(5) });
    await c.put({ id: "ab", n: 100 });
    await c.delete("a");
    await c.put({ id: "a", n: 2 });
    const versions = await c.history("a");
    expect(shown(versions)).toEqual([2, undefined, 1]);
    expect(versions[2]!.value).toEqual({ id: "a", n: 1, at: new Date(5) });
    expect(Math.floor(versions[2]!.stamp / 1024)).toBeGreaterThanOrEqual(before);
    expect(Math.floor(versions[0]!.stamp / 1024)).toBeLessThanOrEqual(Date.now());
    expect(await c.history("none")).toEqual([]);
    await db.checkpoint();
    expect(await c.history("a")).toEqual(versions);
    await c.put({ id: "a", n: 3 });
    expect(await c.history("a")).toEqual([expect.objectContaining({ value: { id: "a", n: 3 } }), ...versions]);
    view.release();
  });

  test("[MV2] of a view ends at the view's seq, whatever commits meanwhile", async () => {
    const db = make();
    const c = db.collection("notes");
    await c.put({ id: "a", n: 1 });
    const view = await db.readView();
    await c.put({ id: "a", n: 2 });
    expect(shown(await view.collection("notes").history("a"))).toEqual([1]);
    await db.checkpoint();
    expect(shown(await view.collection("notes").history("a"))).toEqual([1]);
    expect(shown(await c.history("a"))).toEqual([2, 1]);
    view.release();
    await expect(view.collection("notes").history("a")).rejects.toMatchObject({ code: "VIEW_RELEASED" });
  });

  test("[MV3] of a transaction leaves out its own writes, and counts as read", async () => {
    const db = make();
    const c = db.collection("notes");
    await c.put({ id: "a", n: 1 });
    const seen: unknown[] = [];
    await db.transaction(async (tx) => {
      const t = tx.collection("notes");
      await t.put({ id: "b", n: 9 });
      await t.put({ id: "a", n: 5 });
      seen.push([tx.attempt, shown(await t.history("a"))]);
      if (tx.attempt === 0) await c.put({ id: "a", n: 2 });
      await t.put({ id: "b", n: (await t.history("a")).length });
    });
    expect(seen).toEqual([
      [0, [1]],
      [1, [2, 1]],
    ]);
    expect(await c.get("b")).toEqual({ id: "b", n: 2 });
  });

  test("[MV11] of what was cleared is that of the present table", async () => {
    const db = make();
    const c = db.collection("notes");
    await c.put({ id: "a", n: 1 });
    const view = await db.readView();
    await c.clear();
    expect(await c.history("a")).toEqual([]);
    await c.put({ id: "a", n: 2 });
    expect(shown(await c.history("a"))).toEqual([2]);
    expect(shown(await view.collection("notes").history("a"))).toEqual([1]);
    view.release();
  });

  test("[MV2] loads values that lie out of line, and goes over many blocks", async () => {
    const db = make();
    const c = db.collection("notes");
    const view = await db.readView();
    const numbers = Array.from({ length: 40 }, (_, i) => i);
    const pad = (n: number): string => String(n).repeat(n % 4 === 0 ? 30_000 : 9000);
    for (const n of numbers) await c.put({ id: "a", n, pad: pad(n) });
    for (let i = 0; i < 2; i++) {
      const versions = await c.history("a");
      expect(shown(versions)).toEqual(numbers.toReversed());
      for (const { value } of versions) expect(value!.pad === pad(value!.n)).toBe(true);
      await db.checkpoint();
    }
    view.release();
  });

  test("in a live query is told of new versions", async () => {
    const db = make();
    const c = db.collection("notes");
    await c.put({ id: "a", n: 1 });
    const seen: number[] = [];
    const live = db.live(async (q) => (await q.collection("notes").history("a")).length);
    const subscription = live.subscribe((n) => seen.push(n));
    await expect.poll(() => seen).toEqual([1]);
    await c.put({ id: "a", n: 2 });
    await expect.poll(() => seen).toEqual([1, 2]);
    subscription.unsubscribe();
  });

  test("takes a signal, and keys of the right kind only", async () => {
    const c = make().collection("notes");
    const reason = new Error("no");
    await expect(c.history("a", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(c.history(Number.NaN as unknown as string)).rejects.toMatchObject({ code: "KEY_INVALID" });
    expectTypeOf(await c.history("a")).toEqualTypeOf<RecordVersion<Note>[]>();
  });
});
