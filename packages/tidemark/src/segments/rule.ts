/**
 * The rule by which versions are reclaimed: the one place that decides it, for folds, compaction, sweeps and dry runs.
 * It is a function of values; what it lets go it names with the proof.
 *
 * A version V committed at c, superseded by its successor n, is seen by exactly the reads at r with c ≤ r < n. It goes
 * iff nobody reads there, now or later:
 *
 *   n ≤ reach           all views read at or above the floor, and recovery from the checkpoint on
 *   no point in [c, n)  but for points: snapshots, and views that were opened on one
 *   no retention        for history, which sees single versions
 *
 * The newest version of a chain has no successor, and stays; only a tombstone goes, once it has nothing left to hide.
 */
import { countBelow } from "../base/ascending.ts";
import type { ByteKey, Seq, TableId } from "../base/brand.ts";
import { seq } from "../base/brand.ts";
import { msOf } from "../base/clock.ts";
import { assert } from "../base/errors.ts";
import { outsideOf } from "../codec/outside.ts";
import { tableOf } from "../codec/record.ts";
import type { Retention } from "../codec/retention.ts";
import type { Version } from "./version.ts";

/** Who may still read, as values: durably decided before it is handed down, and never lowered after. */
export interface Readable {
  /** Nobody reads below it, now or later, but at `points`. */
  readonly floor: Seq;
  /** Seqs that snapshots and views on them read at, ascending. New ones are made at or above the floor. */
  readonly points: readonly Seq[];
  /** Wall time for retention by age, which can only hold back. */
  readonly nowMs: number;
}

export interface Rule extends Readable {
  /** The checkpoint that is durable with whatever is decided by this rule. */
  readonly checkpoint: Seq;
  retentionOf(table: TableId): Retention | undefined;
}

/**
 * `maybe`: nobody looked. `some`: some that stay, and the caller knows what they refer to. `going`: only such as are
 * reclaimable themselves.
 */
export type Elsewhere = "none" | "maybe" | "some" | "going";

/** A version chain as it is at hand. */
export interface Chain {
  readonly key: ByteKey;
  /** Newest first. */
  readonly versions: readonly Version[];
  /** The oldest of the versions of this key that are newer than these and not among them. */
  readonly newer: Newer | undefined;
  /** How many such there are. */
  readonly position: number;
  /** There may be more of them. */
  readonly isPositionLeast?: boolean;
  /** Whether versions older than these survive anywhere. */
  readonly older: Elsewhere;
}
/** A version, or as much of one as the manifest tells. */
export type Newer = Version | { readonly seq: Seq; readonly stamp: undefined };

/** Why it goes. `interval`: older points exist, but none of them sees it. */
export type Clause = "floor" | "interval" | "tombstone";

/**
 * When looking at a version again may gain something: at a floor of this seq; `never` as things are; `onRelease`, when
 * a point is released, or retention changes or time passes.
 */
export type Wake = number;
export const never: Wake = Infinity;
export const onRelease: Wake = -1;

export interface Kept {
  readonly version: Version;
  readonly wake: Wake;
}

/** What goes, and the proof. For a tombstone that is the newest of its key `supersededBy` is its own seq. */
export type Drop = (version: Version, supersededBy: Seq, clause: Clause) => void;

export const reachOf = ({ floor, checkpoint }: Rule): Seq => seq(Math.min(floor, checkpoint));

/** What of the chain stays, newest first; what goes is told to `drop`, newest first but for a last tombstone. */
export function judge(chain: Chain, rule: Rule, drop: Drop): readonly Kept[] {
  const { key, versions, newer, position, older, isPositionLeast = false } = chain;
  const reach = reachOf(rule);
  const retention = rule.retentionOf(tableOf(key));
  const kept: Kept[] = [];
  let successor: Newer | undefined = newer;
  for (let i = 0; i < versions.length; i++) {
    const version = versions[i]!;
    assert(successor === undefined || version.seq < successor.seq, "a version chain is newest first");
    const retained = retention && retains(retention, version, successor, position + i, isPositionLeast, rule);
    if (successor === undefined) kept.push({ version, wake: never });
    else if (successor.seq > reach) kept.push({ version, wake: successor.seq });
    else if (sees(rule.points, version.seq, successor.seq)) kept.push({ version, wake: onRelease });
    else if (retained) kept.push({ version, wake: retained === "surely" ? onRelease : seq(0) });
    // THE DROP LINE. The successor n is at or below the floor and the durable checkpoint, so every view there is or will
    // be reads at some r ≥ floor ≥ n or at a point, and no point lies in [c, n): none sees this version, now or later.
    // The floor was durably raised before it was handed down, and no holder may come in below it; new points are made
    // at the head, or where there is one. Recovery starts at the checkpoint ≥ n. It would not do that c < floor and some
    // newer version exists: if that one is above the floor, a reader at the floor sees this one.
    else if (mayShare(version, i === 0 ? newer : undefined, older, rule)) kept.push({ version, wake: seq(0) });
    else drop(version, successor.seq, clauseOf(rule.points, version.seq));
    successor = version;
  }
  return newer === undefined ? withoutTombstone(kept, older, rule, drop) : kept;
}

/**
 * The newest version may be a tombstone that all readers are past. It hides what is older, so it goes only where nothing
 * older survives anywhere: then a read at any r finds no record with or without it (VG2).
 */
function withoutTombstone(kept: readonly Kept[], older: Elsewhere, rule: Rule, drop: Drop): readonly Kept[] {
  const [newest, ...rest] = kept;
  if (newest === undefined || newest.version.payload !== undefined) return kept;
  const { version } = newest;
  if (version.seq >= rule.floor) return [{ version, wake: version.seq + 1 }, ...rest];
  if (version.seq > rule.checkpoint) return [{ version, wake: rule.checkpoint + 1 }, ...rest];
  if (rest.length > 0 || older === "some") return [{ version, wake: onRelease }, ...rest];
  if (older !== "none") return [{ version, wake: seq(0) }];
  drop(version, version.seq, "tombstone");
  return [];
}

/** Whether a point p has from ≤ p < to. */
function sees(points: readonly Seq[], from: Seq, to: Seq): boolean {
  if (points.length === 0 || points.at(-1)! < from) return false;
  return points[countBelow(points, from)]! < to;
}

const clauseOf = (points: readonly Seq[], c: Seq): Clause =>
  points.length > 0 && points[0]! < c ? "interval" : "floor";

/** `position`: how many versions of its key are newer. `perhaps`: who has all of its chain at hand might deny it. */
function retains(
  { latest = 0, ranges = [], forMs = 0 }: Retention,
  { seq: c }: Version,
  successor: Newer | undefined,
  position: number,
  isPositionLeast: boolean,
  { nowMs }: Rule,
): "surely" | "perhaps" | undefined {
  if (successor === undefined) return "surely";
  if (ranges.some(([from, to]) => c <= to && from < successor.seq)) return "surely";
  if (forMs > 0 && successor.stamp !== undefined && msOf(successor.stamp) + forMs > nowMs) return "surely";
  if (position < latest) return isPositionLeast ? "perhaps" : "surely";
  return forMs > 0 && successor.stamp === undefined ? "perhaps" : undefined;
}

/**
 * Whether a version that stays, and is not at hand, may refer to the value that this one has out of line: the one before
 * it, or an older one that a point sees. Then it stays too, for a sweep to judge, which has the whole chain.
 */
function mayShare({ seq: c, payload }: Version, newer: Newer | undefined, older: Elsewhere, { points }: Rule): boolean {
  const isNewerHidden = newer !== undefined && !("payload" in newer);
  const isOlderHidden = older === "maybe" && points.length > 0 && points[0]! < c;
  return (isNewerHidden || isOlderHidden) && payload !== undefined && outsideOf(payload) !== undefined;
}
