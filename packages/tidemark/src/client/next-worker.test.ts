import { describe, expect, test } from "vitest";
import { readWrites, recordValue } from "../codec/record.ts";
import { decodeValue } from "../codec/value.ts";
import type { Request } from "../protocol/messages.ts";
import { Database } from "./database.ts";
import {
  catalogOf,
  databaseOn,
  FakeHost,
  never,
  packed,
  plainAnswer,
  rows,
  type Rows,
  schemaChanged,
  settle,
} from "./fake-host.test-support.ts";

/** An open handle by the schema of epoch 1; the next worker finds that of epoch 2, after a clearing. */
async function open(): Promise<{ readonly db: Rows; readonly first: FakeHost; readonly next: FakeHost }> {
  const [first, next] = [new FakeHost(), new FakeHost()];
  next.opened = Promise.resolve({ ok: true, catalog: catalogOf(2) });
  next.answer = byTheNewSchema;
  const db = databaseOn(first, next);
  await db.open();
  return { db, first, next };
}

function byTheNewSchema(r: Request): unknown {
  if ("epoch" in r && r.epoch !== 2) throw schemaChanged;
  return plainAnswer(r);
}

const written = (r: Request): unknown =>
  r.op === "write" ? readWrites(r).map((w) => decodeValue(recordValue(w.payload!))) : undefined;

describe("[MV12][MV11] a schema that changes while the worker is replaced", () => {
  test("refuses what the dead one was asked, and it is made again in call order", async () => {
    const { db, first, next } = await open();
    const c = db.collection("rows");
    next.answer = (r) => (r.op === "get" && r.epoch === 2 ? packed({ id: "a", v: 7 }) : byTheNewSchema(r));
    first.answer = () => never;
    const read = c.get("a");
    await settle();
    first.die();
    const [put, removed] = [c.put({ id: "a", v: 1 }), c.delete("b")]; // by the schema of before
    expect(await read).toEqual({ id: "a", v: 7 });
    expect([await put, await removed]).toEqual(["a", true]);
    const accepted = next.requests.flatMap((r) => ("epoch" in r && r.epoch === 2 ? [r.op] : []));
    expect(accepted).toEqual(["get", "write", "write"]);
    expect(next.ops.filter((op) => op === "catalog")).toHaveLength(1);
  });

  test("while the refused calls wait for the catalog: the next worker is asked for it", async () => {
    const { db, first, next } = await open();
    const c = db.collection("rows");
    first.answer = (r) => {
      if (r.op === "catalog") return never;
      throw schemaChanged;
    };
    const calls = [c.put({ id: "a", v: 1 }), c.put({ id: "a", v: 2 })];
    await settle();
    first.die();
    const later = c.put({ id: "a", v: 3 });
    expect(await Promise.all([...calls, later])).toEqual(["a", "a", "a"]);
    expect(next.requests.map((r) => written(r) ?? r.op)).toEqual([
      "catalog",
      ...[1, 2, 3].map((n) => [{ id: "a", v: n }]),
    ]);
  });

  test("under a transaction: it runs again by the next worker's", async () => {
    const { db, first, next } = await open();
    first.answer = (r) => (r.op === "stage" ? never : plainAnswer(r));
    const done = db.transaction((tx) => tx.collection("rows").put({ id: "a" }));
    await settle();
    first.die();
    expect(await done).toBe("a");
    const staged = next.requests.flatMap((r) => (r.op === "stage" ? [r.epoch] : []));
    expect(staged.at(-1)).toBe(2);
    expect(next.ops.slice(-3)).toEqual(["stage", "commit", "end"]);
  });

  test("under what a view waits for: it is opened on the next one, at once", async () => {
    const { db, first, next } = await open();
    first.answer = () => never;
    const read = db.collection("rows").get("a");
    const transaction = db.transaction(async (tx) => tx.attempt);
    const seen = db.read((view) => view.collection("rows").get("a"));
    await settle();
    expect(first.ops).toEqual(["get"]);
    first.die();
    expect([await read, await transaction, await seen]).toEqual([undefined, 0, undefined]);
    expect(next.ops[0]).toBe("get");
  });
});

test("[MV12][MV10] what was dropped when the handle opened is not dropped again by its next worker", async () => {
  const [first, next] = [new FakeHost(), new FakeHost()];
  first.opened = Promise.resolve({ ok: true, catalog: catalogOf(1), database: 7 });
  const links = [first.link, next.link].values();
  const options = { name: "x", collections: { rows }, dropCollections: ["old"] };
  const db = new Database(options, async () => links.next().value!);
  await db.open();
  first.die();
  await db.collection("rows").get("a");
  const dropped = [first, next].map((h) => h.openings[0]!.definition.dropCollections);
  expect(dropped).toEqual([["old"], []]);
});

test("[MV12] a scan whose first part the next worker answered goes on there, and lets its view go", async () => {
  const [first, next] = [new FakeHost(), new FakeHost()];
  const db = databaseOn(first, next);
  await db.open();
  first.answer = () => never;
  let parts = 0;
  next.answer = (r) => {
    if (r.op !== "scan") return plainAnswer(r);
    return {
      values: packed({ id: parts }),
      handle: -1,
      rest: parts++ === 0 ? { range: 0, left: { from: "x", to: undefined }, skip: 0 } : undefined,
    };
  };
  const all = db.collection("rows").all();
  await settle();
  first.die();
  expect(await all).toEqual([{ id: 0 }, { id: 1 }]);
  await settle();
  expect(next.requests).toMatchObject([
    { op: "scan", handle: 0 },
    { op: "scan", handle: -1 },
    { op: "end", handle: -1 },
  ]);
});
