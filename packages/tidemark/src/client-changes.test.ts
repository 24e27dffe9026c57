import { afterEach, describe, expect, test } from "vitest";
import { type ChangeSet, type ChangesOptions, collection, createDatabase, type Database } from "./index.ts";
import { ownWorker } from "./own-worker.test-support.ts";
import { simulate } from "./testing/world.ts";

interface Row {
  id: string;
  v: number;
  pad?: string;
}
const rows = collection<Row>()({ key: "id", indexes: { v: "v" } });
const others = collection<Row>()({ key: "id" });
const collections = { rows, others };
type Db = Database<typeof collections>;
type Set_ = ChangeSet<typeof collections>;

let n = 0;
const made: Db[] = [];
function make(name = `changes${n++}`): Db {
  const db = createDatabase({ name, collections, storage: "memory", worker: false, ...ownWorker(made.length) });
  made.push(db);
  return db;
}
afterEach(async () => {
  await Promise.all(made.splice(0).map((db) => db.close()));
});

const shown = ({ changes, tag }: Set_): unknown => ({
  ...(tag === undefined ? {} : { tag }),
  changes: changes.map((c) => (c.cleared ? `clear ${c.collection}` : [c.collection, c.key, c.before?.v, c.after?.v])),
});

/** The next `count` of a feed, each acknowledged where that is asked for. */
async function take(db: Db, count: number, options: ChangesOptions<keyof typeof collections>, ack = true) {
  const taken: Set_[] = [];
  for await (const one of db.changes(options)) {
    taken.push(one);
    if (ack) await one.ack();
    if (taken.length === count) break;
  }
  return taken;
}

describe("changes", () => {
  test("tells commit by commit what was written, and what was there before", async () => {
    const db = make();
    const table = db.collection("rows");
    await table.put({ id: "a", v: 1 });
    const after = (await db.readView()).seq;
    await table.put({ id: "a", v: 2 });
    await table.putMany([
      { id: "b", v: 3 },
      { id: "c", v: 4 },
    ]);
    await table.delete("a");
    await db.transaction(async (tx) => void (await tx.collection("others").put({ id: "x", v: 5 })), { tag: "sync" });
    const taken = await take(db, 4, { after });
    expect(taken.map(shown)).toEqual([
      { changes: [["rows", "a", 1, 2]] },
      {
        changes: [
          ["rows", "b", undefined, 3],
          ["rows", "c", undefined, 4],
        ],
      },
      { changes: [["rows", "a", 2, undefined]] },
      { tag: "sync", changes: [["others", "x", undefined, 5]] },
    ]);
    expect(taken.map((t) => t.seq)).toEqual(taken.map((t) => t.seq).toSorted((a, b) => a - b));
    expect(Math.abs(Date.now() - taken[0]!.stamp / 1024)).toBeLessThan(60_000);
  });

  test("waits for what other tabs commit, and only tells of the collections asked for", async () => {
    const name = `changes${n++}`;
    const [a, b] = [make(name), make(name)];
    await Promise.all([a.open(), b.open()]);
    const after = (await a.readView({ fresh: true })).seq;
    const taken = take(a, 2, { after, collections: ["others"] });
    await b.collection("rows").put({ id: "r", v: 1 });
    await b.collection("others").put({ id: "o", v: 2 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await a.collection("others").put({ id: "o", v: 3 });
    expect((await taken).map(shown)).toEqual([
      { changes: [["others", "o", undefined, 2]] },
      { changes: [["others", "o", 2, 3]] },
    ]);
  });

  test("a clearing is one change, and what the same commit wrote anew follows it", async () => {
    const db = make();
    await db.collection("rows").putMany([1, 2, 3].map((v) => ({ id: `k${v}`, v })));
    const after = (await db.readView()).seq;
    await db.transaction(async (tx) => {
      await tx.collection("rows").clear();
      await tx.collection("rows").put({ id: "k1", v: 9 });
    });
    const [one] = await take(db, 1, { after });
    expect(shown(one!)).toEqual({ changes: ["clear rows", ["rows", "k1", undefined, 9]] });
  });

  test("[OL1] a consumer goes on where it acknowledged, through checkpoints, collection and reopening", async () => {
    const name = `changes${n++}`;
    const db = make(name);
    const keeper = make(name); // memory ends with its last handle
    await keeper.open();
    const feed = { consumer: "sync" };
    const first = take(db, 1, feed);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await db.collection("rows").put({ id: "a", v: 0 });
    await first;
    for (let v = 1; v <= 20; v++) {
      await db.collection("rows").put({ id: "a", v });
      if (v % 5 === 0) await db.checkpoint();
    }
    await db.gc.run();
    await db.close();
    const again = make(name);
    const taken = await take(again, 20, feed);
    expect(taken.map(shown)).toEqual(Array.from({ length: 20 }, (_, v) => ({ changes: [["rows", "a", v, v + 1]] })));
  });

  test("[VG13][OL1] explain names a consumer that holds the log; evicted, it is told to begin anew", async () => {
    const db = make();
    const after = (await db.open().then(() => db.readView())).seq;
    await db.collection("rows").put({ id: "a", v: 1 });
    await take(db, 1, { consumer: "sync", after }, false);
    for (let v = 2; v < 10; v++) await db.collection("rows").put({ id: "a", v, pad: "x".repeat(1000) });
    await db.checkpoint();
    const held = (await db.gc.explain()).holders.find((h) => h.kind === "consumer")!;
    expect(held).toMatchObject({ id: "consumer/sync", owner: "sync", seq: after });
    expect(held.bytesHeld).toBeGreaterThan(0);
    await db.gc.evict(held.id);
    const gone = take(db, 1, { consumer: "sync" });
    await expect(gone).rejects.toMatchObject({
      code: "RESYNC_REQUIRED",
      details: { consumer: "sync", position: after },
    });
    const view = await db.readView({ fresh: true });
    await db.collection("rows").put({ id: "b", v: 1 });
    const [one] = await take(db, 1, { consumer: "sync", after: view.seq });
    expect(shown(one!)).toEqual({ changes: [["rows", "b", undefined, 1]] });
  });

  test("without a consumer, what a checkpoint trimmed is gone, and the feed says so", async () => {
    const db = make();
    await db.collection("rows").put({ id: "a", v: 1 });
    await db.collection("rows").put({ id: "a", v: 2 });
    await db.checkpoint();
    await expect(take(db, 1, { after: 1 })).rejects.toMatchObject({ code: "RESYNC_REQUIRED" });
    await expect(take(db, 1, { after: 1000 })).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });

  test("a large commit comes whole, and its body is kept as long as its entry", async () => {
    const db = make();
    const after = (await db.open().then(() => db.readView())).seq;
    const many = Array.from({ length: 600 }, (_, i) => ({ id: `k${i}`, v: i, pad: "y".repeat(1000) }));
    await take(db, 0, { consumer: "sync", after, signal: AbortSignal.abort() }).catch(() => undefined);
    const started = take(db, 1, { consumer: "sync", after }, false);
    await db.collection("rows").putMany(many);
    await started;
    await db.checkpoint();
    await db.gc.run();
    const [one] = await take(db, 1, { consumer: "sync" });
    expect(one!.changes).toHaveLength(600);
    expect(new Set(one!.changes.map((c) => c.after?.pad?.length))).toEqual(new Set([1000]));
  });

  test("one feed of a consumer at a time: the next begins when it ends", async () => {
    const name = `changes${n++}`;
    const [a, b] = [make(name), make(name)];
    await a.collection("rows").put({ id: "a", v: 1 });
    const first = a.changes({ consumer: "sync", after: 0 })[Symbol.asyncIterator]();
    await (await first.next()).value!.ack();
    const second = take(b, 1, { consumer: "sync" });
    await a.collection("rows").put({ id: "a", v: 2 });
    const { value } = await first.next();
    expect(shown(value as Set_)).toEqual({ changes: [["rows", "a", 1, 2]] });
    await first.return!();
    expect((await second).map(shown)).toEqual([{ changes: [["rows", "a", 1, 2]] }]);
  });

  test("[MV10] the building of an index changes no record, and is not told", async () => {
    const db = make();
    const name = db.name;
    await db.collection("others").putMany(Array.from({ length: 600 }, (_, i) => ({ id: `o${i}`, v: i })));
    const after = (await db.storage.metrics()).head;
    const indexed = createDatabase({
      name,
      collections: { rows, others: collection<Row>()({ key: "id", indexes: { v: "v" } }) },
      storage: "memory",
      worker: false,
    });
    made.push(indexed);
    expect(await indexed.collection("others").where("v").equals(7).count()).toBe(1);
    await indexed.collection("rows").put({ id: "last", v: 1 });
    const [told] = await take(db, 1, { after });
    expect(shown(told!)).toEqual({ changes: [["rows", "last", undefined, 1]] });
  });

  test("[MV10] a collection that is migrated record by record has to be read anew", async () => {
    const db = make();
    const name = db.name;
    await db.collection("rows").putMany(Array.from({ length: 20 }, (_, i) => ({ id: `o${i}`, v: i })));
    const after = (await db.storage.metrics()).head;
    const next = createDatabase({
      name,
      version: 2,
      collections,
      migrations: { 2: { collection: "rows", each: (row: Row) => ({ ...row, v: row.v + 1 }) } },
      storage: "memory",
      worker: false,
    });
    made.push(next);
    await next.collection("others").put({ id: "o", v: 1 });
    await expect(take(next, 1, { after })).rejects.toMatchObject({
      code: "RESYNC_REQUIRED",
      details: { collection: "rows" },
    });
    const view = await next.readView({ fresh: true });
    await next.collection("rows").put({ id: "behind", v: 1 });
    const [told] = await take(next, 1, { after: view.seq });
    expect(shown(told!)).toEqual({ changes: [["rows", "behind", undefined, 1]] });
    const [other] = await take(next, 1, { after, collections: ["others"] });
    expect(shown(other!)).toEqual({ changes: [["others", "o", undefined, 1]] });
    view.release();
  });

  test.each<[object, string, string]>([
    [{ consumer: "" }, "consumer", "a string that is not empty"],
    [{ after: -1 }, "after", "the seq of a commit or a view"],
    [{ collections: "rows" }, "collections", "a list of names of collections"],
    [{ signal: {} }, "signal", "an AbortSignal"],
    [{ consumers: "x" }, "consumers", "has no option 'consumers'; did you mean 'consumer'?"],
  ])("refuses %o before it begins", (options, option, why) => {
    const call = (): unknown => make().changes(options);
    expect(call).toThrow(why);
    expect(call).toThrow(expect.objectContaining({ code: "OPTIONS_INVALID", details: { option } }));
  });

  test("ends with its signal, with the loop, and with the database", async () => {
    const db = make();
    await db.open();
    const stop = new AbortController();
    const aborted = take(db, 1, { consumer: "one", signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 20);
    await expect(aborted).rejects.toThrow("enough");
    const early = new AbortController();
    const begun = take(db, 1, { signal: early.signal });
    early.abort(new Error("before it began"));
    await expect(begun).rejects.toThrow("before it began");
    const closed = take(db, 1, {});
    setTimeout(() => void db.close(), 20);
    await expect(closed).rejects.toMatchObject({ code: "CLOSED" });
    await expect(take(db, 1, {})).rejects.toMatchObject({ code: "CLOSED" });
    expect(() => make().changes({ collections: ["nope" as "rows"] })).toThrow("'nope' is not declared");
  });
});

test("[OL1] a consumer's turn is the page's: a crash of its worker gives it to nobody else", () =>
  simulate(async (world) => {
    const [a, b] = [world.tab("a"), world.tab("b")];
    const [one, other] = [a, b].map((tab) => tab.createDatabase({ name: "turns", collections }));
    const feed = one!.changes({ consumer: "c" })[Symbol.asyncIterator]();
    const first = feed.next();
    await world.sleep(50); // it has begun
    await one!.collection("rows").put({ id: "x", v: 1 });
    await first;
    a.crashWorker();

    let hasTurn = false;
    const next = other!.changes({ consumer: "c" })[Symbol.asyncIterator]().next();
    void next.then(() => (hasTurn = true));
    await world.sleep(5000);
    expect(hasTurn).toBe(false);
    await feed.return?.();
    expect(((await next).value as Set_).changes[0]?.key).toBe("x"); // which was not acknowledged
    await Promise.all([one!.close(), other!.close()]);
  }));
