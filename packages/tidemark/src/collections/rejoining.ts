import { floorIn, readFloor } from "../mvcc/read-floor.ts";
import type { Store } from "../mvcc/store.ts";

/** How a tab goes on that was evicted while it slept (TB5): with another pin, and the state as it is now. */
export class Rejoining {
  readonly #store: Store;
  #underWay: Promise<void> | undefined;
  /** The record of the floor for which it was done last. */
  #doneFor = -1;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Whether a view of the head should not be opened before `awake`. */
  get isDue(): boolean {
    return this.#store.hasSlept() || this.#underWay !== undefined;
  }

  /** Looks whether the tab was left behind: a view of the head that it knows would be evicted as it opens. */
  async awake(): Promise<void> {
    const store = this.#store;
    const [row] = await store.storage.read([readFloor]);
    store.learnFloor(floorIn(row));
    if (this.#underWay || store.floor.seq > store.head.seq) await this.rejoin();
  }

  /** Once for each record of the floor; calls meanwhile share it. */
  rejoin(): Promise<void> {
    const { logSeq } = this.#store.floor;
    if (this.#underWay) return this.#underWay;
    if (logSeq === this.#doneFor) return Promise.resolve();
    this.#underWay = this.#store
      .rejoin()
      .then(() => void (this.#doneFor = logSeq))
      .finally(() => (this.#underWay = undefined));
    return this.#underWay;
  }
}
