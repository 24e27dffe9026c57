/** A live page of search results, together with the last edit of its section, as of one commit. */
import { atlas, type AtlasView, type Pulse } from "../databases.ts";
import type { Echo } from "./echo.ts";

/** What a list needs of a query. */
export interface Search<T> {
  limit(n: number): { toArray(): Promise<T[]> };
  count(): Promise<number>;
}

export interface Page<T> {
  readonly rows: readonly T[];
  readonly total: number;
  readonly tookMs: number;
  readonly pulse: Pulse | undefined;
}

/** The last page stays where the next one fails. */
export interface ListState<T> {
  readonly page: Page<T> | undefined;
  readonly error: unknown;
}

export class LiveList<T> {
  readonly #section: Pulse["section"];
  readonly #echo: Echo;
  readonly #render: () => void;
  #state: ListState<T> = { page: undefined, error: undefined };
  #stop: (() => void) | undefined;

  /** `render` shows the state whenever it is another; `echo` hears of it then. */
  constructor(section: Pulse["section"], echo: Echo, render: () => void) {
    this.#section = section;
    this.#echo = echo;
    this.#render = render;
  }

  get state(): ListState<T> {
    return this.#state;
  }

  /** Shows another search instead of the present one. Resolves when it shows, has failed, or was replaced. */
  show(search: (view: AtlasView) => Search<T>, limit: number): Promise<void> {
    this.#stop?.();
    const live = atlas.live(async (view): Promise<Page<T>> => {
      const startedAt = performance.now();
      const found = search(view);
      const rows = await found.limit(limit).toArray();
      const tookMs = performance.now() - startedAt;
      const [total, pulse] = await Promise.all([found.count(), view.collection("pulse").get(this.#section)]);
      return { rows, total, tookMs, pulse };
    });
    return new Promise((resolve) => {
      const subscription = live.subscribe({
        next: (page) => {
          this.#state = { page, error: undefined };
          this.#render();
          void this.#echo.rendered(page.pulse);
          resolve();
        },
        error: (e) => {
          this.#state = { ...this.#state, error: e };
          this.#render();
          resolve();
        },
      });
      this.#stop = () => {
        subscription.unsubscribe();
        resolve();
      };
    });
  }
}
