/**
 * The order of calls. Each gets in line when it is made and runs when it is its turn: at once where nothing is held
 * back. A call of several steps holds the line until it is done, so that no later one overtakes it.
 */
interface Waiting {
  run(): void;
  reject(error: unknown): void;
}

export class Line {
  readonly #waiting: Waiting[] = [];
  #holds = 0;
  #failure: { readonly error: unknown } | undefined;

  /** Whether a call that enters now has its turn at once. */
  get isFree(): boolean {
    return this.#holds === 0 && this.#waiting.length === 0 && !this.#failure;
  }

  /** Runs `step` when it is its turn. */
  enter<T>(step: () => Promise<T>): Promise<T> {
    if (this.#failure) return refused(this.#failure.error);
    if (this.isFree) return step();
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ run: () => void step().then(resolve, reject), reject });
    });
  }

  /** Runs `work` when it is its turn; what is called later waits until it is done. */
  hold<T>(work: () => Promise<T>): Promise<T> {
    return this.enter(() => this.holdNow(work));
  }

  /** As `hold` for a call that had its turn and needs another: nothing later goes ahead of it. */
  async holdNow<T>(work: () => Promise<T>): Promise<T> {
    this.#holds++;
    try {
      return await work();
    } finally {
      this.#holds--;
      while (this.#holds === 0) {
        const next = this.#waiting.shift();
        if (!next) break;
        next.run();
      }
    }
  }

  /** What waits, and whatever is called from now on, ends with `error`. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const w of this.#waiting.splice(0)) w.reject(error);
  }
}

async function refused(error: unknown): Promise<never> {
  throw error;
}
