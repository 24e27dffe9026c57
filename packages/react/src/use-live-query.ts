import { type DependencyList, useMemo, useSyncExternalStore } from "react";
import type { Database, Declarations, View } from "tidemark";
import { dataOf, getPending, Store } from "./store.ts";

/**
 * The result of a live query: it runs while the component is mounted, and again whenever a commit in any tab touches
 * what it read. Renders only where the result differs; records that did not change keep their identity.
 *
 * `query` is run anew when `db` or a member of `deps` changes: list what it uses from outside. `defaultValue`, or
 * `undefined`, is returned before the first result for these `deps`, and on a server, where nothing is read.
 *
 * @throws while rendering, what the query failed with: an error boundary shows it, and mounting again tries again.
 */
export function useLiveQuery<C extends Declarations, T>(
  db: Database<C>,
  query: (q: View<C>) => Promise<T>,
  deps?: DependencyList,
): T | undefined;
export function useLiveQuery<C extends Declarations, T, D>(
  db: Database<C>,
  query: (q: View<C>) => Promise<T>,
  deps: DependencyList,
  defaultValue: D,
): T | D;
export function useLiveQuery<C extends Declarations, T, D>(
  db: Database<C>,
  query: (q: View<C>) => Promise<T>,
  deps: DependencyList = [],
  defaultValue?: D,
): T | D | undefined {
  const { subscribe, getSnapshot } = useMemo(() => new Store(db.live(query)), [db, ...deps]);
  return dataOf(useSyncExternalStore(subscribe, getSnapshot, getPending), defaultValue);
}
