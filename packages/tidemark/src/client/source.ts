/** Where reads go: the head, a read view, or a transaction. */
import type { Connection } from "./connection.ts";
import type { SchemaStep } from "./schema.ts";
import type { Session } from "./session.ts";

/** A step of a call: its first requests are made before it returns. */
export type Step<T> = (connection: Connection) => Promise<T>;

export interface Source {
  /** 0: the head. */
  readonly handle: number;
  /** Runs `step` when it is its turn among the calls made here. Rejects where this can no longer be used. */
  enter<T>(step: Step<T>): Promise<T>;
  /** Runs `step`, once entered, by the schema of what is read here; again where that turns out to be another one. */
  underSchema<T>(connection: Connection, step: SchemaStep<T>): Promise<T>;
}

export interface WritableSource extends Source {
  /** As `enter`; what is called here later waits until `work` is done. */
  hold<T>(work: Step<T>): Promise<T>;
}

/** The newest state, call by call. Its calls are in line with all others of the database handle. */
export class HeadSource implements WritableSource {
  readonly handle = 0;
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  enter<T>(step: Step<T>): Promise<T> {
    return this.#session.enter(step);
  }

  hold<T>(work: Step<T>): Promise<T> {
    return this.#session.hold(work);
  }

  underSchema<T>(connection: Connection, step: SchemaStep<T>): Promise<T> {
    return this.#session.underSchema(connection, step);
  }
}

/** Rejects with the signal's reason when it aborts first. */
export async function abortable<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  if (!signal) return work();
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    void work()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", abort));
  });
}
