/** What crosses between page and worker about garbage collection: plain data, in the user's terms. */
import type { Values } from "../codec/values.ts";

/** The generations that a run looks at; which versions go does not depend on it. */
export type GcKind = "YOUNG_ONLY" | "YOUNG_AND_MIDDLE" | "FULL_GC";

export interface GcRunOptions {
  /** Default FULL_GC. */
  readonly kind?: GcKind;
  /** Says what would go, and changes nothing. */
  readonly dryRun?: boolean;
  /** At most about so many versions go in one step; default 10 000. */
  readonly deleteBatchSize?: number;
  /** Default true: one floor, fixed as the run begins. False: it asks again, until nothing more can go. */
  readonly useSnapshot?: boolean;
  /** Worker time of a slice, in ms; default 4. */
  readonly budgetMs?: number;
}

export interface GcHeldBack {
  readonly id: string;
  readonly kind: HolderKind;
  readonly owner: string;
  readonly bytes: number;
}

export interface GcReport {
  /** Versions found reclaimable, and removed; of so many looked at. */
  readonly marked: number;
  readonly deleted: number;
  readonly total: number;
  readonly durationMs: number;
  readonly bytesReclaimed: number;
  readonly slices: number;
  readonly longestSliceMs: number;
  /** What could not go, by the holder that keeps it. */
  readonly heldBack: readonly GcHeldBack[];
  /** The execution; 0 for a dry run. */
  readonly cycleId: number;
  readonly dryRun: boolean;
}

export type GcStatus = "RUNNING" | "COMPLETED" | "FAILED" | "CANCELLED";

export interface GcExecution {
  readonly id: number;
  readonly type: string;
  /** In ms since 1970. */
  readonly started: number;
  readonly completed?: number;
  readonly status: GcStatus;
  readonly scanned: number;
  readonly marked: number;
  readonly swept: number;
  readonly bytes: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly error?: string;
}

/** Why one version goes, or would go. */
export interface GcProof {
  readonly collection: string;
  readonly index?: string;
  readonly key: unknown;
  readonly seq: number;
  /** The seq of its successor; its own for a deletion with nothing left to hide, 0 for the last one of a cleared collection. */
  readonly supersededBy: number;
  readonly floor: number;
  readonly clause: "floor" | "interval" | "tombstone" | "cleared";
  readonly bytes: number;
}

export interface GcProofs {
  readonly proofs: readonly GcProof[];
  /** Where to go on, opaque; absent at the end. */
  readonly after?: string;
}

/** Where a run stands: told after each step. */
export interface GcProgress {
  readonly cycleId: number;
  readonly phase: "checkpoint" | "sweep" | "done";
  readonly steps: number;
  readonly scanned: number;
  readonly deleted: number;
  readonly bytesReclaimed: number;
}

export type HolderKind = "pin" | "snapshot" | "hold" | "consumer" | "checkpoint";

export interface GcHolder {
  readonly id: string;
  readonly kind: HolderKind;
  /** A tab, the name of a snapshot or of a consumer of changes, or "log". */
  readonly owner: string;
  readonly seq: number;
  /** Commits since. */
  readonly behind: number;
  /**
   * Bytes of superseded versions that it keeps, alone or with others, with their values out of line; of a consumer, with
   * what the log keeps for all.
   */
  readonly bytesHeld: number;
  /** Bytes that could go if it alone were released. */
  readonly frees: number;
  /** A tab that has this database open in this very page. */
  readonly isSelf?: boolean;
}

export interface GcAdvance {
  readonly seq: number;
  readonly floor: number;
  readonly at: number;
  readonly by: string;
  readonly released: readonly string[];
  readonly evicted: readonly string[];
}

export interface GcExplanation {
  readonly floor: number;
  readonly head: number;
  /** By seq: the first is what the floor waits for. */
  readonly holders: readonly GcHolder[];
  /** Bytes of superseded versions that could go now. */
  readonly reclaimable: number;
  /** The tab that does upkeep, as the owner of its pin is named; absent while that goes from one to another. */
  readonly upkeep?: string;
}

export type GcEvent =
  | ({ readonly type: "progress" } & GcProgress)
  | { readonly type: "started" | "ended"; readonly execution: GcExecution };

/** The versions of a record that are still there, newest first. */
export interface HistoryAnswer {
  readonly versions: readonly { readonly seq: number; readonly stamp: number }[];
  /** Positions match; none where it says that the record was deleted. */
  readonly values: Values;
}
