/** Asks a database for its figures while somebody looks: four times a second while something happens, else once. */
import type { Database, Metrics } from "tidemark";

export interface Sample {
  /** As of `performance.now()`. */
  readonly at: number;
  readonly metrics: Metrics;
}

export interface SampleObserver {
  next(sample: Sample): void;
  error(error: unknown): void;
}

type Measured = Pick<Database<never>, "storage">;

const busyMs = 250;
const idleMs = 1000;
/** How long after the last change a database counts as busy. */
const restlessMs = 3000;

export class Sampler {
  readonly #database: Measured;
  readonly #observers = new Set<SampleObserver>();
  #changedAt = 0;
  #positions = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isTaking = false;

  constructor(database: Measured) {
    this.#database = database;
  }

  /** From now on `observer` hears of each sample, until the function that is returned is called. */
  look(observer: SampleObserver): () => void {
    this.#observers.add(observer);
    this.wake();
    return () => {
      this.#observers.delete(observer);
      if (this.#observers.size === 0) clearTimeout(this.#timer);
    };
  }

  /** Looks at once, since something is about to happen or has just happened. */
  wake(): void {
    if (this.#observers.size === 0 || this.#isTaking) return;
    clearTimeout(this.#timer);
    this.#isTaking = true;
    this.#take()
      .then(() => {
        this.#isTaking = false;
        if (this.#observers.size > 0) this.#timer = setTimeout(() => this.wake(), this.#pauseMs());
      })
      .catch((e: unknown) => {
        this.#isTaking = false;
        for (const observer of this.#observers) observer.error(e);
      });
  }

  #pauseMs(): number {
    if (document.hidden) return idleMs;
    return performance.now() - this.#changedAt < restlessMs ? busyMs : idleMs;
  }

  async #take(): Promise<void> {
    const metrics = await this.#database.storage.metrics();
    const at = performance.now();
    const positions = metrics.head + metrics.checkpoint;
    if (positions !== this.#positions) this.#changedAt = at;
    this.#positions = positions;
    for (const observer of this.#observers) observer.next({ at, metrics });
  }
}

/** What a database holds in its stores. */
export const storedBytes = ({ logBytes, blockBytes, blobBytes, metaBytes }: Metrics): number =>
  logBytes + blockBytes + blobBytes + metaBytes;
