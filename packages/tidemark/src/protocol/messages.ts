/**
 * Every message between a page and its worker. A closed union: what is not here does not cross. Values and records
 * cross as bytes, keys as byte strings; calls made in the same tick travel as one list.
 */
import type { ByteKey, TableId } from "../base/brand.ts";
import type { ErrorCode, ErrorDetails } from "../base/errors.ts";
import type { Catalog, Definition } from "../codec/schema.ts";
import type { Values } from "../codec/values.ts";
import type { ChangesAnswer, ChangesRequest, FeedCursor } from "./changes.ts";
import type {
  GcAdvance,
  GcEvent,
  GcExecution,
  GcExplanation,
  GcProofs,
  GcReport,
  GcRunOptions,
  HistoryAnswer,
} from "./gc.ts";
import type { GcSettings } from "./gc-settings.ts";

/** Page and worker refuse to talk when their numbers differ: they come from different builds. */
export const protocolVersion = 3;

export type Durability = "relaxed" | "strict";
export type Isolation = "serializable" | "snapshot";

export interface OpenRequest {
  readonly protocol: number;
  readonly name: string;
  readonly storage: "indexeddb" | "memory";
  readonly definition: Definition;
  readonly cacheMaxBytes: number;
  /** The memtable is folded into blocks when it holds this much. */
  readonly memtableMaxBytes: number;
  /** How the page is that grants slices of background work; absent where nobody does, and the host paces itself. */
  readonly page?: PageState | undefined;
  /** How it collects garbage, as far as that is not the default. */
  readonly gc?: GcSettings | undefined;
  /** Set where the page had it open before: this very database (see `Opened`), not one made anew under its name. */
  readonly database?: number | undefined;
}

/** A handle number is the page's choice; 0 stands for "the head, at the time". */
export type HandleId = number;
/** A view reads; a transaction also writes; what a live query reads is watched. */
export type HandleKind = "view" | "transaction" | "live";

export interface KeyRange {
  readonly from: ByteKey;
  readonly to: ByteKey | undefined;
}

/**
 * What names tables says by the schema of which epoch. Where the handle, or the head, is at another one, the answer is
 * CONFLICT by "schema": fetch the catalog of that handle and ask again.
 */
interface Spoken {
  readonly handle: HandleId;
  readonly epoch: number;
}

/** What a scan or a count looks at. */
interface Ranged extends Spoken {
  /** Full keys in the records' table or an index table; disjoint, in the order in which they are walked. */
  readonly ranges: readonly KeyRange[];
  /** Where the ranges are of an index: the table of its records. */
  readonly records: TableId | undefined;
  /** Of a multi index, where a record has several entries and counts once. */
  readonly once: Once | undefined;
  readonly limit: number | undefined;
}

/** A record counts at the least or the greatest of the entries that it has in the query's ranges, all of them. */
export interface Once {
  readonly within: readonly KeyRange[];
  readonly at: "least" | "greatest";
}

export interface ScanRequest extends Ranged {
  readonly op: "scan";
  readonly reverse: boolean;
  /** So many of the first records are passed over. */
  readonly skip: number;
  readonly wants: ScanWants;
  /** About how many bytes of values and keys one answer may carry. */
  readonly maxBytes: number;
}
/** Keys are full ones: of records, or where the ranges are of an index, of its entries. */
export type ScanWants = "values" | "keys" | "both";

/** How many records there are: `limit` where there are more. */
export interface CountRequest extends Ranged {
  readonly op: "count";
}

export type Request =
  | {
      readonly op: "begin";
      readonly handle: HandleId;
      readonly kind: HandleKind;
      readonly isolation: Isolation;
      /** Look at the log's head itself before opening. */
      readonly fresh: boolean;
      /** How often this transaction was tried before; retries queue. */
      readonly attempt: number;
      /** Of a view: read what this snapshot keeps, instead of the head. */
      readonly snapshot?: string;
    }
  | { readonly op: "end"; readonly handle: HandleId }
  | (Spoken & { readonly op: "get"; readonly keys: readonly ByteKey[] })
  | (Spoken & { readonly op: "has"; readonly keys: readonly ByteKey[] })
  | ScanRequest
  | CountRequest
  | {
      readonly op: "write";
      readonly writes: Uint8Array;
      readonly epoch: number;
      readonly durability: Durability;
      readonly tag: string;
    }
  | (Spoken & { readonly op: "stage"; readonly writes: Uint8Array })
  | {
      readonly op: "commit";
      readonly handle: HandleId;
      readonly durability: Durability;
      readonly tag: string;
    }
  | { readonly op: "watch"; readonly handle: HandleId }
  | (Spoken & { readonly op: "clear"; readonly collection: string })
  | { readonly op: "catalog"; readonly handle: HandleId }
  | { readonly op: "snapshot-create"; readonly name: string }
  | { readonly op: "snapshot-list" }
  | { readonly op: "snapshot-delete"; readonly name: string }
  /** `job`: a number of the page's choice, by which it is told of progress and steers it. */
  | { readonly op: "gc-run"; readonly job: number; readonly isBackground: boolean; readonly options: GcRunOptions }
  | { readonly op: "gc-steer"; readonly job: number; readonly what: "pause" | "resume" | "cancel" }
  /** What a run would remove, a page of it. */
  | { readonly op: "gc-proofs"; readonly after: string | undefined; readonly limit: number }
  | { readonly op: "gc-explain" }
  | { readonly op: "gc-evict"; readonly holder: string }
  | { readonly op: "gc-executions" }
  /** The last floor advances, newest first. */
  | { readonly op: "gc-advances" }
  /** All versions of a record that are still there, newest first. */
  | (Spoken & { readonly op: "history"; readonly key: ByteKey })
  | ChangesRequest
  | { readonly op: "checkpoint" }
  | { readonly op: "verify" }
  | { readonly op: "metrics" };

export interface ScanAnswer {
  /** As far as they were wanted; positions match. */
  readonly values: Values | undefined;
  readonly keys: readonly ByteKey[] | undefined;
  /** Go on with this one: the request's, or, for a scan of the head in several parts, a view opened for it. */
  readonly handle: HandleId;
  /** Where to go on; absent at the end. */
  readonly rest: ScanRest | undefined;
}
/** The ranges before position `range` are dealt with, and of that one this is left. */
export interface ScanRest {
  readonly range: number;
  readonly left: KeyRange;
  /** What is still to be passed over. */
  readonly skip: number;
}

export interface CommitAnswer {
  readonly seq: number;
  /** Per write whether its key was there before. */
  readonly existed: readonly boolean[];
}

/** A named state that stays readable. */
export interface SnapshotReport {
  readonly name: string;
  /** The last commit that it contains. */
  readonly seq: number;
}

/** What `verify` found. */
export interface VerifyReport {
  /** Blocks and log entries that are intact. */
  readonly blocks: number;
  readonly entries: number;
  readonly damage: readonly DamageReport[];
}
export interface DamageReport {
  readonly what: "block" | "log";
  readonly why: string;
  /** The first and last key that the damaged stretch may hold, in the user's terms. */
  readonly from?: KeyReport;
  readonly to?: KeyReport;
}
export interface KeyReport {
  readonly collection: string;
  readonly index?: string;
  readonly key: unknown;
}

export interface Metrics {
  /** Seq of the last commit this tab knows. */
  readonly head: number;
  readonly floor: number;
  readonly checkpoint: number;
  readonly logEntries: number;
  readonly logBytes: number;
  readonly blocks: number;
  readonly blockBytes: number;
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
  /** Of those: their keys and values, without what their block adds and without values out of line. */
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
}

/** The answer to each kind of request. */
export interface Answers {
  readonly begin: { readonly seq: number };
  readonly end: void;
  readonly get: Values;
  readonly has: readonly boolean[];
  readonly scan: ScanAnswer;
  readonly count: number;
  readonly write: CommitAnswer;
  /** Per write whether the transaction saw its key there before. */
  readonly stage: readonly boolean[];
  readonly commit: CommitAnswer;
  readonly watch: void;
  /** The catalog that the transaction goes on by. */
  readonly clear: Catalog;
  readonly catalog: Catalog;
  readonly "snapshot-create": SnapshotReport;
  /** In the order of their names. */
  readonly "snapshot-list": readonly SnapshotReport[];
  readonly "snapshot-delete": void;
  readonly "gc-run": GcReport;
  readonly "gc-steer": void;
  readonly "gc-proofs": GcProofs;
  readonly "gc-explain": GcExplanation;
  readonly "gc-evict": void;
  readonly "gc-executions": readonly GcExecution[];
  readonly "gc-advances": readonly GcAdvance[];
  readonly history: readonly HistoryAnswer[];
  readonly "changes-open": FeedCursor;
  readonly changes: ChangesAnswer;
  readonly "changes-ack": void;
  readonly "changes-end": void;
  readonly checkpoint: void;
  readonly verify: VerifyReport;
  readonly metrics: Metrics;
}

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}
export type Response = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: Failure };

/** What a worker tells its page unasked. */
export type HostEvent =
  /** What was read through these watched handles changed. */
  | { readonly type: "touched"; readonly handles: readonly HandleId[] }
  | { readonly type: "catalog"; readonly catalog: Catalog }
  | { readonly type: "closed"; readonly reason: string }
  /** `job`: the run of this page that it tells of, if it is one of its own. */
  | { readonly type: "gc"; readonly job: number | undefined; readonly event: GcEvent }
  /** Whether background work waits for slices, as that changes. */
  | { readonly type: "work"; readonly waits: boolean }
  | { readonly type: "error"; readonly error: Failure };

export type PageState = "visible" | "hidden";

/** What a page tells of its idle moments. */
export type PageOffer =
  /** One slice may take so long, and begin while the idle moment lasts. */
  | { readonly type: "slice"; readonly budgetMs: number; readonly leftMs: number }
  /** While hidden nobody grants. */
  | { readonly type: "page"; readonly state: PageState };

export interface OfferAnswer {
  /** How long the slice took; absent where none began. */
  readonly usedMs?: number | undefined;
}

/** No idle moment lasts longer, by the specification of `requestIdleCallback`; so no slice has a larger budget. */
export const idleMomentMs = 50;
export const defaultSliceMs = 4;

/** The surface a worker exposes. */
export interface HostSurface {
  /** Says at once that it is there, and by its `protocolVersion` of which build. */
  hello(): Promise<number>;
  /** @throws Failure as a plain object, see `Opened`. */
  open(request: OpenRequest, events: (event: HostEvent) => void): Promise<Opened>;
  /** Answers positions matching, when all of the list are answered. */
  submit(requests: readonly Request[]): Promise<readonly Response[]>;
  /** Answers when the slice is over, or none came of it. @throws OPTIONS_INVALID for what is no offer */
  grant(offer: PageOffer): Promise<OfferAnswer>;
  /** Waits for what is under way, then gives up locks and storage. */
  close(): Promise<Opened>;
  deleteDatabase(name: string, storage: OpenRequest["storage"]): Promise<Opened>;
  listDatabases(storage: OpenRequest["storage"]): Promise<Listed>;
}
/** What a worker exposes: its page can tell whether it lives. */
export interface WorkerSurface extends HostSurface {
  /** Holds this lock until it dies; answers whether there are such locks here. */
  holdForLife(lock: string): Promise<boolean>;
}
export type Listed =
  | { readonly ok: true; readonly databases: readonly { readonly name: string; readonly version: number }[] }
  | { readonly ok: false; readonly error: Failure };
export type Opened =
  | {
      readonly ok: true;
      readonly catalog: Catalog | undefined;
      /** Which database of that name it is: another one once it was deleted and made anew. */
      readonly database?: number;
    }
  | { readonly ok: false; readonly error: Failure };
