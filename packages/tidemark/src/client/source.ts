/** Where reads go: the head, a read view, or a transaction. */
import { TidemarkError } from "../base/errors.ts";
import type { Connection } from "./connection.ts";
import type { Session } from "./session.ts";

export interface Source {
  readonly session: Session;
  /** Opens the database if need be. @throws what says that this source can no longer be read. */
  connect(): Promise<Connection> | Connection;
  /** 0: the head. */
  readonly handle: number;
}

export class HeadSource implements Source {
  readonly session: Session;
  readonly handle = 0;

  constructor(session: Session) {
    this.session = session;
  }

  connect(): Promise<Connection> | Connection {
    const { live } = this.session;
    return live ? live.connection : this.session.open().then((l) => l.connection);
  }
}

/** Rejects with the signal's reason when it aborts first. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  if (signal.aborted) return Promise.reject(reasonOf(signal));
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(reasonOf(signal));
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

const reasonOf = (signal: AbortSignal): Error =>
  signal.reason instanceof Error ? signal.reason : new TidemarkError("CLOSED", "The call was aborted");
