/** What a query asks for, as values: ranges of one table's keys, and what is done with the records found there. */
import { type ByteKey, byteKey } from "../base/brand.ts";
import type { KeyRange, Once } from "../protocol/messages.ts";

/** In this order, whatever the order of the calls: ranges, filters, reverse, offset, limit. */
export interface Shape {
  /** Within one table: encoded keys without the table, ascending and disjoint. */
  readonly ranges: readonly KeyRange[];
  /** All of them are the keys that begin with one, which is a key of its own: no record has two entries there. */
  readonly isOneKey: boolean;
  readonly filters: readonly ((record: unknown) => unknown)[];
  readonly reverse: boolean;
  /** Which of several entries of a record in the ranges counts; else the first on the way. */
  readonly counts: Once["at"] | undefined;
  readonly offset: number;
  readonly limit: number | undefined;
}

const all: KeyRange = { from: byteKey(""), to: undefined };

export const everything: Shape = {
  ranges: [all],
  isOneKey: false,
  filters: [],
  reverse: false,
  counts: undefined,
  offset: 0,
  limit: undefined,
};

/** What lies in both of two lists of ranges. */
export function intersection(a: readonly KeyRange[], b: readonly KeyRange[]): readonly KeyRange[] {
  const common: KeyRange[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [left, right] = [a[i]!, b[j]!];
    const from = left.from > right.from ? left.from : right.from;
    const isLeftFirst = endsFirst(left, right);
    const { to } = isLeftFirst ? left : right;
    if (to === undefined || from < to) common.push({ from, to });
    if (isLeftFirst) i++;
    else j++;
  }
  return common;
}

const endsFirst = (a: KeyRange, b: KeyRange): boolean => a.to !== undefined && (b.to === undefined || a.to < b.to);

/** Ranges in any order, some perhaps the same or overlapping, as an ascending, disjoint list. */
export function union(ranges: readonly KeyRange[]): readonly KeyRange[] {
  const ordered = ranges.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  const apart: KeyRange[] = [];
  for (const range of ordered) {
    const last = apart.at(-1);
    if (last === undefined || (last.to !== undefined && last.to < range.from)) apart.push(range);
    else if (endsFirst(last, range)) apart[apart.length - 1] = { from: last.from, to: range.to };
  }
  return apart;
}

/** What comes after `key` in a direction. */
export function beyond(ranges: readonly KeyRange[], key: ByteKey, reverse: boolean): readonly KeyRange[] {
  return intersection(ranges, [reverse ? { from: all.from, to: key } : { from: byteKey(`${key}\0`), to: undefined }]);
}
