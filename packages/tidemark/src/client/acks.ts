/** Acknowledgements of one consumer: one is on its way at a time, and of those made meanwhile only the last is sent. */
export class Acks {
  readonly #send: (position: number) => Promise<void>;
  #wanted: number;
  #stored: number;
  #sending: Promise<void> | undefined;

  constructor(position: number, send: (position: number) => Promise<void>) {
    this.#stored = this.#wanted = position;
    this.#send = send;
  }

  /** The last commit that is acknowledged, or about to be. */
  get position(): number {
    return this.#wanted;
  }

  /** Resolves when all up to `position` is acknowledged durably. */
  async upTo(position: number): Promise<void> {
    this.#wanted = Math.max(this.#wanted, position);
    while (this.#stored < position) await (this.#sending ??= this.#next());
  }

  async #next(): Promise<void> {
    await Promise.resolve(); // those of one tick go together
    const to = this.#wanted;
    try {
      await this.#send(to);
      this.#stored = Math.max(this.#stored, to);
    } finally {
      this.#sending = undefined;
    }
  }
}
