import type { ByteKey } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Sink } from "./collection.ts";
import type { Connection } from "./connection.ts";
import type { Observer, Subscription } from "./live.ts";
import { Query } from "./query.ts";
import type { QueryTarget } from "./reading.ts";
import type { Source } from "./source.ts";
import type { Shape } from "./shape.ts";
import type { Patch, ReadOptions } from "./types.ts";

/** How what a query finds is changed: by the collection it was made of. */
export interface QueryWriter<T> {
  /** Runs reads and the writes that depend on them as one, which the signal ends until it commits. */
  atomically<R>(
    body: (connection: Connection, source: Source, sink: Sink) => Promise<R>,
    signal: AbortSignal | undefined,
  ): Promise<R>;
  /** How many of them were there. */
  deleteKeys(connection: Connection, sink: Sink, keys: readonly ByteKey[]): Promise<number>;
  /** What makes the next record of the present one. @throws VALUE_UNSUPPORTED for a patch that cannot be stored */
  makerOf(change: Change<T>): (current: T) => unknown;
  /** How many were there, each of which is now what `make` made of it. */
  changeKeys(
    connection: Connection,
    source: Source,
    sink: Sink,
    keys: readonly ByteKey[],
    make: (current: T) => unknown,
  ): Promise<number>;
}

/** A patch of top-level fields, or a synchronous function that answers the next record or changes the one it is given. */
export type Change<T, In = T> = Patch<T> | ((current: T) => T | In | void);

/** Runs a read again whenever what it read changed; `what` names it to whoever looks. Absent in a transaction. */
export type Observe = <R>(
  read: (source: Source) => Promise<R>,
  what: string,
) => {
  subscribe(observer: Observer<R> | ((value: R) => void)): Subscription;
};

export interface WritableTarget<T> extends QueryTarget {
  readonly writer: QueryWriter<T>;
  readonly observe: Observe | undefined;
}

/** So many records are changed at a time. */
const changedAtOnce = 256;

/** A query whose results can also be changed, and watched. */
export class WritableQuery<T, K, P = unknown> extends Query<T, K, P> {
  declare protected readonly target: WritableTarget<T>;

  // oxlint-disable-next-line no-useless-constructor -- narrows what it can be made with
  constructor(target: WritableTarget<T>, shape?: Shape) {
    super(target, shape);
  }

  /** Deletes what it finds, in one transaction. How many that were. Aborting rolls it back, until it commits. */
  delete({ signal }: ReadOptions = {}): Promise<number> {
    const { writer } = this.target;
    return writer.atomically(async (connection, source, sink) => {
      let n = 0;
      for await (const keys of this.keyParts(source, connection, signal)) {
        n += await writer.deleteKeys(connection, sink, keys);
        signal?.throwIfAborted();
      }
      return n;
    }, signal);
  }

  /**
   * Changes each record it finds once, in one transaction, by a patch of top-level fields or by a synchronous function
   * that may run again. How many that were. Aborting rolls it back, until it commits. @throws KEY_INVALID where a key
   * would change
   */
  async update(change: Change<T>, { signal }: ReadOptions = {}): Promise<number> {
    const { writer } = this.target;
    const make = writer.makerOf(change);
    return writer.atomically(async (connection, source, sink) => {
      // All keys first: a changed record may come to lie further on in the index.
      const keys: ByteKey[] = [];
      for await (const part of this.keyParts(source, connection, signal)) for (const key of part) keys.push(key);
      let n = 0;
      for (let i = 0; i < keys.length; i += changedAtOnce) {
        signal?.throwIfAborted();
        n += await writer.changeKeys(connection, source, sink, keys.slice(i, i + changedAtOnce), make);
      }
      return n;
    }, signal);
  }

  /** Tells the results now, and anew whenever a commit in any tab touched what was read. Not in a transaction. */
  subscribe(observer: Observer<T[]> | ((records: T[]) => void)): Subscription {
    const { observe, ...target } = this.target;
    if (!observe) {
      throw new TidemarkError(
        "TRANSACTION_INVALID",
        "A query within a transaction cannot be subscribed to; subscribe on db.collection(…)",
        { why: "subscribe" },
      );
    }
    const { collection, index } = target;
    const what = `${collection}.where(${index === undefined ? "" : JSON.stringify(index)})`;
    return observe((source) => new Query<T, K, P>({ ...target, source }, this.shape).toArray(), what).subscribe(
      observer,
    );
  }
}
