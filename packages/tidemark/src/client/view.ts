import { TidemarkError } from "../base/errors.ts";
import type { HandleKind } from "../protocol/messages.ts";
import { ReadableCollection } from "./collection.ts";
import type { Connection } from "./connection.ts";
import type { Session } from "./session.ts";
import type { Source } from "./source.ts";
import { declared } from "./transaction.ts";
import type { Declarations } from "./types.ts";

/** A read view: everything read through it is as of one seq, whatever commits meanwhile. */
export class View<C extends Declarations> {
  readonly #collections: C;
  readonly #connection: Connection;
  readonly #source: ViewSource;
  readonly #begun: Promise<{ readonly seq: number }>;
  #seq = 0;

  constructor(
    session: Session,
    collections: C,
    connection: Connection,
    handle: number,
    kind: HandleKind,
    fresh: boolean,
  ) {
    this.#collections = collections;
    this.#connection = connection;
    this.#source = new ViewSource(session, connection, handle);
    this.#begun = connection.call<"begin">({ op: "begin", handle, kind, isolation: "snapshot", fresh, attempt: 0 });
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

  /** Further reads through it fail with VIEW_RELEASED. */
  finish(): void {
    this.#source.finish();
  }

  /** Lets the versions it held go. Idempotent. */
  release(): void {
    if (this.#source.isFinished) return;
    this.finish();
    this.#connection.call<"end">({ op: "end", handle: this.#source.handle }).catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.release();
    return Promise.resolve();
  }
}

class ViewSource implements Source {
  readonly session: Session;
  readonly handle: number;
  readonly #connection: Connection;
  isFinished = false;

  constructor(session: Session, connection: Connection, handle: number) {
    this.session = session;
    this.#connection = connection;
    this.handle = handle;
  }

  connect(): Connection {
    if (!this.isFinished) return this.#connection;
    throw new TidemarkError("VIEW_RELEASED", "This read view has been released; open a new one to read again");
  }

  finish(): void {
    this.isFinished = true;
  }
}
