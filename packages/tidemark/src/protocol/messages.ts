/**
 * Every message between a page and its worker. A closed union: what is not here does not cross. Values and records
 * cross as bytes, but for large blobs, which stand aside of them (codec/aside.ts); keys as byte strings; calls made in the
 * same tick travel as one list.
 */
import type { ByteKey, TableId } from "../base/brand.ts";
import type { ErrorCode, ErrorDetails } from "../base/errors.ts";
import type { EndingBatch, WriteBatch, WritePart } from "../codec/record.ts";
import type { Catalog, Definition, StoredCollection } from "../codec/schema.ts";
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
import type { Metrics } from "./metrics.ts";

/** Page and worker refuse to talk when their numbers differ: they come from different builds. */
export const protocolVersion = 6;

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
  /** Pass over what is damaged, and tell of it. Of ranges of records, for their values. */
  readonly isSalvaging?: boolean;
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
  /** The next of a long `write` that follows: it comes while the page still makes the rest, and is not answered for. */
  | { readonly op: "part"; readonly part: WritePart }
  /** The write that parts have come of will not follow. */
  | { readonly op: "part-drop"; readonly upload: number }
  /** CONFLICT by "schema": some of the parts are not here, or it names tables by another one; send it whole. */
  | (EndingBatch & {
      readonly op: "write";
      readonly epoch: number;
      readonly durability: Durability;
      readonly tag: string;
    })
  | (Spoken & WriteBatch & { readonly op: "stage" })
  | {
      readonly op: "commit";
      readonly handle: HandleId;
      readonly durability: Durability;
      readonly tag: string;
    }
  | { readonly op: "watch"; readonly handle: HandleId }
  | (Spoken & { readonly op: "clear"; readonly collection: string })
  /**
   * Merges what the page declares, up to a version, in a transaction: it goes on by that schema. What is to be dropped
   * goes when `drops` says so.
   */
  | { readonly op: "define"; readonly handle: HandleId; readonly version: number; readonly drops: boolean }
  /** A migration record by record: begins it, or joins it where it is under way. */
  | { readonly op: "move-begin"; readonly version: number; readonly collection: string }
  | { readonly op: "move-read"; readonly version: number }
  /** What became of the slice that was read. CONFLICT: another tab was faster; read again. */
  | (WriteBatch & MoveCursor & { readonly op: "move-write"; readonly version: number })
  | { readonly op: "move-cancel"; readonly version: number }
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
  /** Answers when the index is built, or will not be. */
  | { readonly op: "ready"; readonly collection: string; readonly index: string }
  | ChangesRequest
  | { readonly op: "checkpoint" }
  | { readonly op: "verify" }
  | { readonly op: "metrics" };

export interface MoveCursor {
  readonly epoch: number;
  /** Before and behind the slice; absent: the beginning, and the end. */
  readonly after: ByteKey | undefined;
  readonly last: ByteKey | undefined;
  /** So many records, this slice included, of about so many. */
  readonly done: number;
  readonly total: number;
}
/** The next records to migrate, and where they go. */
export interface MoveSlice extends MoveCursor {
  readonly values: Values;
  readonly into: StoredCollection;
}

export interface ScanAnswer {
  /** As far as they were wanted; positions match. */
  readonly values: Values | undefined;
  readonly keys: readonly ByteKey[] | undefined;
  /** Go on with this one: the request's, or, for a scan of the head in several parts, a view opened for it. */
  readonly handle: HandleId;
  /** Where to go on; absent at the end. */
  readonly rest: ScanRest | undefined;
  /** What was passed over; neighbouring answers may both tell of it. */
  readonly damage?: readonly DamageReport[];
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
  readonly what: "block" | "log" | "value" | "row";
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

/** The answer to each kind of request. */
export interface Answers {
  readonly begin: { readonly seq: number };
  readonly end: void;
  readonly get: Values;
  readonly has: readonly boolean[];
  readonly scan: ScanAnswer;
  readonly count: number;
  readonly part: void;
  readonly "part-drop": void;
  readonly write: CommitAnswer;
  /** Per write whether the transaction saw its key there before. */
  readonly stage: readonly boolean[];
  readonly commit: CommitAnswer;
  readonly watch: void;
  /** The catalog that the transaction goes on by. */
  readonly clear: Catalog;
  /** `from`: the version that was stored, 0 in a new database. */
  readonly define: { readonly catalog: Catalog; readonly from: number };
  readonly "move-begin": void;
  /** `undefined`: it is done, or was given up. */
  readonly "move-read": MoveSlice | undefined;
  readonly "move-write": void;
  readonly "move-cancel": void;
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
  readonly history: HistoryAnswer;
  readonly ready: Catalog;
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
  /** A newer program changed the schema, or the storage format, under this one: it cannot write any more. */
  | { readonly type: "outdated"; readonly reason: "schema" | "format"; readonly version?: number }
  /** How far the building of an index is. */
  | {
      readonly type: "upgrade";
      readonly collection: string;
      readonly index: string;
      readonly done: number;
      readonly total: number;
    }
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
      /** What only the page can do, before anything else: fill a new database, or migrate records of this version. */
      readonly pending?: { readonly kind: "seed" | "migrate"; readonly from: number } | undefined;
    }
  | { readonly ok: false; readonly error: Failure };
