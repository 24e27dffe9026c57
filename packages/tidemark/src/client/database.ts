import { TidemarkError } from "../base/errors.ts";
import type { Metrics, OpenRequest, VerifyReport } from "../protocol/messages.ts";
import { Collection, type Sink } from "./collection.ts";
import type { HostLink } from "./connectors.ts";
import { definitionOf, invalid } from "./declare.ts";
import { Live } from "./live.ts";
import { type DatabaseEvents, Session } from "./session.ts";
import { HeadSource } from "./source.ts";
import { declared, runTransaction, Transaction, type TransactionOptions } from "./transaction.ts";
import type { Declarations } from "./types.ts";
import { View } from "./view.ts";

export interface DatabaseOptions<C extends Declarations> {
  /** Names the database within the origin. */
  readonly name: string;
  /** Data version; default 1. Opening with a lower one than stored is SCHEMA_OUTDATED. */
  readonly version?: number;
  readonly collections: C;
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
}

const megabyte = 1024 * 1024;
const known: ReadonlySet<string> = new Set([
  "name",
  "version",
  "collections",
  "storage",
  "worker",
  "durability",
  "cacheMaxBytes",
  "memtableMaxBytes",
]);

/** A handle on a database. Making one does no I/O; it opens on first use. */
export class Database<C extends Declarations> {
  readonly name: string;
  readonly #collections: C;
  readonly #session: Session;
  readonly #head: HeadSource;
  readonly #sink: Sink;
  readonly storage: { metrics(): Promise<Metrics> };

  constructor(options: DatabaseOptions<C>, link: (options: DatabaseOptions<C>) => Promise<HostLink>) {
    checkOptions(options);
    this.name = options.name;
    this.#collections = options.collections;
    this.#session = new Session({
      name: options.name,
      definition: definitionOf(options.version ?? 1, options.collections),
      storage: options.storage ?? "indexeddb",
      durability: options.durability ?? "relaxed",
      cacheMaxBytes: options.cacheMaxBytes ?? 16 * megabyte,
      memtableMaxBytes: options.memtableMaxBytes ?? 4 * megabyte,
      link: () => link(options),
    });
    this.#head = new HeadSource(this.#session);
    this.#sink = committingSink(this.#session);
    this.storage = { metrics: async () => (await this.#head.connect()).call<"metrics">({ op: "metrics" }) };
  }

  /** Opens now instead of on first use. */
  async open(): Promise<this> {
    await this.#session.open();
    return this;
  }

  /** Ends this handle after its writes are done. */
  close(): Promise<void> {
    return this.#session.close();
  }

  /** @throws UNKNOWN_NAME */
  collection<N extends keyof C & string>(name: N): Collection<C[N]> {
    return new Collection<C[N]>(name, declared(this.#collections, name), this.#head, this.#sink);
  }

  /**
   * Runs `body` atomically. After a conflict it runs again, at most 10 times, then CONFLICT; throwing rolls back.
   * It may await anything; there is no auto-commit.
   */
  transaction<R>(body: (tx: Transaction<C>) => Promise<R>, options: TransactionOptions = {}): Promise<R> {
    return runTransaction(this.#session, options, (source, sink, attempt) =>
      body(new Transaction(this.#collections, source, sink, attempt)),
    );
  }

  /** Runs `body` on one consistent state. */
  async read<R>(body: (view: View<C>) => Promise<R>): Promise<R> {
    const view = await this.#view(false);
    try {
      return await body(view);
    } finally {
      view.release();
    }
  }

  /** A read view to keep and release oneself. `fresh` looks for commits of other tabs first. */
  async readView({ fresh = false }: { fresh?: boolean } = {}): Promise<View<C>> {
    return (await this.#view(fresh)).opened();
  }

  /** A query that runs again whenever what it read through `q` changed, in any tab. */
  live<T>(query: (q: View<C>) => Promise<T>): Live<T, C> {
    return new Live(this.#session, this.#collections, query);
  }

  /** Resolves when everything committed so far is folded into blocks and the log trimmed. */
  async checkpoint(): Promise<void> {
    await (await this.#head.connect()).call<"checkpoint">({ op: "checkpoint" });
  }

  /** Reads and checks every stored block and log entry; lists what is damaged and which keys it covers. */
  async verify(): Promise<VerifyReport> {
    return (await this.#head.connect()).call<"verify">({ op: "verify" });
  }

  /** Calls `listener` on an event; the answer stops that. */
  on<E extends keyof DatabaseEvents>(event: E, listener: (payload: DatabaseEvents[E]) => void): () => void {
    return this.#session.on(event, listener);
  }

  async #view(fresh: boolean): Promise<View<C>> {
    const { connection } = this.#session.live ?? (await this.#session.open());
    return new View(this.#session, this.#collections, connection, this.#session.newHandle(), "view", fresh);
  }
}

/** Writes that are commits of their own. */
function committingSink(session: Session): Sink {
  return {
    write: async (connection, writes, now) => {
      const { durability } = session.options;
      const request = { op: "write", writes, epoch: session.catalog.epoch, durability, tag: "" } as const;
      const done = await (now ? connection.callNow<"write">(request) : connection.call<"write">(request));
      return done.existed;
    },
    clear: async (connection, collection) => {
      const { durability } = session.options;
      const { table } = session.stored(collection);
      await connection.call<"clear">({ op: "clear", handle: 0, table, epoch: session.catalog.epoch, durability });
    },
    atomically: (body) => runTransaction(session, {}, (source, sink) => body(source, sink)),
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
