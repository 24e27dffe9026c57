import type { TabId } from "../base/brand.ts";
import type { Clock } from "../base/clock.ts";

/** What turns need of the other tabs. */
export interface RetryPeers {
  /** Takes a token that all tabs share; resolves to its release. Gives up waiting, not running, after a while. */
  takeToken(): Promise<() => void>;
  /** Asks the other tabs to let one retry pass before they begin anything new. */
  askForCourtesy(): void;
}

/** A body that awaits something slow must not hold up the other retries for long. */
const maxTurnMs = 1000;
/** Nobody waits longer than this for somebody else's retry: some turns of a busy machine, whoever lives is done before. */
const maxCourtesyMs = 60;

/**
 * Fair retries (MV3). Transactions that lost once take turns: within a tab one after the other, between tabs by a
 * shared token. Those that begin anew give way for a moment, or a tab that never loses would always win. All of it is
 * courtesy, not a lock: whoever takes too long is passed over, and correctness rests on validation alone.
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

  /** Resolves when it is this retry's turn, to the function that ends it. */
  async take(): Promise<() => void> {
    const before = this.#last;
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    this.#last = before.then(() => Promise.race([ended, this.#clock.sleep(maxTurnMs)]));
    await before;
    const release = await this.#peers.takeToken();
    this.#waitFor(ended);
    this.#peers.askForCourtesy();
    return () => {
      release();
      end();
    };
  }

  /** Another tab asks to let its retry pass. */
  giveWay(by: TabId | undefined): void {
    this.#waitFor(new Promise<void>((passed) => (this.#asked = { by, passed })));
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

  #waitFor(passed: Promise<void>): void {
    const courtesy: Promise<unknown> = Promise.race([passed, this.#clock.sleep(maxCourtesyMs)]).then(() => {
      if (this.#courtesy === courtesy) this.#courtesy = undefined;
    });
    this.#courtesy = courtesy;
  }
}
