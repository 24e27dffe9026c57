/**
 * How one kind of garbage is collected: planned, then taken a step at a time, then told of. Whatever collects keeps to this
 * contract, so that runs, pauses, cancellations and reports are the same for all of them.
 */
import type { TabId } from "../base/brand.ts";
import type { Basis, RunKind } from "./journal.ts";
import type { Tenure } from "./tenure.ts";
import type { WorkOptions } from "./work.ts";

/** What was looked at, and what is gone. */
export interface Tally {
  readonly scanned: number;
  readonly versions: number;
  readonly bytes: number;
}
export const nothingDone: Tally = { scanned: 0, versions: 0, bytes: 0 };

export const plus = (a: Tally, b: Tally): Tally => ({
  scanned: a.scanned + b.scanned,
  versions: a.versions + b.versions,
  bytes: a.bytes + b.bytes,
});

/** Who asked for a run: a tab, which knows it by this number. */
export interface Asker {
  readonly tab: TabId;
  readonly job: number;
}

export interface RunTerms {
  readonly kind: RunKind;
  readonly basis: Basis;
  readonly config: Readonly<Record<string, unknown>>;
  /** What the run did before: the fold of its checkpoint, and other strategies. */
  readonly before: Tally;
  /** Somebody asked for it: it is written down even where nothing is due. */
  readonly isAsked: boolean;
  /** Absent where nobody did. */
  readonly asker?: Asker;
}

/** "again": what it was planned on is no more, or the tenure is over; look anew. */
export type StepOutcome = "went on" | "over" | "again";

export interface GcStrategy {
  readonly name: string;
  /** Sees what there is to do. False: nothing, or the tenure is over. A plan whose steps outlive the tab is durable. */
  plan(tenure: Tenure, terms: RunTerms, options: WorkOptions): Promise<boolean>;
  /** Takes one step, atomic and durable, in slices as `options.pace` says. */
  step(tenure: Tenure, options: WorkOptions): Promise<StepOutcome>;
  /** What its steps did since they were planned. */
  report(): Tally;
}

/** Takes the next step, and answers what went with it. `undefined`: nothing is left, or the tenure is over. */
export type NextStep = (tenure: Tenure, basis: Basis, options: WorkOptions) => Promise<Tally | undefined>;

/** A strategy whose steps need no memory: what is stored says what there is to do. */
export class Memoryless implements GcStrategy {
  readonly name: string;
  readonly #next: NextStep;
  readonly #isFor: (kind: RunKind) => boolean;
  #basis: Basis | undefined;
  #done: Tally = nothingDone;

  constructor(name: string, next: NextStep, isFor: (kind: RunKind) => boolean = () => true) {
    this.name = name;
    this.#next = next;
    this.#isFor = isFor;
  }

  plan(_tenure: Tenure, { kind, basis }: Pick<RunTerms, "kind" | "basis">): Promise<boolean> {
    this.#basis = this.#isFor(kind) ? basis : undefined;
    this.#done = nothingDone;
    return Promise.resolve(true);
  }

  async step(tenure: Tenure, options: WorkOptions): Promise<StepOutcome> {
    const basis = this.#basis;
    this.#basis = undefined; // also where it fails
    const gone = basis && (await this.#next(tenure, basis, options));
    if (!gone) return "over";
    this.#basis = basis;
    this.#done = plus(this.#done, gone);
    return "went on";
  }

  report(): Tally {
    return this.#done;
  }
}
