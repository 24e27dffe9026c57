import { afterEach, describe, expect, test } from "vitest";
import { collection, createDatabase, type Database } from "./index.ts";
import { ownWorker } from "./own-worker.test-support.ts";

const rows = collection<{ id: string; v: number }>()({ key: "id", indexes: { v: "v" } });
type Db = Database<{ rows: typeof rows }>;

let n = 0;
const made: Db[] = [];
function make(name = `snapshots${n++}`): Db {
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

describe("a snapshot", () => {
  test("[VG3][MV2] keeps what was there, through changes, clearing, checkpoints and its own deletion", async () => {
    const db = make();
    await db.collection("rows").putMany([1, 2, 3].map((v) => ({ id: `k${v}`, v })));
    const { name, seq } = await db.snapshots.create("before");
    expect(name).toBe("before");
    await db.collection("rows").put({ id: "k1", v: 10 });
    await db.checkpoint();
    await db.collection("rows").clear();
    await db.checkpoint();
    const view = await db.snapshots.view("before");
    expect(view.seq).toBe(seq);
    await db.snapshots.delete("before");
    await db.collection("rows").put({ id: "k4", v: 4 });
    await db.checkpoint();
    expect(await view.collection("rows").all()).toEqual([1, 2, 3].map((v) => ({ id: `k${v}`, v })));
    expect(await view.collection("rows").where("v").between(2, 9).count()).toBe(2);
    expect(await db.collection("rows").all()).toEqual([{ id: "k4", v: 4 }]);
    view.release();
    await expect(view.collection("rows").all()).rejects.toMatchObject({ code: "VIEW_RELEASED" });
  });

  test("[VG8] all count, are listed by name, and go one by one", async () => {
    const db = make();
    const seqs: number[] = [];
    for (const name of ["c", "a", "b"]) {
      await db.collection("rows").put({ id: name, v: 1 });
      seqs.push((await db.snapshots.create(name)).seq);
    }
    const [c, a, b] = seqs;
    expect(await db.snapshots.list()).toEqual([
      { name: "a", seq: a },
      { name: "b", seq: b },
      { name: "c", seq: c },
    ]);
    await db.checkpoint();
    expect((await db.storage.metrics()).floor).toBe(c);
    await db.snapshots.delete("c");
    await db.collection("rows").put({ id: "d", v: 1 });
    await db.checkpoint();
    expect((await db.storage.metrics()).floor).toBe(a);
    await using view = await db.snapshots.view("b");
    expect(await view.collection("rows").count()).toBe(3);
  });

  test("[VG8] contains what was called before it was made, and nothing that was called after", async () => {
    const db = make();
    await db.open();
    const put = (id: string) => db.collection("rows").put({ id, v: 1 });
    await Promise.all([put("a"), db.snapshots.create("s"), put("b"), db.snapshots.create("t"), put("c")]);
    const view = await db.snapshots.view("s");
    expect((await view.collection("rows").all()).map((r) => r.id)).toEqual(["a"]);
    const later = await db.snapshots.view("t");
    expect((await later.collection("rows").all()).map((r) => r.id)).toEqual(["a", "b"]);
  });

  test("[VG8] of a taken name is CONSTRAINT, one that is not there NOT_FOUND, no name OPTIONS_INVALID", async () => {
    const db = make();
    await db.snapshots.create("s");
    await expect(db.snapshots.create("s")).rejects.toMatchObject({ code: "CONSTRAINT", details: { snapshot: "s" } });
    await expect(db.snapshots.view("t")).rejects.toMatchObject({ code: "NOT_FOUND", details: { snapshot: "t" } });
    await expect(db.snapshots.delete("t")).rejects.toMatchObject({ code: "NOT_FOUND" });
    for (const name of ["", undefined, 5]) {
      const wrong = name as string;
      for (const call of [
        () => db.snapshots.create(wrong),
        () => db.snapshots.view(wrong),
        () => db.snapshots.delete(wrong),
      ])
        await expect(call()).rejects.toMatchObject({ code: "OPTIONS_INVALID", details: { option: "name" } });
    }
  });

  test("[MV4] is there when the database is opened again", async () => {
    const db = make();
    await db.collection("rows").put({ id: "a", v: 1 });
    await db.snapshots.create("s");
    await db.collection("rows").put({ id: "a", v: 2 });
    await db.close();
    const again = make(db.name);
    const view = await again.snapshots.view("s");
    expect(await view.collection("rows").get("a")).toEqual({ id: "a", v: 1 });
  });
});
