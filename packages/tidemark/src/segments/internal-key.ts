import { type ByteKey, type Seq, seq } from "../base/brand.ts";

/** Where a version stands in the sorted order: key ascending, then seq descending, so that a chain reads newest first. */
export interface InternalKey {
  readonly key: ByteKey;
  readonly seq: Seq;
}

/** Later than every commit: a chain begins at (key, newest). */
export const newest: Seq = seq(Number.MAX_SAFE_INTEGER);

/** Negative, zero or positive as `a` comes before, at or after `b`. */
export function compareInternal(a: InternalKey, b: InternalKey): number {
  if (a.key === b.key) return b.seq - a.seq;
  return a.key < b.key ? -1 : 1;
}

/** How many leading bytes `a` and `b` share, looking at no more than `atMost`. */
export function sharedPrefixLength(a: ByteKey, b: ByteKey, atMost: number): number {
  const n = Math.min(a.length, b.length, atMost);
  let i = 0;
  while (i < n && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  return i;
}
