import type { TabId } from "../base/brand.ts";
import type { Clock } from "../base/clock.ts";

/** What turns need of the other tabs. */
export interface RetryPeers {
  /** Takes a token that all tabs share; resolves to its release. Gives up waiting, not running, after `waitMs`. */
  takeToken(waitMs: number): Promise<() => void>;
  /** Asks the other tabs to let one retry pass before they begin anything new, for `forMs` at most. */
  askForCourtesy(forMs: number): void;
}

/** A body that awaits something slow must not hold up the other retries for long. */
const maxTurnMs = 1000;
/** A first retry waits so long for the token, and for the others; each that follows twice as long, up to a bound. */
const [tokenMs, maxTokenMs] = [250, 4000];
/** Some turns of a busy machine: whoever lives and does not wait in its body is done before. */
const [courtesyMs, maxCourtesyMs] = [60, 1000];
const [underWayMs, maxUnderWayMs] = [2, 50];
const escalated = (ms: number, maxMs: number, attempt: number): number => Math.min(maxMs, ms * 2 ** (attempt - 1));

/**
 * Fair retries (MV3). Transactions that lost once take turns: within a tab one after the other, between tabs by a
 * shared token. Those that begin anew give way for a moment, or a tab that never loses would always win. All of it is
 * courtesy, not a lock: whoever takes too long is passed over, and correctness rests on validation alone. How long is
 * too long grows with what a retry has lost already, so that slow bodies get through as well.
 */
export class RetryTurns {
  readonly #clock: Clock;
  readonly #peers: RetryPeers;
  #last: Promise<unknown> = Promise.resolve();
  #courtesy: Promise<unknown> | undefined;
  /** Whose retry is waited for, if another tab asked, and what ends that. */
  #asked: { readonly by: TabId | undefined; readonly passed: () => void } | undefined;

  constructor(clock: Clock, peers: RetryPeers) {
    this.#clock = clock;
    this.#peers = peers;
  }

  /** Resolves when it is the turn of this retry, the first of which is 1, to the function that ends it. */
  async take(attempt: number): Promise<() => void> {
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const token = this.#last.then(() => this.#peers.takeToken(escalated(tokenMs, maxTokenMs, attempt)));
    this.#last = token.then(() => Promise.race([ended, this.#clock.sleep(maxTurnMs)]));
    const release = await token;
    const forMs = escalated(courtesyMs, maxCourtesyMs, attempt);
    this.#waitFor(ended, forMs);
    this.#peers.askForCourtesy(forMs);
    // What others have begun would beat it again and again, where its body takes longer than theirs.
    if (attempt > 1) await this.#clock.sleep(escalated(underWayMs, maxUnderWayMs, attempt - 1));
    return () => {
      release();
      end();
    };
  }

  /** Another tab asks to let its retry pass. */
  giveWay(by: TabId | undefined, forMs: number = courtesyMs): void {
    const passing = new Promise<void>((passed) => (this.#asked = { by, passed }));
    this.#waitFor(passing, Math.min(maxCourtesyMs, forMs));
  }

  /** Another tab's commit arrived: with the one that was waited for the retry has passed. */
  heardCommit(of: TabId): void {
    if (this.#asked && (this.#asked.by ?? of) === of) this.#asked.passed();
  }

  get isCourtesyDue(): boolean {
    return this.#courtesy !== undefined;
  }

  /** Whoever begins anew waits here, if somebody asked. */
  async courtesy(): Promise<void> {
    await this.#courtesy;
  }

  #waitFor(passed: Promise<void>, forMs: number): void {
    const courtesy: Promise<unknown> = Promise.race([passed, this.#clock.sleep(forMs)]).then(() => {
      if (this.#courtesy === courtesy) this.#courtesy = undefined;
    });
    this.#courtesy = courtesy;
  }
}
