import type { Clock } from "../base/clock.ts";
import type { Pace } from "../segments/pace.ts";

const sliceMs = 2;
/** A page that always has calls outstanding must not stop upkeep for good. */
const maxWaitMs = 50;
const lookMs = 4;

export interface PaceOptions {
  readonly clock: Clock;
  giveWay(): Promise<void>;
  /** Whether the page waits for answers. */
  readonly isBusy: () => boolean;
  /** Whether work piles up: then slices follow on one another, with all others' turns in between. */
  readonly isPressed: () => boolean;
}

/** Upkeep's slices: short, and none while the page waits for answers unless upkeep falls behind. */
export class Slices implements Pace {
  readonly #options: PaceOptions;
  #begun: number;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#begun = options.clock.now();
  }

  isDue(): boolean {
    return this.#options.clock.now() - this.#begun >= sliceMs;
  }

  async pause(): Promise<void> {
    const { clock, isBusy, isPressed } = this.#options;
    const from = clock.now();
    await this.#options.giveWay();
    while (isBusy() && !isPressed() && clock.now() - from < maxWaitMs) await clock.sleep(lookMs);
    this.#begun = clock.now();
  }
}
