import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { GcEvent, GcExecution, GcProgress, GcReport } from "../protocol/gc.ts";
import type { Request } from "../protocol/messages.ts";
import { databaseOn, failure, FakeHost, never, plainAnswer, type Rows, settle } from "./fake-host.test-support.ts";
import type { GcOptions, GcProofOptions } from "./gc.ts";

const report: GcReport = {
  marked: 3,
  deleted: 3,
  total: 9,
  durationMs: 12,
  bytesReclaimed: 300,
  slices: 2,
  longestSliceMs: 3,
  heldBack: [],
  cycleId: 7,
  dryRun: false,
};
const progress: GcProgress = { cycleId: 7, phase: "sweep", steps: 1, scanned: 4, deleted: 2, bytesReclaimed: 100 };
const execution: GcExecution = {
  id: 7,
  type: "FULL_GC",
  started: 1,
  status: "RUNNING",
  scanned: 0,
  marked: 0,
  swept: 0,
  bytes: 0,
  config: {},
};
const reason = new Error("no more");

let host: FakeHost;
let db: Rows;
/** Ends the runs that are under way. */
let finish: (with_?: GcReport | Error) => void;
beforeEach(() => {
  host = new FakeHost();
  db = databaseOn(host, new FakeHost());
  const runs: { resolve(value: unknown): void; reject(error: unknown): void }[] = [];
  finish = (with_ = report) => {
    for (const run of runs.splice(0)) {
      if (with_ instanceof Error) run.reject(with_);
      else run.resolve(with_);
    }
  };
  host.answer = (r) => {
    if (r.op !== "gc-run") return plainAnswer(r);
    return new Promise((resolve, reject) => runs.push({ resolve, reject }));
  };
});
afterEach(async () => {
  finish();
  await db.close();
  vi.unstubAllGlobals();
});

const sent = (op: Request["op"]): readonly Request[] => host.requests.filter((r) => r.op === op);
const steered = (): readonly unknown[] => host.requests.flatMap((r) => (r.op === "gc-steer" ? [[r.job, r.what]] : []));
const tell = (event: GcEvent, job?: number): void => host.tell({ type: "gc", job, event });

describe("gc.run", () => {
  test("[GM1][GM2] opens the database, sends the options that are set, and answers with the report", async () => {
    const run = db.gc.run({ kind: "YOUNG_ONLY", dryRun: true, deleteBatchSize: 5, useSnapshot: false, budgetMs: 2 });
    await settle();
    const options = { kind: "YOUNG_ONLY", dryRun: true, deleteBatchSize: 5, useSnapshot: false, budgetMs: 2 };
    expect(host.requests).toEqual([{ op: "gc-run", job: 1, isBackground: false, options }]);
    finish();
    expect(await run).toEqual(report);
    const plain = db.gc.run({ dryRun: undefined, progress: () => undefined } as object);
    await settle();
    expect(sent("gc-run")[1]).toEqual({ op: "gc-run", job: 2, isBackground: false, options: {} });
    finish();
    await plain;
  });

  test("[GM2] holds nobody up: calls made meanwhile are sent, and answered", async () => {
    const run = db.gc.run();
    expect(await db.collection("rows").get("a")).toBeUndefined();
    expect(host.messages.map((m) => m.map((r) => r.op))).toEqual([["gc-run"], ["get"]]);
    finish();
    await run;
  });

  test("[GM2] tells of the progress of this run only, until it is over", async () => {
    const seen: GcProgress[] = [];
    const run = db.gc.run({ progress: (p) => seen.push(p) });
    await settle();
    tell({ type: "started", execution }, 1);
    tell({ type: "progress", ...progress }, 1);
    tell({ type: "progress", ...progress, steps: 9 }, 2);
    tell({ type: "progress", ...progress, steps: 9 });
    finish();
    await run;
    tell({ type: "progress", ...progress, steps: 9 }, 1);
    expect(seen).toEqual([progress]);
  });

  test("[GM2] a progress callback that throws harms nobody", async () => {
    const reported: unknown[] = [];
    vi.stubGlobal("reportError", (e: unknown) => reported.push(e));
    const run = db.gc.run({
      progress: () => {
        throw reason;
      },
    });
    await settle();
    tell({ type: "progress", ...progress }, 1);
    finish();
    expect(await run).toEqual(report);
    expect(reported).toEqual([reason]);
  });

  test("[GM2] whose signal aborts is cancelled, and rejects with the signal's reason", async () => {
    const controller = new AbortController();
    const run = db.gc.run({ signal: controller.signal });
    await settle();
    controller.abort(reason);
    await expect(run).rejects.toBe(reason);
    expect(steered()).toEqual([[1, "cancel"]]);
  });

  test("[GM2] whose signal aborts before it is sent is never sent", async () => {
    await expect(db.gc.run({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const run = db.gc.run({ signal: controller.signal });
    controller.abort(reason);
    await expect(run).rejects.toBe(reason);
    await db.open();
    expect(host.requests).toEqual([]);
  });

  test("[GM2] that is over does not mind its signal", async () => {
    const controller = new AbortController();
    const run = db.gc.run({ signal: controller.signal });
    await settle();
    finish();
    await run;
    controller.abort(reason);
    await settle();
    expect(steered()).toEqual([]);
  });

  test("[GM6] beside another one is refused", async () => {
    const run = db.gc.run();
    await settle();
    finish(failure("BUSY"));
    await expect(run).rejects.toMatchObject({ code: "BUSY" });
  });

  test("[GM2] is waited for by close", async () => {
    const run = db.gc.run();
    await settle();
    let isClosed = false;
    const closing = db.close().then(() => (isClosed = true));
    await settle();
    expect([isClosed, steered()]).toEqual([false, []]);
    finish();
    expect(await run).toEqual(report);
    await closing;
  });

  test("[MV12] goes on in the next worker", async () => {
    const next = new FakeHost();
    db = databaseOn(host, next);
    next.answer = (r) => (r.op === "gc-run" ? report : undefined);
    const run = db.gc.run();
    await settle();
    host.die();
    expect(await run).toEqual(report);
  });

  const bad: readonly (readonly [string, unknown, string])[] = [
    ["kind", "NO_OP", `"FULL_GC"; it is "NO_OP"`],
    ["dryRun", 1, "true or false"],
    ["deleteBatchSize", 0, "from 1 to 1000000; it is 0"],
    ["deleteBatchSize", 1.5, "a whole number"],
    ["useSnapshot", null, "true or false"],
    ["budgetMs", 0, "from 1 to 50"],
    ["budgetMs", Number.NaN, "from 1 to 50"],
    ["progress", {}, "a function"],
    ["signal", {}, "an AbortSignal"],
    ["maxMs", 5, "has no option 'maxMs'"],
  ];
  test.each(bad)("[GM2] %s: %j is refused, by name and range, and nothing is sent", async (option, value, expected) => {
    const options = { [option]: value } as GcOptions;
    const refused = { code: "OPTIONS_INVALID", details: { option }, message: expect.stringContaining(expected) };
    await expect(db.gc.run(options)).rejects.toMatchObject(refused);
    expect(() => db.gc.start(options)).toThrow(expect.objectContaining(refused));
    expect([host.openings, host.requests]).toEqual([[], []]);
  });
});

describe("gc.start", () => {
  test("[GM1] gives a job that is steered by its number", async () => {
    const job = db.gc.start();
    await job.pause();
    await job.resume();
    await job.cancel();
    expect(host.requests[0]).toEqual({ op: "gc-run", job: 1, isBackground: true, options: {} });
    expect(steered()).toEqual([
      [1, "pause"],
      [1, "resume"],
      [1, "cancel"],
    ]);
    finish({ ...report, deleted: 1 });
    expect(await job.report).toEqual({ ...report, deleted: 1 }); // what was done until then
    await Promise.all([job.pause(), job.resume(), job.cancel()]);
    expect(steered()).toHaveLength(3);
  });

  test("[GM1] a job that the host is done with is not missed", async () => {
    const job = db.gc.start();
    await settle();
    const { answer } = host;
    host.answer = (r) => {
      if (r.op === "gc-steer") throw failure("NOT_FOUND");
      return answer(r);
    };
    await job.pause();
  });

  test("[GM1] tells whoever listens of its progress", async () => {
    const job = db.gc.start();
    const [a, b]: GcProgress[][] = [[], []];
    const stop = job.onProgress((p) => a!.push(p));
    job.onProgress((p) => b!.push(p));
    await settle();
    tell({ type: "progress", ...progress }, 1);
    stop();
    tell({ type: "progress", ...progress, steps: 2 }, 1);
    expect([a, b]).toEqual([[progress], [progress, { ...progress, steps: 2 }]]);
    finish();
    await job.report;
  });

  test("[GM1] a job is cancelled by its signal, and by close, which does not wait for it to complete", async () => {
    const controller = new AbortController();
    const [aborted, job] = [db.gc.start({ signal: controller.signal }), db.gc.start()];
    await settle();
    controller.abort(reason);
    await expect(aborted.report).rejects.toBe(reason);
    expect(steered()).toEqual([[1, "cancel"]]);
    const closing = db.close();
    await expect(job.report).rejects.toMatchObject({ code: "CLOSED" });
    await settle();
    expect(steered()).toEqual([
      [1, "cancel"],
      [2, "cancel"],
    ]);
    finish();
    await closing;
    await expect(db.gc.start().report).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("[GM1] a job that was not sent when the handle was closed never is", async () => {
    const job = db.gc.start();
    await db.close();
    await expect(job.report).rejects.toMatchObject({ code: "CLOSED" });
    expect(sent("gc-run")).toEqual([]);
  });

  test("[GM1] a job ends with the database, and nobody has to listen", async () => {
    const job = db.gc.start();
    await settle();
    host.tell({ type: "closed", reason: "deleted" });
    await settle();
    await expect(job.report).rejects.toMatchObject({ code: "CLOSED", details: { reason: "deleted" } });
    db.gc.start();
    await settle();
  });
});

describe("gc.proofs", () => {
  const proof = (seq: number) => ({
    collection: "rows",
    key: "a",
    seq,
    supersededBy: seq + 1,
    floor: 9,
    clause: "floor",
    bytes: 10,
  });
  const pages = new Map<string | undefined, unknown>([
    [undefined, { proofs: [proof(1), proof(2)], after: "x" }],
    ["x", { proofs: [], after: "y" }],
    ["y", { proofs: [proof(3)] }],
  ]);
  beforeEach(() => {
    host.answer = (r) => (r.op === "gc-proofs" ? pages.get(r.after) : plainAnswer(r));
  });
  const seqsOf = async (options?: GcProofOptions): Promise<readonly number[]> => {
    const seqs: number[] = [];
    for await (const { seq } of db.gc.proofs(options)) seqs.push(seq);
    return seqs;
  };

  test("[VG12] come page by page, as they are asked for, and again from the start", async () => {
    expect(await seqsOf()).toEqual([1, 2, 3]);
    expect(sent("gc-proofs")).toEqual([
      { op: "gc-proofs", after: undefined, limit: 1000 },
      { op: "gc-proofs", after: "x", limit: 1000 },
      { op: "gc-proofs", after: "y", limit: 1000 },
    ]);
    const proofs = db.gc.proofs({ pageSize: 2 });
    for (let i = 0; i < 2; i++) {
      for await (const first of proofs) {
        expect(first).toEqual(proof(1));
        break;
      }
    }
    expect(sent("gc-proofs").slice(3)).toEqual([
      { op: "gc-proofs", after: undefined, limit: 2 },
      { op: "gc-proofs", after: undefined, limit: 2 },
    ]);
  });

  test("[VG12] end with a signal", async () => {
    await expect(seqsOf({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test.each([0, 1.5, 10_001, "5"])("[VG12] a page of %j is refused at once", (pageSize) => {
    expect(() => db.gc.proofs({ pageSize } as GcProofOptions)).toThrow(
      expect.objectContaining({ code: "OPTIONS_INVALID", details: { option: "pageSize" } }),
    );
    expect(host.openings).toEqual([]);
  });
});

describe("what is asked about garbage", () => {
  test("[VG13][GM3] is asked of the host as it is", async () => {
    const explanation = { floor: 1, head: 2, holders: [], reclaimable: 0 };
    const answers: Partial<Record<Request["op"], unknown>> = {
      "gc-explain": explanation,
      "gc-executions": [execution],
      "gc-advances": [],
    };
    host.answer = (r) => answers[r.op];
    expect(await db.gc.explain()).toBe(explanation);
    expect(await db.gc.executions()).toEqual([execution]);
    expect(await db.gc.advances()).toEqual([]);
    await db.gc.evict("pin/3");
    expect(host.requests.at(-1)).toEqual({ op: "gc-evict", holder: "pin/3" });
  });

  test("[TB5] a holder that is not there is not found; what is no id is refused", async () => {
    host.answer = (r) => {
      if (r.op === "gc-evict") throw failure("NOT_FOUND");
      return plainAnswer(r);
    };
    await expect(db.gc.evict("pin/3")).rejects.toMatchObject({ code: "NOT_FOUND" });
    for (const id of ["", 5, undefined]) {
      await expect(db.gc.evict(id as string)).rejects.toMatchObject({ details: { option: "holderId" } });
    }
    expect(sent("gc-evict")).toHaveLength(1);
  });
});

describe("gc.subscribe", () => {
  const started: GcEvent = { type: "started", execution };

  test("[GM1] tells of every run of this tab's worker, until it is unsubscribed", async () => {
    const [a, b]: GcEvent[][] = [[], []];
    const subscription = db.gc.subscribe((event) => a!.push(event));
    db.gc.subscribe({ next: (event) => b!.push(event) });
    await db.open();
    tell(started);
    subscription.unsubscribe();
    tell({ type: "progress", ...progress }, 5);
    expect(a).toEqual([started]);
    expect(b).toEqual([started, { type: "progress", ...progress }]);
  });

  test("[GM1] tells of the end of the database, once", async () => {
    const errors: unknown[] = [];
    const observer = { error: (e: unknown) => errors.push(e) };
    db.gc.subscribe(observer);
    await db.open();
    tell(started);
    host.tell({ type: "closed", reason: "deleted" });
    expect(errors).toEqual([expect.objectContaining({ code: "CLOSED" })]);
    db.gc.subscribe(observer).unsubscribe();
    expect(errors).toHaveLength(2);
    tell(started);
  });
});

test("[VG10] who waits for a run does not keep the page from granting slices to it", async () => {
  host.answer = () => never;
  const { Connection } = await import("./connection.ts");
  const connection = new Connection();
  connection.connect(host);
  void connection.call<"gc-run">({ op: "gc-run", job: 1, isBackground: false, options: {} });
  expect(connection.isAwaited).toBe(false);
  void connection.call<"gc-explain">({ op: "gc-explain" });
  expect(connection.isAwaited).toBe(true);
});
