import { TidemarkError } from "../base/errors.ts";
import type { Catalog } from "../codec/schema.ts";
import type { HandleKind } from "../protocol/messages.ts";
import type { Advice } from "./advice.ts";
import { ReadableCollection } from "./collection.ts";
import type { Connection } from "./connection.ts";
import { Line } from "./line.ts";
import { SchemaCalls, type SchemaStep } from "./schema.ts";
import type { Session } from "./session.ts";
import type { Source, Step } from "./source.ts";
import { declared } from "./transaction.ts";
import type { Declarations } from "./types.ts";
import { isHarmlessLoss } from "./worker-death.ts";

/** A read view: everything read through it is as of one seq, whatever commits meanwhile. */
export class View<C extends Declarations> {
  readonly #collections: C;
  readonly #connection: Connection;
  readonly #source: ViewSource;
  readonly #begun: Promise<{ readonly seq: number }>;
  #seq = 0;
  #isReleased = false;
  #isBack: (() => void) | undefined;

  constructor(
    session: Session,
    collections: C,
    connection: Connection,
    handle: number,
    kind: HandleKind,
    fresh: boolean,
    snapshot?: string,
  ) {
    this.#collections = collections;
    this.#connection = connection;
    this.#source = new ViewSource(connection, handle, session.catalog);
    const on = snapshot === undefined ? {} : { snapshot };
    this.#begun = connection.call<"begin">({
      op: "begin",
      handle,
      kind,
      isolation: "snapshot",
      fresh,
      attempt: 0,
      ...on,
    });
    this.#begun.catch(() => undefined);
  }

  /** Resolves once the view is open in the worker. */
  async opened(): Promise<this> {
    this.#seq = (await this.#begun).seq;
    return this;
  }

  /** The commit sequence it reads at. */
  get seq(): number {
    return this.#seq;
  }

  /** @throws UNKNOWN_NAME */
  collection<N extends keyof C & string>(name: N): ReadableCollection<C[N]> {
    return new ReadableCollection<C[N]>(name, declared(this.#collections, name), this.#source);
  }

  /** Where what is read through it is read. */
  get source(): Source {
    return this.#source;
  }

  /** Number of its handle in the worker. */
  get handle(): number {
    return this.#source.handle;
  }

  /** Whether it went with its worker. */
  get isLost(): boolean {
    return this.#connection.isLost;
  }

  /** Resolves when the worker watches what was read so far, to tell when a commit touches it. */
  watch(): Promise<void> {
    return this.#connection.call<"watch">({ op: "watch", handle: this.handle });
  }

  /** Further reads through it fail with VIEW_RELEASED. */
  finish(): void {
    this.#source.finish();
  }

  /** Whoever it is given to may forget it; its source lives as long as anything that reads by it. */
  handOut(advice: Advice, { views }: Session): this {
    const endNow = endOf(this.#connection, this.handle);
    const end = (): void => {
      // Must not hold the source.
      if (views.delete(end)) endNow();
    };
    views.add(end);
    const forgotten = advice.handedOut(this.#source, this.#seq, end);
    this.#isBack = () => {
      forgotten();
      views.delete(end);
    };
    return this;
  }

  /** Lets the versions it held go. Idempotent. */
  release(): void {
    this.finish();
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#isBack?.();
    endOf(this.#connection, this.handle)();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.release();
    return Promise.resolve();
  }
}

const endOf = (connection: Connection, handle: number) => (): void =>
  void connection.call<"end">({ op: "end", handle }).catch(() => undefined);

class ViewSource implements Source {
  readonly handle: number;
  readonly #connection: Connection;
  readonly #calls: SchemaCalls;
  isFinished = false;

  constructor(connection: Connection, handle: number, catalog: Catalog) {
    this.#connection = connection;
    this.handle = handle;
    this.#calls = new SchemaCalls(new Line(), handle, catalog);
  }

  /** What a view reads stays as it is, so its calls need no order among others. */
  async enter<T>(step: Step<T>): Promise<T> {
    if (this.isFinished) {
      throw new TidemarkError("VIEW_RELEASED", "This read view has been released; open a new one to read again");
    }
    try {
      return await step(this.#connection);
    } catch (e) {
      if (!isHarmlessLoss(e)) throw e;
      throw new TidemarkError(
        "VIEW_RELEASED",
        "This read view went with the database worker, which died; open a new one to read again",
        { lost: "worker" },
        e,
      );
    }
  }

  underSchema<T>(connection: Connection, step: SchemaStep<T>): Promise<T> {
    return this.#calls.run(connection, step);
  }

  finish(): void {
    this.isFinished = true;
  }
}
