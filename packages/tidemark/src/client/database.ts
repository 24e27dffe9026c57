import { TidemarkError } from "../base/errors.ts";
import { checkedGcSettings, type GcSettings } from "../protocol/gc-settings.ts";
import type { Metrics, OpenRequest, VerifyReport } from "../protocol/messages.ts";
import { type ChangeSet, type ChangesOptions, changesOf, checkChanges } from "./changes.ts";
import { Collection, type Sink } from "./collection.ts";
import type { Connection } from "./connection.ts";
import type { HostLink } from "./connectors.ts";
import { definitionOf, invalid } from "./declare.ts";
import { Gc } from "./gc.ts";
import { Live } from "./live.ts";
import { type DatabaseEvents, Session } from "./session.ts";
import { HeadSource } from "./source.ts";
import { Snapshots } from "./snapshots.ts";
import {
  checkTransactionOptions,
  declared,
  runTransaction,
  Transaction,
  type TransactionOptions,
} from "./transaction.ts";
import type { Declarations } from "./types.ts";
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
  /** Default "indexeddb". "memory" ends with the realm. */
  readonly storage?: OpenRequest["storage"];
  /** `false` runs the engine here instead of in a worker; a function makes the worker where the bundler needs help. */
  readonly worker?: false | (() => Worker);
  /** Default "relaxed": a power cut may lose the last moments, never their order. "strict" waits for the disk. */
  readonly durability?: "relaxed" | "strict";
  /** Bytes of blocks kept in the worker's memory; default 16 MB. */
  readonly cacheMaxBytes?: number;
  /** Bytes of recent commits kept in memory before they are folded into blocks; default 4 MB. */
  readonly memtableMaxBytes?: number;
  /** How garbage is collected; all of it has defaults. */
  readonly gc?: GcSettings;
}

/** What is stored, and how safely. */
export interface DatabaseStorage {
  /** In all, and by collection and index. It reads a few blocks at most. */
  metrics(): Promise<Metrics>;
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
  "storage",
  "worker",
  "durability",
  "cacheMaxBytes",
  "memtableMaxBytes",
  "gc",
]);

/** A handle on a database. Making one does no I/O; it opens on first use. */
export class Database<C extends Declarations> {
  readonly name: string;
  readonly #collections: C;
  readonly #session: Session;
  readonly #head: HeadSource;
  readonly #sink: Sink;
  readonly storage: DatabaseStorage;
  readonly snapshots: Snapshots<C>;
  /** Garbage collection: by hand, and why what is not collected is still there. */
  readonly gc: Gc;

  constructor(options: DatabaseOptions<C>, link: (options: DatabaseOptions<C>) => Promise<HostLink>) {
    checkOptions(options);
    this.name = options.name;
    this.#collections = options.collections;
    this.#session = new Session({
      name: options.name,
      definition: definitionOf(options.version ?? 1, options.collections, options.dropCollections),
      storage: options.storage ?? "indexeddb",
      durability: options.durability ?? "relaxed",
      cacheMaxBytes: options.cacheMaxBytes ?? 16 * megabyte,
      memtableMaxBytes: options.memtableMaxBytes ?? 4 * megabyte,
      gc: checkedGcSettings(options.gc),
      link: () => link(options),
    });
    this.#head = new HeadSource(this.#session);
    this.#sink = committingSink(this.#session);
    this.gc = new Gc(this.#session);
    this.snapshots = new Snapshots(this.#session, (name) => this.#keptView(false, name));
    this.storage = {
      metrics: () => this.#session.enter((c) => c.call<"metrics">({ op: "metrics" })),
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
    return this.#session.close();
  }

  /** @throws UNKNOWN_NAME */
  collection<N extends keyof C & string>(name: N): Collection<C[N]> {
    return new Collection<C[N]>(name, declared(this.#collections, name), this.#head, this.#sink, (read) =>
      this.live((view) => read(view.source)),
    );
  }

  /**
   * Runs `body` atomically. After a conflict it runs again, at most 10 times, then CONFLICT; throwing rolls back.
   * It may await anything; there is no auto-commit.
   */
  async transaction<R>(body: (tx: Transaction<C>) => Promise<R>, options: TransactionOptions = {}): Promise<R> {
    checkTransactionOptions(options);
    const asCalled = { ...options };
    return this.#session.enter(() =>
      this.#session.opening((connection) =>
        runTransaction(this.#session, connection, asCalled, (source, sink, attempt) =>
          body(new Transaction(this.#collections, source, sink, attempt)),
        ),
      ),
    );
  }

  /** Runs `body` on one consistent state. */
  read<R>(body: (view: View<C>) => Promise<R>): Promise<R> {
    return this.#session.enter(() =>
      this.#session.opening(async (connection) => {
        const view = this.#view(connection, false);
        try {
          return await body(view);
        } finally {
          view.release();
        }
      }),
    );
  }

  /** A read view to keep and release oneself. `fresh` looks for commits of other tabs first. */
  readView({ fresh = false }: { fresh?: boolean } = {}): Promise<View<C>> {
    return this.#keptView(fresh);
  }

  #keptView(fresh: boolean, snapshot?: string): Promise<View<C>> {
    return this.#session.enter(() =>
      this.#session.opening(async (connection) => {
        try {
          return await this.#view(connection, fresh, snapshot).opened();
        } catch (e) {
          if (!isHarmlessLoss(e)) throw e;
          return this.#view(connection.present, fresh, snapshot).opened(); // on the next worker
        }
      }),
    );
  }

  /** A query that runs again whenever what it read through `q` changed, in any tab. */
  live<T>(query: (q: View<C>) => Promise<T>): Live<T, C> {
    return new Live(this.#session, this.#collections, query);
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

  /** Resolves when everything committed so far is folded into blocks and the log trimmed. */
  checkpoint(): Promise<void> {
    return this.#session.enter((c) => c.call<"checkpoint">({ op: "checkpoint" }));
  }

  /** Reads and checks every stored block and log entry; lists what is damaged and which keys it covers. */
  verify(): Promise<VerifyReport> {
    return this.#session.enter((c) => c.call<"verify">({ op: "verify" }));
  }

  /** Calls `listener` on an event; the answer stops that. */
  on<E extends keyof DatabaseEvents>(event: E, listener: (payload: DatabaseEvents[E]) => void): () => void {
    return this.#session.on(event, listener);
  }

  #view(connection: Connection, fresh: boolean, snapshot?: string): View<C> {
    return new View(this.#session, this.#collections, connection, this.#session.newHandle(), "view", fresh, snapshot);
  }
}

/** Writes that are commits of their own. */
function committingSink(session: Session): Sink {
  const { durability } = session.options;
  return {
    write: (connection, encode) =>
      session.underSchema(connection, async (schema) => {
        const { epoch } = schema;
        const writes = encode(schema);
        return (await connection.call<"write">({ op: "write", writes, epoch, durability, tag: "" })).existed;
      }),
    clear: (collection) =>
      session.opening((now) =>
        runTransaction(session, now, {}, ({ connection }, sink) => sink.clear(collection, connection)),
      ),
    atomically: (_, body) =>
      session.opening((now) =>
        runTransaction(session, now, {}, (source, sink) => body(source.connection, source, sink)),
      ),
  };
}

function checkOptions(options: DatabaseOptions<Declarations>): void {
  if (typeof options !== "object" || options === null) throw invalid("options", options, "an object");
  const unknown = Object.keys(options).find((o) => !known.has(o));
  if (unknown !== undefined) {
    throw new TidemarkError("OPTIONS_INVALID", `There is no option '${unknown}'`, { option: unknown });
  }
  const { name, storage, durability, worker } = options;
  checkName(name);
  if (storage !== undefined && storage !== "indexeddb" && storage !== "memory") {
    throw invalid("storage", storage, `"indexeddb" or "memory"`);
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
