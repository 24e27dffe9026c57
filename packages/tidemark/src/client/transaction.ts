import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { Catalog } from "../codec/schema.ts";
import type { Durability, Isolation } from "../protocol/messages.ts";
import { isStillBuilding } from "./building.ts";
import { checkOptions, type OptionChecks, signalCheck } from "../protocol/options.ts";
import { Collection, type Sink } from "./collection.ts";
import type { Connection } from "./connection.ts";
import { Line } from "./line.ts";
import { collectionIn, SchemaCalls, type SchemaStep } from "./schema.ts";
import type { Session } from "./session.ts";
import { abortable, type Step, type WritableSource } from "./source.ts";
import { didYouMean } from "../base/suggest.ts";
import type { Declarations } from "./types.ts";
import { isHarmlessLoss, isWorkerLoss } from "./worker-death.ts";

export interface TransactionOptions {
  /** Default serializable: everything read, ranges included, is validated. `snapshot` validates writes only. */
  readonly isolation?: Isolation;
  /** `readonly` refuses writes with TRANSACTION_INVALID. */
  readonly mode?: "readwrite" | "readonly";
  readonly durability?: Durability;
  /** Aborting rolls it back, until it commits; the call rejects with the signal's reason at once. */
  readonly signal?: AbortSignal;
  /** Kept with the commit. */
  readonly tag?: string;
}

/** After so many conflicts in a row a transaction fails with CONFLICT. */
const maxRetries = 10;

/** What a transaction's body is given. It may run again: keep side effects out. */
export class Transaction<C extends Declarations> {
  /** 0 on the first run of the body. */
  readonly attempt: number;
  readonly #collections: C;
  readonly #source: TransactionSource;
  readonly #sink: Sink;

  constructor(collections: C, source: TransactionSource, sink: Sink, attempt: number) {
    this.#collections = collections;
    this.#source = source;
    this.#sink = sink;
    this.attempt = attempt;
  }

  /** @throws UNKNOWN_NAME */
  collection<N extends keyof C & string>(name: N): Collection<C[N]> {
    return new Collection<C[N]>(name, declared(this.#collections, name), this.#source, this.#sink);
  }
}

export function declared<C extends Declarations, N extends keyof C & string>(collections: C, name: N): C[N] {
  if (Object.hasOwn(collections, name)) return collections[name];
  const message = `Collection '${name}' is not declared${didYouMean(name, Object.keys(collections))}`;
  throw new TidemarkError("UNKNOWN_NAME", message, { collection: name });
}

/** Where a transaction's calls go. They are in line among themselves, not with those on the database handle. */
export class TransactionSource implements WritableSource {
  readonly handle: number;
  readonly #connection: Connection;
  readonly #line = new Line();
  readonly #calls: SchemaCalls;
  #isFinished = false;
  hasWritten = false;

  constructor(connection: Connection, handle: number, catalog: Catalog) {
    this.#connection = connection;
    this.handle = handle;
    this.#calls = new SchemaCalls(this.#line, handle, catalog);
  }

  enter<T>(step: Step<T>): Promise<T> {
    return this.#line.enter(async () => step(this.connection));
  }

  hold<T>(work: Step<T>): Promise<T> {
    return this.#line.hold(async () => work(this.connection));
  }

  underSchema<T>(connection: Connection, step: SchemaStep<T>): Promise<T> {
    return this.#calls.run(connection, step);
  }

  /** The transaction has a schema of its own from here on. */
  hear(catalog: Catalog): void {
    this.#calls.hear(catalog);
  }

  /** @throws TRANSACTION_INVALID when it has ended. */
  get connection(): Connection {
    if (!this.#isFinished) return this.#connection;
    throw new TidemarkError(
      "TRANSACTION_INVALID",
      "This transaction has ended; its body must await everything it does",
      { why: "finished" },
    );
  }

  finish(): void {
    this.#isFinished = true;
  }
}

/** Runs `body` in a transaction, again after each conflict or eviction, and once more where its worker died. */
export async function runTransaction<R>(
  session: Session,
  first: Connection,
  options: TransactionOptions,
  body: (source: TransactionSource, sink: Sink, attempt: number) => Promise<R>,
): Promise<R> {
  const { isolation = "serializable", durability = session.options.durability, tag = "", signal } = options;
  let hasLostWorker = false;
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    const connection = attempt === 0 ? first : first.present;
    const handle = session.newHandle();
    const source = new TransactionSource(connection, handle, session.catalog);
    let committing = false;
    let begun: Promise<{ readonly seq: number }> | undefined;
    try {
      begun = connection.call<"begin">({
        op: "begin",
        handle,
        kind: "transaction",
        isolation,
        fresh: false,
        attempt,
      });
      begun.catch(() => undefined);
      const opening = begun;
      const result = await abortable(signal, async () => {
        // A first attempt's opening travels with the body's first call; a retry waits for its turn.
        if (attempt > 0) await opening;
        const made = await body(source, stagingSink(source, options), attempt);
        await opening;
        return made;
      });
      signal?.throwIfAborted();
      source.finish();
      committing = true;
      await connection.call<"commit">({ op: "commit", handle, durability, tag });
      return result;
    } catch (e) {
      // Nothing can have been committed: it is tried again, but if the worker died of it, then not a third time.
      if (!hasLostWorker && (isHarmlessLoss(e) || (committing && !source.hasWritten && isWorkerLoss(e)))) {
        hasLostWorker = true;
        continue;
      }
      if (isStillBuilding(e)) {
        await session.indexReady(connection.present, e);
        attempt--;
        continue;
      }
      if (!isTidemarkError(e)) throw e;
      const isRetry = e.code === "CONFLICT" ? committing : await isEvictionOf(begun, e);
      if (!isRetry) throw e;
      if (attempt >= maxRetries) throw exhausted(e, attempt);
    } finally {
      source.finish();
      connection.call<"end">({ op: "end", handle }).catch(() => undefined);
    }
  }
}

/** Whether the view that the transaction reads by was evicted, since this tab slept: not another that its body opened. */
async function isEvictionOf(begun: Promise<{ readonly seq: number }> | undefined, e: unknown): Promise<boolean> {
  if (!isTidemarkError(e, "READ_VIEW_EVICTED")) return false;
  const view = await begun?.catch(() => undefined);
  return view?.seq === e.details["viewSeq"];
}

function exhausted(e: TidemarkError, attempts: number): TidemarkError {
  return new TidemarkError(
    "CONFLICT",
    `The transaction lost against others ${attempts + 1} times in a row: ${e.message}`,
    { ...e.details, attempts: attempts + 1 },
    e,
  );
}

/** Writes within a transaction: staged in the worker, seen by the transaction's own reads, committed at its end. */
function stagingSink(source: TransactionSource, { mode }: TransactionOptions): Sink {
  /** Where writes go, now. @throws TRANSACTION_INVALID */
  const writable = (): Connection => {
    if (mode !== "readonly") {
      source.hasWritten = true;
      return source.connection;
    }
    throw new TidemarkError("TRANSACTION_INVALID", "This transaction was opened with mode 'readonly'", {
      why: "readonly",
    });
  };
  const { handle } = source;
  const sink: Sink = {
    write: (connection, encode) =>
      source.underSchema(connection, async (schema) =>
        writable().call<"stage">({ op: "stage", handle, epoch: schema.epoch, ...encode(schema) }),
      ),
    clear: (collection, connection) =>
      source.underSchema(connection, async (schema) => {
        collectionIn(schema, collection);
        const { epoch } = schema;
        source.hear(await writable().call<"clear">({ op: "clear", handle, epoch, collection }));
      }),
    atomically: async (_, body) => body(writable(), source, sink),
  };
  return sink;
}

const checks: OptionChecks<TransactionOptions> = {
  isolation: [(v) => v === "serializable" || v === "snapshot", `"serializable" or "snapshot"`],
  mode: [(v) => v === "readwrite" || v === "readonly", `"readwrite" or "readonly"`],
  durability: [(v) => v === "relaxed" || v === "strict", `"relaxed" or "strict"`],
  signal: signalCheck,
  tag: [(v) => typeof v === "string", "a string"],
};

/** @throws OPTIONS_INVALID naming the option. */
export const checkTransactionOptions = (options: TransactionOptions): void =>
  checkOptions("A transaction", options, checks);
