import { type ByteKey, byteKey, type TableId } from "../base/brand.ts";
import { tableOf } from "../codec/record.ts";
import type { TouchedKeys } from "./touched-keys.ts";

/** Keys k with from ≤ k < to; no `to`: all from there on. */
export interface Range {
  readonly from: ByteKey;
  readonly to: ByteKey | undefined;
}

/** The smallest key greater than `key`. */
export const after = (key: ByteKey): ByteKey => byteKey(`${key}\u0000`);

export const contains = (r: Range, key: ByteKey): boolean => key >= r.from && (r.to === undefined || key < r.to);

/** What somebody looked at: single keys and ranges, whether they were there or not. */
export class ReadSet {
  readonly #keys = new Set<ByteKey>();
  readonly #ranges: Range[] = [];

  key(key: ByteKey): void {
    this.#keys.add(key);
  }

  range(range: Range): void {
    const last = this.#ranges.at(-1);
    const joined = last && joinedRange(last, range);
    if (joined) this.#ranges[this.#ranges.length - 1] = joined;
    else this.#ranges.push(range);
  }

  get isEmpty(): boolean {
    return this.#keys.size === 0 && this.#ranges.length === 0;
  }

  /** Whether any of these keys was looked at. */
  meets(touched: readonly ByteKey[]): boolean {
    if (this.isEmpty) return false;
    for (const key of touched) {
      if (this.#keys.has(key)) return true;
      for (const r of this.#ranges) if (contains(r, key)) return true;
    }
    return false;
  }

  /** As `meets`, where many ask about the same keys. */
  meetsAny(touched: TouchedKeys): boolean {
    const { keys } = touched;
    if (this.#ranges.some((r) => touched.anyIn(r))) return true;
    if (this.#keys.size > keys.length) return keys.some((key) => this.#keys.has(key));
    for (const key of this.#keys) if (touched.has(key)) return true;
    return false;
  }

  /** Whether any table that is not among these was looked into. A range lies within one table. */
  leaves(tables: ReadonlySet<TableId>): boolean {
    for (const key of this.#keys) if (!tables.has(tableOf(key))) return true;
    return this.#ranges.some((r) => !tables.has(tableOf(r.from)));
  }
}

/** A scan in parts looks at one part after the other, upwards or downwards: together they are one range again. */
function joinedRange(a: Range, b: Range): Range | undefined {
  if (isEmpty(a) || isEmpty(b)) return undefined;
  if (a.from === b.from && a.to === b.to) return a;
  if (a.to === b.from) return { from: a.from, to: b.to };
  if (b.to === a.from) return { from: b.from, to: a.to };
  return undefined;
}

const isEmpty = ({ from, to }: Range): boolean => to !== undefined && to <= from;
