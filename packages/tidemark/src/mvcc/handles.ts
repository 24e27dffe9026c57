import { type ByteKey, type Seq, seq, type Stamp } from "../base/brand.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { ValueBytes } from "../codec/aside.ts";
import { presence, recordValue, tableOf, type Write } from "../codec/record.ts";
import type { Version } from "../segments/version.ts";
import { loadOutside } from "../wal/chunks.ts";
import type { Staged } from "../wal/staging.ts";
import type { Isolation } from "./group.ts";
import { Memtable } from "./memtable.ts";
import { after, type Range, ReadSet } from "./read-set.ts";
import { guardOf, type Hold, type ReadGuard } from "./read-guard.ts";
import { Reader } from "./reader.ts";
import type { Damage } from "./verify.ts";
import { SalvagingState } from "./salvage.ts";
import type { Visit } from "./sightings.ts";
import type { Schema } from "./schema.ts";
import type { Store } from "./store.ts";

export interface HandleOptions {
  /** Whether what is read through it is remembered: transactions and live queries. */
  readonly tracked: boolean;
  readonly isolation: Isolation;
  /** In force at its seq. */
  readonly schema: Schema;
  /** Where it reads, if that is not the head: within this tab's pin. */
  readonly at?: Seq;
  /** What it reads on; else it reads at the head. */
  readonly hold?: Hold | undefined;
}

/** A version of a record; without a value it says that the record was deleted. */
export interface StoredVersion {
  readonly seq: Seq;
  readonly stamp: Stamp;
  readonly value: ValueBytes | undefined;
}

/** The seq at which a transaction's own writes stand in its overlay: above every commit. */
const ownSeq = seq(Number.MAX_SAFE_INTEGER);

/** A read view at a fixed seq; with writes of its own it is a transaction. */
export class Handle {
  readonly seq: Seq;
  readonly isolation: Isolation;
  readonly reads: ReadSet | undefined;
  /** The tables that it emptied by giving them up. */
  readonly emptied: ReadSet = new ReadSet();
  /** Of the log that its seq belongs to. */
  readonly incarnation: number;
  /** Epoch of the schema at its seq. */
  readonly basisEpoch: number;
  #schema: Schema;
  /** What keeps the state it reads, where that is not the tab's pin. */
  readonly hold: Hold | undefined;
  readonly #guard: ReadGuard;
  readonly #reader: Reader;
  readonly #store: Store;
  #overlay: Memtable | undefined;
  /** What its writes refer to and no commit has published yet. */
  staged: readonly Staged[] = [];
  readonly #writes = new Map<ByteKey, Write>();
  #tail: Promise<unknown> = Promise.resolve();

  constructor(store: Store, options: HandleOptions) {
    this.#store = store;
    this.hold = options.hold;
    this.seq = options.hold?.seq ?? options.at ?? store.head.seq;
    this.#guard = guardOf(store, this.seq, options.hold);
    this.#reader = new Reader(store, this.#guard);
    this.incarnation = store.fence.incarnation;
    this.isolation = options.isolation;
    this.basisEpoch = options.schema.epoch;
    this.#schema = options.schema;
    this.reads = options.tracked ? new ReadSet() : undefined;
  }

  get writes(): readonly Write[] {
    return [...this.#writes.values()];
  }

  /** By which it reads and writes: that of its seq, or one of its own that is committed with it. */
  get schema(): Schema {
    return this.#schema;
  }

  /** Goes on by a schema of its own. What it wrote to tables that this one no longer has counts no more. */
  useSchema(schema: Schema): void {
    this.#schema = schema;
    for (const key of this.#writes.keys()) if (!schema.tables.has(tableOf(key))) this.#writes.delete(key);
  }

  /** The payloads visible under `keys`, positions matching; remembered as read. */
  async getMany(keys: readonly ByteKey[]): Promise<(Uint8Array | undefined)[]> {
    for (const key of keys) this.reads?.key(key);
    return this.fetch(keys);
  }

  /** As `getMany`, for keys that a range already remembered stands for. */
  async fetch(keys: readonly ByteKey[]): Promise<(Uint8Array | undefined)[]> {
    if (this.#store.hasSlept()) await this.#wake();
    const versions = await this.#reader.getMany(keys, this.seq, this.#overlay);
    this.#refuseStruck();
    return versions.map((v) => v?.payload);
  }

  /**
   * The values of what was read through this view, where some are out of line. They are there for as long as the view
   * is open: what it sees no fold drops. Large blobs stand aside of values of some size: these are nobody's but the reader's.
   * @throws CORRUPT naming the `key`, of `keys` by position, of a value that is damaged.
   */
  async values<Value extends Uint8Array | undefined>(
    keys: ReadonlyMap<number, ByteKey> | readonly ByteKey[],
    values: readonly Value[],
  ): Promise<readonly (Value | ValueBytes)[]> {
    try {
      return await loadOutside(this.#guard.storage, values);
    } catch (e) {
      if (!isTidemarkError(e, "CORRUPT")) throw e;
      await this.#store.reload(); // says so if it is another database by now
      this.#refuseStruck();
      this.#guard.check();
      const { position, ...details } = e.details;
      throw new TidemarkError(
        "CORRUPT",
        e.message,
        { ...details, key: new Map(keys.entries()).get(Number(position)) },
        e,
      );
    }
  }

  /**
   * The versions of `key` that are still stored, up to its seq, newest first, with their values; what it staged itself
   * is none of them. Those that no view sees may be collected meanwhile, and their values with them.
   * @throws CORRUPT where a value is damaged
   */
  async history(key: ByteKey): Promise<readonly StoredVersion[]> {
    this.reads?.key(key);
    if (this.#store.hasSlept()) await this.#wake();
    let versions = await this.#chain(key);
    for (;;) {
      try {
        const values = versions.map(({ payload }) => payload && recordValue(payload));
        const keys = versions.map(() => key);
        const loaded = await this.values(keys, values);
        return versions.map(({ seq: at, stamp }, i) => ({ seq: at, stamp, value: loaded[i] }));
      } catch (e) {
        const left = await this.#chain(key);
        if (!isTidemarkError(e, "CORRUPT") || left.length === versions.length) throw e;
        versions = left;
      }
    }
  }

  async #chain(key: ByteKey): Promise<readonly Version[]> {
    const versions = await this.#reader.chain(key, this.seq);
    this.#refuseStruck();
    return versions.filter((version, i) => !isReindexed(version, versions[i + 1]));
  }

  /** As `Reader.scan`; what was covered of the range is remembered as read. */
  async scan(range: Range, reverse: boolean, visit: Visit): Promise<void> {
    let covered = range;
    if (this.#store.hasSlept()) await this.#wake();
    await this.#reader.scan(range, this.seq, reverse, this.#overlay, (at, payload) => {
      if (visit(at, payload)) return true;
      const { key } = at;
      covered = reverse ? { from: key, to: range.to } : { from: range.from, to: after(key) };
      return false;
    });
    this.#refuseStruck();
    this.reads?.range(covered);
  }

  /**
   * As `scan`, from the beginning to the end, but what lies in blocks that are damaged or gone is passed over, and told of.
   * What other blocks hold of the same stretch is found: it may be older than what was lost.
   */
  async scanIntact(range: Range, visit: Visit): Promise<readonly Damage[]> {
    const state = new SalvagingState(this.#store);
    if (this.#store.hasSlept()) await this.#wake();
    await new Reader(state, this.#guard).scan(range, this.seq, false, this.#overlay, visit);
    this.#refuseStruck();
    return state.blocks.damage;
  }

  /** After a sleep it looks first whether it still is held: what it would read may all be at hand. */
  async #wake(): Promise<void> {
    await this.#guard.storage.read([]);
  }

  /** What it reads at may have been struck from a damaged log, and its seq given to another commit. */
  #refuseStruck(): void {
    if (this.incarnation === this.#store.fence.incarnation) return;
    throw new TidemarkError("STORAGE_LOST", "The end of the log was damaged, and what this view reads may be gone", {
      outcome: "none",
    });
  }

  /** Runs `step` after all earlier steps of this transaction: its reads see its writes in call order. */
  inOrder<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(step);
    this.#tail = done.catch(() => undefined);
    return done;
  }

  /** Stages one write: further reads through this handle see it. `entries` are index entries it adds and removes. */
  stage(write: Write, entries: { readonly added: readonly ByteKey[]; readonly removed: readonly ByteKey[] }): void {
    this.#overlay ??= new Memtable();
    const stamp = this.#store.head.stamp;
    this.#overlay.put(write.key, { seq: ownSeq, stamp, payload: write.payload });
    for (const key of entries.removed) this.#overlay.put(key, { seq: ownSeq, stamp, payload: undefined });
    for (const key of entries.added) this.#overlay.put(key, { seq: ownSeq, stamp, payload: presence });
    this.#writes.set(write.key, write);
  }
}

/**
 * Whether this is the version before it, written again with the keys of a new index: nobody's but the engine's. Who
 * writes a value again that is there writes the very same payload.
 */
function isReindexed({ payload: now }: Version, before: Version | undefined): boolean {
  const old = before?.payload;
  if (!now || !old || sameBytes(now, old)) return false;
  return sameBytes(recordValue(now), recordValue(old));
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The handles a page has open, by the number it gave them. */
export class Handles {
  readonly #store: Store;
  readonly #open = new Map<number, Handle>();

  constructor(store: Store) {
    this.#store = store;
  }

  get size(): number {
    return this.#open.size;
  }

  open(id: number, options: HandleOptions): Handle {
    const handle = new Handle(this.#store, options);
    this.#open.set(id, handle);
    return handle;
  }

  /** @throws VIEW_RELEASED when it was closed, or never opened. */
  get(id: number): Handle {
    const handle = this.#open.get(id);
    if (handle) return handle;
    throw new TidemarkError("VIEW_RELEASED", "This read view or transaction has ended; open a new one to read again");
  }

  /** The handle that was open under this number. */
  close(id: number): Handle | undefined {
    const handle = this.#open.get(id);
    if (this.#open.delete(id)) this.trim();
    return handle;
  }

  closeAll(): void {
    this.#open.clear();
    this.trim();
  }

  /**
   * The smallest seq any handle reads at within the tab's pin; the head where none is open. Those that were evicted hold
   * nothing back any more.
   */
  oldest(): Seq {
    const { head, floor } = this.#store;
    let low = head.seq;
    for (const h of this.#open.values()) if (!h.hold && h.seq < low && h.seq >= floor.seq) low = h.seq;
    return low;
  }

  /** Lets the store forget what commits touched that no open handle can be validated against any more. */
  trim(): void {
    let low = this.#store.head.seq;
    for (const h of this.#open.values()) if (h.reads && h.seq < low) low = h.seq;
    this.#store.window.forgetThrough(low);
  }
}
