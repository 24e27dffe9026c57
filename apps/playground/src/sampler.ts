/** Asks both databases for their figures: four times a second while something happens, else once. */
import type { Metrics } from "tidemark";
import { atlas, typing } from "./databases.ts";

export interface Sample {
  /** As of `performance.now()`. */
  readonly at: number;
  readonly atlas: Metrics;
  readonly typing: Metrics;
}

const busyMs = 250;
const idleMs = 1000;
/** How long after the last change a database counts as busy. */
const restlessMs = 3000;

export class Sampler {
  readonly #listeners = new Set<(sample: Sample) => void>();
  #changedAt = 0;
  #headSum = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #onError: ((error: unknown) => void) | undefined;
  #isTaking = false;

  start(onError: (error: unknown) => void): void {
    this.#onError = onError;
    this.wake();
  }

  stop(): void {
    this.#onError = undefined;
    clearTimeout(this.#timer);
  }

  /** Looks at once, since something is about to happen or has just happened. */
  wake(): void {
    if (!this.#onError || this.#isTaking) return;
    clearTimeout(this.#timer);
    this.#isTaking = true;
    this.#take()
      .finally(() => (this.#isTaking = false))
      .then(() => {
        if (this.#onError) this.#timer = setTimeout(() => this.wake(), this.#pauseMs());
      })
      .catch((e: unknown) => this.#onError?.(e));
  }

  subscribe(listener: (sample: Sample) => void): void {
    this.#listeners.add(listener);
  }

  #pauseMs(): number {
    if (document.hidden) return idleMs;
    return performance.now() - this.#changedAt < restlessMs ? busyMs : idleMs;
  }

  async #take(): Promise<void> {
    const [a, t] = await Promise.all([atlas.storage.metrics(), typing.storage.metrics()]);
    const at = performance.now();
    const headSum = a.head + t.head + a.checkpoint + t.checkpoint;
    if (headSum !== this.#headSum) this.#changedAt = at;
    this.#headSum = headSum;
    for (const listener of this.#listeners) listener({ at, atlas: a, typing: t });
  }
}

/** What a database holds in its stores. */
export const storedBytes = ({ logBytes, blockBytes, metaBytes }: Metrics): number => logBytes + blockBytes + metaBytes;
