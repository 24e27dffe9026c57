import { TidemarkError } from "../base/errors.ts";
import type { Definition } from "../codec/schema.ts";
import { checkedGcSettings, type GcSettings } from "../protocol/gc-settings.ts";
import type { OpenRequest, VerifyReport } from "../protocol/messages.ts";
import type { Metrics } from "../protocol/metrics.ts";
import { invalid, unknownOption } from "../protocol/options.ts";
import { Advice, type Log } from "./advice.ts";
import { type ChangeSet, type ChangesOptions, changesOf, checkChanges } from "./changes.ts";
import { Collection, type Sink } from "./collection.ts";
import type { Connection } from "./connection.ts";
import type { HostLink } from "./connectors.ts";
import { definitionOf, migrationVersions } from "./definition.ts";
import type { Diagnostics } from "./diagnostics.ts";
import { Gc } from "./gc.ts";
import { type Live, liveQuery } from "./live.ts";
import { type DatabaseEvents, Session, type SessionOptions } from "./session.ts";
import { abortable, enterAbortable, HeadSource, type Step, unlessAborted } from "./source.ts";
import { Snapshots } from "./snapshots.ts";
import { byteStream, type ByteStreamSource } from "./byte-stream.ts";
import type { ExportOptions, ImportOptions, ImportReport } from "./transfer/options.ts";
import {
  checkTransactionOptions,
  declared,
  runTransaction,
  Transaction,
  type TransactionOptions,
} from "./transaction.ts";
import type { Declarations, ReadOptions } from "./types.ts";
import type { Migrations, RunUpgrade, Upgrade } from "./upgrade.ts";
import { View } from "./view.ts";
import { isHarmlessLoss } from "./worker-death.ts";

export interface DatabaseOptions<C extends Declarations> {
  /** Names the database within the origin. */
  readonly name: string;
  /** Data version; default 1. Opening with a lower one than stored is SCHEMA_OUTDATED. */
  readonly version?: number;
  readonly collections: C;
  /** Collections of earlier programs to remove with all they hold. What is not declared stays until it is named here. */
  readonly dropCollections?: readonly string[];
  /**
   * By version, how records of the version before become those of this one. What a database needs of them runs as it
   * opens, in one tab, in the order of versions and in one transaction that changes the schema too: all or nothing.
   * Records come and go as they are, whatever schema there is. @throws MIGRATION_FAILED naming the version: the database
   * stays as it was
   */
  readonly migrations?: Migrations;
  /** Fills a database that is made, in place of all migrations, in the commit that makes its collections. */
  readonly seed?: (tx: Transaction<C>) => Promise<void>;
  /** Default "indexeddb". "memory" ends with the realm. */
  readonly storage?: OpenRequest["storage"] | GivenStorage;
  /** `false` runs the engine here instead of in a worker; a function makes the worker where the bundler needs help. */
  readonly worker?: false | (() => Worker);
  /** Default "relaxed": a power cut may lose the last moments, never their order. "strict" waits for the disk. */
  readonly durability?: "relaxed" | "strict";
  /** Bytes of blocks kept in the worker's memory; default 16 MB. */
  readonly cacheMaxBytes?: number;
  /** Bytes of recent commits kept in memory before they are folded into blocks; default 4 MB. */
  readonly memtableMaxBytes?: number;
  /** Told what a developer should look into, as read views that were never released. Without it nobody is told. */
  readonly log?: Log;
  /** How garbage is collected; all of it has defaults. */
  readonly gc?: GcSettings;
}

/**
 * Storage of one's own, as `createMemoryStorage()` of `tidemark/testing` makes it: a `StorageFactory`. The engine then runs
 * in this realm, and its handles here are all that coordinate.
 */
export interface GivenStorage {
  open(name: string): Promise<unknown>;
  reopen(name: string): Promise<unknown>;
  remove(name: string): Promise<void>;
  list(): Promise<readonly string[]>;
}

export const isGiven = (storage: unknown): storage is GivenStorage =>
  typeof storage === "object" &&
  storage !== null &&
  (["open", "reopen", "remove", "list"] as const).every((m) => typeof (storage as GivenStorage)[m] === "function");

/** Which one, among those of this realm. */
const numbers = new WeakMap<GivenStorage, number>();
let lastNumber = 0;
function numberOf(storage: GivenStorage): number {
  const known = numbers.get(storage) ?? ++lastNumber;
  numbers.set(storage, known);
  return known;
}

/** What handles of one page share. */
export interface Realm extends Pick<SessionOptions, "hosts" | "locks"> {
  /** Where it is at hand; else it is loaded when it is needed, which takes time. */
  readonly runUpgrade?: RunUpgrade;
}

export interface ReadViewOptions extends ReadOptions {
  /** Looks for commits of other tabs first; default false. */
  readonly fresh?: boolean;
}

/** What is stored, and how safely. */
export interface DatabaseStorage {
  /** In all, and by collection and index. It reads a few blocks at most. */
  metrics(options?: ReadOptions): Promise<Metrics>;
  /**
   * Asks the browser not to clear this origin's data when the disk fills up, or after a time without a visit. It may ask
   * the user. False where it refuses, or knows no such thing.
   */
  persist(): Promise<boolean>;
}

const megabyte = 1024 * 1024;
const known: ReadonlySet<string> = new Set([
  "name",
  "version",
  "collections",
  "dropCollections",
  "migrations",
  "seed",
  "storage",
  "worker",
  "durability",
  "cacheMaxBytes",
  "memtableMaxBytes",
  "log",
  "gc",
]);

/** A handle on a database. Making one does no I/O; it opens on first use. */
export class Database<C extends Declarations> {
  readonly name: string;
  readonly #collections: C;
  readonly #session: Session;
  readonly #head: HeadSource;
  readonly #sink: Sink;
  readonly #advice: Advice;
  /** The body of a transaction runs, and has awaited nothing yet. */
  #isInBody = false;
  /** Called when it closes. */
  #left: (() => void) | undefined;
  readonly #handles = new Map<string, unknown>();
  readonly storage: DatabaseStorage;
  readonly snapshots: Snapshots<C>;
  /** Garbage collection: by hand, and why what is not collected is still there. */
  readonly gc: Gc;

  constructor(
    options: DatabaseOptions<C>,
    link: (options: DatabaseOptions<C>) => Promise<HostLink>,
    realm: Realm = {},
  ) {
    checkOptions(options);
    this.name = options.name;
    this.#collections = options.collections;
    const { name, version = 1, collections, migrations, seed } = options;
    const definition: Definition = {
      ...definitionOf(version, collections, options.dropCollections),
      ...(migrations === undefined ? {} : { migrations: migrationVersions(migrations, version) }),
      ...(seed === undefined ? {} : { seeds: true }),
    };
    const { log } = options;
    this.#advice = new Advice(
      log &&
        ((entry) => {
          this.#session.diary.log(entry);
          log(entry);
        }),
    );
    this.#session = new Session({
      name,
      definition,
      upgrade: async (session, connection) => {
        const runUpgrade = realm.runUpgrade ?? (await import("./upgrade.ts")).runUpgrade;
        const fill = seed as Upgrade["seed"];
        await runUpgrade(session, connection, { version, collections, migrations: migrations ?? {}, seed: fill });
      },
      place: isGiven(options.storage)
        ? `storage ${numberOf(options.storage)}`
        : options.worker === false
          ? "here"
          : "worker",
      starter: options.worker,
      ...realm,
      storage: isGiven(options.storage) ? "memory" : (options.storage ?? "indexeddb"),
      durability: options.durability ?? "relaxed",
      cacheMaxBytes: options.cacheMaxBytes ?? 16 * megabyte,
      memtableMaxBytes: options.memtableMaxBytes ?? 4 * megabyte,
      gc: checkedGcSettings(options.gc),
      link: () => {
        this.#left ??= this.#advice.opened(name, definition);
        return link(options);
      },
    });
    this.#head = new HeadSource(this.#session);
    this.#sink = committingSink(this.#session);
    this.gc = new Gc(this.#session);
    this.snapshots = new Snapshots(this.#session, (of, signal) => this.#keptView(false, signal, of));
    this.storage = {
      metrics: ({ signal } = {}) => enterAbortable(this.#session, signal, (c) => c.call<"metrics">({ op: "metrics" })),
      persist: async () => (await globalThis.navigator?.storage?.persist?.()) ?? false,
    };
  }

  /** Opens now instead of on first use. */
  async open(): Promise<this> {
    await this.#session.open();
    return this;
  }

  /**
   * Ends this handle. Everything called on it before takes effect first, transactions included, so do not await this
   * within one; live queries end at once, with CLOSED.
   */
  close(): Promise<void> {
    this.#left?.();
    return this.#session.close();
  }

  /** The same object for the same name. @throws UNKNOWN_NAME */
  collection<N extends keyof C & string>(name: N): Collection<C[N]> {
    const kept = this.#handles.get(name) as Collection<C[N]> | undefined;
    if (kept) return kept;
    const made = new Collection<C[N]>(name, declared(this.#collections, name), this.#head, this.#sink, (read, what) =>
      liveQuery(this.#session, this.#collections, (view) => read(view.source), what),
    );
    this.#handles.set(name, made);
    return made;
  }

  /**
   * Runs `body` atomically. After a conflict it runs again, at most 10 times, then CONFLICT; throwing rolls back.
   * It may await anything; there is no auto-commit. Calls on this handle within it are not part of it: functions that do
   * a part of the work take `tx`.
   * @throws TRANSACTION_INVALID where `body` begins with another transaction on this handle
   */
  async transaction<R>(body: (tx: Transaction<C>) => Promise<R>, options: TransactionOptions = {}): Promise<R> {
    checkTransactionOptions(options);
    if (this.#isInBody) throw nested();
    const asCalled = { ...options };
    return abortable(options.signal, (settle) =>
      this.#session.enter(() =>
        this.#session.opening((connection) => {
          settle(); // from here on the transaction looks after its signal
          return runTransaction(this.#session, connection, asCalled, (source, sink, attempt) =>
            this.#begin(body, new Transaction(this.#collections, source, sink, attempt)),
          );
        }),
      ),
    );
  }

  /** What a body calls before it awaits anything can be told from what others call meanwhile; what it calls later cannot. */
  #begin<R>(body: (tx: Transaction<C>) => Promise<R>, tx: Transaction<C>): Promise<R> {
    this.#isInBody = true;
    try {
      return body(tx);
    } finally {
      this.#isInBody = false;
    }
  }

  /** Runs `body` on one consistent state. Aborting ends the view; what `body` reads after that is VIEW_RELEASED. */
  read<R>(body: (view: View<C>) => Promise<R>, { signal }: ReadOptions = {}): Promise<R> {
    return this.#opening(signal, async (connection) => {
      const view = this.#view(connection, false);
      try {
        return await abortable(signal, () => body(view));
      } finally {
        view.release();
      }
    });
  }

  /**
   * A read view to keep and release oneself. `fresh` looks for commits of other tabs first. Aborting ends the call, and
   * the view with it where that is still to come; it does nothing to one that is there.
   */
  readView({ fresh = false, signal }: ReadViewOptions = {}): Promise<View<C>> {
    return this.#keptView(fresh, signal);
  }

  #keptView(fresh: boolean, signal: AbortSignal | undefined, snapshot?: string): Promise<View<C>> {
    const open = async (connection: Connection): Promise<View<C>> => {
      try {
        return (await this.#view(connection, fresh, snapshot).opened()).handOut(this.#advice, this.#session);
      } catch (e) {
        if (!isHarmlessLoss(e)) throw e;
        const view = await this.#view(connection.present, fresh, snapshot).opened(); // on the next worker
        return view.handOut(this.#advice, this.#session);
      }
    };
    return this.#opening(signal, open, (late) => late.release());
  }

  /** A step that opens a view, which it does not where the signal aborts before its turn. */
  #opening<T>(signal: AbortSignal | undefined, step: Step<T>, discard?: (late: T) => void): Promise<T> {
    const session = this.#session;
    return enterAbortable(session, signal, () => session.opening(unlessAborted(signal, step)), discard);
  }

  /** A query that runs again whenever what it read through `q` changed, in any tab. */
  live<T>(query: (q: View<C>) => Promise<T>): Live<T> {
    return liveQuery(this.#session, this.#collections, query);
  }

  /**
   * What every commit changed, in any tab, in order: behind `after`, or where the named `consumer` left off. It never
   * ends by itself; leave the loop, abort the signal, or close. Each round begins a feed anew.
   * @throws RESYNC_REQUIRED where what it has to begin with is no longer kept, or a consumer was evicted; CLOSED
   */
  changes<N extends keyof C & string = keyof C & string>(
    options: ChangesOptions<N> = {},
  ): AsyncIterable<ChangeSet<C, N>> {
    checkChanges(this.#collections, options);
    const asCalled = { ...options };
    const names = asCalled.collections ?? (Object.keys(this.#collections) as N[]);
    return { [Symbol.asyncIterator]: () => changesOf<C, N>(this.#session, names, asCalled) };
  }

  /**
   * Resolves when everything committed so far is folded into blocks and the log trimmed. Aborting ends the waiting, not
   * the folding.
   */
  checkpoint({ signal }: ReadOptions = {}): Promise<void> {
    return enterAbortable(this.#session, signal, (c) => c.call<"checkpoint">({ op: "checkpoint" }));
  }

  /** Reads and checks every stored block and log entry; lists what is damaged and which keys it covers. */
  verify({ signal }: ReadOptions = {}): Promise<VerifyReport> {
    return enterAbortable(this.#session, signal, (c) => c.call<"verify">({ op: "verify" }));
  }

  /**
   * All records of one state, that of the call, as bytes that are made as they are read; a part of it is in memory at a
   * time, whatever there is. It keeps a read view open until it is read to its end or cancelled.
   * The stream fails with OPTIONS_INVALID, UNKNOWN_NAME, CORRUPT (see `salvage`), or the signal's reason.
   */
  export(options: ExportOptions = {}): ReadableStream<Uint8Array> {
    return this.#bytes(options.signal, async (view) =>
      (await import("./transfer/export.ts")).exportOf(await view, this.name, options),
    );
  }

  /** As `export`, of all that is intact: the end of the stream lists the damage that was passed over. */
  salvage({ signal }: ReadOptions = {}): ReadableStream<Uint8Array> {
    return this.#bytes(signal, async (view) =>
      (await import("./transfer/export.ts")).salvageOf(await view, this.name, signal),
    );
  }

  /**
   * Writes the records of a stream, in batches of bounded size each of which is written whole or not at all. Whatever it
   * rejects with has `details.resumeAfter`: import the same stream again with that to go on behind what is written.
   * @throws CORRUPT, VALIDATION or FORMAT_UNSUPPORTED saying what of the stream is wrong, and where; OPTIONS_INVALID,
   * UNKNOWN_NAME, CONSTRAINT, KEY_INVALID, VALUE_UNSUPPORTED, the signal's reason, or what reading the stream failed with.
   */
  async import(stream: ReadableStream<Uint8Array>, options: ImportOptions = {}): Promise<ImportReport> {
    const { importFrom } = await import("./transfer/import.ts");
    return importFrom(this, stream, options);
  }

  /** Calls `listener` on an event; the answer stops that. */
  on<E extends keyof DatabaseEvents>(event: E, listener: (payload: DatabaseEvents[E]) => void): () => void {
    return this.#session.on(event, listener);
  }

  /** What this handle knows of itself: its live queries, and what it reported. The database is not asked. */
  diagnostics(): Diagnostics {
    return this.#session.diary.told();
  }

  #bytes(
    signal: AbortSignal | undefined,
    begin: (view: Promise<View<Declarations>>) => Promise<ByteStreamSource>,
  ): ReadableStream<Uint8Array> {
    const view = this.readView() as unknown as Promise<View<Declarations>>; // of the state now, whenever the rest is loaded
    const begun = begin(view);
    begun.catch(() => view.then((v) => v.release()).catch(() => undefined));
    return byteStream(begun, signal);
  }

  #view(connection: Connection, fresh: boolean, snapshot?: string): View<C> {
    return new View(this.#session, this.#collections, connection, this.#session.newHandle(), "view", fresh, snapshot);
  }
}

const nested = (): TidemarkError =>
  new TidemarkError(
    "TRANSACTION_INVALID",
    "A transaction within a transaction would be one of its own: give the outer one's tx to the function that does this part",
    { why: "nested" },
  );

/** Writes that are commits of their own. */
function committingSink(session: Session): Sink {
  const { durability } = session.options;
  return {
    write: (connection, encode) =>
      session.underSchema(connection, async (schema) => {
        const { epoch } = schema;
        const batch = encode(schema);
        return (await connection.call<"write">({ op: "write", ...batch, epoch, durability, tag: "" })).existed;
      }),
    upload: () => session.upload(),
    clear: (collection) =>
      session.opening((now) =>
        runTransaction(session, now, {}, ({ connection }, sink) => sink.clear(collection, connection)),
      ),
    atomically: (_, body, signal) =>
      session.opening((now) =>
        runTransaction(session, now, { ...(signal && { signal }) }, (source, sink) =>
          body(source.connection, source, sink),
        ),
      ),
  };
}

function checkOptions<C extends Declarations>(options: DatabaseOptions<C>): void {
  if (typeof options !== "object" || options === null) throw invalid("options", options, "an object");
  const unknown = Object.keys(options).find((o) => !known.has(o));
  if (unknown !== undefined) throw unknownOption("A database", unknown, known);
  const { name, storage, durability, worker, seed, log } = options;
  checkName(name);
  if (log !== undefined && typeof log !== "function") throw invalid("log", log, "a function of an entry");
  if (seed !== undefined && typeof seed !== "function") throw invalid("seed", seed, "a function of a transaction");
  if (storage !== undefined && storage !== "indexeddb" && storage !== "memory" && !isGiven(storage)) {
    throw invalid("storage", storage, `"indexeddb", "memory" or a StorageFactory`);
  }
  if (durability !== undefined && durability !== "relaxed" && durability !== "strict") {
    throw invalid("durability", durability, `"relaxed" or "strict"`);
  }
  if (worker !== undefined && worker !== false && typeof worker !== "function") {
    throw invalid("worker", worker, "false or a function that makes a worker");
  }
  for (const option of ["cacheMaxBytes", "memtableMaxBytes"] as const) {
    const value = options[option];
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 64 * 1024 || value > 1024 * megabyte)) {
      throw invalid(option, value, "a whole number of bytes from 65536 to 1073741824");
    }
  }
}

export function checkName(name: unknown): asserts name is string {
  if (typeof name !== "string" || name === "") throw invalid("name", name, "a string that is not empty");
}
