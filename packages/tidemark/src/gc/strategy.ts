/**
 * How one kind of garbage is collected: planned, then taken a step at a time, then told of. Whatever collects keeps to this
 * contract, so that runs, pauses, cancellations and reports are the same for all of them.
 */
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

export interface RunTerms {
  readonly kind: RunKind;
  readonly basis: Basis;
  readonly config: Readonly<Record<string, unknown>>;
  /** What the run did before: the fold of its checkpoint, and other strategies. */
  readonly before: Tally;
  /** Somebody asked for it: it is written down even where nothing is due. */
  readonly isAsked: boolean;
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
