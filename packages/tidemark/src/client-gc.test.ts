import { afterEach, describe, expect, test } from "vitest";
import { collection, createDatabase, type Database, type GcEvent, type GcProgress, type GcProof } from "./index.ts";

interface Row {
  id: string;
  n: number;
}
const rows = collection<Row>()({ key: "id" });
type Db = Database<{ rows: typeof rows }>;
let count = 0;
const open: Db[] = [];
const make = (): Db => {
  const db = createDatabase({ name: `gc${count++}`, collections: { rows }, storage: "memory", worker: false });
  open.push(db);
  return db;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((db) => db.close()));
});

/** Every record `times` times. */
async function churn(db: Db, times = 3, records = 50): Promise<void> {
  for (let n = 0; n < times; n++) {
    await db.collection("rows").putMany(Array.from({ length: records }, (_, i) => ({ id: `k${1000 + i}`, n })));
  }
}
const all = async <T>(of: AsyncIterable<T>): Promise<T[]> => {
  const list: T[] = [];
  for await (const one of of) list.push(one);
  return list;
};

describe("garbage collection by hand", () => {
  test("[VG12][GM3] a run removes what a dry run counts and what proofs tell, and then there is nothing", async () => {
    const db = make();
    const view = await db.readView();
    await churn(db);
    await db.checkpoint(); // the view keeps all of it
    view.release();
    const dry = await db.gc.run({ dryRun: true });
    expect(dry).toMatchObject({ dryRun: true, deleted: 0, cycleId: 0 });
    const proofs: GcProof[] = await all(db.gc.proofs({ pageSize: 7 }));
    const ofRows = proofs.filter((p) => p.collection === "rows");
    expect(ofRows).toHaveLength(100);
    expect(dry.marked).toBe(proofs.length);
    const progress: GcProgress[] = [];
    const done = await db.gc.run({ progress: (p) => progress.push(p), deleteBatchSize: 10 });
    expect(done).toMatchObject({ dryRun: false, heldBack: [] });
    expect(done.deleted).toBeGreaterThanOrEqual(100);
    expect(progress.length).toBeGreaterThan(0);
    expect((await all(db.gc.proofs())).filter((p) => p.collection === "rows")).toEqual([]);
    expect((await db.gc.executions())[0]).toMatchObject({ id: done.cycleId, status: "COMPLETED" });
    expect((await db.gc.advances()).length).toBeGreaterThan(0);
    expect(await db.collection("rows").get("k1000")).toEqual({ id: "k1000", n: 2 });
  });

  test("[VG13] a snapshot is explained; it is deleted, not evicted", async () => {
    const db = make();
    await churn(db, 1);
    await db.snapshots.create("s");
    await churn(db, 3);
    await db.checkpoint();
    const { holders } = await db.gc.explain();
    const snapshot = holders.find((h) => h.kind === "snapshot")!;
    expect(snapshot).toMatchObject({ owner: "s" });
    expect(snapshot.bytesHeld).toBeGreaterThan(0);
    await expect(db.gc.evict(snapshot.id)).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
    await expect(db.gc.evict("pin/none")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await db.snapshots.delete("s");
    const after = await db.gc.explain();
    expect(after.holders.map((h) => h.kind)).not.toContain("snapshot");
  });

  test("[VG13] what a view holds back and frees counts values out of line, and so does the run that removes them", async () => {
    const db = make();
    const size = 100_000;
    const row = (n: number): Row & { text: string } => ({ id: "a", n, text: String(n).repeat(size) });
    await db.collection("rows").put(row(0));
    const view = await db.readView();
    for (let n = 1; n <= 5; n++) await db.collection("rows").put(row(n));
    const told = async (): Promise<unknown[]> =>
      (await db.gc.explain()).holders.flatMap(({ kind, bytesHeld, frees }) =>
        kind === "pin" && bytesHeld > 0 ? [[Math.round(bytesHeld / size), Math.round(frees / size)]] : [],
      );
    expect(await told()).toEqual([[5, 0]]); // the log keeps all of that, too
    await db.checkpoint();
    expect(await told()).toEqual([[5, 5]]);
    expect((await db.storage.metrics()).collections["rows"]!.records.supersededBytes / size).toBeCloseTo(5, 1);
    view.release();
    const [dry, done] = [await db.gc.run({ dryRun: true }), await db.gc.run()];
    expect(dry.bytesReclaimed / size).toBeCloseTo(5, 1);
    expect(done.bytesReclaimed / size).toBeCloseTo(5, 1);
    const { isExact, blobBytes } = await db.storage.metrics();
    expect(isExact).toBe(true);
    expect(blobBytes / size).toBeCloseTo(1, 1);
    expect(await told()).toEqual([]);
  });

  test("[GM1] a job is paused, resumed and cancelled; the database goes on", async () => {
    const db = make();
    const events: GcEvent[] = [];
    db.gc.subscribe((event) => events.push(event));
    await churn(db);
    const job = db.gc.start();
    await job.pause();
    await job.resume();
    expect((await job.report).dryRun).toBe(false);
    const cancelled = db.gc.start();
    await cancelled.pause();
    await cancelled.cancel();
    const { cycleId, deleted } = await cancelled.report; // what was done until then
    const [second, first] = await db.gc.executions();
    expect(second).toMatchObject({ id: cycleId, type: "FULL_GC", status: "CANCELLED", swept: deleted });
    expect(first).toMatchObject({ status: "COMPLETED" });
    expect(await db.collection("rows").count()).toBe(50); // nothing else ends with it
    expect(events.some((event) => event.type === "progress")).toBe(true);
  });

  test("[GM6] two runs at once are refused; an aborted one rejects with the reason, and gives way", async () => {
    const db = make();
    await churn(db);
    const controller = new AbortController();
    const job = db.gc.start({ signal: controller.signal });
    await job.pause();
    await expect(db.gc.run()).rejects.toMatchObject({ code: "BUSY" });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(job.report).rejects.toBe(reason);
    await expect
      .poll(() =>
        db.gc.run().then(
          () => "ran",
          (e: { code?: string }) => e.code,
        ),
      )
      .toBe("ran");
  });

  test("[GM1] closing does not wait for a paused job", async () => {
    const db = make();
    await churn(db);
    const job = db.gc.start();
    await job.pause();
    await db.close();
    await expect(job.report).rejects.toMatchObject({ code: "CLOSED" });
  });
});
