import { useMemo, useSyncExternalStore } from "react";
import type { AnyDeclaration, Collection, KeyOf, RecordOf } from "tidemark";
import { dataOf, getPending, type Source, Store } from "./store.ts";

/**
 * A record by its key, kept up to date; `undefined` before it is read, where there is none, and for the key `undefined`
 * or `null`. Renders only where this record changes.
 *
 * @throws while rendering, what reading failed with.
 */
export function useRecord<D extends AnyDeclaration>(
  collection: Collection<D>,
  key: KeyOf<D> | undefined | null,
): RecordOf<D> | undefined {
  const { subscribe, getSnapshot } = useMemo(
    () => new Store(key === undefined || key === null ? nothing : recordIn(collection, key)),
    [collection, textOf(key)],
  );
  return dataOf(useSyncExternalStore(subscribe, getSnapshot, getPending), undefined);
}

const nothing: Source<undefined> = { subscribe: () => ({ unsubscribe: () => undefined }) };

const recordIn = <D extends AnyDeclaration>(
  collection: Collection<D>,
  key: KeyOf<D>,
): Source<RecordOf<D> | undefined> => ({
  subscribe: (observer) =>
    collection
      .where()
      .equals(key)
      .subscribe({ next: ([record]) => observer.next?.(record), error: (e: unknown) => observer.error?.(e) }),
});

/** The same for keys that are the same: lists and dates are made anew by every render. */
function textOf(key: unknown): string {
  if (Array.isArray(key)) return `[${key.map(textOf).join()}]`;
  if (key instanceof Date) return `date ${key.getTime()}`;
  if (key instanceof ArrayBuffer) return `bytes ${new Uint8Array(key).join()}`;
  if (ArrayBuffer.isView(key)) return `bytes ${new Uint8Array(key.buffer, key.byteOffset, key.byteLength).join()}`;
  return typeof key === "string" ? JSON.stringify(key) : String(key);
}
