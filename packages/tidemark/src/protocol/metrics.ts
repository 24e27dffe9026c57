/** What a database tells of itself: what is stored, and what background work takes. */

export interface Metrics {
  /** Seq of the last commit this tab knows. */
  readonly head: number;
  readonly floor: number;
  readonly checkpoint: number;
  readonly logEntries: number;
  readonly logBytes: number;
  readonly blocks: number;
  readonly blockBytes: number;
  /** Where those blocks lie: the levels that hold any, uppermost first, which is newest first. */
  readonly levels: readonly LevelUsage[];
  /** Values out of line, within one KB each. */
  readonly blobBytes: number;
  readonly metaBytes: number;
  /** Room kept for deletes and upkeep on a full disk: 1 MB in a database of more than that, less while it is in use. */
  readonly reserveBytes: number;
  /** Versions held in blocks and in memory, index entries included. */
  readonly versions: number;
  readonly memtableBytes: number;
  readonly upkeep: boolean;
  /** What background work of this tab takes of its worker's time. */
  readonly slices: SliceFigures;
  /** By name: every collection of the database, whether or not this page declares it. */
  readonly collections: Readonly<Record<string, CollectionUsage>>;
  /**
   * What cleared and dropped collections, and indexes that were declared anew, left behind. All of it goes once nobody
   * can read it any more, but for what shares a block with something else: that goes when the block is rewritten.
   */
  readonly cleared: Usage;
  /** The schema and the floor, each of which is a record with versions. */
  readonly system: Usage;
  /**
   * Whether the figures of `Usage` are as exact as they say. Otherwise not all garbage is known, as in a database of an
   * earlier format, so `superseded` and `supersededBytes` may be too low or too high; or a block that holds several of
   * these is damaged, and was counted as if it were of the first alone.
   */
  readonly isExact: boolean;
}

export interface LevelUsage {
  readonly blocks: number;
  readonly bytes: number;
  readonly versions: number;
}

/**
 * What the versions of one collection's records, or of one index's entries, take, as far as this tab knows: as of
 * `Metrics.head`. So `versions` of all collections, their indexes, `cleared` and `system` add up to `Metrics.versions`,
 * and `bytes` to `blockBytes` + `memtableBytes`.
 */
export interface Usage {
  /** All that are there, in blocks and in memory: exact. */
  readonly versions: number;
  /** How many of them only say that something was deleted: exact. */
  readonly tombstones: number;
  /**
   * How many of them, without tombstones, are garbage: a newer version of the same record or entry is there. Exact where
   * `Metrics.isExact`; of `system`, and of what of `cleared` nobody can read any more, they are not counted.
   */
  readonly superseded: number;
  /**
   * Of those: their keys and values, without what their block adds. Values out of line count too, once for each version
   * that refers to one, so of them it is an upper bound.
   */
  readonly supersededBytes: number;
  /**
   * What they take. In blocks that is exact, as stored; the head of a block that several share, some 30 bytes and the
   * part that all its keys begin with, is its first one's. In memory it is an estimate, as in `memtableBytes`. What is
   * in memory also lies in the log, whose bytes are in no `Usage`.
   */
  readonly bytes: number;
  /**
   * Of records: bytes of the values out of line that they refer to. An upper bound, as versions of a record that have
   * one value in common count it each. Absent where only reading blocks would tell, and so in general where there are
   * such values and more than a few blocks; `Metrics.blobBytes` has those of all collections together.
   */
  readonly blobBytes?: number;
}

export interface CollectionUsage {
  readonly records: Usage;
  /** By name: every index that there is, whether or not this page declares it. */
  readonly indexes: Readonly<Record<string, Usage>>;
}

/**
 * Why a slice began: the page granted it from an idle moment; the page had calls outstanding for so long that it could
 * not; more waited to be folded than idle moments allow; nobody grants here (hidden, no page, silent); or somebody waits
 * for the work itself.
 */
export type SliceSource = "grant" | "busy" | "assist" | "timer" | "headlong";

/** Durations in ms: the quantiles are told within 9 %, and never too low. */
export interface Spread {
  readonly slices: number;
  readonly totalMs: number;
  readonly longestMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

/** Since the database was opened here, unless otherwise said. What a slice waits for storage does not count. */
export interface SliceFigures extends Spread {
  readonly bySource: Readonly<Record<SliceSource, number>>;
  /** In the last 10 s. */
  readonly usedMs: number;
  /** The share of the last 10 s that was left to everything else. */
  readonly foreground: number;
  /** Slices in which nothing was done, by the same clock: what of the above is the clock's and the scheduler's. */
  readonly empty: Spread;
  /** The last ones, at most 128, oldest first: how long before this was told each ended, and what it took. */
  readonly last: readonly { readonly agoMs: number; readonly ms: number }[];
}
