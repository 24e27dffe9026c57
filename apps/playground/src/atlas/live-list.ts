/** A live page of search results, together with the last edit of its section, as of one commit. */
import { atlas, type AtlasView, type Pulse } from "../databases.ts";

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

export interface ListObserver<T> {
  next(page: Page<T>): void;
  error(error: unknown): void;
}

export class LiveList<T> {
  readonly #section: Pulse["section"];
  readonly #observer: ListObserver<T>;
  #stop: (() => void) | undefined;

  constructor(section: Pulse["section"], observer: ListObserver<T>) {
    this.#section = section;
    this.#observer = observer;
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
          this.#observer.next(page);
          resolve();
        },
        error: (e) => {
          this.#observer.error(e);
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
