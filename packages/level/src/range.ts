/** The part of all keys that is read, and in which direction. Keys are as they are kept. */
import { type Data, type EntryQuery, storedKey } from "./entries.ts";

interface Bound {
  readonly key: string;
  readonly isIncluded: boolean;
}

export interface Range {
  readonly lower: Bound | undefined;
  readonly upper: Bound | undefined;
  readonly reverse: boolean;
}

/** As abstract-level hands them over: encoded, the direction always given. */
export interface RangeOptions {
  readonly gt?: Data;
  readonly gte?: Data;
  readonly lt?: Data;
  readonly lte?: Data;
  readonly reverse: boolean;
  /** -1: none. */
  readonly limit: number;
}

export function rangeOf({ gt, gte, lt, lte, reverse }: RangeOptions): Range {
  return { lower: boundOf(gte, gt), upper: boundOf(lte, lt), reverse };
}

/** Where both are given the one that includes its key counts. */
function boundOf(included: Data | undefined, excluded: Data | undefined): Bound | undefined {
  const key = included ?? excluded;
  return key === undefined ? undefined : { key: storedKey(key), isIncluded: included !== undefined };
}

export function isWithin({ lower, upper }: Range, key: string): boolean {
  const isAbove = lower === undefined || key > lower.key || (key === lower.key && lower.isIncluded);
  return isAbove && (upper === undefined || key < upper.key || (key === upper.key && upper.isIncluded));
}

/** What of it lies ahead of a key within it, in its direction. */
export function ahead(range: Range, key: string, isIncluded: boolean): Range {
  const bound = { key, isIncluded };
  return range.reverse ? { ...range, upper: bound } : { ...range, lower: bound };
}

/** The query of `all` for it. */
export function queryOf<Q extends EntryQuery>(all: Q, { lower, upper, reverse }: Range): Q {
  let query = all;
  if (lower) query = lower.isIncluded ? query.aboveOrEqual(lower.key) : query.above(lower.key);
  if (upper) query = upper.isIncluded ? query.belowOrEqual(upper.key) : query.below(upper.key);
  return reverse ? query.reverse() : query;
}

export const isEverything = ({ lower, upper }: Range): boolean => lower === undefined && upper === undefined;
