/** `db.gc`: collecting garbage when it is asked for, and why what is not collected is still there. */
import type {
  GcAdvance,
  GcEvent,
  GcExecution,
  GcExplanation,
  GcProof,
  GcProgress,
  GcReport,
  GcRunOptions,
} from "../protocol/gc.ts";
import { gcRunChecks } from "../protocol/gc-settings.ts";
import { checkOptions, invalid, isWholeWithin, type OptionChecks, signalCheck } from "../protocol/options.ts";
import { GcJob } from "./gc-job.ts";
import { type Observer, type Subscription, subscriptionOf } from "./live.ts";
import { callBack } from "./report.ts";
import type { Session } from "./session.ts";
import { enterAbortable } from "./source.ts";
import type { ReadOptions } from "./types.ts";

export interface GcOptions extends GcRunOptions {
  /** Called after each step. */
  readonly progress?: (progress: GcProgress) => void;
  /** Aborting cancels the run, which rejects with the signal's reason at once. What its steps removed stays removed. */
  readonly signal?: AbortSignal;
}

export interface GcProofOptions extends ReadOptions {
  /** So many are fetched at a time: from 1 to 10 000, default 1 000. */
  readonly pageSize?: number;
}

/** Garbage collection of one database. Nothing has to be called for it to happen, unless `gc.mode` is "manual". */
export class Gc {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Checkpoints, then collects to completion. What of it is done is durable step by step: a tab that dies loses nothing.
   * @throws OPTIONS_INVALID; BUSY where another run is under way, in any tab
   */
  async run(options: GcOptions = {}): Promise<GcReport> {
    return this.#begin(options, false).report;
  }

  /**
   * As `run`, in the background: in slices out of idle moments, which it can take as long as it likes over. Closing the
   * database cancels it.
   * @throws OPTIONS_INVALID
   */
  start(options: GcOptions = {}): GcJob {
    return this.#begin(options, true);
  }

  /** What a run would remove now, each version with its proof. Each iteration asks anew. @throws OPTIONS_INVALID */
  proofs(options: GcProofOptions = {}): AsyncIterable<GcProof> {
    checkOptions("proofs()", options, proofChecks);
    const { pageSize = 1000, signal } = options;
    return { [Symbol.asyncIterator]: () => this.#proofs(pageSize, signal) };
  }

  /** Where the floor is, and who holds it back, and how much: from figures that are kept, so it costs nothing to ask. */
  explain({ signal }: ReadOptions = {}): Promise<GcExplanation> {
    return enterAbortable(this.#session, signal, (c) => c.call<"gc-explain">({ op: "gc-explain" }));
  }

  /**
   * Takes away what a tab (`pin`) or its view on a snapshot (`hold`), by its id of `explain`, holds back. Views that are
   * read through after that fail with READ_VIEW_EVICTED; the tab goes on with fresh ones.
   * @throws NOT_FOUND where nobody of that id is there any more; OPTIONS_INVALID for a snapshot, which is deleted
   * instead, and for the log, which the next checkpoint folds
   */
  async evict(holderId: string): Promise<void> {
    if (typeof holderId !== "string" || holderId === "") {
      throw invalid("holderId", holderId, "the id of a holder that explain() names");
    }
    return this.#session.enter((c) => c.call<"gc-evict">({ op: "gc-evict", holder: holderId }));
  }

  /** The last runs, of any tab, newest first; what failed says why. */
  executions({ signal }: ReadOptions = {}): Promise<readonly GcExecution[]> {
    return enterAbortable(this.#session, signal, (c) => c.call<"gc-executions">({ op: "gc-executions" }));
  }

  /** The last 100 times that the floor rose, newest first: when, by whom, and which holders went. */
  advances({ signal }: ReadOptions = {}): Promise<readonly GcAdvance[]> {
    return enterAbortable(this.#session, signal, (c) => c.call<"gc-advances">({ op: "gc-advances" }));
  }

  /**
   * Tells of every run that this tab's worker does, whoever asked for it: as it starts, after each step, as it ends.
   * An observer's `error` is called when the database ends. It does not open the database.
   */
  subscribe(observer: Observer<GcEvent> | ((event: GcEvent) => void)): Subscription {
    const session = this.#session;
    const told: Observer<GcEvent> = typeof observer === "function" ? { next: observer } : observer;
    const next = (event: GcEvent): void => callBack(() => told.next?.(event));
    const fail = (error: unknown): void => {
      unsubscribe();
      callBack(() => told.error?.(error));
    };
    const unsubscribe = (): void => {
      session.gcListeners.delete(next);
      session.endings.delete(fail);
    };
    if (session.refusal) fail(session.refusal);
    else {
      session.gcListeners.add(next);
      session.endings.add(fail);
    }
    return subscriptionOf(unsubscribe);
  }

  #begin(options: GcOptions, isBackground: boolean): GcJob {
    checkOptions("A run of garbage collection", options, runChecks);
    const { progress, signal, ...rest } = options;
    const set = Object.entries(rest).filter(([, value]) => value !== undefined);
    const plain: GcRunOptions = Object.fromEntries(set);
    return new GcJob(this.#session, { job: this.#session.newJob(), isBackground, options: plain, progress, signal });
  }

  async *#proofs(limit: number, signal: AbortSignal | undefined): AsyncGenerator<GcProof, void> {
    let after: string | undefined;
    do {
      const from = after;
      const page = await enterAbortable(this.#session, signal, (c) =>
        c.call<"gc-proofs">({ op: "gc-proofs", after: from, limit }),
      );
      yield* page.proofs;
      ({ after } = page);
    } while (after !== undefined);
  }
}

const runChecks: OptionChecks<GcOptions> = {
  ...gcRunChecks,
  progress: [(v) => typeof v === "function", "a function"],
  signal: signalCheck,
};
const proofChecks: OptionChecks<GcProofOptions> = {
  pageSize: [isWholeWithin(1, 10_000), "a whole number from 1 to 10000"],
  signal: signalCheck,
};
