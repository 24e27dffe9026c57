/**
 * Calls on the head take effect in call order. A view opens when the writes called before it are done, and a write
 * starts when the views called before it are open: otherwise it could join the group commit they wait for, and they
 * would see it.
 */
export class CallOrder {
  readonly #writing = new Set<Promise<unknown>>();
  readonly #opening = new Set<Promise<unknown>>();

  /** Opens a view when it is its turn: at once where no write is under way. */
  async view<T>(open: () => T): Promise<T> {
    if (this.#writing.size === 0) return open();
    const opened = Promise.all(this.#writing).then(open);
    track(this.#opening, opened);
    return opened;
  }

  /** Looks at the head in the log, after the writes called before and before those called later. */
  look<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#writing.size === 0 ? work() : Promise.all(this.#writing).then(work);
    track(this.#opening, done);
    return done;
  }

  /** Starts a write when it is its turn. */
  write<T>(start: () => Promise<T>): Promise<T> {
    const done = this.#opening.size === 0 ? start() : Promise.all(this.#opening).then(start);
    track(this.#writing, done);
    return done;
  }
}

/** Keeps `work` among `set` until it has ended, one way or the other. */
function track(set: Set<Promise<unknown>>, work: Promise<unknown>): void {
  const end = (): void => void set.delete(ended);
  const ended: Promise<unknown> = work.then(end, end);
  set.add(ended);
}
