import { UnderWay } from "../base/under-way.ts";

/**
 * Calls on the head take effect in call order. A view opens when the writes called before it are done, and a write
 * starts when the views called before it are open: otherwise it could join the group commit they wait for, and they
 * would see it.
 */
export class CallOrder {
  readonly #writing = new UnderWay();
  readonly #opening = new UnderWay();

  /** Opens a view when it is its turn: at once where no write is under way. */
  async view<T>(open: () => T): Promise<T> {
    if (this.#writing.isEmpty) return open();
    return this.#opening.add(this.#writing.ended().then(open));
  }

  /** Looks at the head in the log, after the writes called before and before those called later. */
  look<T>(work: () => Promise<T>): Promise<T> {
    return this.#opening.add(this.#writing.isEmpty ? work() : this.#writing.ended().then(work));
  }

  /** Starts a write when it is its turn. */
  write<T>(start: () => Promise<T>): Promise<T> {
    return this.#writing.add(this.#opening.isEmpty ? start() : this.#opening.ended().then(start));
  }
}
