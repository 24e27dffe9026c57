/**
 * What a medium must do for us, and all it must do.
 *
 * Four stores of (key → bytes). Two verbs: `read`, a consistent set of reads; and `commit`, one atomic batch of writes
 * that may first look at a few values. Nobody ever holds a transaction open: a batch is either a list, or a synchronous
 * function of what was read inside the same transaction. Prose the types cannot say:
 *
 * - A batch is atomic and isolated: its reads see every batch committed before it and none after; all of its writes or
 *   none become visible.
 * - Calls of one connection take effect in the order in which they were made, as far as they touch the same stores.
 * - `commit` resolves only when the medium has reported completion. With `strict` the batch, and every batch committed
 *   before it, survives power loss; with `relaxed` a crash may lose a suffix of the committed batches, never one out of
 *   the middle.
 * - Values are copied on the way in and out: callers may reuse their buffers after `commit` resolves.
 * - Reads of a batch given as a list are answered from before its writes.
 */
export type StoreName = "log" | "blocks" | "meta" | "blobs";
export const storeNames: readonly StoreName[] = ["log", "blocks", "meta", "blobs"];

/** Within one store keys are all numbers or all strings (`meta`: strings, the others: numbers), in ascending order. */
export type StoreKey = number | string;
export type StoredValue = Uint8Array<ArrayBuffer>;

/** All entries with `from` ≤ key ≤ `to` (either may be absent), ascending, at most `limit`. */
export interface KeyRange {
  readonly from?: StoreKey;
  readonly to?: StoreKey;
}

/** All keys that begin with `prefix`, which ends in "/": next after "/" comes "0". */
export const under = (prefix: string): KeyRange => ({ from: prefix, to: `${prefix.slice(0, -1)}0` });

export type Read =
  | { readonly kind: "get"; readonly store: StoreName; readonly key: StoreKey }
  | { readonly kind: "range"; readonly store: StoreName; readonly range: KeyRange; readonly limit?: number }
  /** Keys alone, without reading values. */
  | { readonly kind: "keys"; readonly store: StoreName; readonly range: KeyRange; readonly limit?: number };

export type Write =
  /** Fails the whole batch with `exists` where the key is taken. */
  | { readonly kind: "add"; readonly store: StoreName; readonly key: StoreKey; readonly value: StoredValue }
  | { readonly kind: "put"; readonly store: StoreName; readonly key: StoreKey; readonly value: StoredValue }
  | { readonly kind: "delete"; readonly store: StoreName; readonly key: StoreKey }
  | { readonly kind: "deleteRange"; readonly store: StoreName; readonly range: KeyRange };

export interface StoredEntry {
  readonly key: StoreKey;
  readonly value: StoredValue;
}

/** The answer to a `Read`, at the same position: a `get` gives at most one entry; `keys` gives entries without bytes. */
export type Found = readonly StoredEntry[];

export type Durability = "relaxed" | "strict";

export interface Batch {
  readonly durability: Durability;
  readonly reads?: readonly Read[];
  /** For a function: the stores it may write, besides those it reads; all where it does not say. */
  readonly stores?: readonly StoreName[];
  /**
   * A list is sent without waiting for the reads. A function is called inside the transaction, with what was read; it
   * must be synchronous, and returning `undefined` declines: nothing is written. It is called once for each time that
   * the batch is tried, which is once unless a connection is lost or the disk is full.
   */
  readonly writes: readonly Write[] | ((found: readonly Found[]) => readonly Write[] | undefined);
  /** To do it twice is as good as to do it once: it is sent again where nobody can say whether it was done. */
  readonly isRepeatable?: boolean;
  /** Where the disk is full: who may have the room that is kept in reserve. Default: not this batch. */
  readonly reserve?: ReserveUse;
}

/**
 * `some`: what only deletes may have a part of the reserve, so that upkeep, which frees the room, finds the rest. `keep`:
 * upkeep that leaves the reserve as it is, but need not wait until it is whole.
 */
export type ReserveUse = "none" | "some" | "all" | "keep";

export type Committed =
  | { readonly status: "committed"; readonly found: readonly Found[] }
  | { readonly status: "declined"; readonly found: readonly Found[] }
  /** An `add` met a taken key; nothing was written. */
  | { readonly status: "exists" };

/** One open database on a medium. */
export interface Storage {
  /**
   * Answers all reads from one consistent state, positions matching.
   * @throws TidemarkError STORAGE_LOST when the connection is gone; CLOSED after `close`.
   */
  read(reads: readonly Read[]): Promise<readonly Found[]>;
  /**
   * @throws TidemarkError QUOTA_EXCEEDED (nothing written), CLOSED, STORAGE_LOST: with `details.outcome` "none" nothing
   * was written, with "unknown" all of it or nothing.
   */
  commit(batch: Batch): Promise<Committed>;
  /** Ends this connection. Batches under way still finish; resolves when they have. Idempotent. */
  close(): Promise<void>;
}

/** A medium: opens, removes and lists databases by name. */
export interface StorageFactory {
  open(name: string): Promise<Storage>;
  /** As `open`, but makes nothing: `undefined` where there is no such database. */
  reopen(name: string): Promise<Storage | undefined>;
  /** Removes everything of that database. The caller sees to it that nobody has it open. */
  remove(name: string): Promise<void>;
  list(): Promise<readonly string[]>;
}

export const get = (store: StoreName, key: StoreKey): Read => ({ kind: "get", store, key });
/** The bytes a `get` found, if any. */
export const valueOf = (found: Found | undefined): StoredValue | undefined => found?.[0]?.value;
