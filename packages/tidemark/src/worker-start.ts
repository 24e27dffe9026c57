/** The worker of a database, and how it starts before there is a client that speaks to it. */

export interface Place {
  readonly storage?: unknown;
  readonly worker?: false | (() => Worker) | undefined;
}

/** Data kept in memory, or in storage that is given, is this realm's, so its engine runs here too. */
export const isInWorker = ({ storage = "indexeddb", worker }: Place): boolean =>
  worker !== false && storage === "indexeddb" && typeof Worker !== "undefined";

// Bundlers find the worker by exactly this expression, and give it its own file. `new URL(…)` alone would be an asset.
export const startOwnWorker = (): Worker =>
  new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "tidemark" });

/** A worker that was started ahead. */
export class WorkerAhead {
  #worker: Worker | undefined;

  constructor(place: Place) {
    if (!isInWorker(place)) return;
    try {
      const worker = (place.worker || startOwnWorker)();
      worker.addEventListener("error", (e) => {
        e.preventDefault();
        this.take()?.terminate(); // the next one tells why
      });
      this.#worker = worker;
    } catch {
      // Whoever opens tries again, and tells.
    }
  }

  /** It, if it is still there; the caller's from now on. */
  readonly take = (): Worker | undefined => {
    const worker = this.#worker;
    this.#worker = undefined;
    return worker;
  };
}
