import type { Clock } from "../base/clock.ts";
import type { Pace } from "../segments/pace.ts";

const sliceMs = 2;
/** A page that always has calls outstanding, and tabs that always commit, must not stop upkeep for good. */
const maxWaitMs = 50;
const lookMs = 4;
/** While somebody works, upkeep rests so many times as long as its last slice, and what that stored, took. */
const restTimes = 3;
/** So long after a call or a commit the next is expected. */
const activeForMs = 50;

/** Who would wait for upkeep: this tab's page and, since all tabs share storage, whoever commits in another. */
export class Foreground {
  readonly #clock: Clock;
  /** Lists of calls of this tab's page that are not answered yet. */
  #outstanding = 0;
  #lastMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the page waits for answers. */
  get isWaiting(): boolean {
    return this.#outstanding > 0;
  }

  /** Whether anybody worked within the last moments, and so is likely to go on. */
  get isActive(): boolean {
    return this.isWaiting || this.#clock.now() - this.#lastMs < activeForMs;
  }

  begin(): void {
    this.#outstanding++;
  }

  end(): void {
    this.#outstanding--;
    this.heard();
  }

  /** Another tab committed. */
  heard(): void {
    this.#lastMs = this.#clock.now();
  }
}

export interface PaceOptions {
  readonly clock: Clock;
  readonly foreground: Foreground;
  giveWay(): Promise<void>;
  /** Whether work piles up: then slices follow on one another, with all others' turns in between. */
  readonly isPressed: () => boolean;
}

/**
 * Upkeep's slices: short, and none while the page waits for answers; with gaps between them while anybody works, so that
 * what they have storage do is seldom in the way of a commit. Unless upkeep falls behind.
 */
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
    const { clock } = this.#options;
    const from = clock.now();
    const restMs = Math.min(maxWaitMs, (from - this.#begun) * restTimes);
    await this.#options.giveWay();
    while (this.#isInTheWay(clock.now() - from, restMs)) await clock.sleep(lookMs);
    this.#begun = clock.now();
  }

  #isInTheWay(waitedMs: number, restMs: number): boolean {
    const { foreground, isPressed } = this.#options;
    if (waitedMs < 0 || waitedMs >= maxWaitMs || isPressed()) return false; // below 0: the clock was set back
    return foreground.isWaiting || (foreground.isActive && waitedMs < restMs);
  }
}
