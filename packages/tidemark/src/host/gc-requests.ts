/** What pages ask about garbage collection, answered by the rooms that know. */
import { type ByteKey, byteKey, seq as seqOf, stamp } from "../base/brand.ts";
import { msOf } from "../base/clock.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Database } from "../collections/database.ts";
import { dryRun, type Proof as VersionProof } from "../gc/dry-run.ts";
import { explainHolders } from "../gc/explain.ts";
import { advancesIn, basisOf, foreseen, type Proof } from "../gc/floor.ts";
import { type Basis, executionsIn, readExecutions } from "../gc/journal.ts";
import { type Holder, holdersIn, pinId, pointsOf, readHolders } from "../mvcc/holders.ts";
import { floorIn, readFloor } from "../mvcc/read-floor.ts";
import type { GcAdvance, GcExecution, GcExplanation, GcHeldBack, GcProof, GcProofs, GcReport } from "../protocol/gc.ts";
import { gcRunChecks } from "../protocol/gc-settings.ts";
import { keptIn, readKept } from "../wal/kept.ts";
import type { Request } from "../protocol/messages.ts";
import { checkOptions } from "../protocol/options.ts";
import { invalidOption } from "./failure.ts";
import type { GcJobs } from "./gc-jobs.ts";
import type { Tabs } from "./tabs.ts";

export type GcRequest = Extract<Request, { op: `gc-${string}` }>;

export interface GcSeams {
  readonly database: Database;
  readonly proof: Proof;
  readonly now: () => number;
  readonly ticks: () => number;
  readonly tabs: Pick<Tabs, "live" | "upkeep">;
}

/** The floor and the points as they would be if our pin were raised and it were advanced now; nothing is written. */
async function basisNow({ database: { store, handles }, proof, now, tabs }: GcSeams): Promise<Basis> {
  const own = pinId(store.tab);
  const raised = (holder: Holder): Holder => (holder.id === own ? { ...holder, seq: handles.oldest() } : holder);
  return basisOf(await foreseen(store.storage, () => tabs.live(), proof, raised), store.fence, now());
}

/** A page of what a run would remove. @throws OPTIONS_INVALID for a limit out of range */
async function gcProofs(seams: GcSeams, after: string | undefined, limit: number): Promise<GcProofs> {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > maxProofs) {
    throw invalidOption("pageSize", `a whole number from 1 to ${maxProofs}`);
  }
  const { store } = seams.database;
  await store.follow();
  const from = after === undefined ? undefined : byteKey(after);
  const found = await dryRun(store, await basisNow(seams), limit, from);
  const proofs = found.proofs.map((proof) => described(seams.database, proof));
  return { proofs, ...(found.after === undefined ? {} : { after: found.after }) };
}
const maxProofs = 100_000;

function described(database: Database, { key, seq, supersededBy, floor, clause, bytes }: VersionProof): GcProof {
  return { ...database.describe(key), seq, supersededBy, floor, clause, bytes };
}

/** What a run would do. Nothing is changed. */
async function gcDryRun(seams: GcSeams): Promise<Omit<GcReport, "heldBack">> {
  const from = seams.ticks();
  const { store } = seams.database;
  await store.follow();
  const basis = await basisNow(seams);
  let [marked, bytes, total] = [0, 0, 0];
  let after: ByteKey | undefined;
  do {
    const page = await dryRun(store, basis, proofsAtOnce, after);
    marked += page.proofs.length;
    for (const proof of page.proofs) bytes += proof.bytes;
    total += page.scanned;
    after = page.after;
  } while (after !== undefined);
  const durationMs = seams.ticks() - from;
  const nothingDone = { deleted: 0, slices: 0, longestSliceMs: 0, cycleId: 0 };
  return { marked, total, durationMs, bytesReclaimed: bytes, ...nothingDone, dryRun: true };
}
const proofsAtOnce = 10_000;

async function gcExecutions({ database }: GcSeams): Promise<readonly GcExecution[]> {
  const [found] = await database.store.storage.read([readExecutions]);
  return executionsIn(found).toReversed();
}

/** The last advances that are still there: upkeep keeps a hundred. */
async function gcAdvances({ database }: GcSeams): Promise<readonly GcAdvance[]> {
  const advances = await advancesIn(database.store);
  return advances.map(({ seq, floor, at, by, released, evicted }) => {
    return { seq, floor, at: msOf(stamp(at)), by, released, evicted };
  });
}

/** Who holds what back. From maintained figures, but for one look at the holders' rows. */
async function gcExplain({ database, proof, tabs }: GcSeams): Promise<GcExplanation> {
  const { store } = database;
  const [[floorRow, keptRow, ...rows], upkeep] = await Promise.all([
    store.storage.read([readFloor, readKept, ...readHolders]),
    tabs.upkeep(),
  ]);
  const { seq: floor } = floorIn(floorRow);
  if (floor > store.head.seq) await store.follow(); // an evicted tab that has not heard of what came since
  const kept = keptIn(keptRow);
  const logBytes = (holder: { kind: string; seq: number }): number =>
    kept && holder.kind === "consumer" && holder.seq < kept.to.seq ? kept.sizeBytes : 0;
  const { head, fence, ledger } = store;
  const situation = { floor, head: head.seq, checkpoint: fence.seq, proof };
  const all = holdersIn(rows);
  ledger.points(pointsOf(all));
  const { holders } = explainHolders(all, ledger, situation);
  return {
    floor,
    head: head.seq,
    holders: holders.map(({ frees, ...holder }) => ({
      ...holder,
      bytesHeld: holder.bytesHeld + logBytes(holder),
      frees: frees.bytes,
      ...(holder.kind === "pin" && holder.owner === store.tab ? { isSelf: true } : {}),
    })),
    reclaimable: ledger.between(seqOf(0), seqOf(Math.min(floor, fence.seq))).bytes,
    ...(upkeep === undefined ? {} : { upkeep }),
  };
}

const heldBack = async (seams: GcSeams): Promise<readonly GcHeldBack[]> =>
  (await gcExplain(seams)).holders.flatMap(({ id, kind, owner, bytesHeld: bytes }) =>
    bytes > 0 ? [{ id, kind, owner, bytes }] : [],
  );

/** Carries out what pages ask of garbage collection, but for what is read from storage as it is. */
export class GcDesk {
  readonly #seams: GcSeams;
  readonly #jobs: GcJobs;

  constructor(seams: GcSeams, jobs: GcJobs) {
    this.#seams = seams;
    this.#jobs = jobs;
  }

  answer(request: GcRequest): Promise<unknown> {
    switch (request.op) {
      case "gc-run":
        return this.#run(request);
      case "gc-steer":
        this.#jobs.steer(request.job, request.what);
        return Promise.resolve();
      case "gc-evict":
        return this.#evict(request.holder);
      case "gc-proofs":
        return gcProofs(this.#seams, request.after, request.limit);
      case "gc-explain":
        return gcExplain(this.#seams);
      case "gc-executions":
        return gcExecutions(this.#seams);
      case "gc-advances":
        return gcAdvances(this.#seams);
      default:
        return unknownRequest(request);
    }
  }

  async execution(id: number): Promise<GcExecution | undefined> {
    return (await gcExecutions(this.#seams)).find((execution) => execution.id === id);
  }

  async #evict(holder: string): Promise<void> {
    const { store } = this.#seams.database;
    await store.follow(); // what was done before it was asked is none of it
    await this.#jobs.run(evictions--, { kind: "evict", holder, since: store.head.seq });
  }

  async #run({ job, isBackground, options }: Extract<GcRequest, { op: "gc-run" }>): Promise<GcReport> {
    checkOptions("A run of garbage collection", options, gcRunChecks);
    const request = { kind: "run", options, isBackground } as const;
    const done = options.dryRun === true ? await gcDryRun(this.#seams) : await this.#jobs.run(job, request);
    return { ...done!, heldBack: await heldBack(this.#seams) };
  }
}
/** Numbers that no page chooses. */
let evictions = -1;

const unknownRequest = (request: never): never => {
  throw new TidemarkError("INTERNAL", `Unknown request '${String((request as { op: unknown }).op)}'`);
};
