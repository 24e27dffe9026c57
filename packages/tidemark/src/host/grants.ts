/**
 * Slices of background work that the page grants out of its idle moments. The page is told whether work waits, so that
 * it asks for idle moments only then. A grant that nobody takes lapses: the idle moment it came from is over.
 */
import {
  idleMomentMs,
  type OfferAnswer,
  type OpenRequest,
  type PageOffer,
  type PageState,
} from "../protocol/messages.ts";
import { invalidOption } from "./failure.ts";

/** From one piece of work to the next it is not worth a message that none waits. */
const lullMs = 4;

export interface GrantsOptions {
  /** Absent: nobody grants. */
  readonly page: PageState | undefined;
  readonly tell: (waits: boolean) => void;
  /** As `Environment.ticks`. */
  ticks(): number;
  sleep(ms: number): Promise<void>;
}

interface Offered {
  readonly budgetMs: number;
  /** When the idle moment is over. */
  readonly until: number;
  readonly used: (ms: number | undefined) => void;
}

export interface Grant {
  readonly budgetMs: number;
  /** The slice is over. */
  used(ms: number): void;
}

export class Grants {
  readonly #options: GrantsOptions;
  #page: PageState | undefined;
  #offered: Offered | undefined;
  #waits = false;
  #told = false;
  /** Tells whoever looks for a grant that something changed. */
  #changed: (() => void) | undefined;

  constructor(options: GrantsOptions) {
    this.#options = options;
    this.#page = options.page;
  }

  /** Whether a page is there and in sight, so that it is up to it when slices begin. */
  get isGranting(): boolean {
    return this.#page === "visible";
  }

  set waits(waits: boolean) {
    if (waits === this.#waits) return;
    this.#waits = waits;
    if (waits) this.#tell();
    else void this.#options.sleep(lullMs).then(() => this.#tell());
  }

  /** In a lull a slice is kept for what may come next, or else the page would offer one after another. @throws OPTIONS_INVALID */
  async offer(raw: PageOffer): Promise<OfferAnswer> {
    const offer = checkedOffer(raw);
    if (offer.type === "page") {
      this.#page = offer.state;
      this.#lapse();
      this.#wake();
    } else if (this.#waits || this.#told) return { usedMs: await this.#offer(offer.budgetMs, offer.leftMs) };
    return {};
  }

  get isOffered(): boolean {
    return this.#offered !== undefined && this.#offered.until > this.#options.ticks();
  }

  /** The grant at hand, if any; whoever takes it says when its slice is over. */
  take(): Grant | undefined {
    const offered = this.#offered;
    this.#offered = undefined;
    if (!offered) return undefined;
    const { budgetMs, until, used } = offered;
    return { budgetMs: Math.min(budgetMs, until - this.#options.ticks()), used };
  }

  /** Resolves when a grant came or the page went out of sight, or after `ms`. */
  change(ms: number): Promise<void> {
    const changed = new Promise<void>((resolve) => (this.#changed = resolve));
    return Promise.race([changed, this.#options.sleep(ms)]);
  }

  #tell(): void {
    if (!this.#waits) this.#lapse();
    if (this.#page === undefined || this.#waits === this.#told) return;
    this.#told = this.#waits;
    this.#options.tell(this.#told);
  }

  #offer(budgetMs: number, leftMs: number): Promise<number | undefined> {
    this.#lapse(); // a page has one outstanding at most; should it come with another, the newer idle moment counts
    return new Promise((used) => {
      const offered = { budgetMs, until: this.#options.ticks() + leftMs, used };
      this.#offered = offered;
      this.#wake();
      void this.#options.sleep(leftMs).then(() => {
        if (this.#offered === offered) this.#lapse();
      });
    });
  }

  #lapse(): void {
    this.#offered?.used(undefined);
    this.#offered = undefined;
  }

  #wake(): void {
    this.#changed?.();
    this.#changed = undefined;
  }
}

/** What comes from another realm is looked at before it is believed. */
function checkedOffer(raw: unknown): PageOffer {
  const { type, budgetMs, leftMs, state } = (raw ?? {}) as Readonly<Record<string, unknown>>;
  if (type === "page" && isPageState(state)) return { type, state };
  if (type === "slice" && isIdleTime(budgetMs) && isIdleTime(leftMs)) return { type, budgetMs, leftMs };
  throw invalidOption("offer", "a slice or the page's state");
}

/** @throws OPTIONS_INVALID */
export function checkPage({ page }: Pick<OpenRequest, "page">): void {
  if (page !== undefined && !isPageState(page)) throw invalidOption("page", `"visible" or "hidden"`);
}

const isPageState = (value: unknown): value is PageState => value === "visible" || value === "hidden";

const isIdleTime = (value: unknown): value is number => typeof value === "number" && value > 0 && value <= idleMomentMs;
