/**
 * A storage that outlives its connection (MV9). Browsers take connections away: the backing store is closed, the
 * process behind it dies, a tab comes back from the cache. Then
 *
 *   reopen    a new connection to the same database, a few tries with short waits; none is made where none is there
 *   admit     whoever works on this storage compares what is there with what it remembers, before anything is served
 *   repeat    calls that wrote nothing are made again; so are batches that may be done twice
 *
 * A batch of which nobody can say whether it was done is never sent again blindly: its caller gets STORAGE_LOST with
 * outcome "unknown" and looks for itself, on the new connection. If what is there is not what was remembered, batches
 * made from that memory fail with outcome "none". A database that is gone, or another, ends this storage with CLOSED.
 */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { UnderWay } from "../base/under-way.ts";
import type { Batch, Committed, Found, Read, Storage } from "./contract.ts";

/** Waits before each try to open anew. */
const waitsMs: readonly number[] = [0, 50, 250, 1000];
/** A browser that never answers is as good as one that refuses. */
const openTimeoutMs = 10_000;
/** So often one call is made again. */
const maxLosses = 3;

/** What is there, compared with what is remembered; for "changed", memory has been replaced by what is there. */
export type Admission = "same" | "changed";

export interface ReopeningOptions {
  /** `undefined`: the database is not there any more. */
  reopen(): Promise<Storage | undefined>;
  sleep(ms: number): Promise<void>;
}

export class ReopeningStorage implements Storage {
  /**
   * Looks at a new connection before it serves. Until it is set, nobody remembers anything, and a lost connection stays
   * lost. @throws CLOSED where this is not, or no longer, the database to go on with.
   */
  admit: ((fresh: Storage) => Promise<Admission>) | undefined;
  readonly #options: ReopeningOptions;
  /** Absent where it was lost, and another is not there yet. */
  #connection: Storage | undefined;
  #reopening: Promise<Storage> | undefined;
  /** Connections that are closed and may have transactions under way. */
  readonly #leaving = new UnderWay();
  /** How often memory was replaced. */
  #changes = 0;
  /** Why nothing is served any more. */
  #over: TidemarkError | undefined;

  constructor(connection: Storage, options: ReopeningOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  read(reads: readonly Read[]): Promise<readonly Found[]> {
    return this.#carryOut((connection) => connection.read(reads), true);
  }

  commit(batch: Batch): Promise<Committed> {
    return this.#carryOut((connection) => connection.commit(batch), batch.isRepeatable === true);
  }

  async close(): Promise<void> {
    this.#over ??= new TidemarkError("CLOSED", "This storage connection is closed.");
    await this.#connection?.close();
    await this.#leaving.ended();
  }

  async #carryOut<T>(call: (connection: Storage) => Promise<T>, isRepeatable: boolean): Promise<T> {
    const changes = this.#changes;
    for (let losses = 0; ; losses++) {
      if (this.#over) throw this.#over;
      const connection = this.#connection ?? (await this.#another());
      if (!isRepeatable && this.#changes !== changes) throw changed();
      try {
        return await call(connection);
      } catch (e) {
        if (!this.admit || !isTidemarkError(e, "STORAGE_LOST")) throw e;
        this.#leave(connection);
        const wasNotDone = e.details["outcome"] === "none";
        if (losses === maxLosses || !(wasNotDone || isRepeatable)) throw e;
      }
    }
  }

  #leave(lost: Storage): void {
    if (lost !== this.#connection || this.#over) return;
    this.#connection = undefined;
    void this.#leaving.add(lost.close());
    this.#another().catch(() => undefined); // told to those who wait for it
  }

  /** Those who come meanwhile share it. */
  #another(): Promise<Storage> {
    this.#reopening ??= this.#reopen().finally(() => (this.#reopening = undefined));
    return this.#reopening;
  }

  async #reopen(): Promise<Storage> {
    let failure: unknown;
    for (const waitMs of waitsMs) {
      if (waitMs > 0) await this.#options.sleep(waitMs);
      if (this.#over) throw this.#over;
      try {
        return await this.#tryOnce();
      } catch (e) {
        if (isTidemarkError(e, "CLOSED")) this.#over ??= e;
        if (this.#over) throw this.#over;
        if (!isTidemarkError(e, "STORAGE_LOST")) throw e;
        failure = e;
      }
    }
    throw new TidemarkError("STORAGE_LOST", "The storage cannot be opened again.", { outcome: "none" }, failure);
  }

  async #tryOnce(): Promise<Storage> {
    const fresh = await this.#open();
    try {
      if (!fresh) throw gone();
      if ((await this.admit?.(fresh)) === "changed") this.#changes++;
      if (this.#over) throw this.#over;
      this.#connection = fresh;
      return fresh;
    } catch (e) {
      if (fresh) void this.#leaving.add(fresh.close());
      throw e;
    }
  }

  /** A connection that comes too late is closed. */
  async #open(): Promise<Storage | undefined> {
    const opening = this.#options.reopen();
    let isLate = false;
    const tooLate = this.#options.sleep(openTimeoutMs).then((): never => {
      isLate = true;
      throw new TidemarkError("STORAGE_LOST", "The storage does not answer.", { outcome: "none" });
    });
    tooLate.catch(() => undefined);
    void opening.then(
      (late) => {
        if (isLate) void late?.close();
      },
      () => undefined,
    );
    return Promise.race([opening, tooLate]);
  }
}

const gone = (): TidemarkError =>
  new TidemarkError("CLOSED", "The database is gone from storage (deleted, or cleared by the user or the browser)", {
    reason: "deleted",
  });

const changed = (): TidemarkError =>
  new TidemarkError("STORAGE_LOST", "The connection was lost, and what is stored has changed", { outcome: "none" });
