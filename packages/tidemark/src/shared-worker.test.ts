import "fake-indexeddb/auto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { collection, createDatabase, deleteDatabase, openDatabase } from "./index.ts";
import * as inline from "./inline.ts";

const rows = collection<{ id: string; n: number }>()({ key: "id" });
const options = { collections: { rows }, storage: "memory" } as const;
const started = vi.spyOn(inline, "linkInline");

let names = 0;
const nameNow = (): string => `shared-${names++}`;
afterEach(() => started.mockClear());

describe("handles of one name and definition in a realm", () => {
  test("share a worker, and each other's commits at once", async () => {
    const name = nameNow();
    const [a, b] = await Promise.all([openDatabase({ ...options, name }), openDatabase({ ...options, name })]);
    const c = createDatabase({ ...options, name, durability: "strict" });
    await a.collection("rows").put({ id: "x", n: 1 });
    expect(await b.collection("rows").get("x")).toEqual({ id: "x", n: 1 });
    expect(await c.collection("rows").count()).toBe(1);
    expect(started).toHaveBeenCalledTimes(1);
    expect((await a.gc.explain()).holders.filter(({ kind }) => kind === "pin")).toHaveLength(1);
    await Promise.all([a.close(), b.close(), c.close()]);
  });

  test("of which one closes leave the others as they are; what it read through goes with it", async () => {
    const name = nameNow();
    const a = await openDatabase({ ...options, name });
    const b = await openDatabase({ ...options, name });
    const seen: [string, number | string][] = [];
    const live = (of: string, db: typeof a) =>
      db
        .live((q) => q.collection("rows").count())
        .subscribe({ next: (n) => seen.push([of, n]), error: (e) => seen.push([of, (e as { code: string }).code]) });
    live("a", a);
    live("b", b);
    const view = await a.readView();
    const kept = await b.readView();
    await expect.poll(() => seen.length).toBe(2);
    const write = a.collection("rows").put({ id: "last", n: 1 });
    await a.close();
    await write;
    await expect(a.collection("rows").count()).rejects.toMatchObject({ code: "CLOSED" });
    await expect(view.collection("rows").count()).rejects.toMatchObject({ code: "VIEW_RELEASED" });
    expect(await kept.collection("rows").count()).toBe(0);
    expect(await b.collection("rows").count()).toBe(1);
    await b.collection("rows").put({ id: "more", n: 2 });
    await expect
      .poll(() =>
        seen
          .filter(([of]) => of === "b")
          .map(([, n]) => n)
          .at(-1),
      )
      .toBe(2);
    expect(seen.findLast(([of]) => of === "a")).toEqual(["a", "CLOSED"]);
    await b.close();
  });

  test("may be made anew while the last one closes, and after it", async () => {
    const name = nameNow();
    const a = await openDatabase({ ...options, name });
    await a.collection("rows").put({ id: "x", n: 1 });
    const closing = a.close();
    const b = await openDatabase({ ...options, name });
    await closing;
    await b.collection("rows").put({ id: "y", n: 2 });
    await b.close();
    await (await openDatabase({ ...options, name })).close();
    expect(started.mock.calls.length).toBeGreaterThanOrEqual(2);
  });

  test("run their transactions, retries and jobs side by side", async () => {
    const name = nameNow();
    const [a, b] = await Promise.all([openDatabase({ ...options, name }), openDatabase({ ...options, name })]);
    await a.collection("rows").put({ id: "x", n: 0 });
    const more = (db: typeof a) =>
      db.transaction(async (tx) => {
        const { n } = (await tx.collection("rows").get("x"))!;
        await tx.collection("rows").put({ id: "x", n: n + 1 });
      });
    await Promise.all(Array.from({ length: 60 }, (_, i) => more(i % 2 === 0 ? a : b)));
    expect(await b.collection("rows").get("x")).toEqual({ id: "x", n: 60 });
    const told: number[] = [];
    await Promise.all([a.gc.run({ progress: () => told.push(1) }), b.checkpoint()]);
    const job = b.gc.start();
    await job.report;
    await Promise.all([a.close(), b.close()]);
  });

  test("are told together that the database was deleted", async () => {
    const name = nameNow();
    const [a, b] = await Promise.all([openDatabase({ ...options, name }), openDatabase({ ...options, name })]);
    const closed: string[] = [];
    a.on("closed", ({ reason }) => closed.push(`a ${reason}`));
    b.on("closed", ({ reason }) => closed.push(`b ${reason}`));
    await deleteDatabase(name, { storage: "memory" });
    await expect.poll(() => closed.toSorted()).toEqual(["a deleted", "b deleted"]);
    const again = await openDatabase({ ...options, name });
    expect(await again.collection("rows").count()).toBe(0);
    await again.close();
  });

  test("are told together why it could not be opened, and may try again", async () => {
    const name = nameNow();
    const newer = await openDatabase({ ...options, name, version: 2 });
    await newer.collection("rows").put({ id: "x", n: 1 });
    const [a, b] = [createDatabase({ ...options, name }), createDatabase({ ...options, name })];
    await expect(a.open()).rejects.toMatchObject({ code: "SCHEMA_OUTDATED" });
    await expect(b.open()).rejects.toMatchObject({ code: "SCHEMA_OUTDATED" });
    await expect(a.open()).rejects.toMatchObject({ code: "SCHEMA_OUTDATED" });
    await newer.close();
  });
});

test("handles of different definitions have workers of their own", async () => {
  const name = nameNow();
  const a = await openDatabase({ ...options, name });
  const b = await openDatabase({ ...options, name, collections: { rows, more: rows } });
  await b.collection("more").put({ id: "x", n: 1 });
  expect(started).toHaveBeenCalledTimes(2);
  await Promise.all([a.close(), b.close()]);
});
