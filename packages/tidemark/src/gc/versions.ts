/** Versions that nobody can see any more, collected in durable cycles (cycle.ts). */
import type { Store } from "../mvcc/store.ts";
import {
  beginCycle,
  cycleIn,
  type CycleProgress,
  type CycleState,
  endCycle,
  noteUnbegun,
  readCycle,
  stepCycle,
} from "./cycle.ts";
import { type GcStrategy, nothingDone, type RunTerms, type StepOutcome, type Tally } from "./strategy.ts";
import type { Tenure } from "./tenure.ts";
import { isOfLog, type WorkOptions } from "./work.ts";

export interface VersionSeams {
  readonly store: Store;
  readonly now: () => number;
  /** A cycle began, went on, or ended. */
  readonly progress: (cycle: CycleProgress, phase: "sweep" | "done") => void;
  readonly completed: (cycle: CycleState) => void;
}

export class Versions implements GcStrategy {
  readonly name = "versions";
  readonly #seams: VersionSeams;
  #cycle: CycleState | undefined;
  #before: Tally = nothingDone;
  #last: CycleState | undefined;

  constructor(seams: VersionSeams) {
    this.#seams = seams;
  }

  /** The cycle under way. */
  get cycle(): CycleState | undefined {
    return this.#cycle;
  }
  /** That one, or the one before. */
  get last(): CycleState | undefined {
    return this.#last;
  }

  /** A tenure begins: the cycle that the one before left is gone on with, unless its log is no more. */
  async resume(tenure: Tenure): Promise<void> {
    const [row] = await this.#seams.store.storage.read([readCycle]);
    this.#use(cycleIn(row));
    await this.#giveUpWhereStruck(tenure);
  }

  async #giveUpWhereStruck(tenure: Tenure): Promise<void> {
    const { fence } = this.#seams.store;
    if (this.#cycle === undefined || isOfLog(this.#cycle.basis, fence)) return;
    await this.cancel(tenure, "CANCELLED", "the log that it was decided on was struck");
  }

  /** The tenure is over: the cycle is another tab's. */
  leave(): void {
    this.#use(undefined);
  }

  async plan(tenure: Tenure, terms: RunTerms, options: WorkOptions): Promise<boolean> {
    this.#before = terms.before;
    this.#use(await beginCycle(this.#seams.store, tenure, terms, options));
    if (this.#cycle) this.#seams.progress(this.#cycle, "sweep");
    return this.#cycle !== undefined;
  }

  async step(tenure: Tenure, options: WorkOptions): Promise<StepOutcome> {
    await this.#giveUpWhereStruck(tenure);
    const cycle = this.#cycle;
    if (!cycle) return "over";
    const next = await stepCycle(this.#seams.store, tenure, cycle, options, this.#seams.now);
    if (next === undefined) return "again";
    if (next !== "over") {
      this.#use(next);
      this.#seams.progress(next, "sweep");
      return "went on";
    }
    this.#seams.completed(cycle);
    this.#end(cycle);
    return "over";
  }

  report(): Tally {
    const { scanned, versions, bytes } = this.#last ?? this.#before;
    const { scanned: s, versions: v, bytes: b } = this.#before;
    return { scanned: scanned - s, versions: versions - v, bytes: bytes - b };
  }

  /** Gives the cycle up; what its steps removed stays removed. */
  async cancel(tenure: Tenure, status: "CANCELLED" | "FAILED", why?: string): Promise<void> {
    const cycle = this.#cycle;
    if (!cycle) return;
    await endCycle(tenure, cycle, status, this.#seams.now(), why);
    this.#end(cycle);
  }

  /** A run ends before its cycle began: that is an execution all the same. Answers its number. */
  async endUnbegun(
    tenure: Tenure,
    run: Pick<CycleState, "kind" | "started" | "config"> & Tally,
    status: "CANCELLED" | "FAILED",
    why: string,
  ): Promise<number> {
    const unbegun = { ...run, id: tenure.journal.nextExecution(), steps: 0 };
    const isWritten = await noteUnbegun(tenure, unbegun, status, this.#seams.now(), why);
    if (isWritten) this.#seams.progress(unbegun, "done");
    return unbegun.id;
  }

  #use(cycle: CycleState | undefined): void {
    this.#cycle = cycle;
    if (cycle) this.#last = cycle;
  }

  #end(cycle: CycleState): void {
    this.#cycle = undefined;
    this.#seams.progress(cycle, "done");
  }
}
