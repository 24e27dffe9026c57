import { defaultWork, type WorkOptions } from "../gc/work.ts";
import type { Pace } from "../segments/pace.ts";
import type { JobOptions, Slices } from "./pace.ts";

/** Upkeep's pieces of work take turns, and each is done in slices. */
export class WorkTurns {
  readonly #slices: Slices;
  readonly #work: WorkOptions;
  #turn: Promise<unknown> = Promise.resolve();
  /** Of how many calls somebody waits. */
  #hurries = 0;
  #isStopping = false;

  constructor(slices: Slices, work: WorkOptions = defaultWork) {
    this.#slices = slices;
    this.#work = work;
  }

  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  inSlices<T>(work: (options: WorkOptions) => Promise<T>, job: Omit<JobOptions, "isHeadlong"> = {}): Promise<T> {
    const isHeadlong = (): boolean => this.#hurries > 0 || this.#isStopping;
    return this.#slices.run((pace: Pace) => work({ ...this.#work, pace }), { ...job, isHeadlong });
  }

  /** Somebody waits for it: it does not wait for idle moments, and neither does what is in its way. */
  async hurry<T>(wait: () => Promise<T>): Promise<T> {
    this.#hurries++;
    try {
      return await wait();
    } finally {
      this.#hurries--;
    }
  }

  /** What is under way comes to its end soon. Resolves then. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#turn;
  }
}
