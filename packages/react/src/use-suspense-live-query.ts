import { useSyncExternalStore } from "react";
import type { Database, Declarations, View } from "tidemark";
import { type Snapshot, type Source, Store } from "./store.ts";

/** Names a query: two with the same key are one. */
export type QueryKey = readonly (string | number | bigint | boolean | null | undefined)[];

/** Nobody has shown a result: its component is rendered once more, as soon as React comes to it. */
const unshownMs = 5_000;
/** The last who showed it has left: he may only be mounted again. */
const leftMs = 1_000;
/** Having rendered an error, React renders once more at once; whoever comes later wants another try. */
const failedMs = 100;

/**
 * As `useLiveQuery`, but waits: the nearest Suspense boundary shows its fallback until there is a result, and so does
 * the boundary on a server, where nothing is read.
 *
 * A component that waits is not kept by React, so `key` says by what the query is found again: it names the query and
 * holds all that it uses from outside. Components with the same key on the same handle share one run.
 *
 * @throws while rendering, what the query failed with; when the boundary renders again, it is tried again.
 */
export function useSuspenseLiveQuery<C extends Declarations, T>(
  db: Database<C>,
  query: (q: View<C>) => Promise<T>,
  key: QueryKey,
): T {
  // React leaves what throws on a server to the browser.
  if (typeof window === "undefined") throw new Error("Live queries are read in the browser");
  const kept = keptQuery(db, query, key);
  const snapshot = useSyncExternalStore(kept.subscribe, kept.getSnapshot, kept.getSnapshot);
  if (snapshot.status === "ready") return snapshot.data;
  // oxlint-disable-next-line typescript/only-throw-error -- a promise thrown is how a component waits, since React 16
  if (snapshot.status === "pending") throw kept.settled;
  kept.failed();
  throw snapshot.error;
}

const keptOf = new WeakMap<object, Map<string, Kept<unknown>>>();

function keptQuery<C extends Declarations, T>(
  db: Database<C>,
  query: (q: View<C>) => Promise<T>,
  key: QueryKey,
): Kept<T> {
  const all = keptOf.get(db) ?? new Map<string, Kept<unknown>>();
  keptOf.set(db, all);
  const name = JSON.stringify(key.map((part) => [typeof part, String(part)]));
  const found = all.get(name) as Kept<T> | undefined;
  if (found) return found;
  const made: Kept<T> = new Kept(db.live(query), {
    remember: () => void (all.has(name) || all.set(name, made)),
    forget: () => void (all.get(name) === made && all.delete(name)),
  });
  made.start();
  return made;
}

/** A query that runs from when it is first rendered until nobody shows it any more. */
class Kept<T> {
  readonly #store: Store<T>;
  readonly #shelf: { remember(): void; forget(): void };
  readonly #shownBy = new Set<() => void>();
  /** Set while it runs. */
  #leave: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Resolves with the first result, or when there will be none. */
  settled: Promise<void> = Promise.resolve();

  constructor(source: Source<T>, shelf: { remember(): void; forget(): void }) {
    this.#store = new Store(source);
    this.#shelf = shelf;
  }

  start(): void {
    let settle: () => void = () => undefined;
    this.settled = new Promise((resolve) => (settle = resolve));
    this.#shelf.remember();
    this.#leave = this.#store.subscribe(() => {
      if (this.#shownBy.size === 0) this.#endIn(unshownMs);
      settle();
      for (const changed of Array.from(this.#shownBy)) changed();
    });
  }

  readonly getSnapshot = (): Snapshot<T> => this.#store.getSnapshot();

  readonly subscribe = (changed: () => void): (() => void) => {
    clearTimeout(this.#timer);
    // The same function may be there twice.
    const tell = (): void => changed();
    this.#shownBy.add(tell);
    // What React kept hidden comes back with what it had, however long ago.
    if (!this.#leave) this.start();
    return () => {
      if (this.#shownBy.delete(tell) && this.#shownBy.size === 0) this.#endIn(leftMs);
    };
  };

  /** Its error is shown. */
  failed(): void {
    if (this.#shownBy.size === 0) this.#endIn(failedMs);
  }

  #endIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#shelf.forget();
      this.#leave?.();
      this.#leave = undefined;
    }, ms);
  }
}
