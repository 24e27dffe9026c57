import { isTidemarkError } from "../base/errors.ts";
import type { GcEvent, GcProgress, GcReport, GcRunOptions } from "../protocol/gc.ts";
import type { Connection } from "./connection.ts";
import { callBack } from "./report.ts";
import type { Session } from "./session.ts";

export interface GcJobOptions {
  /** Its number among the runs of this handle. */
  readonly job: number;
  readonly isBackground: boolean;
  readonly options: GcRunOptions;
  readonly progress: ((progress: GcProgress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A run of garbage collection. */
export class GcJob {
  /**
   * What was done, once that is over; after `cancel`, what was done until then. It rejects with BUSY where another run
   * is under way, in any tab, with the reason of an aborted signal, and with CLOSED when the database is closed. Nobody
   * has to listen: why a run failed is also among `executions`.
   */
  readonly report: Promise<GcReport>;
  readonly #session: Session;
  readonly #job: number;
  readonly #sent: Promise<Sent>;
  readonly #listeners = new Set<Listener>();
  /** Why it is not to go on, before the host knows. */
  #stopped: { readonly reason: unknown } | undefined;
  /** The host is done with it. */
  #isOver = false;

  constructor(session: Session, { job, isBackground, options, progress, signal }: GcJobOptions) {
    this.#session = session;
    this.#job = job;
    if (progress) this.onProgress(progress);
    let refuse: (reason: unknown) => void = noop;
    const refused = new Promise<never>((_, reject) => (refuse = reject));
    const stop = (reason: unknown): void => {
      this.#stopped ??= { reason };
      refuse(reason);
      this.cancel().catch(noop); // where the host is gone, so is the run
    };
    const abort = (): void => stop(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    if (isBackground) session.endings.add(stop);
    session.gcListeners.add(this.#hear);
    this.#sent = signal?.aborted ? Promise.reject(signal.reason) : this.#send(isBackground, options);
    this.report = Promise.race([refused, this.#answer()]).finally(() => {
      signal?.removeEventListener("abort", abort);
      session.endings.delete(stop);
      session.gcListeners.delete(this.#hear);
    });
    this.report.catch(noop);
  }

  /** After its present slice it waits until it is resumed. What was removed so far stays removed. */
  pause(): Promise<void> {
    return this.#steer("pause");
  }

  resume(): Promise<void> {
    return this.#steer("resume");
  }

  /** It ends after its present step. */
  cancel(): Promise<void> {
    return this.#steer("cancel");
  }

  /** Calls `listener` after each step; the answer stops that. */
  onProgress(listener: (progress: GcProgress) => void): () => void {
    const own: Listener = { told: listener };
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  readonly #hear = (event: GcEvent, job: number | undefined): void => {
    if (job !== this.#job || event.type !== "progress") return;
    const { type: _, ...progress } = event;
    for (const { told } of Array.from(this.#listeners)) callBack(() => told(progress));
  };

  #send(isBackground: boolean, options: GcRunOptions): Promise<Sent> {
    return this.#session.enter(async (connection) => {
      if (this.#stopped) throw this.#stopped.reason;
      const answer = connection.call<"gc-run">({ op: "gc-run", job: this.#job, isBackground, options });
      return { connection, answer };
    });
  }

  async #answer(): Promise<GcReport> {
    try {
      return await (
        await this.#sent
      ).answer;
    } finally {
      this.#isOver = true;
    }
  }

  /** Nothing happens where it is over. */
  async #steer(what: "pause" | "resume" | "cancel"): Promise<void> {
    const sent = await this.#sent.catch(noop);
    if (!sent || this.#isOver) return;
    try {
      await sent.connection.call<"gc-steer">({ op: "gc-steer", job: this.#job, what });
    } catch (e) {
      if (!isTidemarkError(e, "NOT_FOUND")) throw e;
    }
  }
}

interface Sent {
  readonly connection: Connection;
  readonly answer: Promise<GcReport>;
}

/** One call of `onProgress`: the same function may be there twice. */
interface Listener {
  readonly told: (progress: GcProgress) => void;
}

const noop = (): undefined => undefined;
