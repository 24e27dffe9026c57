// What queries on the loaded records have to answer, by sorting their numbers here.
import { codeOf, groupOf } from "../src/scale/rows.ts";

export class Expected {
  /** @type {Uint32Array} */
  #byGroup;
  /** @type {Map<string, number[]>} numbers by the first letters of their codes */
  #byPrefix = new Map();
  /** @type {number[]} how many there are of each group, and of all groups below it */
  #below = [];

  /** @param {number} records @param {number} prefixLength letters that `startsWith` will ask for */
  constructor(records, prefixLength) {
    const groups = Uint16Array.from({ length: records }, (_, n) => groupOf(n));
    this.#byGroup = Uint32Array.from({ length: records }, (_, n) => n).sort(
      (a, b) => (groups[a] ?? 0) - (groups[b] ?? 0) || a - b,
    );
    for (const [i, n] of this.#byGroup.entries()) {
      while (this.#below.length <= (groups[n] ?? 0)) this.#below.push(i);
    }
    for (let n = 0; n < records; n++) {
      const prefix = codeOf(n).slice(0, prefixLength);
      const numbers = this.#byPrefix.get(prefix);
      if (numbers) numbers.push(n);
      else this.#byPrefix.set(prefix, [n]);
    }
  }

  /** @param {number} group */
  #startOf(group) {
    return this.#below[group] ?? this.#byGroup.length;
  }

  /** @param {number} from @param {number} limit */
  range(from, limit) {
    const start = this.#startOf(from);
    return Array.from(this.#byGroup.subarray(start, start + limit));
  }

  /** @param {number} from @param {number} to */
  countGroups(from, to) {
    return this.#startOf(to) - this.#startOf(from);
  }

  /** @param {string} prefix */
  startsWith(prefix) {
    const found = (this.#byPrefix.get(prefix) ?? []).map((n) => ({ n, code: codeOf(n) }));
    return found.sort((a, b) => (a.code < b.code ? -1 : a.code > b.code ? 1 : a.n - b.n)).map(({ n }) => n);
  }
}

/** @param {unknown} found @param {unknown} expected @param {string} what */
export function assertSame(found, expected, what) {
  const [is, should] = [JSON.stringify(found), JSON.stringify(expected)];
  if (is !== should) throw new Error(`${what}: ${is.slice(0, 200)} came back instead of ${should.slice(0, 200)}`);
}
