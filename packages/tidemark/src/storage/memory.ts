/**
 * The contract in memory, with faults on demand: what the simulator and most tests run on.
 *
 * Each database keeps two states. `live` is what readers see. `kept` is what no crash can take away: it trails behind
 * by the batches at risk, which are the relaxed ones since the last strict one. A strict batch settles all of them; a
 * crash settles the first few, drops the rest and starts again from `kept`. Values never change once stored, so the
 * two states share them and the history costs no copies.
 *
 * A call passes numbered steps: `read` before a read is answered; `commit` before a batch takes effect, `committed`
 * after it did and before its caller hears of it. At each the `onStep` hook decides what happens, so a test that counts
 * the steps of a run can replay it and kill it at every single one.
 */
import { assert, TidemarkError } from "../base/errors.ts";
import { UnderWay } from "../base/under-way.ts";
import {
  type Batch,
  type Committed,
  type Durability,
  type Found,
  type KeyRange,
  type Read,
  type Storage,
  type StorageFactory,
  type StoredEntry,
  type StoredValue,
  type StoreKey,
  type StoreName,
  storeNames,
  type Write,
} from "./contract.ts";

/** How many of the batches at risk outlive a crash: a kill leaves all of them, a power cut perhaps none. */
export type KeepRelaxed = number | "all" | "none";

/** A point between two effects. `n` counts from 1 over the life of the medium. */
export type Step =
  | { readonly n: number; readonly kind: "read"; readonly database: string; readonly reads: readonly Read[] }
  | { readonly n: number; readonly kind: "commit" | "committed"; readonly database: string; readonly batch: Batch };

/**
 * `crash` is `medium.crash()`; for another `keepRelaxed` the hook calls it itself. `lost` kills this connection only,
 * and the caller does not hear whether the call took effect: at `commit` it did not, at `committed` it did. `cut` does
 * so before the call was sent (not at `committed`), and the caller hears that. `quota` (at `commit` only) refuses the
 * batch as a full disk would.
 */
export type Verdict = "go" | "crash" | "lost" | "cut" | "quota";

export interface MemoryOptions {
  /** Commits that would store more than this fail with QUOTA_EXCEEDED. Default: no limit. */
  readonly quotaBytes?: number;
  /** Awaited before a call takes effect and before its caller hears of it; a simulator orders tabs with it. */
  readonly pause?: () => Promise<void>;
}

export interface MediumStats {
  /** Calls of `read`. */
  readonly readCalls: number;
  /** Single reads answered, those of commits included. */
  readonly reads: number;
  readonly entriesRead: number;
  readonly bytesRead: number;
  /** Batches that took effect. */
  readonly commits: number;
  readonly bytesWritten: number;
}

export interface MemoryMedium extends StorageFactory {
  onStep: ((step: Step) => Verdict) | undefined;
  /** Hears of every batch as it takes effect. */
  onWritten: ((writes: readonly Write[]) => void) | undefined;
  quotaBytes: number;
  /** Steps passed so far. */
  readonly steps: number;
  /** A snapshot. */
  readonly stats: MediumStats;
  /** What counts against the quota: keys and values of all databases. */
  readonly usedBytes: number;
  /** How many committed batches of this database a crash could still take. */
  atRisk(database: string): number;
  /** Kills all connections, and of each database's batches at risk all but the first `keepRelaxed` (default none). */
  crash(options?: { readonly keepRelaxed?: KeepRelaxed }): void;
  /** Flips one bit of a stored value, for good. */
  damage(database: string, store: StoreName, key: StoreKey, at: number, bit?: number): void;
}

export function createMemoryStorage(options: MemoryOptions = {}): MemoryMedium {
  return new Medium(options);
}

/** Past so many batches at risk the oldest counts as written: operating systems do not hold on to data for ever. */
const maxAtRisk = 4096;

const keyBytes = (key: StoreKey): number => (typeof key === "number" ? 8 : key.length * 2);

/** One store: its keys in order beside a map of the values. */
class Table {
  #keys: StoreKey[];
  readonly #values: Map<StoreKey, StoredValue>;
  bytes: number;

  constructor(from?: Table) {
    this.#keys = from === undefined ? [] : from.#keys.slice();
    this.#values = new Map(from === undefined ? [] : from.#values);
    this.bytes = from === undefined ? 0 : from.bytes;
  }

  get(key: StoreKey): StoredValue | undefined {
    return this.#values.get(key);
  }

  keys(range: KeyRange, limit: number): StoreKey[] {
    const from = range.from === undefined ? 0 : this.#position(range.from);
    const to = range.to === undefined ? this.#keys.length : this.#position(range.to, true);
    return this.#keys.slice(from, Math.min(to, from + limit));
  }

  /** Stores the value, or removes the key where there is none; returns what was there. */
  set(key: StoreKey, value: StoredValue | undefined): StoredValue | undefined {
    const before = this.#values.get(key);
    if (before !== undefined) this.bytes -= keyBytes(key) + before.length;
    if (value !== undefined) this.bytes += keyBytes(key) + value.length;
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
    if (before === undefined && value !== undefined) this.#keys.splice(this.#position(key), 0, key);
    if (before !== undefined && value === undefined) this.#keys.splice(this.#position(key), 1);
    return before;
  }

  /** Index of the first key ≥ `key`, or with `past` of the first key > `key`. */
  #position(key: StoreKey, past = false): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = this.#keys[middle]!;
      if (there < key || (past && there === key)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

type Tables = Readonly<Record<StoreName, Table>>;
const tables = (from?: Tables): Tables => ({
  log: new Table(from?.log),
  blocks: new Table(from?.blocks),
  meta: new Table(from?.meta),
  blobs: new Table(from?.blobs),
});

function checkKey(store: StoreName, key: StoreKey | undefined): void {
  if (key === undefined) return;
  const fits = store === "meta" ? typeof key === "string" : typeof key === "number" && !Number.isNaN(key);
  assert(fits, `${String(key)} is a key of store ${store}`);
}

/** Does all of `writes`, or none and returns false where an `add` meets a taken key. */
function apply(to: Tables, writes: readonly Write[]): boolean {
  const undo: { table: Table; key: StoreKey; before: StoredValue | undefined }[] = [];
  const set = (table: Table, key: StoreKey, value: StoredValue | undefined): void => {
    undo.push({ table, key, before: table.set(key, value) });
  };
  for (const write of writes) {
    const table = to[write.store];
    if (write.kind === "deleteRange") {
      for (const key of table.keys(write.range, Infinity)) set(table, key, undefined);
    } else if (write.kind === "add" && table.get(write.key) !== undefined) {
      for (const { table: changed, key, before } of undo.reverse()) changed.set(key, before);
      return false;
    } else {
      set(table, write.key, write.kind === "delete" ? undefined : write.value);
    }
  }
  return true;
}

/** The writes with values of their own, keys checked. */
function owned(writes: readonly Write[]): Write[] {
  return writes.map((write) => {
    checkKey(write.store, write.kind === "deleteRange" ? write.range.from : write.key);
    if (write.kind === "deleteRange") checkKey(write.store, write.range.to);
    return write.kind === "add" || write.kind === "put" ? { ...write, value: write.value.slice() } : write;
  });
}

const incomingBytes = (writes: readonly Write[]): number =>
  writes.reduce((n, w) => (w.kind === "add" || w.kind === "put" ? n + keyBytes(w.key) + w.value.length : n), 0);

class Database {
  readonly name: string;
  live: Tables = tables();
  readonly #kept: Tables = tables();
  #atRisk: (readonly Write[])[] = [];
  /** Connections of an earlier life are dead. */
  life = 0;

  constructor(name: string) {
    this.name = name;
  }

  get bytes(): number {
    return storeNames.reduce((sum, store) => sum + this.live[store].bytes, 0);
  }

  get atRisk(): number {
    return this.#atRisk.length;
  }

  find(read: Read): StoredEntry[] {
    const table = this.live[read.store];
    if (read.kind === "get") {
      checkKey(read.store, read.key);
      const value = table.get(read.key);
      return value === undefined ? [] : [{ key: read.key, value: value.slice() }];
    }
    checkKey(read.store, read.range.from);
    checkKey(read.store, read.range.to);
    const keys = table.keys(read.range, read.limit ?? Infinity);
    return keys.map((key) => ({ key, value: read.kind === "keys" ? new Uint8Array() : table.get(key)!.slice() }));
  }

  /** False where an `add` met a taken key. `writes` stay with the database. */
  commit(writes: readonly Write[], durability: Durability): boolean {
    if (!apply(this.live, writes)) return false;
    this.#atRisk.push(writes);
    if (durability === "strict") this.#settle(this.#atRisk.length);
    else if (this.#atRisk.length > maxAtRisk) this.#settle(1);
    return true;
  }

  crash(keep: KeepRelaxed): void {
    this.#settle(keep === "all" ? this.#atRisk.length : keep === "none" ? 0 : keep);
    this.#atRisk = [];
    this.live = tables(this.#kept);
    this.life++;
  }

  #settle(count: number): void {
    for (const writes of this.#atRisk.splice(0, count)) {
      assert(apply(this.#kept, writes), "a batch that was committed applies again");
    }
  }
}

class Medium implements MemoryMedium {
  onStep: ((step: Step) => Verdict) | undefined;
  onWritten: ((writes: readonly Write[]) => void) | undefined;
  quotaBytes: number;
  readonly pause: () => Promise<void>;
  readonly #databases = new Map<string, Database>();
  #steps = 0;
  readonly #stats = { readCalls: 0, reads: 0, entriesRead: 0, bytesRead: 0, commits: 0, bytesWritten: 0 };

  constructor(options: MemoryOptions) {
    this.quotaBytes = options.quotaBytes ?? Infinity;
    this.pause = options.pause ?? (() => Promise.resolve());
  }

  get steps(): number {
    return this.#steps;
  }

  get stats(): MediumStats {
    return { ...this.#stats };
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const database of this.#databases.values()) bytes += database.bytes;
    return bytes;
  }

  async open(name: string): Promise<Storage> {
    await this.pause();
    const database = this.#databases.get(name) ?? new Database(name);
    this.#databases.set(name, database);
    return new MemoryConnection(this, database);
  }

  async reopen(name: string): Promise<Storage | undefined> {
    await this.pause();
    const database = this.#databases.get(name);
    return database && new MemoryConnection(this, database);
  }

  async remove(name: string): Promise<void> {
    await this.pause();
    const database = this.#databases.get(name);
    if (database !== undefined) database.life++;
    this.#databases.delete(name);
  }

  async list(): Promise<readonly string[]> {
    await this.pause();
    return [...this.#databases.keys()].toSorted();
  }

  atRisk(database: string): number {
    return this.#databases.get(database)?.atRisk ?? 0;
  }

  crash({ keepRelaxed = "none" }: { readonly keepRelaxed?: KeepRelaxed } = {}): void {
    for (const database of this.#databases.values()) database.crash(keepRelaxed);
  }

  damage(database: string, store: StoreName, key: StoreKey, at: number, bit = 0): void {
    const value = this.#databases.get(database)?.live[store].get(key);
    assert(value !== undefined && at >= 0 && at < value.length, "there is a byte to damage");
    value[at]! ^= 1 << bit;
  }

  decide(kind: Step["kind"], database: string, about: Batch | readonly Read[]): Verdict {
    const step = { n: ++this.#steps, kind, database, [kind === "read" ? "reads" : "batch"]: about };
    return this.onStep?.(step as Step) ?? "go";
  }

  answer(database: Database, reads: readonly Read[], byCommit: boolean): Found[] {
    const found = reads.map((read) => database.find(read));
    if (!byCommit) this.#stats.readCalls++;
    this.#stats.reads += reads.length;
    for (const entry of found.flat()) {
      this.#stats.entriesRead++;
      this.#stats.bytesRead += entry.value.length;
    }
    return found;
  }

  /** Browsers over quota refuse even a batch that shrinks what is stored; only pure deletes pass. So do we. */
  write(database: Database, writes: readonly Write[], durability: Durability): boolean {
    const bytes = incomingBytes(writes);
    if (bytes > 0 && this.usedBytes + bytes > this.quotaBytes) throw full(database.name);
    if (!database.commit(owned(writes), durability)) return false;
    this.#stats.commits++;
    this.#stats.bytesWritten += bytes;
    this.onWritten?.(writes);
    return true;
  }
}

const full = (database: string): TidemarkError =>
  new TidemarkError("QUOTA_EXCEEDED", "The storage quota is used up; nothing was written.", { database });

class MemoryConnection implements Storage {
  readonly #medium: Medium;
  readonly #database: Database;
  readonly #life: number;
  #cut = false;
  #closed = false;
  readonly #underWay = new UnderWay();
  /** Calls of one connection take effect in their order, as transactions of one connection do. */
  #line: Promise<void> = Promise.resolve();

  constructor(medium: Medium, database: Database) {
    this.#medium = medium;
    this.#database = database;
    this.#life = database.life;
  }

  read(reads: readonly Read[]): Promise<readonly Found[]> {
    return this.#underWay.add(this.#read(reads));
  }

  commit(batch: Batch): Promise<Committed> {
    return this.#underWay.add(this.#commit(batch));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#underWay.ended();
  }

  async #read(reads: readonly Read[]): Promise<readonly Found[]> {
    await this.#turn();
    this.#pass("read", reads);
    const found = this.#medium.answer(this.#database, reads, false);
    await this.#medium.pause();
    this.#check("unknown");
    return found;
  }

  async #commit(batch: Batch): Promise<Committed> {
    await this.#turn();
    this.#pass("commit", batch);
    const result = this.#take(batch);
    if (result.status === "committed") this.#pass("committed", batch);
    await this.#medium.pause();
    this.#check("unknown");
    return result;
  }

  #take(batch: Batch): Committed {
    const found = this.#medium.answer(this.#database, batch.reads ?? [], true);
    const writes = typeof batch.writes === "function" ? batch.writes(found) : batch.writes;
    if (writes === undefined) return { status: "declined", found };
    checkScope(batch, writes);
    // A batch without writes settles nothing: IndexedDB does not touch the disk for it either.
    const done = writes.length === 0 || this.#medium.write(this.#database, writes, batch.durability);
    return done ? { status: "committed", found } : { status: "exists" };
  }

  #turn(): Promise<void> {
    if (this.#closed) throw new TidemarkError("CLOSED", "This storage connection is closed.");
    this.#check("none");
    this.#line = this.#line.then(this.#medium.pause);
    return this.#line;
  }

  #pass(kind: Step["kind"], about: Batch | readonly Read[]): void {
    this.#check("unknown");
    const verdict = this.#medium.decide(kind, this.#database.name, about);
    if (verdict === "crash") this.#medium.crash();
    assert(verdict !== "cut" || kind !== "committed", "what took effect was sent");
    if (verdict === "lost" || verdict === "cut") this.#cut = true;
    this.#check(verdict === "cut" ? "none" : "unknown"); // the hook may have crashed the medium itself
    if (verdict !== "quota") return;
    assert(kind === "commit", "only a commit meets the quota");
    throw full(this.#database.name);
  }

  #check(outcome: "none" | "unknown"): void {
    if (!this.#cut && this.#life === this.#database.life) return;
    throw new TidemarkError("STORAGE_LOST", "The connection to the storage was lost.", { outcome });
  }
}

/** As IndexedDB does, which locks only the stores that a batch names. */
function checkScope({ stores, reads = [], writes }: Batch, chosen: readonly Write[]): void {
  if (typeof writes !== "function" || !stores) return;
  const named = new Set([...stores, ...reads.map((r) => r.store)]);
  for (const { store } of chosen) assert(named.has(store), `a batch writes '${store}', which it does not name`);
}
