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

/**
 * Rejects with the signal's reason when it aborts first; where it has by now, `work` does not begin. What comes of the
 * work all the same is given to `discard`. Once the work calls `settle` it is not abortable any more.
 */
export async function abortable<T>(
  signal: AbortSignal | undefined,
  work: (settle: () => void) => Promise<T>,
  discard: (late: T) => void = noop,
): Promise<T> {
  if (!signal) return work(noop);
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    let isAborted = false;
    const abort = (): void => {
      isAborted = true;
      reject(signal.reason);
    };
    const settle = (): void => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort, { once: true });
    const begun = async (): Promise<T> => work(settle);
    void begun()
      .then((value) => (isAborted ? discard(value) : resolve(value)), reject)
      .finally(settle);
  });
}

/** A step that is not taken where the signal has aborted while it waited for its turn. */
export function unlessAborted<T>(signal: AbortSignal | undefined, step: Step<T>): Step<T> {
  if (!signal) return step;
  return async (connection) => {
    signal.throwIfAborted();
    return step(connection);
  };
}

/** A call that ends with the signal's reason when it aborts first; nothing is sent where that is before its turn. */
export const enterAbortable = <T>(
  source: Pick<Source, "enter">,
  signal: AbortSignal | undefined,
  step: Step<T>,
  discard?: (late: T) => void,
): Promise<T> => abortable(signal, () => source.enter(unlessAborted(signal, step)), discard);

const noop = (): void => undefined;
