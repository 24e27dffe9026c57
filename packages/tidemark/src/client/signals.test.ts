/** Aborting: the call rejects at once with the signal's reason, and what it opened, or is about to, is let go. */
import { describe, expect, test } from "vitest";
import { packValues } from "../codec/values.ts";
import type { Opened, Request } from "../protocol/messages.ts";
import {
  catalogOf,
  databaseOn,
  FakeHost,
  never,
  packed,
  plainAnswer,
  type Rows,
  settle,
} from "./fake-host.test-support.ts";
import type { View } from "./view.ts";

const reason = new Error("enough");

async function opened(): Promise<{ readonly host: FakeHost; readonly db: Rows }> {
  const host = new FakeHost();
  const db = databaseOn(host);
  await db.open();
  return { host, db };
}

/** One part of a scan of the head, of which the worker keeps a view. */
const part = (from: string | undefined, ...records: readonly unknown[]) => ({
  values: packed(...records),
  handle: -7,
  rest: from === undefined ? undefined : { range: 0, left: { from, to: undefined }, skip: 0 },
});

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

type Call = (db: Rows, signal: AbortSignal) => Promise<unknown>;
const rows = (db: Rows) => db.collection("rows");

/** Whatever takes a signal and is answered by the worker. */
const calls: Readonly<Record<string, Call>> = {
  get: (db, signal) => rows(db).get("a", { signal }),
  getMany: (db, signal) => rows(db).getMany(["a"], { signal }),
  has: (db, signal) => rows(db).has("a", { signal }),
  all: (db, signal) => rows(db).all({ signal }),
  count: (db, signal) => rows(db).count({ signal }),
  history: (db, signal) => rows(db).history("a", { signal }),
  "values of a query": (db, signal) => all(rows(db).where().values({ signal })),
  "values of what was found": (db, signal) => all(rows(db).find({ id: "a" }).values({ signal })),
  "values sorted in memory": (db, signal) => all(rows(db).find({}, { sort: "v" }).values({ signal })),
  "delete by a query": (db, signal) => rows(db).where().delete({ signal }),
  "update by a query": (db, signal) => rows(db).where().update({ v: 1 }, { signal }),
  read: (db, signal) => db.read((view) => view.collection("rows").get("a"), { signal }),
  readView: (db, signal) => db.readView({ signal }),
  "readView, fresh": (db, signal) => db.readView({ fresh: true, signal }),
  transaction: (db, signal) => db.transaction((tx) => tx.collection("rows").get("a"), { signal }),
  "snapshots.list": (db, signal) => db.snapshots.list({ signal }),
  "snapshots.view": (db, signal) => db.snapshots.view("monday", { signal }),
  checkpoint: (db, signal) => db.checkpoint({ signal }),
  verify: (db, signal) => db.verify({ signal }),
  "storage.metrics": (db, signal) => db.storage.metrics({ signal }),
  "gc.explain": (db, signal) => db.gc.explain({ signal }),
  "gc.executions": (db, signal) => db.gc.executions({ signal }),
  "gc.advances": (db, signal) => db.gc.advances({ signal }),
  "gc.run": (db, signal) => db.gc.run({ signal }),
};

describe.each(Object.entries(calls))("%s", (_, call) => {
  test("sends nothing by a signal that has aborted", async () => {
    const { host, db } = await opened();
    await expect(call(db, AbortSignal.abort(reason))).rejects.toBe(reason);
    await settle();
    expect(host.ops).toEqual([]);
  });

  test("rejects at once while the worker owes an answer", async () => {
    const { host, db } = await opened();
    host.answer = () => never;
    const controller = new AbortController();
    const called = call(db, controller.signal);
    called.catch(() => undefined);
    await settle();
    expect(host.ops.length).toBeGreaterThan(0);
    controller.abort(reason);
    await expect(called).rejects.toBe(reason);
  });

  test("rejects at once while the database opens, and sends nothing then", async () => {
    const host = new FakeHost();
    let open: (answer: Opened) => void = () => undefined;
    host.opened = new Promise((resolve) => (open = resolve));
    const db = databaseOn(host);
    const controller = new AbortController();
    const called = call(db, controller.signal);
    await Promise.resolve();
    controller.abort(reason);
    await expect(called).rejects.toBe(reason);
    open({ ok: true, catalog: catalogOf(1) });
    await db.open();
    await settle();
    expect(host.ops).toEqual([]);
  });
});

const handlesOf = (host: FakeHost, op: "begin" | "end"): readonly number[] =>
  host.requests.filter((r): r is Extract<Request, { op: "begin" | "end" }> => r.op === op).map(({ handle }) => handle);

describe("a view", () => {
  test.each([
    ["readView", (db: Rows, signal: AbortSignal) => db.readView({ fresh: true, signal })],
    ["snapshots.view", (db: Rows, signal: AbortSignal) => db.snapshots.view("monday", { signal })],
  ])("that %s opens after the abort is let go", async (_, open) => {
    const { host, db } = await opened();
    let answer: (value: { seq: number }) => void = () => undefined;
    host.answer = (r) => (r.op === "begin" ? new Promise((resolve) => (answer = resolve)) : plainAnswer(r));
    const controller = new AbortController();
    const called = open(db, controller.signal);
    await settle();
    controller.abort(reason);
    await expect(called).rejects.toBe(reason);
    expect(handlesOf(host, "end")).toEqual([]);
    answer({ seq: 1 });
    await settle();
    expect(handlesOf(host, "begin")).toHaveLength(1);
    expect(handlesOf(host, "end")).toEqual(handlesOf(host, "begin"));
  });

  test("that is there does not mind its signal", async () => {
    const { host, db } = await opened();
    const controller = new AbortController();
    const view = await db.readView({ signal: controller.signal });
    controller.abort(reason);
    await settle();
    expect(handlesOf(host, "end")).toEqual([]);
    await view.collection("rows").get("a");
    view.release();
    await settle();
    expect(handlesOf(host, "end")).toEqual(handlesOf(host, "begin"));
  });

  test("of read ends with the abort, though its body goes on, which can read no more", async () => {
    const { host, db } = await opened();
    const controller = new AbortController();
    let given: View<{ rows: never }> | undefined;
    const called = db.read(
      async (view) => {
        given = view as never;
        await view.collection("rows").get("a");
        return never;
      },
      { signal: controller.signal },
    );
    await settle();
    controller.abort(reason);
    await expect(called).rejects.toBe(reason);
    await settle();
    expect(handlesOf(host, "end")).toEqual(handlesOf(host, "begin"));
    await expect(given!.collection("rows").count()).rejects.toMatchObject({ code: "VIEW_RELEASED" });
  });
});

describe("a transaction", () => {
  test("ends with the abort, though its body goes on, and commits nothing", async () => {
    const { host, db } = await opened();
    const controller = new AbortController();
    const called = db.transaction(
      async (tx) => {
        await tx.collection("rows").put({ id: "a" });
        return never;
      },
      { signal: controller.signal },
    );
    await settle();
    controller.abort(reason);
    await expect(called).rejects.toBe(reason);
    await settle();
    expect(host.ops).toEqual(["begin", "stage", "end"]);
  });

  test("that commits is not abortable any more", async () => {
    const { host, db } = await opened();
    const controller = new AbortController();
    host.answer = (r) => {
      if (r.op === "commit") controller.abort(reason);
      return plainAnswer(r);
    };
    const done = db.transaction(async (tx) => tx.collection("rows").put({ id: "a" }), { signal: controller.signal });
    expect(await done).toBe("a");
    const again = new AbortController();
    host.answer = (r) => {
      if (r.op === "commit") again.abort(reason);
      return r.op === "scan" ? { ...part(undefined), keys: [], handle: r.handle } : plainAnswer(r);
    };
    await rows(db).where().delete({ signal: again.signal });
    expect(again.signal.aborted).toBe(true);
  });
});

describe("a loop over values", () => {
  const controllerOf = async (answer: (scan: number) => unknown) => {
    const { host, db } = await opened();
    let scans = 0;
    host.answer = (r) => (r.op === "scan" ? answer(scans++) : plainAnswer(r));
    const controller = new AbortController();
    return { host, controller, values: rows(db).where().values({ signal: controller.signal }) };
  };

  test("ends between two records of one part", async () => {
    const { host, controller, values } = await controllerOf(() => part("x", { id: "a" }, { id: "b" }));
    expect((await values.next()).value).toEqual({ id: "a" });
    controller.abort(reason);
    await expect(values.next()).rejects.toBe(reason);
    await settle();
    expect(handlesOf(host, "end")).toEqual([-7]);
    expect(await values.next()).toEqual({ value: undefined, done: true });
  });

  test("ends while the next part is on its way, whose view is let go when it is there", async () => {
    let answer: (value: unknown) => void = () => undefined;
    const late = new Promise((resolve) => (answer = resolve));
    const { host, controller, values } = await controllerOf((scan) => (scan === 0 ? part("x", { id: "a" }) : late));
    await values.next();
    const next = values.next();
    await settle();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
    answer(part("y", { id: "b" }));
    await settle();
    expect(host.ops.filter((op) => op === "end")).toHaveLength(1);
  });

  test("ends while the first part is on its way, whose view is let go when it is there", async () => {
    let answer: (value: unknown) => void = () => undefined;
    const late = new Promise((resolve) => (answer = resolve));
    const { host, controller, values } = await controllerOf(() => late);
    const next = values.next();
    await settle();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
    answer(part("x", { id: "a" }));
    await settle();
    expect(handlesOf(host, "end")).toEqual([-7]);
  });

  test("lets go of its view by the abort alone, where nobody asks for the next record", async () => {
    const { host, controller, values } = await controllerOf(() => part("x", { id: "a" }, { id: "b" }));
    await values.next();
    controller.abort(reason);
    await settle();
    expect(handlesOf(host, "end")).toEqual([-7]);
    await expect(values.next()).rejects.toBe(reason);
  });

  test("that ran to its end does not mind its signal", async () => {
    const { host, controller, values } = await controllerOf(() => ({ ...part(undefined, { id: "a" }), handle: 0 }));
    expect(await all(values)).toEqual([{ id: "a" }]);
    controller.abort(reason);
    await settle();
    expect(host.ops).toEqual(["scan"]);
  });

  test("without a signal is what iterating a query does", async () => {
    const { host, db } = await opened();
    host.answer = (r) => (r.op === "scan" ? { ...part(undefined, { id: "a" }), handle: 0 } : plainAnswer(r));
    expect(await all(rows(db).where().values())).toEqual(await all(rows(db).where()));
    expect(await all(rows(db).find({}).values())).toEqual(await all(rows(db).find({})));
    host.answer = (r) => (r.op === "scan" ? { ...part(undefined), values: packValues([]), handle: 0 } : plainAnswer(r));
    expect(await all(rows(db).where().values())).toEqual([]);
  });
});
