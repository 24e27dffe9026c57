/**
 * One tab's engine behind the protocol: views, transactions, queries and writes on named collections. Everything is
 * addressed by full keys; values stay bytes.
 */
import type { ByteKey, Seq, TabId } from "../base/brand.ts";
import type { Clock } from "../base/clock.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import {
  type EndingBatch,
  indexEntriesOf,
  readWrites,
  recordValue,
  type Write,
  type WriteBatch,
} from "../codec/record.ts";
import type { Catalog } from "../codec/schema.ts";
import { packValues, type Values } from "../codec/values.ts";
import { Committer } from "../mvcc/committer.ts";
import { type CommitDone, type CommitRequest, conflict, type Inside, type Isolation } from "../mvcc/group.ts";
import { type Handle, type HandleOptions, Handles } from "../mvcc/handles.ts";
import { raisePin } from "../mvcc/holders.ts";
import { guardOf } from "../mvcc/read-guard.ts";
import { Reader, type ReadState } from "../mvcc/reader.ts";
import { type RetryPeers, RetryTurns } from "../mvcc/retry-turns.ts";
import { catalogAt, catalogKey, decodeCatalog, type Described, emptyCatalog, Schema } from "../mvcc/schema.ts";
import { type Snapshot, Snapshots } from "../mvcc/snapshots.ts";
import { Store } from "../mvcc/store.ts";
import type { Durability, Storage } from "../storage/contract.ts";
import type { Commit, LogEntry } from "../wal/entry.ts";
import { stageCleared } from "./catalog.ts";
import { CallOrder } from "./call-order.ts";
import { Outside } from "./outside.ts";
import { Rejoining } from "./rejoining.ts";
import { Retirement } from "./retired.ts";
import { scanRecords, type ScannedRecords, type ScanQuery } from "./scan.ts";
import { Submissions } from "./submissions.ts";
import { Uploads } from "./uploads.ts";
import { Watches } from "./watches.ts";
import { keysTaken, lastOfEach } from "./writes.ts";

export interface DatabaseSeams {
  readonly storage: Storage;
  readonly tab: TabId;
  readonly clock: Clock;
  readonly retryPeers: RetryPeers;
  /** Set where tabs cannot coordinate: then the last one to open is the only one to go on. */
  readonly isLone: boolean;
  /** Makes the database where there is none; absent: there is. */
  readonly create?: () => Promise<void>;
}

export interface DatabaseEvents {
  /** Commits of ours are durable: others may be told. */
  committed(entry: LogEntry, bytes: Uint8Array): void;
  /** The head moved, by whomever. */
  advanced(): void;
  touched(handles: readonly number[]): void;
  /** A snapshot was deleted, or a view on one released: what only it kept may go. */
  released(): void;
  catalogChanged(catalog: Catalog): void;
  /** A commit was applied; it may be a step of building indexes. */
  built?(commit: Commit): void;
  damaged(error: TidemarkError): void;
}

export interface BeginOptions {
  readonly tracked: boolean;
  readonly isolation: Isolation;
  /** Look at the log's head itself first. */
  readonly fresh: boolean;
  /** How often it was tried before: retries take turns. */
  readonly attempt: number;
  /** Read what this snapshot keeps, instead of the head. */
  readonly snapshot?: string | undefined;
}

export interface Scanned extends ScannedRecords {
  readonly handle: number;
}

export class Database {
  readonly store: Store;
  readonly handles: Handles;
  readonly snapshots: Snapshots;
  readonly retirement: Retirement;
  readonly uploads: Uploads;
  readonly #rejoining: Rejoining;
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
  #schema = new Schema(emptyCatalog);
  /** Where the schema was last seen to be this one. */
  #schemaSeq = -1;
  #ownHandle = -1;

  private constructor(store: Store, seams: DatabaseSeams, events: DatabaseEvents) {
    this.store = store;
    this.#events = events;
    this.handles = new Handles(store);
    this.retirement = new Retirement(this.handles);
    this.snapshots = new Snapshots(store, store.holds, seams.clock);
    this.#rejoining = new Rejoining(store);
    this.#watches = new Watches(store, (ids) => events.touched(ids));
    this.#turns = new RetryTurns(seams.clock, seams.retryPeers);
    const committed = (entry: LogEntry, bytes: Uint8Array): void => events.committed(entry, bytes);
    this.#committer = new Committer(store, seams.clock, () => this.schema, committed);
    this.#submissions = new Submissions(this.#committer, new Outside(store.staging));
    this.uploads = new Uploads(store);
    store.events = {
      applied: (entry, touched) => this.#applied(entry, touched),
      reloading: (state, at, entries) => this.#reloading(state, at, entries),
      struck: () => events.damaged(new TidemarkError("CORRUPT", "The end of the log was damaged and has been struck")),
      evicted: () => void this.#rejoining.rejoin().catch(noop), // whoever waits for it is told
    };
  }

  /** Recovers the database and joins it. */
  static async open(seams: DatabaseSeams, cacheMaxBytes: number, events: DatabaseEvents): Promise<Database> {
    const { storage, tab, isLone, clock, create } = seams;
    const options = { tab, isLone, cacheMaxBytes, create, now: () => clock.now() };
    const database = new Database(await Store.open(storage, options), seams, events);
    await database.#loadCatalog();
    if (database.store.wasStruck) database.store.events?.struck();
    return database;
  }

  /** In force at the head. */
  get schema(): Schema {
    this.store.settle();
    return this.#schema;
  }
  get catalog(): Catalog {
    return this.schema.catalog;
  }
  /** Whether somebody waits for news: an open handle, or a live query. */
  get isWatched(): boolean {
    return this.handles.size > 0 || this.#watches.size > 0;
  }

  describe(key: ByteKey): Described {
    return this.schema.describe(key);
  }

  /** Opens a view or transaction under a number of the caller's choice; calls on it may follow at once. */
  begin(id: number, options: BeginOptions): Promise<Handle> {
    const begun = this.#begin(id, options).finally(() => this.#beginning.delete(id));
    this.#beginning.set(id, begun);
    return begun;
  }

  async #begin(id: number, options: BeginOptions): Promise<Handle> {
    if (options.attempt > 0) this.#turnOf.set(id, await this.#turns.take(options.attempt));
    else if (options.tracked && this.#turns.isCourtesyDue) await this.#turns.courtesy();
    const isLate = this.#rejoining.isDue;
    if (options.snapshot !== undefined) return this.#openOn(id, options, options.snapshot);
    if (options.fresh || options.attempt > 0) await this.store.follow();
    const open = (): Handle => this.#open(id, options);
    if (isLate) return this.#order.look(() => this.#rejoining.awake().then(open));
    return this.#order.view(open);
  }

  #open(id: number, options: Omit<HandleOptions, "schema">): Handle {
    const { schema } = this; // what is applied first may retire this tab
    return this.handles.open(id, { ...options, ...(this.retirement.reads ?? { schema }) });
  }

  /** @throws NOT_FOUND where there is no such snapshot */
  async #openOn(id: number, options: BeginOptions, name: string): Promise<Handle> {
    for (let evictions = 0; ; evictions++) {
      const hold = await this.snapshots.hold(name);
      try {
        const reader = new Reader(this.store, guardOf(this.store, hold.seq, hold));
        const schema = new Schema(await catalogAt(reader, hold.seq));
        return this.handles.open(id, { ...options, schema, hold });
      } catch (e) {
        await this.snapshots.release(hold);
        if (!isTidemarkError(e, "READ_VIEW_EVICTED") || evictions === maxEvictions) throw e;
      }
    }
  }

  /**
   * Runs `read` on a view of the head of its own, which stays open where that succeeds; on a fresh one where this tab
   * turns out to have been evicted while it slept.
   */
  async #atHead<T>(read: (view: Handle) => Promise<T>): Promise<{ readonly id: number; readonly value: T }> {
    for (let evictions = 0; ; evictions++) {
      const id = this.#ownHandle--;
      const view = await this.#order.view(() => this.#open(id, ownView));
      try {
        return { id, value: await read(view) };
      } catch (e) {
        this.handles.close(id);
        if (!isTidemarkError(e, "READ_VIEW_EVICTED") || evictions === maxEvictions) throw e;
        await this.#rejoining.rejoin();
      }
    }
  }

  /** Keeps the state that the calls made before leave behind. @throws CONSTRAINT where the name is taken */
  createSnapshot(name: string): Promise<Snapshot> {
    return this.#order.look(() => this.snapshots.create(name));
  }

  /** @throws NOT_FOUND */
  async deleteSnapshot(name: string): Promise<void> {
    await this.snapshots.delete(name);
    this.#events.released();
  }

  /** Raises this tab's pin to what its views read; makes it a new one where it was evicted. */
  async raisePin(): Promise<void> {
    const { storage, tab, fence } = this.store;
    if (!(await raisePin(storage, tab, this.handles.oldest(), fence))) await this.store.rejoin();
  }

  /** Commits a step of building indexes, or of a migration. */
  commitOwn(request: CommitRequest): Promise<CommitDone> {
    return this.#submissions.commit(request);
  }

  /** Commits what is decided inside the transaction: upkeep's own commits. */
  commitInside(inside: Inside): Promise<CommitDone> {
    return this.#committer.commitInside(inside);
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
    if (!handle) return;
    if (handle.hold) {
      await this.snapshots.release(handle.hold);
      this.#events.released();
    }
    await this.#submissions.dropped(handle);
  }

  /** The catalog that a handle reads by; of the head where `id` is 0. */
  async catalogOf(id: number): Promise<Catalog> {
    const { catalog } = this;
    return id === 0 ? (this.retirement.reads?.schema.catalog ?? catalog) : (await this.handle(id)).schema.catalog;
  }

  /**
   * Runs `read`, which names tables by the schema of `epoch`, on the handle, or on a view of the head of its own where
   * `id` is 0. @throws CONFLICT where that is not the handle's schema.
   */
  async reading<T>(id: number, epoch: number, read: (handle: Handle) => Promise<T>): Promise<T> {
    const readKnown = (handle: Handle): Promise<T> => {
      refuseOther(handle, epoch);
      return read(handle);
    };
    if (id !== 0) {
      const handle = await this.handle(id);
      return handle.reads ? handle.inOrder(async () => readKnown(handle)) : readKnown(handle);
    }
    const own = await this.#atHead(readKnown);
    this.handles.close(own.id);
    return own.value;
  }

  async get(handle: Handle, keys: readonly ByteKey[]): Promise<Values> {
    const payloads = await handle.getMany(keys);
    const values = payloads.map((p) => p && recordValue(p));
    return packValues(await handle.values(keys, values));
  }

  async has(handle: Handle, keys: readonly ByteKey[]): Promise<boolean[]> {
    return (await handle.getMany(keys)).map((p) => p !== undefined);
  }

  /**
   * The next records of a range, as many as `limit` and `maxBytes` allow, and what is left of it. A scan of the head
   * that does not fit one answer keeps its view open under a number of ours, for the caller to go on with and to end.
   */
  async scan(id: number, epoch: number, query: ScanQuery): Promise<Scanned> {
    if (id !== 0) return { handle: id, ...(await this.reading(id, epoch, (h) => scanRecords(h, query))) };
    const { id: own, value: scanned } = await this.#atHead(async (view) => {
      refuseOther(view, epoch);
      return scanRecords(view, query);
    });
    if (!scanned.rest) this.handles.close(own);
    return { handle: scanned.rest ? own : 0, ...scanned };
  }

  /** Commits writes that depend on nothing read. */
  async write(batch: EndingBatch, epoch: number, durability: Durability, tag: string): Promise<CommitDone> {
    const uploaded = this.uploads.finish(batch);
    try {
      if (!uploaded.writes || epoch !== this.schema.epoch) throw schemaChanged();
      const { last, repeated } = lastOfEach(uploaded.writes, uploaded.isDistinct);
      if (repeated) throw keysTaken([repeated], this.schema);
      const request = { writes: last, durability, tag, schemaEpoch: epoch, ahead: uploaded.ahead };
      return await this.#order.write(() => this.#submissions.commit(request));
    } finally {
      uploaded.drop();
    }
  }

  /**
   * Stages writes in a transaction, all of them or none; per write whether the transaction saw its key there before.
   * @throws CONSTRAINT listing every `add` whose key is taken.
   */
  stage(handle: Handle, epoch: number, batch: WriteBatch): Promise<boolean[]> {
    return handle.inOrder(async () => {
      refuseOther(handle, epoch);
      const { last, repeated } = lastOfEach(readWrites(batch));
      if (repeated) throw keysTaken([repeated], handle.schema);
      const before = await handle.fetch(last.map((w) => w.key));
      const isTaken = (w: Write, i: number): boolean => w.kind === "add" && before[i] !== undefined;
      // Whether the key is there is this call's answer, so it counts as read.
      for (const w of last) if (w.kind !== "put") handle.reads?.key(w.key);
      const refused = last.flatMap((w, position) => (isTaken(w, position) ? [{ key: w.key, position }] : []));
      if (refused.length > 0) throw keysTaken(refused, handle.schema);
      const staged = await this.#submissions.takeOut(handle, last);
      staged.forEach((w, i) => stageOne(handle, w, before[i]));
      return before.map((payload) => payload !== undefined);
    });
  }

  /** Commits a transaction; whatever the outcome, its handle is still to be ended. */
  commit(handle: Handle, durability: Durability, tag: string): Promise<CommitDone> {
    return handle.inOrder(async () => {
      const { writes, reads, emptied, isolation, incarnation, seq: at, basisEpoch: schemaEpoch, schema } = handle;
      if (writes.length === 0) return { seq: at, stamp: this.store.head.stamp, existed: [] };
      const basis = { seq: at, reads: reads!, emptied, isolation, incarnation };
      const brings = schema.epoch === schemaEpoch ? undefined : schema;
      const request = { writes, durability, tag, basis, schemaEpoch, brings };
      return this.#submissions.commitTransaction(handle, request);
    });
  }

  /**
   * Empties a collection within a transaction, whatever its size: it begins anew in other tables. What the transaction
   * does from here on follows the catalog answered.
   */
  clear(handle: Handle, epoch: number, collection: string): Promise<Catalog> {
    return handle.inOrder(async () => {
      refuseOther(handle, epoch);
      return stageCleared(handle, collection);
    });
  }

  /** Another tab asks to let its retry pass first. */
  giveWay(by: TabId | undefined, forMs: number | undefined): void {
    this.#turns.giveWay(by, forMs);
  }

  /** Watches what a handle has read; the handle itself ends, so that an idle live query holds nothing back. */
  async watch(id: number): Promise<void> {
    const handle = await this.handle(id);
    const { tables } = this.schema;
    if (!this.retirement.reads) this.#watches.watch(id, handle, tables); // else nothing it reads changes any more
    this.handles.close(id);
  }

  /** Resolves when nothing is being committed. */
  async idle(): Promise<void> {
    await this.#submissions.idle();
  }

  #applied(entry: LogEntry, touched: readonly ByteKey[]): void {
    if (entry.origin === this.store.tab) this.#committer.found(entry);
    else this.#turns.heardCommit(entry.origin);
    for (const commit of entry.commits) this.#events.built?.(commit);
    const newest = this.store.memtable.newest(catalogKey);
    if (newest && newest.seq > this.#schemaSeq) {
      this.#useCatalog(decodeCatalog(newest.payload), newest.seq, newest.seq - 1);
    }
    if (!this.retirement.reads) this.#watches.touched(touched);
    this.handles.trim();
    this.#events.advanced();
  }

  /** The catalog takes effect with the state it belongs to: no commit is ever judged by another. */
  async #reloading(state: ReadState, at: Seq, entries: readonly LogEntry[]): Promise<() => void> {
    const { seq: before } = this.store.head;
    const catalog = await catalogAt(new Reader(state), at);
    return () => {
      for (const entry of entries) if (entry.origin === this.store.tab) this.#committer.found(entry);
      this.#useCatalog(catalog, at, before);
      this.#watches.all();
      this.#events.advanced();
    };
  }

  async #loadCatalog(): Promise<void> {
    const { seq: at } = this.store.head;
    const catalog = await catalogAt(new Reader(this.store), at);
    if (at > this.#schemaSeq) this.#useCatalog(catalog, at, at);
  }

  /** `before`: the last seq at which the former one was in force, as far as this tab knows. */
  #useCatalog(catalog: Catalog, at: number, before: number): void {
    this.#schemaSeq = at;
    if (catalog.epoch === this.#schema.epoch) return;
    this.retirement.consider(catalog, this.#schema, before);
    this.#schema = new Schema(catalog);
    if (!this.retirement.reads) this.#watches.left(this.#schema.tables);
    this.#events.catalogChanged(catalog);
  }
}

const noop = (): void => undefined;
/** So often one read is begun again. */
const maxEvictions = 10;
/** Of views that we open for a single call. */
const ownView = { tracked: false, isolation: "snapshot" } as const;

const schemaChanged = (): TidemarkError => conflict("the schema changed", "schema");

/** @throws CONFLICT where tables were named by another schema than the handle's: they may be gone in it, or not there yet. */
function refuseOther(handle: Handle, epoch: number): void {
  if (epoch !== handle.schema.epoch) throw schemaChanged();
}

/** An `add` of a free key is a put at commit: that the key was free is among what the transaction read. */
function stageOne(handle: Handle, write: Write, before: Uint8Array | undefined): void {
  const old = before ? indexEntriesOf(write.key, before) : [];
  const now = write.payload ? indexEntriesOf(write.key, write.payload) : [];
  handle.stage(write.kind === "add" ? { ...write, kind: "put" } : write, {
    added: now,
    removed: old.filter((e) => !now.includes(e)),
  });
}
