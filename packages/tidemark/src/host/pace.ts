import type { Clock } from "../base/clock.ts";
import type { Pace } from "../segments/pace.ts";

const sliceMs = 2;
/** A page that always has calls outstanding must not stop upkeep for good. */
const maxWaitMs = 50;

/** Upkeep's slices: short, and none while the page waits for answers. */
export class Slices implements Pace {
  readonly #clock: Clock;
  readonly #giveWay: () => Promise<void>;
  readonly #isBusy: () => boolean;
  #begun: number;

  constructor(clock: Clock, giveWay: () => Promise<void>, isBusy: () => boolean) {
    this.#clock = clock;
    this.#giveWay = giveWay;
    this.#isBusy = isBusy;
    this.#begun = clock.now();
  }

  isDue(): boolean {
    return this.#clock.now() - this.#begun >= sliceMs;
  }

  async pause(): Promise<void> {
    const from = this.#clock.now();
    do await this.#giveWay();
    while (this.#isBusy() && this.#clock.now() - from < maxWaitMs);
    this.#begun = this.#clock.now();
  }
}
