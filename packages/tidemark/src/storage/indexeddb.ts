/**
 * The contract on IndexedDB.
 *
 * One database per name, version 1 for ever, four stores with out-of-line keys. Inside a transaction requests are sent
 * in a row without waiting, and only the last read's event is listened to: requests succeed in the order they were
 * made, so by then the others have, too. A batch given as a function decides inside that
 * event, while the transaction is still active. Nothing is ever awaited inside a transaction.
 *
 * When to call `tx.commit()`: it saves a round trip, but in Firefox (seen in 153) a request that fails after it does not
 * undo the transaction; it completes with the other writes done. So `commit()` is called at once only where a batch has
 * at most one write; others complete by themselves after their last request. For the same reason errors are noted when
 * requests report them, and a transaction that completes is still asked for noted errors. In WebKit `commit()` is never
 * called: there (seen in 2.50) a page that is reloaded soon after it often leaves the transaction open, and every tab's
 * writes wait for ever (decision 4).
 */
import { TidemarkError } from "../base/errors.ts";
import { isWebKit } from "../base/webkit.ts";
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
  type StoredValue,
  type StoreKey,
  type StoreName,
  storeNames,
  type Write,
} from "./contract.ts";

const prefix = "tidemark/";
const nothing: StoredValue = new Uint8Array();

export interface IndexedDbOptions {
  /** How long `remove` waits for connections that do not close, before it rejects with BUSY. Default 5 s. */
  readonly removeTimeoutMs?: number;
}

export function indexedDbStorage({ removeTimeoutMs = 5_000 }: IndexedDbOptions = {}): StorageFactory {
  return {
    open: (name) => reporting(async () => new IndexedDbConnection(await openDatabase(name))),
    reopen: (name) => reporting(() => reopened(name)),
    remove: (name) => reporting(() => removeDatabase(name, removeTimeoutMs)),
    list: () => reporting(listDatabases),
  };
}

async function reporting<T>(work: () => Promise<T>): Promise<T> {
  try {
    if (typeof indexedDB === "undefined" || indexedDB === null) throw noIndexedDb();
    return await work();
  } catch (error) {
    throw translated(error, "none");
  }
}

/** `isRefused` is asked, before anything is made, where there is no such database; then the opening is undone. */
async function openDatabase(name: string, isRefused: () => boolean = () => false): Promise<IDBDatabase> {
  const opening = indexedDB.open(prefix + name, 1);
  opening.onupgradeneeded = () => {
    if (isRefused()) opening.transaction!.abort();
    else for (const store of storeNames) opening.result.createObjectStore(store);
  };
  const db = await resultOf(opening);
  const missing = storeNames.filter((store) => !db.objectStoreNames.contains(store));
  if (missing.length === 0) return db;
  db.close();
  throw new TidemarkError("CORRUPT", `The database lacks its stores ${missing.join(", ")}.`, { missing });
}

async function reopened(name: string): Promise<Storage | undefined> {
  let isGone = false;
  try {
    return new IndexedDbConnection(await openDatabase(name, () => (isGone = true)));
  } catch (error) {
    if (isGone) return undefined;
    throw error;
  }
}

/** A deletion that came too late stays requested: the browser does it once the last connection has gone. */
async function removeDatabase(name: string, timeoutMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    const busy = new TidemarkError("BUSY", `Something keeps the database "${name}" from being removed.`, { name });
    timer = setTimeout(() => reject(busy), timeoutMs);
  });
  try {
    await Promise.race([resultOf(indexedDB.deleteDatabase(prefix + name)), tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

const resultOf = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error!);
  });

/** WebKit (seen in 2.50) goes on listing a database whose making was undone, as of version 0. */
async function listDatabases(): Promise<readonly string[]> {
  const made = (await indexedDB.databases()).filter(({ version }) => version !== 0);
  return made
    .map(({ name }) => name ?? "")
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .toSorted();
}

/** A transaction under way. */
class Transaction {
  readonly tx: IDBTransaction;
  /** Resolves at its end: with what went wrong, or `undefined` where all went well. */
  readonly ended: Promise<unknown>;
  /** Whether any write was sent. */
  writing = false;
  readonly #commitsEarly: boolean;
  #error: unknown;

  constructor(tx: IDBTransaction, commitsEarly: boolean) {
    this.tx = tx;
    this.#commitsEarly = commitsEarly;
    this.ended = new Promise((resolve) => {
      tx.onerror = (event) => this.#note((event.target as IDBRequest).error);
      tx.oncomplete = () => resolve(this.#late());
      tx.onabort = () => resolve(this.#error ?? tx.error ?? new DOMException("aborted from outside", "AbortError"));
    });
  }

  /** Runs a part of its work, unless something failed before. What the part throws undoes the whole. */
  run(part: () => void): void {
    if (this.#error !== undefined) return;
    try {
      part();
    } catch (error) {
      this.#error = error;
      this.abort();
    }
  }

  /** All requests are sent: where the browser lets it, the transaction does not wait for their answers. */
  commitEarly(): void {
    if (this.#commitsEarly) this.tx.commit();
  }

  abort(): void {
    try {
      this.tx.abort();
    } catch {
      // It has ended already; its event tells.
    }
  }

  /** At completion: a read that failed before the write that follows it was done leaves the caller without an answer. */
  #late(): unknown {
    const name = nameOf(this.#error);
    if (!this.writing || name === undefined || name === "ConstraintError" || name === "QuotaExceededError") {
      return this.#error;
    }
    return new DOMException(`completed in spite of ${name}`, "UnknownError");
  }

  #note(error: DOMException | null): void {
    // AbortErrors of requests only echo why the transaction was aborted.
    if (error !== null && error.name !== "AbortError") this.#error ??= error;
  }
}

class IndexedDbConnection implements Storage {
  readonly #db: IDBDatabase;
  readonly #commitsEarly = !isWebKit(globalThis.navigator?.userAgent ?? "");
  #gone: "CLOSED" | "STORAGE_LOST" | undefined;
  readonly #underWay = new UnderWay();

  constructor(db: IDBDatabase) {
    this.#db = db;
    db.onclose = () => this.#leave("STORAGE_LOST");
    // Versions never change, so somebody deletes the database: do not stand in the way.
    db.onversionchange = () => this.#leave("STORAGE_LOST");
  }

  /** Answers at the last request's success: nothing that follows can change what was read. */
  async read(reads: readonly Read[]): Promise<readonly Found[]> {
    const work = this.#begin("readonly", storesOf(reads), "relaxed");
    return new Promise((resolve, reject) => {
      void work.ended.then((error) => {
        if (error !== undefined) reject(this.#failure(error, work));
      });
      work.run(() => {
        ask(work, reads, resolve);
        work.commitEarly();
      });
    });
  }

  async commit({ durability, reads = [], stores = storeNames, writes }: Batch): Promise<Committed> {
    const decide = typeof writes === "function" ? writes : undefined;
    const scope =
      typeof writes === "function"
        ? [...new Set([...stores, ...reads.map((r) => r.store)])]
        : storesOf([...reads, ...writes]);
    const work = this.#begin("readwrite", scope, durability);
    let result: Committed = { status: "declined", found: [] };
    work.run(() => {
      ask(work, reads, (found) => {
        const chosen = decide?.(found);
        result = { status: decide !== undefined && chosen === undefined ? "declined" : "committed", found };
        if (decide !== undefined) change(work, chosen ?? []);
      });
      if (typeof writes !== "function") change(work, writes);
    });
    const error = await work.ended;
    if (error === undefined) return result;
    if (nameOf(error) === "ConstraintError") return { status: "exists" };
    throw this.#failure(error, work);
  }

  /** A read is answered before its transaction has ended; whoever ends a worker must know of the latter. */
  async close(): Promise<void> {
    this.#leave("CLOSED");
    await this.#underWay.ended();
  }

  /** Transactions under way still finish, unless the browser took the connection away. */
  #leave(why: "CLOSED" | "STORAGE_LOST"): void {
    if (this.#gone !== "CLOSED") this.#gone = why;
    this.#db.close();
  }

  #begin(mode: "readonly" | "readwrite", stores: readonly StoreName[], durability: Durability): Transaction {
    if (this.#gone === "CLOSED") throw new TidemarkError("CLOSED", "This storage connection is closed.");
    if (this.#gone === "STORAGE_LOST") throw lost("none");
    try {
      const work = new Transaction(this.#db.transaction([...stores], mode, { durability }), this.#commitsEarly);
      void this.#underWay.add(work.ended);
      return work;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** A connection that was lost once is not used again. */
  #failure(error: unknown, work?: Transaction): unknown {
    const failure = translated(error, work?.writing === true ? "unknown" : "none");
    if (failure instanceof TidemarkError && failure.code === "STORAGE_LOST") this.#leave("STORAGE_LOST");
    return failure;
  }
}

/** The stores to lock; a transaction must name at least one. */
function storesOf(touching: readonly { readonly store: StoreName }[]): readonly StoreName[] {
  return touching.length === 0 ? storeNames : [...new Set(touching.map(({ store }) => store))];
}

/** Sends the reads; `done` gets the answers in the last one's success event (at once where nothing was to be asked). */
function ask(work: Transaction, reads: readonly Read[], done: (found: Found[]) => void): void {
  const answers: (() => Found)[] = [];
  let last: IDBRequest | undefined;
  for (const read of reads) {
    const sent = send(work.tx, read);
    answers.push(sent?.answer ?? (() => []));
    last = sent?.request ?? last;
  }
  const finish = (): void => work.run(() => done(answers.map((answer) => answer())));
  if (last === undefined) finish();
  else last.onsuccess = finish;
}

interface Sent {
  /** The last of its requests. */
  readonly request: IDBRequest;
  /** To be called once it has succeeded. */
  readonly answer: () => Found;
}

function send(tx: IDBTransaction, read: Read): Sent | undefined {
  const store = tx.objectStore(read.store);
  if (read.kind === "get") {
    const request = store.get(read.key) as IDBRequest<StoredValue | undefined>;
    const { key } = read;
    return { request, answer: () => (request.result === undefined ? [] : [{ key, value: request.result }]) };
  }
  if (isEmpty(read.range) || read.limit === 0) return undefined;
  const range = keyRange(read.range);
  // To IndexedDB a count of 0 or none is "all", and one beyond 32 bits an error.
  const count = read.limit === undefined || read.limit > 0xffff_ffff ? undefined : read.limit;
  const keys = store.getAllKeys(range, count) as IDBRequest<StoreKey[]>;
  if (read.kind === "keys") {
    return { request: keys, answer: () => keys.result.map((key) => ({ key, value: nothing })) };
  }
  const values = store.getAll(range, count) as IDBRequest<StoredValue[]>;
  return { request: values, answer: () => keys.result.map((key, i) => ({ key, value: values.result[i]! })) };
}

function change(work: Transaction, writes: readonly Write[]): void {
  let sent = 0;
  for (const write of writes) {
    if (write.kind === "deleteRange" && isEmpty(write.range)) continue;
    work.writing = true;
    put(work.tx.objectStore(write.store), write);
    sent++;
  }
  if (sent <= 1) work.commitEarly(); // with more, a failing one would not undo the others: see above
}

function put(store: IDBObjectStore, write: Write): void {
  if (write.kind === "add") store.add(alone(write.value), write.key);
  else if (write.kind === "put") store.put(alone(write.value), write.key);
  else if (write.kind === "delete") store.delete(write.key);
  else {
    const range = keyRange(write.range);
    if (range === undefined) store.clear();
    else store.delete(range);
  }
}

/** Storing a view stores all of its buffer, so a view on a part of one is copied out. */
function alone(value: StoredValue): StoredValue {
  return value.byteLength === value.buffer.byteLength ? value : value.slice();
}

const isEmpty = ({ from, to }: KeyRange): boolean => from !== undefined && to !== undefined && from > to;

function keyRange({ from, to }: KeyRange): IDBKeyRange | undefined {
  if (from !== undefined && to !== undefined) return IDBKeyRange.bound(from, to);
  if (from !== undefined) return IDBKeyRange.lowerBound(from);
  return to === undefined ? undefined : IDBKeyRange.upperBound(to);
}

const nameOf = (error: unknown): string | undefined => (error instanceof DOMException ? error.name : undefined);

const lost = (outcome: "none" | "unknown", cause?: unknown): TidemarkError =>
  new TidemarkError("STORAGE_LOST", "The connection to IndexedDB was lost.", { outcome }, cause);

const noIndexedDb = (cause?: unknown): TidemarkError =>
  new TidemarkError("ENVIRONMENT", "IndexedDB is not available here.", {}, cause);

/** IndexedDB's exceptions as ours; what is not one of them (a batch function's own error) stays as it is. */
function translated(error: unknown, outcome: "none" | "unknown"): unknown {
  switch (nameOf(error)) {
    case undefined:
      return error;
    case "QuotaExceededError":
      return new TidemarkError("QUOTA_EXCEEDED", "The storage quota is used up; nothing was written.", {}, error);
    case "SecurityError":
      return noIndexedDb(error);
    case "VersionError":
      return new TidemarkError("FORMAT_UNSUPPORTED", "The database was made by a newer version.", {}, error);
    case "NotReadableError": // Chromium, where the file of a large value has gone
      return new TidemarkError("CORRUPT", "IndexedDB cannot read a stored value any more.", {}, error);
    case "DataError": // an invalid key …
    case "DataCloneError":
    case "ReadOnlyError":
    case "TransactionInactiveError":
      return new TidemarkError("INTERNAL", "Tidemark misused IndexedDB.", {}, error);
    default: // InvalidStateError, UnknownError, AbortError …: the connection or the backing store is gone
      return lost(outcome, error);
  }
}
