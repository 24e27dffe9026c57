import type { ByteKey } from "../base/brand.ts";

/** Keys k with from ≤ k < to; no `to`: all from there on. */
export interface Range {
  readonly from: ByteKey;
  readonly to: ByteKey | undefined;
}

export const contains = (r: Range, key: ByteKey): boolean => key >= r.from && (r.to === undefined || key < r.to);

/** What somebody looked at: single keys and ranges, whether they were there or not. */
export class ReadSet {
  readonly #keys = new Set<ByteKey>();
  readonly #ranges: Range[] = [];

  key(key: ByteKey): void {
    this.#keys.add(key);
  }

  range(range: Range): void {
    if (!this.#ranges.some((r) => r.from === range.from && r.to === range.to)) this.#ranges.push(range);
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
}
