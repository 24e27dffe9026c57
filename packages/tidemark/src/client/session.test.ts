import { afterEach, describe, expect, test, vi } from "vitest";
import { readWrites, recordValue } from "../codec/record.ts";
import { decodeValue } from "../codec/value.ts";
import { packValues } from "../codec/values.ts";
import type { Request } from "../protocol/messages.ts";
import {
  catalogOf,
  databaseOn,
  databaseWith,
  failure,
  FakeHost,
  never,
  plainAnswer,
  schemaChanged,
  settle,
} from "./fake-host.test-support.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("requests", () => {
  test("that travel alone do not overtake those before them", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    void db.collection("rows").put({ id: "a" });
    void db.checkpoint();
    void db.collection("rows").put({ id: "b" });
    await settle();
    expect(host.messages.map((m) => m.map((r) => r.op))).toEqual([["write"], ["checkpoint"], ["write"]]);
  });

  test("made in one tick travel as one message", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    const c = db.collection("rows");
    await Promise.all([c.put({ id: "a" }), c.get("a"), c.delete("a")]);
    expect(host.messages).toHaveLength(1);
  });
});

describe("the end of a handle", () => {
  test("ends everything under way and every later call", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    const c = db.collection("rows");
    await db.open();
    const view = await db.readView();
    let go: () => void = () => undefined;
    const transaction = db.transaction(async (tx) => {
      await new Promise<void>((resolve) => (go = resolve));
      return tx.collection("rows").get("a");
    });
    await settle();
    host.answer = () => never;
    const [under, held, waiting] = [c.put({ id: "a" }), c.update("a", { v: 1 }), c.put({ id: "b" })];
    const events: unknown[] = [];
    db.on("closed", (e) => events.push(e));
    await settle();
    host.tell({ type: "closed", reason: "deleted" });
    const deleted = { code: "CLOSED", details: { reason: "deleted" } };
    for (const call of [under, held, waiting]) await expect(call).rejects.toMatchObject(deleted);
    go();
    await expect(transaction).rejects.toMatchObject(deleted);
    await expect(view.collection("rows").get("a")).rejects.toMatchObject(deleted);
    await expect(view.collection("rows").all()).rejects.toMatchObject(deleted);
    await expect(c.get("a")).rejects.toMatchObject(deleted);
    await expect(db.transaction(async () => 1)).rejects.toMatchObject(deleted);
    expect(events).toEqual([{ reason: "deleted" }]);
    await db.close();
  });

  test("a close that fails lets go of the worker, and says why", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    host.closing = Promise.resolve({ ok: false, error: { code: "STORAGE_LOST", message: "gone", details: {} } });
    await expect(db.close()).rejects.toMatchObject({ code: "STORAGE_LOST" });
    expect(host.disposed).toBe(1);
  });

  test("a listener that throws harms nobody", async () => {
    const reported: unknown[] = [];
    vi.stubGlobal("reportError", (e: unknown) => reported.push(e));
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    const seen: string[] = [];
    db.on("closed", () => {
      throw new Error("mine");
    });
    db.on("closed", (e) => seen.push(e.reason));
    host.tell({ type: "closed", reason: "deleted" });
    expect(seen).toEqual(["deleted"]);
    expect(reported).toEqual([new Error("mine")]);
    await expect(db.collection("rows").get("a")).rejects.toMatchObject({ code: "CLOSED" });
  });
});

describe("opening", () => {
  test("that fails fails what waits for it, and may be tried again", async () => {
    const host = new FakeHost();
    host.opened = Promise.resolve({ ok: false, error: { code: "BUSY", message: "", details: {} } });
    const db = databaseOn(host, new FakeHost());
    const c = db.collection("rows");
    const calls = [c.put({ id: "a" }), c.update("a", {}), db.transaction(async () => 1), db.open()];
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: "BUSY" });
    expect(await c.put({ id: "a" })).toBe("a");
  });
});

describe("the stored schema", () => {
  const tableOfWrite = (r: Request): number[] => ("writes" in r ? readWrites(r).map((w) => w.key.charCodeAt(3)) : []);

  test("changes under writes: they are encoded again from what was given, and stay in order", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    const c = db.collection("rows");
    const refuse = (r: Request): unknown => {
      if (r.op === "write" && r.epoch === 1) throw schemaChanged;
      return plainAnswer(r);
    };
    host.answer = refuse;
    const record = { id: "a", v: 1 };
    const first = c.put(record);
    record.v = 9;
    const second = c.deleteMany(["b"]);
    await Promise.resolve();
    await Promise.resolve();
    const third = c.put({ id: "a", v: 3 });
    await Promise.all([first, second, third]);
    const accepted = host.requests.filter((r) => r.op === "write" && r.epoch === 2);
    const writes = accepted.flatMap((r) => ("writes" in r ? readWrites(r) : []));
    expect(accepted.flatMap(tableOfWrite)).toEqual([2, 2, 2]);
    expect(writes.map((w) => w.payload && decodeValue(recordValue(w.payload)))).toEqual([
      { id: "a", v: 1 },
      undefined,
      { id: "a", v: 3 },
    ]);
  });

  test("is only ever replaced by a newer one", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    host.opened = settle().then(() => {
      host.tell({ type: "catalog", catalog: catalogOf(3) }); // overtakes the answer
      return { ok: true, catalog: catalogOf(1) };
    });
    await db.open();
    host.tell({ type: "catalog", catalog: catalogOf(2) });
    await db.collection("rows").put({ id: "a" });
    expect(host.requests.at(-1)).toMatchObject({ op: "write", epoch: 3 });
  });

  test("that a transaction speaks is the one its body began with", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    await db.transaction(async (tx) => {
      host.tell({ type: "catalog", catalog: catalogOf(2) });
      await tx.collection("rows").put({ id: "a" });
    });
    expect(host.requests.find((r) => r.op === "stage")).toMatchObject({ epoch: 1 });
  });

  test("heard of while a call is under way is not spoken before that call's fate is known", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    let judge: () => void = () => undefined;
    const judged = new Promise<void>((resolve) => (judge = resolve));
    host.answer = async (r) => {
      if (r.op !== "write") return plainAnswer(r);
      await judged;
      if (r.epoch === 1) throw schemaChanged;
      return plainAnswer(r);
    };
    const c = db.collection("rows");
    const first = c.put({ id: "a", v: 1 });
    await settle();
    host.tell({ type: "catalog", catalog: catalogOf(2) });
    const second = c.put({ id: "a", v: 2 });
    await settle();
    judge();
    await Promise.all([first, second]);
    const accepted = host.requests.flatMap((r) => (r.op === "write" && r.epoch === 2 ? readWrites(r) : []));
    expect(accepted.map((w) => decodeValue(recordValue(w.payload!)))).toMatchObject([{ v: 1 }, { v: 2 }]);
  });

  test("changes under writes of two messages: made again in order, whichever message is answered first", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    let go: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => (go = resolve));
    host.answer = (r) => {
      if (r.op === "count") return slow.then(() => 0);
      if (r.op === "write" && r.epoch === 1) throw schemaChanged;
      return plainAnswer(r);
    };
    const c = db.collection("rows");
    const first = c.put({ id: "a", v: 1 });
    const counted = c.count();
    await settle();
    const second = c.put({ id: "a", v: 2 });
    await settle();
    go();
    await Promise.all([first, second, counted]);
    const accepted = host.requests.flatMap((r) => (r.op === "write" && r.epoch === 2 ? readWrites(r) : []));
    expect(accepted.map((w) => decodeValue(recordValue(w.payload!)))).toMatchObject([{ v: 1 }, { v: 2 }]);
  });

  test("that changes again and again ends in CONFLICT", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    host.answer = (r) => {
      if (r.op === "write") throw schemaChanged;
      return plainAnswer(r);
    };
    const c = db.collection("rows");
    await expect(c.put({ id: "a" })).rejects.toMatchObject({ code: "CONFLICT", details: { by: "schema" } });
    host.answer = plainAnswer;
    expect(await c.put({ id: "a" })).toBe("a");
  });

  test("that was struck gives way to the older one", async () => {
    const host = new FakeHost();
    host.opened = Promise.resolve({ ok: true, catalog: catalogOf(3) });
    const db = databaseOn(host);
    await db.open();
    host.answer = (r) => {
      if (r.op === "write" && r.epoch !== 2) throw schemaChanged;
      return plainAnswer(r);
    };
    expect(await db.collection("rows").put({ id: "a" })).toBe("a");
  });

  test("of a view is the view's, whatever the page hears", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    const view = await db.readView();
    host.tell({ type: "catalog", catalog: catalogOf(2) });
    await view.collection("rows").get("a");
    expect(host.requests.at(-1)).toMatchObject({ op: "get", epoch: 1 });
    host.answer = (r) => {
      if (r.op === "get" && r.epoch !== 2) throw schemaChanged;
      return plainAnswer(r);
    };
    await view.collection("rows").get("a");
    expect(host.requests.slice(-2)).toMatchObject([
      { op: "catalog", handle: view.handle },
      { op: "get", epoch: 2 },
    ]);
  });
});

describe("a transaction", () => {
  test("whose retry cannot begin is ended", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    host.answer = (r) => {
      if (r.op === "commit") throw failure("CONFLICT");
      if (r.op === "begin" && r.attempt > 0) throw failure("CORRUPT");
      return plainAnswer(r);
    };
    await expect(db.transaction(async () => 1)).rejects.toMatchObject({ code: "CORRUPT" });
    await settle();
    const begun = host.requests.filter((r) => r.op === "begin").map((r) => r.handle);
    const ended = host.requests.filter((r) => r.op === "end").map((r) => r.handle);
    expect(begun).toHaveLength(2);
    expect(ended).toEqual(begun);
  });
});

describe("a scan of the head in several parts", () => {
  const part = (from: string | undefined) => ({
    values: packValues([]),
    handle: -7,
    rest: from === undefined ? undefined : { range: 0, left: { from, to: undefined }, skip: 0 },
  });

  test("ends the view that the worker kept, when it fails too", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    let scans = 0;
    host.answer = (r) => {
      if (r.op === "end") throw failure("INTERNAL");
      if (r.op !== "scan") return plainAnswer(r);
      if (scans++ === 0) return part("x");
      throw failure("CORRUPT");
    };
    await expect(db.collection("rows").all()).rejects.toMatchObject({ code: "CORRUPT" });
    const controller = new AbortController();
    scans = 0;
    const read = db.collection("rows").all({ signal: controller.signal });
    controller.abort();
    await expect(read).rejects.toBe(controller.signal.reason);
    await settle();
    expect(host.requests.filter((r) => r.op === "end")).toMatchObject([{ handle: -7 }, { handle: -7 }]);
  });
});

describe("ordering against blobs", () => {
  test("what waits in line ends when the database does", async () => {
    const host = new FakeHost();
    const db = databaseOn(host);
    await db.open();
    const stuck = new Blob(["x"]);
    vi.spyOn(Blob.prototype, "arrayBuffer").mockReturnValue(never);
    void db
      .collection("rows")
      .put({ id: "a", file: stuck } as { id: string })
      .catch(() => undefined);
    const waiting = db.collection("rows").get("a");
    await settle();
    host.tell({ type: "closed", reason: "deleted" });
    await expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
    vi.restoreAllMocks();
  });
});

describe("the gc settings", () => {
  test("[GM2] are sent as plain data, as they were when the handle was made", async () => {
    const host = new FakeHost();
    const gc = { proof: "interval" as const, debtMaxBytes: Infinity, generations: { youngSize: 7 } };
    const db = databaseWith({ gc }, host);
    gc.generations.youngSize = 8;
    gc.debtMaxBytes = 0;
    await db.open();
    expect(host.openings[0]!.gc).toEqual({ proof: "interval", debtMaxBytes: Infinity, generations: { youngSize: 7 } });
  });

  test("[GM2] that are none are refused when the handle is made", () => {
    expect(() => databaseWith({ gc: { debtMaxCommits: 0 } }, new FakeHost())).toThrow(
      expect.objectContaining({ code: "OPTIONS_INVALID", details: { option: "gc.debtMaxCommits" } }),
    );
  });
});
