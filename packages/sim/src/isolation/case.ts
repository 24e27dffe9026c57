import type { Answer, Ended, Item, Name, Outcome, Step } from "./script.ts";

export interface Case {
  readonly anomaly: string;
  /** By what. */
  readonly how: string;
  readonly steps: readonly Step[];
  /** Whether it came about. */
  readonly occurs: (outcome: Seen) => boolean;
  /**
   * How often each body runs, by isolation level: more than once, and it lost against another. Who only reads never
   * does, since his view is one state.
   */
  readonly runs: { readonly serializable: readonly number[]; readonly snapshot: readonly number[] };
  readonly isPossibleUnderSnapshot?: true;
}

/** What is there before. */
export const start: readonly Item[] = [
  { id: "x", n: 10 },
  { id: "y", n: 20 },
];

/** An outcome, as conditions look at it. */
export class Seen {
  readonly #outcome: Outcome;

  constructor(outcome: Outcome) {
    this.#outcome = outcome;
  }

  /** What a transaction read first, second, … */
  read(who: Name, at: number): Answer {
    return this.#of(who).answers[at];
  }
  hasRead(who: Name, ...answers: readonly Answer[]): boolean {
    return JSON.stringify(this.#of(who).answers) === JSON.stringify(answers);
  }
  isCommitted(who: Name): boolean {
    return this.#of(who).failed === undefined;
  }
  /** What there is at the end, or undefined. */
  n(id: string): number | undefined {
    return this.#outcome.items[id]?.n;
  }
  slug(id: string): string | undefined {
    return this.#outcome.items[id]?.slug;
  }

  #of(who: Name): Ended {
    return this.#outcome.ended[who]!;
  }
}

type Runs = Case["runs"];
export const once: Runs = { serializable: [1, 1], snapshot: [1, 1] };
export const firstAgain: Runs = { serializable: [2, 1], snapshot: [2, 1] };
export const secondAgain: Runs = { serializable: [1, 2], snapshot: [1, 2] };
