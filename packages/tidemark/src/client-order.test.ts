import { afterEach, describe, expect, test } from "vitest";
import { type Collection, collection, createDatabase, type Database } from "./index.ts";
import { ownWorker } from "./own-worker.test-support.ts";

interface Row {
  id: string;
  v?: number;
  file?: Blob;
}
const rows = collection<Row>()({ key: "id", indexes: { v: "v" } });
type Db = Database<{ rows: typeof rows }>;

let n = 0;
const made: Db[] = [];
function make(name = `order${n++}`): Db {
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
  await Promise.all(made.splice(0).map((db) => db.close()));
});

/** Calls made in one tick, none awaited, and what is there after them. */
const scripts: readonly {
  what: string;
  calls: (c: Collection<typeof rows>) => readonly Promise<unknown>[];
  answers?: readonly unknown[];
  after: readonly Row[];
}[] = [
  {
    what: "delete, put",
    calls: (c) => [c.delete("a"), c.put({ id: "a", v: 2 })],
    answers: [true, "a"],
    after: [{ id: "a", v: 2 }],
  },
  { what: "clear, put", calls: (c) => [c.clear(), c.put({ id: "x" })], after: [{ id: "x" }] },
  {
    what: "get, put",
    calls: (c) => [c.get("a"), c.put({ id: "a", v: 2 })],
    answers: [{ id: "a", v: 1 }, "a"],
    after: [{ id: "a", v: 2 }],
  },
  { what: "get, clear", calls: (c) => [c.get("a"), c.clear()], answers: [{ id: "a", v: 1 }, undefined], after: [] },
  { what: "all, clear", calls: (c) => [c.all(), c.clear()], answers: [[{ id: "a", v: 1 }], undefined], after: [] },
  {
    what: "put, clear, count",
    calls: (c) => [c.put({ id: "b" }), c.clear(), c.count()],
    answers: ["b", undefined, 0],
    after: [],
  },
  {
    what: "update, put",
    calls: (c) => [c.update("a", { v: 7 }), c.put({ id: "a", v: 2 })],
    answers: [{ id: "a", v: 7 }, "a"],
    after: [{ id: "a", v: 2 }],
  },
  {
    what: "update, get",
    calls: (c) => [c.update("a", { v: 7 }), c.get("a")],
    answers: [
      { id: "a", v: 7 },
      { id: "a", v: 7 },
    ],
    after: [{ id: "a", v: 7 }],
  },
  {
    what: "upsert, delete, upsert",
    calls: (c) => [
      c.upsert("b", () => ({ id: "b", v: 1 })),
      c.delete("b"),
      c.upsert("b", (r) => r ?? { id: "b", v: 2 }),
    ],
    answers: [{ id: "b", v: 1 }, true, { id: "b", v: 2 }],
    after: [
      { id: "a", v: 1 },
      { id: "b", v: 2 },
    ],
  },
  {
    what: "put, update, delete, add",
    calls: (c) => [c.put({ id: "a", v: 3 }), c.update("a", { v: 4 }), c.delete("a"), c.add({ id: "a", v: 5 })],
    answers: ["a", { id: "a", v: 4 }, true, "a"],
    after: [{ id: "a", v: 5 }],
  },
];

describe("calls take effect in call order", () => {
  test.each(scripts)("on an open handle: $what", async ({ calls, answers, after }) => {
    const c = make().collection("rows");
    await c.put({ id: "a", v: 1 });
    const got = await Promise.all(calls(c));
    if (answers) expect(got).toEqual(answers);
    expect(await c.all()).toEqual(after);
  });

  test.each(scripts)("on a handle that is not open yet: $what", async ({ calls, answers, after }) => {
    const c = make().collection("rows");
    const first = c.put({ id: "a", v: 1 });
    const got = await Promise.all(calls(c));
    await first;
    if (answers) expect(got).toEqual(answers);
    expect(await c.all()).toEqual(after);
  });

  test("transactions begin in line, before and after opening", async () => {
    const db = make();
    const c = db.collection("rows");
    void c.put({ id: "a", v: 1 });
    const read = () => db.transaction((tx) => tx.collection("rows").get("a"));
    expect(await read()).toEqual({ id: "a", v: 1 });
    void c.update("a", { v: 2 });
    expect(await read()).toEqual({ id: "a", v: 2 });
    void c.update("a", { v: 3 });
    expect(await db.read((view) => view.collection("rows").get("a"))).toEqual({ id: "a", v: 3 });
  });

  test("a record with a blob is not overtaken, nor is its transaction", async () => {
    const db = make();
    const c = db.collection("rows");
    await db.open();
    const put = c.put({ id: "a", file: new Blob(["one"]) });
    const read = c.get("a");
    const transaction = db.transaction((tx) => tx.collection("rows").put({ id: "b", file: new Blob(["two"]) }));
    const last = c.put({ id: "a", v: 2 });
    await Promise.all([put, transaction, last]);
    expect(await (await read)!.file!.text()).toBe("one");
    expect(await (await c.get("b"))!.file!.text()).toBe("two");
    expect(await c.get("a")).toEqual({ id: "a", v: 2 });
  });

  test("changes within one transaction that are not awaited one by one", async () => {
    const db = make();
    await db.collection("rows").put({ id: "a", v: 0 });
    const seen = await db.transaction(async (tx) => {
      const t = tx.collection("rows");
      const changes = Array.from({ length: 20 }, () => t.update("a", (r) => ({ ...r, v: r.v! + 1 })));
      const upserts = Array.from({ length: 20 }, () => t.upsert("b", (r) => ({ id: "b", v: (r?.v ?? 0) + 1 })));
      const after = t.getMany(["a", "b"]);
      await Promise.all([...changes, ...upserts]);
      return after;
    });
    expect(seen.map((r) => r!.v)).toEqual([20, 20]);
    expect((await db.collection("rows").all()).map((r) => r.v)).toEqual([20, 20]);
  });

  test("a call that fails does not hold up the next", async () => {
    const c = make().collection("rows");
    await c.put({ id: "a", v: 1 });
    const failing = c.update("a", () => {
      throw new Error("mine");
    });
    const after = c.put({ id: "a", v: 2 });
    await expect(failing).rejects.toThrow("mine");
    await after;
    expect(await c.get("a")).toEqual({ id: "a", v: 2 });
  });
});

describe("close", () => {
  test("waits for what was called before, and refuses what is called after", async () => {
    const name = `order${n++}`;
    const db = make(name);
    const c = db.collection("rows");
    const before = c.put({ id: "a", v: 0 });
    await before;
    const changes = Array.from({ length: 5 }, () => c.update("a", (r) => ({ ...r, v: r.v! + 1 })));
    let go: () => void = () => undefined;
    const paused = new Promise<void>((resolve) => (go = resolve));
    const transaction = db.transaction(async (tx) => {
      await paused;
      await tx.collection("rows").put({ id: "t" });
    });
    const closed = db.close();
    await expect(c.get("a")).rejects.toMatchObject({ code: "CLOSED" });
    go();
    await Promise.all([...changes, transaction, closed, db.close()]);
    expect(await make(name).collection("rows").all()).toEqual([{ id: "a", v: 5 }, { id: "t" }]);
  });

  test("waits for what was called before opening", async () => {
    const name = `order${n++}`;
    const db = make(name);
    const c = db.collection("rows");
    const calls = [c.put({ id: "a", v: 1 }), c.update("a", { v: 2 })];
    await Promise.all([db.close(), db.close()]);
    await Promise.all(calls);
    expect(await make(name).collection("rows").all()).toEqual([{ id: "a", v: 2 }]);
  });

  test("ends reads of views and transactions that go on", async () => {
    const db = make();
    await db.collection("rows").put({ id: "a" });
    const view = await db.readView();
    await db.close();
    await expect(view.collection("rows").get("a")).rejects.toMatchObject({ code: "CLOSED" });
    await expect(view.collection("rows").all()).rejects.toMatchObject({ code: "CLOSED" });
    await expect(db.open()).rejects.toMatchObject({ code: "CLOSED" });
  });
});
