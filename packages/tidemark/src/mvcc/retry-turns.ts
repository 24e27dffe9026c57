import type { Clock } from "../base/clock.ts";

/** Takes a token that all tabs share; resolves to its release. Gives up waiting, not running, after a while. */
export type TakeToken = () => Promise<() => void>;

/** A body that awaits something slow must not hold up the other retries for long. */
const maxTurnMs = 1000;

/**
 * Fair retries (MV3). Transactions that lost once take turns: within a tab one after the other, between tabs by a
 * shared token. A turn is a courtesy, not a lock: whoever holds it too long is passed over, and correctness rests on
 * validation alone.
 */
export class RetryTurns {
  readonly #clock: Clock;
  readonly #takeToken: TakeToken;
  #last: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock, takeToken: TakeToken) {
    this.#clock = clock;
    this.#takeToken = takeToken;
  }

  /** Resolves when it is this retry's turn, to the function that ends it. */
  async take(): Promise<() => void> {
    const before = this.#last;
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    this.#last = before.then(() => Promise.race([ended, this.#clock.sleep(maxTurnMs)]));
    await before;
    const release = await this.#takeToken();
    return () => {
      release();
      end();
    };
  }
}
