/**
 * Ways to find what `find` asks for. Each is an index, or the primary key, with the ranges that the conditions leave of
 * it; whatever the ranges do not say is tested record by record. An index is a way only where the conditions see to it
 * that every record asked for has an entry in it: a compound index lists no record that lacks one of its fields.
 */
import { type ByteKey, byteKey } from "../base/brand.ts";
import { joinedPrefix, keyEnd, prefixEnd } from "../codec/key.ts";
import type { KeyPath } from "../codec/path.ts";
import type { IndexDefinition } from "../codec/schema.ts";
import type { KeyRange } from "../protocol/messages.ts";
import type { Conditions, ElementCondition, FieldCondition } from "./conditions.ts";
import { everything, union } from "./shape.ts";

/** What is declared of a collection. */
export interface Indexed {
  readonly key: KeyPath;
  readonly indexes: Readonly<Record<string, IndexDefinition>>;
}

export interface Way {
  /** `undefined`: the primary key. */
  readonly index: string | undefined;
  readonly ranges: readonly KeyRange[];
  readonly isOneKey: boolean;
  /** What the ranges see to, so that no record need be tested for it. */
  readonly covers: ReadonlySet<FieldCondition | ElementCondition>;
  /** By which fields its entries are ordered, behind those of which it has one key only. */
  readonly order: readonly string[];
}

/** By more starting points than this a compound index is not walked. */
const maxPoints = 64;

/** All ways, the whole collection in the order of its primary key among them: first. */
export function waysOf({ fields, elements }: Conditions, { key, indexes }: Indexed): readonly Way[] {
  const byPath = new Map(fields.map((field) => [field.path, field]));
  const ways: Way[] = [wayBy(undefined, key, byPath) ?? wholeWay(undefined, key)];
  for (const [index, { path, multi }] of Object.entries(indexes)) {
    if (multi) ways.push(...elements.filter((e) => e.path === path).map((element) => wayByElement(index, element)));
    else {
      const way = wayBy(index, path, byPath);
      if (way) ways.push(way);
    }
  }
  return ways;
}

/** Walks all of an index: complete only as far as every record has an entry in it. */
export const wholeWay = (index: string | undefined, path: KeyPath): Way => ({
  index,
  ranges: everything.ranges,
  isOneKey: false,
  covers: new Set(),
  order: typeof path === "string" ? [path] : path,
});

const wayByElement = (index: string, element: ElementCondition): Way => ({
  index,
  ranges: element.ranges,
  isOneKey: element.ranges.length === 1 && isPoint(element.ranges[0]!),
  covers: new Set([element]),
  order: [],
});

/** `undefined` where no condition bounds it, or a record asked for may have no entry. */
function wayBy(index: string | undefined, path: KeyPath, byPath: ReadonlyMap<string, FieldCondition>): Way | undefined {
  if (typeof path === "string") {
    const field = byPath.get(path);
    if (!field || field.holdsWithoutKey) return undefined;
    const isOneKey = field.ranges.length === 1 && isPoint(field.ranges[0]!);
    return { index, ranges: field.ranges, isOneKey, covers: new Set([field]), order: isOneKey ? [] : [path] };
  }
  const fields = path.map((part) => byPath.get(part));
  // A primary key is always there.
  if (index !== undefined && fields.some((field) => !field || field.holdsWithoutKey)) return undefined;
  if (!fields[0] || fields[0].holdsWithoutKey) return undefined;
  return compoundWay(index, path, fields);
}

/** Single keys of the first fields, and ranges of the next; of what follows, nothing. */
function compoundWay(
  index: string | undefined,
  path: readonly string[],
  fields: readonly (FieldCondition | undefined)[],
): Way {
  const covers = new Set<FieldCondition>();
  let prefixes: readonly ByteKey[] = [joinedPrefix([])];
  for (const [i, field] of fields.entries()) {
    if (!field || field.holdsWithoutKey) break;
    const { ranges } = field;
    covers.add(field);
    const isSingle = prefixes.length === 1;
    if (prefixes.length * ranges.length <= maxPoints && ranges.every(isPoint)) {
      prefixes = prefixes.flatMap((prefix) => ranges.map(({ from }) => byteKey(prefix + from)));
      continue;
    }
    const within = prefixes.flatMap((prefix) => ranges.map((range) => behind(prefix, range)));
    return { index, ranges: union(within), isOneKey: false, covers, order: isSingle ? path.slice(i) : [] };
  }
  const ranges = prefixes.map((from) => ({ from, to: prefixEnd(from) }));
  const order = prefixes.length === 1 ? path.slice(covers.size) : [];
  return { index, ranges: union(ranges), isOneKey: false, covers, order };
}

const behind = (prefix: ByteKey, { from, to }: KeyRange): KeyRange => ({
  from: byteKey(prefix + from),
  to: to === undefined ? prefixEnd(prefix) : byteKey(prefix + to),
});

/** Whether a range holds one key only. */
function isPoint({ from, to }: KeyRange): boolean {
  if (to === undefined || to !== prefixEnd(from)) return false;
  try {
    return keyEnd(from, 0) === from.length;
  } catch {
    return false; // it begins within a key
  }
}

/** A sort by one field or several. */
export interface SortField {
  readonly path: string;
  readonly isDescending: boolean;
}

/** Whether its entries come in this order, or backwards. */
export function isInOrder(way: Way, sort: readonly SortField[]): boolean {
  const isDescending = sort[0]?.isDescending ?? false;
  if (sort.length > 0 && way.order.length !== sort.length) return false; // else what follows would decide between equals
  return sort.every((field, i) => way.order[i] === field.path && field.isDescending === isDescending);
}
