import { TidemarkError } from "../base/errors.ts";
import type { Durability, Isolation } from "../protocol/messages.ts";
import { Collection, isSchemaChange, type Sink } from "./collection.ts";
import type { Connection } from "./connection.ts";
import type { Session } from "./session.ts";
import type { Source } from "./source.ts";
import type { Declarations } from "./types.ts";

export interface TransactionOptions {
  /** Default serializable: everything read, ranges included, is validated. `snapshot` validates writes only. */
  readonly isolation?: Isolation;
  /** `readonly` refuses writes with TRANSACTION_INVALID. */
  readonly mode?: "readwrite" | "readonly";
  readonly durability?: Durability;
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
  throw new TidemarkError("UNKNOWN_NAME", `Collection '${name}' is not declared`, { collection: name });
}

export class TransactionSource implements Source {
  readonly session: Session;
  readonly handle: number;
  readonly #connection: Connection;
  #finished = false;

  constructor(session: Session, connection: Connection, handle: number) {
    this.session = session;
    this.#connection = connection;
    this.handle = handle;
  }

  connect(): Connection {
    if (!this.#finished) return this.#connection;
    throw new TidemarkError(
      "TRANSACTION_INVALID",
      "This transaction has ended; its body must await everything it does",
      {
        why: "finished",
      },
    );
  }

  finish(): void {
    this.#finished = true;
  }
}

/** Runs `body` in a transaction, again after each conflict. */
export async function runTransaction<R>(
  session: Session,
  options: TransactionOptions,
  body: (source: TransactionSource, sink: Sink, attempt: number) => Promise<R>,
): Promise<R> {
  const { isolation = "serializable", durability = session.options.durability, tag = "", signal } = options;
  const { connection } = session.live ?? (await session.open());
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    const handle = session.newHandle();
    const source = new TransactionSource(session, connection, handle);
    const begun = connection.call<"begin">({
      op: "begin",
      handle,
      kind: "transaction",
      isolation,
      fresh: false,
      attempt,
    });
    // A first attempt's opening travels with the body's first call; a retry waits for its turn.
    if (attempt > 0) await begun;
    else begun.catch(() => undefined);
    let committing = false;
    try {
      const result = await body(source, stagingSink(source, options), attempt);
      await begun;
      signal?.throwIfAborted();
      const { epoch } = session.catalog;
      source.finish();
      committing = true;
      await connection.call<"commit">({ op: "commit", handle, epoch, durability, tag });
      return result;
    } catch (e) {
      if (!(e instanceof TidemarkError) || e.code !== "CONFLICT" || !committing) throw e;
      if (attempt >= maxRetries) throw exhausted(e, attempt);
      if (isSchemaChange(e)) await session.refreshCatalog(connection);
    } finally {
      source.finish();
      connection.call<"end">({ op: "end", handle }).catch(() => undefined);
    }
  }
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
  const writable = (): void => {
    if (mode !== "readonly") return;
    throw new TidemarkError("TRANSACTION_INVALID", "This transaction was opened with mode 'readonly'", {
      why: "readonly",
    });
  };
  const { handle, session } = source;
  const sink: Sink = {
    write: (connection, writes, now) => {
      writable();
      source.connect();
      const request = { op: "stage", handle, writes } as const;
      return now ? connection.callNow<"stage">(request) : connection.call<"stage">(request);
    },
    clear: async (connection, collection) => {
      writable();
      const { table } = session.stored(collection);
      const { durability } = session.options;
      await connection.call<"clear">({ op: "clear", handle, table, epoch: session.catalog.epoch, durability });
    },
    atomically: (body) => {
      writable();
      return body(source, sink);
    },
  };
  return sink;
}
