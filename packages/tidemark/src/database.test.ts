import { afterEach, describe, expect, test } from "vitest";
import { collection, createDatabase, type Database, deleteDatabase, isTidemarkError, listDatabases } from "./index.ts";
import { ownWorker } from "./own-worker.test-support.ts";

interface Note {
  id: string;
  title: string;
  at?: number;
  tags?: string[];
}
const notes = collection<Note>()({ key: "id", indexes: { at: "at", title: { path: "title", unique: true } } });
let n = 0;
const open: Database<{ notes: typeof notes }>[] = [];
const make = (name = `db${n++}`) => {
  const db = createDatabase({
    name,
    collections: { notes },
    storage: "memory",
    worker: false,
    ...ownWorker(open.length),
  });
  open.push(db);
  return db;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((db) => db.close()));
});

describe("a database", () => {
  test("puts, gets, updates, deletes, counts", async () => {
    const db = make();
    const c = db.collection("notes");
    expect(await c.put({ id: "a", title: "A", at: 1 })).toBe("a");
    expect(await c.get("a")).toEqual({ id: "a", title: "A", at: 1 });
    expect(await c.getMany(["x", "a"])).toEqual([undefined, { id: "a", title: "A", at: 1 }]);
    await c.putMany([
      { id: "b", title: "B", at: 5 },
      { id: "c", title: "C", at: 3 },
    ]);
    expect((await c.where("at").above(1).toArray()).map((r) => r.id)).toEqual(["c", "b"]);
    expect((await c.where("at").reverse().limit(2).toArray()).map((r) => r.id)).toEqual(["b", "c"]);
    expect(await c.update("a", { at: 9, tags: ["x"] })).toEqual({ id: "a", title: "A", at: 9, tags: ["x"] });
    expect(await c.where("at").first()).toEqual({ id: "c", title: "C", at: 3 });
    expect(await c.count()).toBe(3);
    expect(await c.delete("a")).toBe(true);
    expect(await c.delete("a")).toBe(false);
    expect(await c.where("at").count()).toBe(2);
    await c.clear();
    expect(await c.all()).toEqual([]);
  });

  test("tells of many keys which are there", async () => {
    const c = make().collection("notes");
    await c.putMany([
      { id: "a", title: "A" },
      { id: "b", title: "B" },
    ]);
    expect(await c.hasMany(["b", "x", "a", "b"])).toEqual([true, false, true, true]);
    expect(await c.hasMany([])).toEqual([]);
  });

  test("[MV1] puts and deletes many in one commit", async () => {
    const db = make();
    const c = db.collection("notes");
    await c.putMany(["a", "b", "c"].map((id, at) => ({ id, title: id, at })));
    const view = await db.readView();
    // Calls of one tick, in their order; "b" passes on a unique title, "both" is put and then deleted.
    const written = c.writeMany({
      put: [
        { id: "both", title: "both" },
        { id: "d", title: "b", at: 7 },
      ],
      delete: ["b", "both", "none"],
    });
    const last = c.put({ id: "d", title: "d", at: 8 });
    expect(await written).toEqual(["both", "d"]);
    await last;
    expect((await c.all()).map(({ id, at }) => [id, at])).toEqual([
      ["a", 0],
      ["c", 2],
      ["d", 8],
    ]);
    expect((await c.where("title").toArray()).map(({ title }) => title)).toEqual(["a", "c", "d"]);
    expect((await c.history("d")).map(({ seq }) => seq)).toEqual([view.seq + 2, view.seq + 1]);
    expect(await view.collection("notes").count()).toBe(3);
    view.release();
    expect(await c.writeMany({ delete: ["a"] })).toEqual([]);
    expect(await c.writeMany({ put: [{ id: "e", title: "a" }] })).toEqual(["e"]);
    expect(await c.writeMany({})).toEqual([]);
    expect(await c.where().primaryKeys()).toEqual(["c", "d", "e"]);
  });

  test("[MV1] refuses all of it where one is refused", async () => {
    const db = make();
    const c = db.collection("notes");
    await c.putMany(["a", "b"].map((id) => ({ id, title: id })));
    const put = [
      { id: "x", title: "x" },
      { id: "y", title: "a" },
    ];
    await expect(c.writeMany({ put, delete: ["b"] })).rejects.toMatchObject({
      code: "CONSTRAINT",
      details: { failures: [{ position: 1, key: "y" }] },
    });
    expect(await c.where().primaryKeys()).toEqual(["a", "b"]);
    await db.transaction(async (tx) => {
      await tx.collection("notes").writeMany({ put, delete: ["a"] });
      expect(await tx.collection("notes").where().primaryKeys()).toEqual(["b", "x", "y"]);
    });
    expect(await c.where("title").primaryKeys()).toEqual(["y", "b", "x"]);
  });

  test("reads the same before and after a checkpoint", async () => {
    const db = make();
    const c = db.collection("notes");
    const all = Array.from({ length: 2000 }, (_, i) => ({
      id: `k${String(i).padStart(5, "0")}`,
      title: `t${i}`,
      at: i % 7,
    }));
    await c.putMany(all);
    expect(await c.all()).toEqual(all);
    await db.checkpoint();
    expect(await c.all()).toEqual(all);
    expect(await c.where("at").equals(3).count()).toBe(all.filter((r) => r.at === 3).length);
    await c.update("k00007", { at: 100 });
    await c.deleteMany(["k00003", "k00004"]);
    expect(await c.where("at").above(6).toArray()).toEqual([{ id: "k00007", title: "t7", at: 100 }]);
    await db.checkpoint();
    expect(await c.where("at").above(6).toArray()).toEqual([{ id: "k00007", title: "t7", at: 100 }]);
    expect(await c.count()).toBe(1998);
    expect((await db.storage.metrics()).logEntries).toBe(0);
  });

  test("refuses a second owner of a unique key", async () => {
    const db = make();
    const c = db.collection("notes");
    await c.put({ id: "a", title: "T" });
    await expect(c.put({ id: "b", title: "T" })).rejects.toSatisfy((e) => isTidemarkError(e, "CONSTRAINT"));
    await db.checkpoint();
    await expect(c.put({ id: "b", title: "T" })).rejects.toSatisfy((e) => isTidemarkError(e, "CONSTRAINT"));
    await c.put({ id: "a", title: "U" });
    await c.put({ id: "b", title: "T" });
  });

  test("[MV3] is refused within a transaction, and the outer one can go on", async () => {
    const db = make();
    const inside = await db.transaction(async (tx) => {
      await expect(db.transaction(async () => 1)).rejects.toMatchObject({
        code: "TRANSACTION_INVALID",
        details: { why: "nested" },
      });
      await tx.collection("notes").put({ id: "outer", title: "O" });
      return tx.collection("notes").count();
    });
    expect(inside).toBe(1);
    // Side by side they are as many as one likes.
    await Promise.all([db.transaction(async () => 1), db.transaction(async () => 2)]);
  });

  test("[MV3] 1 000 parallel increments of one key all succeed", async () => {
    const db = make();
    const c = db.collection("notes");
    await c.put({ id: "n", title: "n", at: 0 });
    await Promise.all(Array.from({ length: 1000 }, () => c.update("n", (r) => ({ ...r, at: r.at! + 1 }))));
    expect((await c.get("n"))!.at).toBe(1000);
  });

  test("[MV2] a read view stays as it is", async () => {
    const db = make();
    const c = db.collection("notes");
    await c.putMany([
      { id: "a", title: "1", at: 1 },
      { id: "b", title: "2", at: 2 },
    ]);
    const view = await db.readView();
    await c.putMany([
      { id: "a", title: "3", at: 3 },
      { id: "c", title: "4", at: 4 },
    ]);
    await c.delete("b");
    await db.checkpoint();
    expect(await view.collection("notes").all()).toEqual([
      { id: "a", title: "1", at: 1 },
      { id: "b", title: "2", at: 2 },
    ]);
    expect((await view.collection("notes").where("at").toArray()).length).toBe(2);
    view.release();
    expect((await c.all()).map((r) => r.id)).toEqual(["a", "c"]);
  });

  test("transactions read their own writes and roll back", async () => {
    const db = make();
    const c = db.collection("notes");
    await c.put({ id: "a", title: "1", at: 1 });
    await expect(
      db.transaction(async (tx) => {
        const t = tx.collection("notes");
        await t.put({ id: "b", title: "2", at: 2 });
        await t.update("a", { at: 7 });
        expect((await t.where("at").toArray()).map((r) => r.id)).toEqual(["b", "a"]);
        expect(await t.count()).toBe(2);
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(await c.all()).toEqual([{ id: "a", title: "1", at: 1 }]);
  });

  test("live queries run again when touched, in another tab too", async () => {
    const name = `live${n++}`;
    const [a, b] = [make(name), make(name)];
    await a.open();
    await b.open();
    const seen: number[] = [];
    const live = b.live((q) => q.collection("notes").where("at").above(10).count());
    const sub = live.subscribe((v) => seen.push(v));
    await expect.poll(() => seen).toEqual([0]);
    await a.collection("notes").put({ id: "a", title: "a", at: 1 });
    await a.collection("notes").put({ id: "b", title: "b", at: 11 });
    await expect.poll(() => seen).toEqual([0, 1]);
    await b.collection("notes").update("b", { at: 2 });
    await expect.poll(() => seen).toEqual([0, 1, 0]);
    sub.unsubscribe();
  });

  test("is deleted under open handles without blocking", async () => {
    const name = `del${n++}`;
    const a = make(name);
    await a.collection("notes").put({ id: "a", title: "1" });
    let closed = "";
    a.on("closed", (e) => (closed = e.reason));
    expect((await listDatabases({ storage: "memory" })).some((d) => d.name === name)).toBe(true);
    await deleteDatabase(name, { storage: "memory" });
    await expect.poll(() => closed).toBe("deleted");
    await expect(a.collection("notes").get("a")).rejects.toSatisfy((e) => isTidemarkError(e, "CLOSED"));
    expect((await listDatabases({ storage: "memory" })).some((d) => d.name === name)).toBe(false);
    const again = make(name);
    expect(await again.collection("notes").all()).toEqual([]);
  });
});
