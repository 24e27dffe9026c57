/** What pages ask about garbage collection, answered by the rooms that know. */
import { type ByteKey, byteKey, type TabId } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Database } from "../collections/database.ts";
import { isAnyKeeperReleased } from "../gc/cycle.ts";
import { dryRun, type Proof as VersionProof } from "../gc/dry-run.ts";
import { deadTabs, digestOf, floorOf, type Proof } from "../gc/floor.ts";
import { type Basis, executionsIn, readExecutions } from "../gc/journal.ts";
import { holdersIn, pointsOf, readHolders } from "../mvcc/holders.ts";
import { decodeFloorRecord, floorIn, readFloor } from "../mvcc/read-floor.ts";
import { floorKey } from "../mvcc/schema.ts";
import type { GcAdvance, GcExecution, GcProof, GcProofs, GcReport } from "../protocol/gc.ts";

export interface GcSeams {
  readonly database: Database;
  readonly proof: Proof;
  now(): number;
  ticks(): number;
  liveTabs(): Promise<ReadonlySet<TabId>>;
}

/** The floor and the points as they would be if it were advanced now; nothing is written. */
async function basisNow({ database: { store }, proof, now, liveTabs }: GcSeams): Promise<Basis> {
  const dead = await deadTabs(store.storage, liveTabs);
  const [floorRow, ...rows] = await store.storage.read([readFloor, ...readHolders]);
  const left = holdersIn(rows).filter(({ kind, owner }) => kind === "snapshot" || !dead.has(owner as TabId));
  const floor = floorOf(floorIn(floorRow).seq, left, proof);
  return { floor, points: pointsOf(left), nowMs: now(), holders: digestOf(left) };
}

async function proofsFrom(
  seams: GcSeams,
  basis: Basis,
  after: ByteKey | undefined,
  limit: number,
): Promise<{ readonly proofs: readonly VersionProof[]; readonly scanned: number; readonly after?: ByteKey }> {
  const { store } = seams.database;
  return dryRun(store, basis, await isAnyKeeperReleased(store, basis), limit, after);
}

/** A page of what a run would remove. @throws OPTIONS_INVALID for a limit out of range */
export async function gcProofs(seams: GcSeams, after: string | undefined, limit: number): Promise<GcProofs> {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > maxProofs) {
    throw new TidemarkError("OPTIONS_INVALID", `'pageSize' must be a whole number from 1 to ${maxProofs}`, {
      option: "pageSize",
    });
  }
  const { store } = seams.database;
  await store.follow();
  const found = await proofsFrom(seams, await basisNow(seams), after === undefined ? undefined : byteKey(after), limit);
  const proofs = found.proofs.map((proof) => described(seams.database, proof));
  return { proofs, ...(found.after === undefined ? {} : { after: found.after }) };
}
const maxProofs = 100_000;

function described(database: Database, { key, seq, supersededBy, floor, clause, bytes }: VersionProof): GcProof {
  return { ...database.describe(key), seq, supersededBy, floor, clause, bytes };
}

/** What a run would do. Nothing is changed. */
export async function gcDryRun(seams: GcSeams): Promise<Omit<GcReport, "heldBack">> {
  const from = seams.ticks();
  await seams.database.store.follow();
  const basis = await basisNow(seams);
  let [marked, bytes, total] = [0, 0, 0];
  let after: ByteKey | undefined;
  do {
    const page = await proofsFrom(seams, basis, after, proofsAtOnce);
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

export async function gcExecutions({ database }: GcSeams): Promise<readonly GcExecution[]> {
  const [found] = await database.store.storage.read([readExecutions]);
  return executionsIn(found).toReversed();
}

/** The last advances that are still there: upkeep keeps a hundred. */
export async function gcAdvances({ database }: GcSeams): Promise<readonly GcAdvance[]> {
  const versions = await database.systemHistory(floorKey);
  return versions.slice(0, keptAdvances).flatMap(({ seq, payload }) => {
    if (payload === undefined) return [];
    const { floor, at, by, released, evicted } = decodeFloorRecord(payload);
    return [{ seq, floor, at, by, released, evicted }];
  });
}
export const keptAdvances = 100;
