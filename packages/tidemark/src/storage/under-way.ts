/** Work that has not ended, of which only the end is of interest. */
export class UnderWay {
  readonly #ends = new Set<Promise<unknown>>();

  add<T>(work: Promise<T>): Promise<T> {
    const end: Promise<unknown> = work
      .catch(() => undefined) // told to whom it was done for
      .then(() => this.#ends.delete(end));
    this.#ends.add(end);
    return work;
  }

  /** Resolves when all that was added so far has ended, well or not. */
  async ended(): Promise<void> {
    await Promise.all(this.#ends);
  }
}
