import { describe, expect, test } from "vitest";
import { collection, createDatabase, RetentionPolicy } from "./index.ts";

interface Note {
  readonly id: string;
  readonly n: number;
  readonly text: string;
}

let names = 0;
const note = (i: number, n: number): Note => ({ id: `n${String(i).padStart(5, "0")}`, n, text: "x".repeat(80) });

async function opened(extra: { gc?: object } = {}) {
  const db = createDatabase({
    name: `gc-runs-${++names}`,
    storage: "memory",
    worker: false,
    collections: {
      notes: collection<Note>()({ key: "id", indexes: { n: "n" } }),
      kept: collection<Note>()({ key: "id", retention: RetentionPolicy.keepLatestN(3) }),
    },
    ...extra,
  });
  await db.open();
  return db;
}

const many = (from: number, to: number, n: number): Note[] =>
  Array.from({ length: to - from }, (_, i) => note(from + i, n));

describe("a run that somebody asks for", () => {
  test("[GM1][GM3] collects what nobody can see, says how much, and writes down that it ran", async () => {
    const db = await opened({ gc: { mode: "manual" } });
    const notes = db.collection("notes");
    for (let n = 0; n < 5; n++) await notes.putMany(many(0, 200, n));
    const report = await db.gc.run();
    expect(report).toMatchObject({ dryRun: false, heldBack: [] });
    expect(report.deleted).toBeGreaterThanOrEqual(1600);
    expect(report.bytesReclaimed).toBeGreaterThan(1600 * 80 * 0.4);
    const [last] = await db.gc.executions();
    expect(last).toMatchObject({ id: report.cycleId, type: "FULL_GC", status: "COMPLETED", swept: report.deleted });
    expect(await notes.count()).toBe(200);
    expect((await db.gc.run()).deleted).toBeLessThanOrEqual(201); // deletions that stood at the floor itself
    expect((await db.gc.run()).deleted).toBeLessThanOrEqual(1); // a record of the floor
    await db.close();
  });

  test("[VG7][VG8] a snapshot keeps what it sees, explain blames it, and releasing it frees what it said", async () => {
    const db = await opened({ gc: { mode: "manual" } });
    const notes = db.collection("notes");
    await notes.putMany(many(0, 300, 0));
    await db.snapshots.create("before");
    await notes.putMany(many(0, 300, 1));
    const held = await db.gc.run();
    expect(held.heldBack.find(({ kind }) => kind === "snapshot")?.bytes).toBeGreaterThan(300 * 80);
    const { holders } = await db.gc.explain();
    const snapshot = holders.find(({ kind }) => kind === "snapshot")!;
    expect(snapshot).toMatchObject({ owner: "before" });
    expect(snapshot.frees).toBeGreaterThan(300 * 80);
    const view = await db.snapshots.view("before");
    expect((await view.collection("notes").get("n00007"))?.n).toBe(0);
    view.release();
    await db.snapshots.delete("before");
    const freed = await db.gc.run();
    expect(freed.deleted).toBeGreaterThanOrEqual(600); // records, and their index entries
    expect(freed.bytesReclaimed).toBeGreaterThanOrEqual(snapshot.frees);
    await db.close();
  });

  test("[GM4] retention keeps the latest versions for history, and no more", async () => {
    const db = await opened({ gc: { mode: "manual" } });
    const kept = db.collection("kept");
    for (let n = 0; n < 10; n++) await kept.put(note(1, n));
    await db.gc.run();
    expect((await kept.history("n00001")).map(({ value }) => value?.n)).toEqual([9, 8, 7]);
    await db.close();
  });

  test("[VG12] a dry run changes nothing, and says exactly what a run removes", async () => {
    const db = await opened({ gc: { mode: "manual" } });
    const notes = db.collection("notes");
    for (let n = 0; n < 4; n++) await notes.putMany(many(0, 50, n));
    await db.checkpoint();
    await notes.deleteMany(many(0, 20, 0).map(({ id }) => id));
    const before = await db.storage.metrics();
    const dry = await db.gc.run({ dryRun: true });
    const proofs = [];
    for await (const proof of db.gc.proofs({ pageSize: 7 })) proofs.push(proof);
    expect(proofs.length).toBe(dry.marked);
    const after = await db.storage.metrics();
    expect({ ...after, slices: undefined }).toEqual({ ...before, slices: undefined });
    const report = await db.gc.run();
    expect(Math.abs(report.deleted - dry.marked)).toBeLessThanOrEqual(200);
    await db.close();
  });

  test("[GM3] whoever subscribes hears of its beginning, its steps and its end", async () => {
    const db = await opened({ gc: { mode: "manual" } });
    const heard: string[] = [];
    const subscription = db.gc.subscribe((event) => heard.push(event.type));
    await db.collection("notes").putMany(many(0, 100, 0));
    await db.gc.run();
    await expect.poll(() => heard.at(-1)).toBe("ended");
    expect(heard).toContain("started");
    expect(heard).toContain("progress");
    subscription.unsubscribe();
    await db.close();
  });

  test("[GM6] two runs at once are refused", async () => {
    const db = await opened({ gc: { mode: "manual" } });
    await db.collection("notes").putMany(many(0, 500, 0));
    await db.collection("notes").putMany(many(0, 500, 1));
    const [first, second] = await Promise.allSettled([db.gc.run(), db.gc.run()]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({ status: "rejected", reason: { code: "BUSY" } });
    await db.close();
  });

  test("[TB5] an unknown holder is NOT_FOUND, and nothing changes", async () => {
    const db = await opened();
    await expect.poll(async () => (await db.gc.explain()).upkeep).toBeDefined();
    const before = await db.gc.explain();
    await expect(db.gc.evict("pin/nobody")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await db.gc.explain()).toEqual(before);
    await db.close();
  });
});
