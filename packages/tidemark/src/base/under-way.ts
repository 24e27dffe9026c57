/** Work that has not ended, of which only the end is of interest. */
export class UnderWay {
  readonly #ends = new Set<Promise<unknown>>();

  get isEmpty(): boolean {
    return this.#ends.size === 0;
  }

  /** Keeps it until it has ended, one way or the other. */
  add<T>(work: Promise<T>): Promise<T> {
    const forget = (): void => void this.#ends.delete(end);
    const end: Promise<unknown> = work.then(forget, forget);
    this.#ends.add(end);
    return work;
  }

  /** Resolves when all that was added so far has ended. */
  ended(): Promise<unknown> {
    return Promise.all(this.#ends);
  }
}
