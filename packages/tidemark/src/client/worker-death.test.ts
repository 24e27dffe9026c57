import { afterEach, describe, expect, test, vi } from "vitest";
import { isTidemarkError } from "../base/errors.ts";
import type { Request } from "../protocol/messages.ts";
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
import { Deaths, endedAside, workerDied } from "./worker-death.ts";

interface Scene {
  readonly db: Rows;
  readonly first: FakeHost;
  readonly next: FakeHost;
  /** What the handle told, `error` and `closed`. */
  readonly told: unknown[];
}

/** An open handle on `first`; when that dies, `next` takes its place. */
async function open(): Promise<Scene> {
  const [first, next] = [new FakeHost(), new FakeHost()];
  const db = databaseOn(first, next);
  await db.open();
  return { db, first, next, told: toldBy(db) };
}

function toldBy(db: Rows): unknown[] {
  const told: unknown[] = [];
  db.on("error", (e) => told.push({ error: e.code, lost: e.details["lost"] }));
  db.on("closed", (e) => told.push({ closed: e.reason }));
  return told;
}

const answering =
  (op: Request["op"], answer: () => unknown) =>
  (r: Request): unknown =>
    r.op === op ? answer() : plainAnswer(r);

const died = { error: "STORAGE_LOST", lost: "worker" };
const lost = (outcome: "none" | "unknown"): object => ({ code: "STORAGE_LOST", details: { lost: "worker", outcome } });

afterEach(() => {
  vi.useRealTimers();
});

describe("[MV12] a worker that dies", () => {
  test("in idle is started again, and calls go on", async () => {
    const { db, first, next, told } = await open();
    first.die();
    await settle();
    expect(first.disposed).toBe(1);
    expect(told).toEqual([died]);
    expect(await db.collection("rows").put({ id: "a" })).toBe("a");
    expect(next.ops).toEqual(["write"]);
    expect(first.requests).toEqual([]);
    await db.close();
    expect([first.disposed, next.disposed]).toEqual([1, 1]);
  });

  test("under reads of the head: they are asked of the next one, before what is called later", async () => {
    const { db, first, next } = await open();
    const c = db.collection("rows");
    first.answer = () => never;
    next.answer = answering("get", () => packed({ id: "a", v: 7 }));
    const read = c.get("a");
    await settle();
    first.die();
    await Promise.resolve();
    await Promise.resolve();
    const later = c.put({ id: "a" });
    expect(await read).toEqual({ id: "a", v: 7 });
    await later;
    expect(next.ops).toEqual(["get", "write"]);
  });

  test("under a scan in several parts: it begins anew, and no view of the dead worker is named to the next", async () => {
    const { db, first, next } = await open();
    const part = (values: unknown[], rest?: string) => ({
      values: packed(...values),
      handle: rest === undefined ? 0 : -1,
      rest: rest === undefined ? undefined : { range: 0, left: { from: rest, to: undefined }, skip: 0 },
    });
    let parts = 0;
    first.answer = (r) => {
      if (r.op !== "scan") return plainAnswer(r);
      return parts++ === 0 ? part([{ id: "old" }], "x") : never;
    };
    next.answer = answering("scan", () => part([{ id: "a" }, { id: "b" }]));
    const all = db.collection("rows").all();
    await settle();
    expect(parts).toBe(2);
    first.die();
    expect(await all).toEqual([{ id: "a" }, { id: "b" }]);
    await settle();
    expect(next.requests).toMatchObject([{ op: "scan", handle: 0 }]);
  });

  test("under a write: its outcome is unknown, it is not sent again, and the message says what to do", async () => {
    const { db, first, next } = await open();
    first.answer = () => never;
    const calls = [db.collection("rows").put({ id: "a" }), db.collection("rows").delete("b")];
    await settle();
    first.die();
    for (const call of calls) await expect(call).rejects.toMatchObject(lost("unknown"));
    await expect(calls[0]).rejects.toThrow(/may or may not .* before writing it again/);
    await db.collection("rows").get("a");
    expect(next.ops).toEqual(["get"]);
  });

  test("before a write is sent: it goes to the next one", async () => {
    const { db, first, next } = await open();
    first.die();
    const written = db.collection("rows").put({ id: "a" }); // in the tick of the death
    expect(await written).toBe("a");
    expect(next.ops).toEqual(["write"]);
  });

  test("under a transaction's body: it runs again from the start", async () => {
    const { db, first, next, told } = await open();
    first.answer = answering("stage", () => never);
    const attempts: number[] = [];
    const done = db.transaction(async (tx) => {
      attempts.push(tx.attempt);
      await tx.collection("rows").get("a");
      await tx.collection("rows").put({ id: "a" });
      return "done";
    });
    await settle();
    first.die();
    expect(await done).toBe("done");
    expect(attempts).toEqual([0, 1]);
    expect(next.ops).toEqual(["begin", "get", "stage", "commit", "end"]);
    expect(told).toEqual([died]);
  });

  test("under the read of an update: it begins anew", async () => {
    const { db, first, next } = await open();
    first.answer = answering("get", () => never);
    next.answer = answering("get", () => packed({ id: "a", v: 1 }));
    const updated = db.collection("rows").update("a", ({ id, v = 0 }) => ({ id, v: v + 1 }));
    await settle();
    first.die();
    expect(await updated).toEqual({ id: "a", v: 2 });
    expect(next.ops).toEqual(["begin", "get", "stage", "commit", "end"]);
  });

  test("while a body awaits something else: its next step fails, or the commit, and it runs again", async () => {
    for (const swallows of [false, true]) {
      const { db, first, next } = await open();
      const seen: unknown[] = [];
      const done = db.transaction(async (tx) => {
        const rows = tx.collection("rows");
        await rows.put({ id: "a" });
        if (tx.attempt === 0) first.die();
        await settle();
        const step = rows.get("b");
        await (swallows ? step.catch((e: unknown) => seen.push(isTidemarkError(e) && e.details)) : step);
        return tx.attempt;
      });
      expect(await done).toBe(1);
      expect(seen).toEqual(swallows ? [{ lost: "worker", outcome: "none" }] : []);
      expect(next.ops.filter((op) => op === "commit")).toHaveLength(1);
      expect(first.ops).not.toContain("commit");
    }
  });

  test("under a commit: the outcome is unknown where it writes, and it runs again where it does not", async () => {
    const { db, first } = await open();
    first.answer = answering("commit", () => never);
    const writes = db.transaction((tx) => tx.collection("rows").put({ id: "a" }));
    const reads = db.transaction(async (tx) => [tx.attempt, await tx.collection("rows").get("a")]);
    const changes = db.collection("rows").upsert("a", () => ({ id: "a" }));
    await settle();
    first.die();
    await expect(writes).rejects.toMatchObject(lost("unknown"));
    await expect(changes).rejects.toMatchObject(lost("unknown"));
    expect(await reads).toEqual([1, undefined]);
  });

  test("takes its views with it: they say so, and a new one reads", async () => {
    const { db, first, next } = await open();
    const view = await db.readView();
    first.answer = () => never;
    const reads = [view.collection("rows").get("a"), db.read((v) => v.collection("rows").all())];
    const opening = db.readView({ fresh: true });
    await settle();
    first.die();
    const released = { code: "VIEW_RELEASED", details: { lost: "worker" }, message: expect.stringContaining("worker") };
    for (const read of reads) await expect(read).rejects.toMatchObject(released);
    await expect(view.collection("rows").count()).rejects.toMatchObject(released);
    view.release();
    expect((await opening).seq).toBe(1);
    await settle();
    expect(next.requests).toMatchObject([{ op: "begin", fresh: true }]);
  });

  test("does not end live queries: they run again, whatever they were at", async () => {
    const { db, first, next } = await open();
    const count = (n: number) => (r: Request) => (r.op === "count" ? n : plainAnswer(r));
    first.answer = count(1);
    next.answer = count(2);
    const seen: number[] = [];
    const errors: unknown[] = [];
    const observer = { next: (n: number) => seen.push(n), error: (e: unknown) => errors.push(e) };
    db.live((q) => q.collection("rows").count()).subscribe(observer);
    await settle();
    expect(seen).toEqual([1]);
    first.answer = () => never;
    db.live((q) => q.collection("rows").count()).subscribe(observer); // this one is in the middle of its run
    await settle();
    first.die();
    await settle();
    expect(seen).toEqual([1, 2, 2]);
    next.answer = count(3);
    const watched = next.requests.flatMap((r) => (r.op === "watch" ? [r.handle] : []));
    next.tell({ type: "touched", handles: watched });
    await settle();
    expect(seen).toEqual([1, 2, 2, 3, 3]);
    expect(errors).toEqual([]);
  });

  test("while it opens the database: the next one opens it", async () => {
    const [first, next] = [new FakeHost(), new FakeHost()];
    first.opened = never;
    const db = databaseOn(first, next);
    const told = toldBy(db);
    const calls = [db.collection("rows").put({ id: "a" }), db.collection("rows").update("a", { v: 1 })];
    await settle();
    first.die();
    expect(await Promise.all(calls)).toEqual(["a", undefined]);
    expect([first.disposed, first.requests]).toEqual([1, []]);
    expect(told).toEqual([died]);
  });

  test("while it closes: closing ends, and no other is started", async () => {
    const { db, first, next, told } = await open();
    first.closing = never;
    const closed = db.close();
    await settle();
    first.die();
    await closed;
    expect(first.disposed).toBe(1);
    expect(told).toEqual([]);
    expect(next.requests).toEqual([]);
    await expect(db.collection("rows").get("a")).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("before a close that waits for its calls: they end first", async () => {
    const { db, first, next } = await open();
    first.answer = () => never;
    const [read, write] = [db.collection("rows").get("a"), db.collection("rows").put({ id: "a" })];
    const closed = db.close();
    await settle();
    first.die();
    await expect(write).rejects.toMatchObject(lost("unknown"));
    expect(await read).toBeUndefined();
    await closed;
    expect([first.disposed, next.disposed]).toEqual([1, 1]);
  });

  test("is not taken for alive because of what it said before", async () => {
    const { db, first, told } = await open();
    first.die();
    await settle();
    first.tell({ type: "closed", reason: "late" });
    await db.collection("rows").get("a");
    expect(told).toEqual([died]);
  });
});

describe("[MV12] workers that die one after another", () => {
  const crashed = { code: "CLOSED", details: { reason: "crashed" } };

  test("end the handle, whatever it was at", async () => {
    const hosts = Array.from({ length: 9 }, () => new FakeHost());
    const db = databaseOn(...hosts);
    const told = toldBy(db);
    await db.open();
    const errors: unknown[] = [];
    db.live((q) => q.collection("rows").count()).subscribe({ error: (e) => errors.push(e) });
    await settle();
    for (const host of hosts.slice(0, 2)) {
      host.die();
      await settle();
    }
    hosts[2]!.answer = () => never;
    const c = db.collection("rows");
    const [write, read, change] = [c.put({ id: "a" }), c.get("a"), c.update("a", { v: 1 })];
    await settle();
    hosts[2]!.die();
    await expect(write).rejects.toMatchObject(lost("unknown"));
    await expect(read).rejects.toMatchObject(crashed);
    await expect(change).rejects.toMatchObject(crashed);
    await expect(c.get("a")).rejects.toMatchObject(crashed);
    expect(told).toEqual([died, died, { closed: "crashed" }]);
    expect(errors).toMatchObject([crashed]);
    expect(hosts.map((h) => h.disposed)).toEqual([1, 1, 1, 0, 0, 0, 0, 0, 0]);
    await db.close();
  });

  test("while they open the database fail the opening, which may be tried again", async () => {
    const hosts = Array.from({ length: 4 }, () => new FakeHost());
    for (const host of hosts.slice(0, 3)) host.die();
    hosts[0]!.opened = hosts[1]!.opened = hosts[2]!.opened = never;
    const db = databaseOn(...hosts);
    await expect(db.open()).rejects.toMatchObject(lost("none"));
    expect(await db.collection("rows").put({ id: "a" })).toBe("a");
  });

  test("over a long time do not", () => {
    const deaths = new Deaths();
    const death = workerDied("so it is told");
    expect([0, 5000, 10_001, 15_002, 20_003].map((atMs) => deaths.add(death, atMs))).not.toContain(true);
    expect(deaths.add(death, 20_004)).toBe(true);
  });

  test("of workers whose page is put aside do not", () => {
    const deaths = new Deaths();
    expect([0, 1, 2, 3].map((atMs) => deaths.add(endedAside(), atMs))).not.toContain(true);
  });

  test("of one read, transaction or live query fail it, and the handle goes on", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const hosts = Array.from({ length: 3 }, () => new FakeHost());
    const db = databaseOn(...hosts);
    await db.open();
    for (const host of hosts.slice(0, 2)) host.answer = () => never;
    const errors: unknown[] = [];
    db.live((q) => q.collection("rows").count()).subscribe({ error: (e) => errors.push(e) });
    const transaction = db.transaction((tx) => tx.collection("rows").get("a"));
    const read = db.collection("rows").get("a");
    const ended = Promise.allSettled([read, transaction]);
    for (const host of hosts.slice(0, 2)) {
      await settle();
      host.die();
      vi.advanceTimersByTime(60_000);
    }
    for (const { status, ...how } of await ended) {
      expect(status).toBe("rejected");
      expect(how).toMatchObject({ reason: lost("none") });
    }
    expect(errors).toMatchObject([{ code: "VIEW_RELEASED", details: { lost: "worker" } }]);
    expect(await db.collection("rows").get("a")).toBeUndefined();
  });
});

describe("[MV12] where the next worker does not get the database open", () => {
  test("the handle ends, with the cause", async () => {
    const { db, first, next, told } = await open();
    next.opened = Promise.resolve({ ok: false, error: { code: "CORRUPT", message: "the manifest", details: {} } });
    first.die();
    const read = db.collection("rows").get("a");
    const failed = { code: "CLOSED", details: { reason: "crashed" }, message: expect.stringContaining("the manifest") };
    await expect(read).rejects.toMatchObject(failed);
    await expect(read).rejects.toMatchObject({ cause: { code: "CORRUPT" } });
    expect(told).toEqual([died, { closed: "crashed" }]);
    expect(next.disposed).toBe(1);
  });

  test("because it was deleted meanwhile, the handle says so", async () => {
    const [first, next] = [new FakeHost(), new FakeHost()];
    first.opened = Promise.resolve({ ok: true, catalog: catalogOf(1), database: 7 });
    const gone = { code: "CLOSED", message: "", details: { reason: "deleted" } } as const;
    next.opened = Promise.resolve({ ok: false, error: gone });
    const db = databaseOn(first, next);
    await db.open();
    const told = toldBy(db);
    first.die();
    await expect(db.collection("rows").get("a")).rejects.toMatchObject(gone);
    expect([first, next].map((h) => h.openings[0]!.database)).toEqual([undefined, 7]);
    expect(told).toEqual([died, { closed: "deleted" }]);
  });

  test("nor any worker starts, the handle ends too", async () => {
    const first = new FakeHost();
    const db = databaseOn(first);
    await db.open();
    const told = toldBy(db);
    first.die();
    await settle();
    expect(told).toEqual([died, { closed: "crashed" }]);
    await expect(db.collection("rows").get("a")).rejects.toThrow("no further worker");
  });
});

test("[MV12] a schema that changed while no worker was there is the one that later writes go by", async () => {
  const { db, first, next } = await open();
  next.opened = Promise.resolve({ ok: true, catalog: catalogOf(5) });
  first.die();
  await settle();
  await db.collection("rows").put({ id: "a" });
  expect(next.requests).toMatchObject([{ op: "write", epoch: 5 }]);
});
