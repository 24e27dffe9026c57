/**
 * One tab's engine behind the protocol: views, transactions, queries and writes on named collections. Everything is
 * addressed by full keys; values stay bytes.
 */
import { type ByteKey, byteKey, type Seq, type TableId, type TabId } from "../base/brand.ts";
import type { Clock } from "../base/clock.ts";
import { TidemarkError } from "../base/errors.ts";
import { decodeKey, keyEnd } from "../codec/key.ts";
import { indexEntriesOf, readWrites, recordValue, tableOf, tablePrefixBytes, type Write } from "../codec/record.ts";
import type { Catalog } from "../codec/schema.ts";
import { packValues, type Values } from "../codec/values.ts";
import type { CommitDone, Isolation } from "../mvcc/group.ts";
import { Committer, type SchemaRules } from "../mvcc/committer.ts";
import { type Handle, Handles } from "../mvcc/handles.ts";
import type { Range } from "../mvcc/read-set.ts";
import { Reader, type ReadState } from "../mvcc/reader.ts";
import { type RetryPeers, RetryTurns } from "../mvcc/retry-turns.ts";
import { Store } from "../mvcc/store.ts";
import type { Durability, Storage } from "../storage/contract.ts";
import type { LogEntry } from "../wal/entry.ts";
import { catalogKey, decodeCatalog, emptyCatalog, tableRange } from "./catalog.ts";
import { CallOrder } from "./call-order.ts";
import { Outside } from "./outside.ts";
import { scanRecords, type ScannedRecords, type ScanQuery } from "./scan.ts";
import { Submissions } from "./submissions.ts";
import { Watches } from "./watches.ts";
import { lastOfEach } from "./writes.ts";

export interface DatabaseSeams {
  readonly storage: Storage;
  readonly tab: TabId;
  readonly clock: Clock;
  readonly retryPeers: RetryPeers;
  /** Set where tabs cannot coordinate: then the last one to open is the only one to go on. */
  readonly isLone: boolean;
}

export interface DatabaseEvents {
  /** Commits of ours are durable: others may be told. */
  committed(entry: LogEntry, bytes: Uint8Array): void;
  /** The head moved, by whomever. */
  advanced(): void;
  touched(handles: readonly number[]): void;
  catalogChanged(catalog: Catalog): void;
  damaged(error: TidemarkError): void;
}

export interface BeginOptions {
  readonly tracked: boolean;
  readonly isolation: Isolation;
  /** Look at the log's head itself first. */
  readonly fresh: boolean;
  /** How often it was tried before: retries take turns. */
  readonly attempt: number;
}

export interface Scanned extends ScannedRecords {
  readonly handle: number;
}

export class Database implements SchemaRules {
  readonly store: Store;
  readonly handles: Handles;
  readonly #committer: Committer;
  readonly #submissions: Submissions;
  readonly #watches: Watches;
  readonly #turns: RetryTurns;
  readonly #events: DatabaseEvents;
  /** Ends of retry turns by handle. */
  readonly #turnOf = new Map<number, () => void>();
  readonly #order = new CallOrder();
  /** Handles that are being opened: calls on them wait. */
  readonly #beginning = new Map<number, Promise<Handle>>();
  #catalog: Catalog = emptyCatalog;
  #catalogSeq = -1;
  #unique: ReadonlySet<number> = new Set();
  #ownHandle = -1;

  private constructor(store: Store, seams: DatabaseSeams, events: DatabaseEvents) {
    this.store = store;
    this.#events = events;
    this.handles = new Handles(store);
    this.#watches = new Watches(store, (ids) => events.touched(ids));
    this.#turns = new RetryTurns(seams.clock, seams.retryPeers);
    this.#committer = new Committer(store, seams.clock, this, (entry, bytes) => events.committed(entry, bytes));
    this.#submissions = new Submissions(this.#committer, new Outside(store.storage, store.staging));
    store.events = {
      applied: (entry, touched) => this.#applied(entry, touched),
      reloading: (state, at, entries) => this.#reloading(state, at, entries),
      struck: () => events.damaged(new TidemarkError("CORRUPT", "The end of the log was damaged and has been struck")),
    };
  }

  /** Recovers the database and joins it. */
  static async open(seams: DatabaseSeams, cacheMaxBytes: number, events: DatabaseEvents): Promise<Database> {
    const { storage, tab, isLone } = seams;
    const database = new Database(await Store.open(storage, { tab, isLone, cacheMaxBytes }), seams, events);
    await database.#loadCatalog();
    if (database.store.wasStruck) database.store.events?.struck();
    return database;
  }

  get catalog(): Catalog {
    return this.#catalog;
  }
  /** Whether somebody waits for news: an open handle, or a live query. */
  get isWatched(): boolean {
    return this.handles.size > 0 || this.#watches.size > 0;
  }
  get epoch(): number {
    return this.#catalog.epoch;
  }
  isUnique(table: number): boolean {
    return this.#unique.has(table);
  }
  get hasUnique(): boolean {
    return this.#unique.size > 0;
  }

  describe(key: ByteKey): { collection: string; index?: string; key: unknown } {
    const table = tableOf(key);
    for (const [collection, stored] of Object.entries(this.#catalog.collections)) {
      if (stored.table === table) return { collection, key: decodeKey(byteKey(key.slice(tablePrefixBytes))) };
      for (const [index, { table: of }] of Object.entries(stored.indexes)) {
        if (of !== table) continue;
        return {
          collection,
          index,
          key: decodeKey(byteKey(key.slice(tablePrefixBytes, keyEnd(key, tablePrefixBytes)))),
        };
      }
    }
    return { collection: "$catalog", key: undefined };
  }

  /** Opens a view or transaction under a number of the caller's choice; calls on it may follow at once. */
  begin(id: number, options: BeginOptions): Promise<Handle> {
    const begun = this.#begin(id, options).finally(() => this.#beginning.delete(id));
    this.#beginning.set(id, begun);
    return begun;
  }

  async #begin(id: number, options: BeginOptions): Promise<Handle> {
    if (options.attempt > 0) this.#turnOf.set(id, await this.#turns.take());
    else if (options.tracked && this.#turns.isCourtesyDue) await this.#turns.courtesy();
    if (options.fresh || options.attempt > 0) await this.store.follow();
    return this.#order.view(() => this.handles.open(id, options));
  }

  /** An open handle. @throws VIEW_RELEASED */
  async handle(id: number): Promise<Handle> {
    return (await this.#beginning.get(id)) ?? this.handles.get(id);
  }

  async end(id: number): Promise<void> {
    await this.#beginning.get(id)?.catch(noop);
    this.#watches.drop(id);
    const handle = this.handles.close(id);
    this.#turnOf.get(id)?.();
    this.#turnOf.delete(id);
    if (handle) await this.#submissions.dropped(handle);
  }

  /** Runs `read` on the handle, or on a view of the head of its own where `id` is 0. */
  async reading<T>(id: number, read: (handle: Handle) => Promise<T>): Promise<T> {
    if (id !== 0) {
      const handle = await this.handle(id);
      return handle.reads ? handle.inOrder(() => read(handle)) : read(handle);
    }
    const own = this.#ownHandle--;
    const handle = await this.#order.view(() => this.handles.open(own, ownView));
    try {
      return await read(handle);
    } finally {
      this.handles.close(own);
    }
  }

  async get(handle: Handle, keys: readonly ByteKey[]): Promise<Values> {
    const payloads = await handle.getMany(keys);
    const values = payloads.map((p) => p && recordValue(p));
    return packValues(await handle.values(keys, values));
  }

  async has(handle: Handle, keys: readonly ByteKey[]): Promise<boolean[]> {
    return (await handle.getMany(keys)).map((p) => p !== undefined);
  }

  async count(handle: Handle, range: Range): Promise<number> {
    let n = 0;
    await handle.scan(range, false, () => {
      n++;
      return true;
    });
    return n;
  }

  /**
   * The next records of a range, as many as `limit` and `maxBytes` allow, and what is left of it. A scan of the head
   * that does not fit one answer keeps its view open under a number of ours, for the caller to go on with and to end.
   */
  async scan(id: number, query: ScanQuery): Promise<Scanned> {
    if (id !== 0) return { handle: id, ...(await this.reading(id, (h) => scanRecords(h, query))) };
    const handle = this.#ownHandle--;
    const view = await this.#order.view(() => this.handles.open(handle, ownView));
    let scanned: ScannedRecords | undefined;
    try {
      scanned = await scanRecords(view, query);
    } finally {
      if (!scanned?.rest) this.handles.close(handle);
    }
    return { handle: scanned.rest ? handle : 0, ...scanned };
  }

  /** Commits writes that depend on nothing read. */
  write(writes: Uint8Array, epoch: number, durability: Durability, tag: string): Promise<CommitDone> {
    const { last, repeated } = lastOfEach(readWrites(writes));
    if (repeated) return Promise.reject(this.#keysTaken([repeated]));
    return this.#order.write(() => this.#submissions.commit({ writes: last, durability, tag, schemaEpoch: epoch }));
  }

  /**
   * Stages writes in a transaction, all of them or none; per write whether the transaction saw its key there before.
   * @throws CONSTRAINT listing every `add` whose key is taken.
   */
  stage(handle: Handle, writes: Uint8Array): Promise<boolean[]> {
    return handle.inOrder(async () => {
      const { last, repeated } = lastOfEach(readWrites(writes));
      if (repeated) throw this.#keysTaken([repeated]);
      const before = await handle.fetch(last.map((w) => w.key));
      const isTaken = (w: Write, i: number): boolean => w.kind === "add" && before[i] !== undefined;
      // Whether the key is there is this call's answer, so it counts as read.
      for (const w of last) if (w.kind !== "put") handle.reads?.key(w.key);
      const refused = last.flatMap((w, position) => (isTaken(w, position) ? [{ key: w.key, position }] : []));
      if (refused.length > 0) throw this.#keysTaken(refused);
      const staged = await this.#submissions.takeOut(handle, last);
      staged.forEach((w, i) => stageOne(handle, w, before[i]));
      return before.map((payload) => payload !== undefined);
    });
  }

  /** Commits a transaction; whatever the outcome, its handle is still to be ended. */
  commit(handle: Handle, epoch: number, durability: Durability, tag: string): Promise<CommitDone> {
    return handle.inOrder(async () => {
      const { writes, reads, isolation, incarnation, seq: at } = handle;
      if (writes.length === 0) return { seq: at, stamp: this.store.head.stamp, existed: [] };
      const basis = { seq: at, reads: reads!, isolation, incarnation };
      return this.#submissions.commitTransaction(handle, { writes, durability, tag, basis, schemaEpoch: epoch });
    });
  }

  /** Deletes every record of a table, within a transaction. */
  clear(handle: Handle, table: TableId): Promise<void> {
    return handle.inOrder(async () => {
      const all: { key: ByteKey; payload: Uint8Array }[] = [];
      await handle.scan(tableRange(table), false, (key, payload) => {
        all.push({ key, payload });
        return true;
      });
      for (const { key, payload } of all) {
        handle.stage({ kind: "delete", key, payload: undefined }, { added: [], removed: indexEntriesOf(key, payload) });
      }
    });
  }

  /** Another tab asks to let its retry pass first. */
  giveWay(): void {
    this.#turns.giveWay();
  }

  /** Watches what a handle has read; the handle itself ends, so that an idle live query holds nothing back. */
  async watch(id: number): Promise<void> {
    this.#watches.watch(id, await this.handle(id));
    this.handles.close(id);
  }

  /** Resolves when nothing is being committed. */
  async idle(): Promise<void> {
    await this.#submissions.idle();
  }

  #keysTaken(refused: readonly { readonly key: ByteKey; readonly position: number }[]): TidemarkError {
    const failures = refused.map(({ key, position }) => ({
      position,
      key: this.describe(key).key,
      code: "CONSTRAINT" as const,
    }));
    const where = this.describe(refused[0]!.key);
    return new TidemarkError("CONSTRAINT", `A record with this key is already in '${where.collection}'`, {
      ...where,
      constraint: "key",
      failures,
    });
  }

  #applied(entry: LogEntry, touched: readonly ByteKey[]): void {
    if (entry.origin === this.store.tab) this.#committer.found(entry);
    else this.#turns.heardCommit();
    const newest = this.store.memtable.newest(catalogKey);
    if (newest && newest.seq > this.#catalogSeq) this.#useCatalog(newest.payload, newest.seq);
    this.#watches.touched(touched);
    this.handles.trim();
    this.#events.advanced();
  }

  /** The catalog takes effect with the state it belongs to: no commit is ever judged by another. */
  async #reloading(state: ReadState, at: Seq, entries: readonly LogEntry[]): Promise<() => void> {
    const catalog = await new Reader(state).get(catalogKey, at);
    return () => {
      for (const entry of entries) if (entry.origin === this.store.tab) this.#committer.found(entry);
      this.#useCatalog(catalog?.payload, at);
      this.#watches.all();
      this.#events.advanced();
    };
  }

  #loadCatalog(): Promise<void> {
    return this.reading(0, async (handle) => {
      const [payload] = await handle.fetch([catalogKey]);
      if (handle.seq > this.#catalogSeq) this.#useCatalog(payload, handle.seq);
    });
  }

  #useCatalog(payload: Uint8Array | undefined, at: number): void {
    const before = this.#catalog.epoch;
    this.#catalog = decodeCatalog(payload);
    this.#catalogSeq = at;
    const unique = new Set<number>();
    for (const c of Object.values(this.#catalog.collections)) {
      for (const i of Object.values(c.indexes)) if (i.unique) unique.add(i.table);
    }
    this.#unique = unique;
    if (this.#catalog.epoch !== before) this.#events.catalogChanged(this.#catalog);
  }
}

const noop = (): void => undefined;
/** Of views that we open for a single call. */
const ownView = { tracked: false, isolation: "snapshot" } as const;

/** An `add` of a free key is a put at commit: that the key was free is among what the transaction read. */
function stageOne(handle: Handle, write: Write, before: Uint8Array | undefined): void {
  const old = before ? indexEntriesOf(write.key, before) : [];
  const now = write.payload ? indexEntriesOf(write.key, write.payload) : [];
  handle.stage(write.kind === "add" ? { ...write, kind: "put" } : write, {
    added: now,
    removed: old.filter((e) => !now.includes(e)),
  });
}
