/**
 * Grants slices of the worker's background work out of the page's idle moments (VG10). Moments are asked for only while
 * work waits and the page is in sight; a hidden page has none, and its worker paces itself.
 *
 * Browsers give an idle page one callback in 50 to 100 ms, with 50 ms left. So an idle moment grants slices for as long
 * as it lasts, one after another; the page's own work ends it.
 */
import { type HostSurface, idleMomentMs, type PageState } from "../protocol/messages.ts";

/** Less than this is not worth a message to the worker. */
const leastMs = 1;

/** An idle moment, and what is left of it. */
export interface Moment {
  timeRemaining(): number;
}

/** The page, as far as it has idle moments. Injected, so that a test can own it. */
export interface PageSeam {
  readonly state: PageState;
  /** Calls `tell` when the page becomes hidden or visible; the answer stops that. */
  watch(tell: () => void): () => void;
  /** Calls `use` in the next idle moment, once; the answer withdraws it. */
  ask(use: (moment: Moment) => void): () => void;
}

export interface IdleOptions {
  readonly page: PageSeam;
  readonly surface: Pick<HostSurface, "grant">;
  readonly budgetMs: number;
  /** Whether calls of this page are outstanding: then the worker begins no slice. */
  readonly isBusy: () => boolean;
}

export class IdleGrants {
  readonly #options: IdleOptions;
  readonly #unwatch: () => void;
  /** What the worker was told last. */
  #told: PageState;
  /** From the opening of the database to the end of the link. */
  #isOpen = false;
  #waits = false;
  /**
   * Of the moment that is asked for. It stays so where work waits no more: in Chromium, a moment that is asked for just
   * after another was withdrawn may not come before the page has something else to do.
   */
  #withdraw: (() => void) | undefined;
  #isOutstanding = false;

  constructor(options: IdleOptions) {
    this.#options = options;
    this.#told = options.page.state;
    this.#unwatch = options.page.watch(() => this.#settle());
  }

  /** The page's state, as the worker hears of it when it opens the database. */
  get state(): PageState {
    return this.#told;
  }

  /** The worker has the database open. */
  opened(): void {
    this.#isOpen = true;
    this.#settle();
  }

  /** The worker tells whether work waits. */
  work(waits: boolean): void {
    this.#waits = waits;
    this.#settle();
  }

  dispose(): void {
    this.#isOpen = false;
    this.#withdraw?.();
    this.#withdraw = undefined;
    this.#unwatch();
  }

  get #asks(): boolean {
    return this.#isOpen && this.#waits && this.#options.page.state === "visible";
  }

  #settle(): void {
    const { page, surface } = this.#options;
    if (this.#isOpen && page.state !== this.#told) {
      this.#told = page.state;
      surface.grant({ type: "page", state: this.#told }).catch(ignored);
    }
    if (!this.#asks || this.#isOutstanding) return;
    this.#withdraw ??= page.ask((moment) => {
      this.#withdraw = undefined;
      void this.#use(moment);
    });
  }

  /** One slice after another, while the moment lasts and work waits. */
  async #use(moment: Moment): Promise<void> {
    const { surface, budgetMs, isBusy } = this.#options;
    this.#isOutstanding = true;
    try {
      while (this.#asks && !isBusy()) {
        const leftMs = Math.min(moment.timeRemaining(), idleMomentMs);
        if (leftMs < leastMs) break;
        const { usedMs } = await surface.grant({ type: "slice", budgetMs: Math.min(budgetMs, leftMs), leftMs });
        if (usedMs === undefined) break; // what comes next is for another moment
      }
    } catch {
      this.#waits = false; // the worker is gone, or about to be; the next one will tell
    } finally {
      this.#isOutstanding = false;
      this.#settle();
    }
  }
}

const ignored = (): void => undefined;
