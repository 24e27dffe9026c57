/**
 * What `find` is asked for, as sets of keys. A condition on a field is a set of encoded keys, as ranges, and whether it
 * holds where the field has no key at all. The same sets test records in the page and bound indexes, so that it makes no
 * difference which of the two is done.
 *
 * Order is that of index keys, and comparisons stay within one kind of key: `$lt: 5` finds numbers and nothing else.
 */
import { type ByteKey, byteKey } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { encodeIndexKey, prefixEnd, stringPrefix } from "../codec/key.ts";
import { readPath } from "../codec/path.ts";
import type { KeyRange } from "../protocol/messages.ts";
import { invalid } from "../protocol/options.ts";
import { isPlain } from "./equality.ts";
import { intersection, union } from "./shape.ts";

/** On one field. */
export interface FieldCondition {
  readonly path: string;
  /** Ascending and disjoint. */
  readonly ranges: readonly KeyRange[];
  /** Whether it holds where the field is missing, or no key. */
  readonly holdsWithoutKey: boolean;
}
/** On an array: it holds if any element's key lies in the ranges. */
export interface ElementCondition {
  readonly path: string;
  readonly ranges: readonly KeyRange[];
}

export interface Conditions {
  readonly fields: readonly FieldCondition[];
  readonly elements: readonly ElementCondition[];
  /** What no set of keys says: `$or`, `$not`, `$exists`. */
  readonly others: readonly Test[];
}
export type Test = (record: unknown) => boolean;

/** @throws OPTIONS_INVALID naming the operator; KEY_INVALID for a value that is no key. */
export function conditionsOf(filter: unknown, where = "find"): Conditions {
  if (!isPlain(filter)) throw invalid(where, filter, "an object of conditions, as { field: value }");
  const [fields, elements, others]: [FieldCondition[], ElementCondition[], Test[]] = [[], [], []];
  for (const [name, wanted] of Object.entries(filter)) {
    if (wanted === undefined) throw invalid(`${where}.${name}`, wanted, "a value, or { $exists: false }");
    if (name.startsWith("$")) combine(name, wanted, `${where}.${name}`, { fields, elements, others });
    else conditionsOn(name, wanted, `${where}.${name}`, { fields, elements, others });
  }
  return { fields: joined(fields), elements, others };
}

interface Into {
  readonly fields: FieldCondition[];
  readonly elements: ElementCondition[];
  readonly others: Test[];
}

function combine(operator: string, wanted: unknown, where: string, into: Into): void {
  if (operator === "$not") {
    const test = testOf(conditionsOf(wanted, where));
    into.others.push((record) => !test(record));
    return;
  }
  if (operator !== "$and" && operator !== "$or") throw unknownOperator(operator, where, "$and, $or, $not");
  if (!Array.isArray(wanted)) throw invalid(where, wanted, "a list of conditions");
  const all = wanted.map((one, i) => conditionsOf(one, `${where}[${i}]`));
  if (operator === "$and") {
    for (const { fields, elements, others } of all) {
      into.fields.push(...fields);
      into.elements.push(...elements);
      into.others.push(...others);
    }
    return;
  }
  const tests = all.map((one) => testOf(one));
  into.others.push((record) => tests.some((test) => test(record)));
}

function conditionsOn(path: string, wanted: unknown, where: string, into: Into): void {
  if (!isPlain(wanted)) {
    into.fields.push({ path, ranges: [oneKey(wanted, where)], holdsWithoutKey: false });
    return;
  }
  const operators = Object.entries(wanted);
  if (operators.length === 0 || operators.some(([o]) => !o.startsWith("$"))) {
    throw invalid(where, wanted, "a key, or operators as { $gt: 3 }; fields of objects are named by paths, as 'a.b'");
  }
  for (const [operator, value] of operators) onField(path, operator, value, `${where}.${operator}`, into);
}

function onField(path: string, operator: string, value: unknown, where: string, into: Into): void {
  const isAny = operator === "$contains" || operator === "$containsAny";
  if (isAny) {
    const keys = operator === "$contains" ? [value] : listed(value, where);
    into.elements.push({ path, ranges: union(keys.map((key) => oneKey(key, where))) });
    return;
  }
  if (operator === "$exists") {
    if (typeof value !== "boolean") throw invalid(where, value, "true or false");
    into.others.push((record) => (readPath(record, path) !== undefined) === value);
    return;
  }
  into.fields.push({ path, ...keysOf(operator, value, where) });
}

function keysOf(operator: string, value: unknown, where: string): Omit<FieldCondition, "path"> {
  const within = (ranges: readonly KeyRange[]) => ({ ranges, holdsWithoutKey: false });
  switch (operator) {
    case "$eq":
      return within([oneKey(value, where)]);
    case "$ne":
      return { ranges: without([oneKey(value, where)]), holdsWithoutKey: true };
    case "$in":
      return within(union(listed(value, where).map((key) => oneKey(key, where))));
    case "$nin":
      return { ranges: without(union(listed(value, where).map((key) => oneKey(key, where)))), holdsWithoutKey: true };
    case "$startsWith": {
      if (typeof value !== "string") throw invalid(where, value, "a string");
      const from = stringPrefix(value);
      return within([{ from, to: prefixEnd(from) }]);
    }
    case "$gt":
    case "$gte":
    case "$lt":
    case "$lte":
      return within([compared(operator, value, where)]);
    default:
      throw unknownOperator(
        operator,
        where,
        "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $startsWith, $contains, $containsAny, $exists",
      );
  }
}

function compared(operator: "$gt" | "$gte" | "$lt" | "$lte", value: unknown, where: string): KeyRange {
  const { from, to } = oneKey(value, where);
  const kind = byteKey(from.slice(0, 1)); // what all keys of its kind begin with
  if (operator === "$gt") return { from: to!, to: prefixEnd(kind) };
  if (operator === "$gte") return { from, to: prefixEnd(kind) };
  return { from: kind, to: operator === "$lt" ? from : to };
}

/** All keys but these. */
function without(ranges: readonly KeyRange[]): readonly KeyRange[] {
  const left: KeyRange[] = [];
  let from = byteKey("");
  for (const range of ranges) {
    if (from < range.from) left.push({ from, to: range.from });
    if (range.to === undefined) return left;
    from = range.to;
  }
  return [...left, { from, to: undefined }];
}

/** One condition for each field. */
function joined(fields: readonly FieldCondition[]): readonly FieldCondition[] {
  const byPath = new Map<string, FieldCondition>();
  for (const one of fields) {
    const other = byPath.get(one.path);
    const both = other && {
      path: one.path,
      ranges: intersection(other.ranges, one.ranges),
      holdsWithoutKey: other.holdsWithoutKey && one.holdsWithoutKey,
    };
    byPath.set(one.path, both ?? one);
  }
  return [...byPath.values()];
}

/** Whether all of them hold of a record. */
export function testOf({ fields, elements, others }: Conditions): Test {
  return (record) =>
    fields.every((field) => holds(field, readPath(record, field.path))) &&
    elements.every((condition) => holdsOfAny(condition, readPath(record, condition.path))) &&
    others.every((test) => test(record));
}

function holds({ ranges, holdsWithoutKey }: FieldCondition, value: unknown): boolean {
  const key = keyIn(value);
  return key === undefined ? holdsWithoutKey : lies(key, ranges);
}

/** What is not an array counts as its only element, as in an index. */
function holdsOfAny({ ranges }: ElementCondition, value: unknown): boolean {
  return (Array.isArray(value) ? value : [value]).some((element: unknown) => {
    const key = keyIn(element);
    return key !== undefined && lies(key, ranges);
  });
}

/** The key of what is found at a path; `undefined` for what is none. */
export function keyIn(value: unknown): ByteKey | undefined {
  if (value === undefined) return undefined;
  try {
    return encodeIndexKey(value, "find");
  } catch {
    return undefined;
  }
}

function lies(key: ByteKey, ranges: readonly KeyRange[]): boolean {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const { to } = ranges[middle]!;
    if (to !== undefined && to <= key) low = middle + 1;
    else high = middle;
  }
  const range = ranges[low];
  return range !== undefined && range.from <= key;
}

function oneKey(value: unknown, where: string): KeyRange {
  const from = encodeIndexKey(value, where);
  return { from, to: prefixEnd(from) };
}

function listed(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(where, value, "a list of keys");
  return value;
}

const unknownOperator = (operator: string, where: string, known: string): TidemarkError =>
  new TidemarkError("OPTIONS_INVALID", `There is no operator '${operator}' here; there are ${known}`, {
    option: where,
  });
