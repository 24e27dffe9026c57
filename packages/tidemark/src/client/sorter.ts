import type { ByteKey } from "../base/brand.ts";
import { extractKey, type KeyPath, readPath } from "../codec/path.ts";
import { keyIn } from "./conditions.ts";
import { invalid } from "../protocol/options.ts";
import type { SortField } from "./planner.ts";

/** A path, one with "-" before it for descending, several of these, or an object as { path: -1 }. @throws OPTIONS_INVALID */
export function sortOf(sort: unknown): readonly SortField[] {
  if (sort === undefined) return [];
  if (typeof sort === "string") return [fieldOf(sort)];
  if (Array.isArray(sort)) return sort.map((one: unknown) => fieldOf(one));
  if (typeof sort !== "object" || sort === null) throw invalid("find.sort", sort, expected);
  return Object.entries(sort).map(([path, direction]: [string, unknown]) => {
    const isDescending = direction === -1 || direction === "desc";
    if (!isDescending && direction !== 1 && direction !== "asc") {
      throw invalid(`find.sort.${path}`, direction, `1, -1, "asc" or "desc"`);
    }
    return { path, isDescending };
  });
}
const expected = `a path, "-path" for descending, a list of these, or an object as { path: -1 }`;

function fieldOf(text: unknown): SortField {
  if (typeof text !== "string" || text === "" || text === "-") throw invalid("find.sort", text, expected);
  return text.startsWith("-") ? { path: text.slice(1), isDescending: true } : { path: text, isDescending: false };
}

interface Ranked {
  readonly keys: readonly (ByteKey | undefined)[];
  readonly primary: ByteKey;
  readonly record: unknown;
}

/** So many more than the limit are kept before the rest is dropped. */
const slack = 1024;

/** Sorts in memory; with a limit it keeps not many more than that. */
export class Sorter {
  readonly #sort: readonly SortField[];
  readonly #key: KeyPath;
  readonly #limit: number | undefined;
  #kept: Ranked[] = [];

  constructor(sort: readonly SortField[], key: KeyPath, limit: number | undefined) {
    this.#sort = sort;
    this.#key = key;
    this.#limit = limit;
  }

  add(record: unknown): void {
    const keys = this.#sort.map(({ path }) => keyIn(readPath(record, path)));
    this.#kept.push({ keys, primary: extractKey(record, this.#key, "find"), record });
    if (this.#limit !== undefined && this.#kept.length >= 2 * this.#limit + slack) this.#cut();
  }

  sorted(): unknown[] {
    this.#cut();
    return this.#kept.map(({ record }) => record);
  }

  #cut(): void {
    this.#kept.sort((a, b) => this.#order(a, b));
    if (this.#limit !== undefined) this.#kept.length = Math.min(this.#kept.length, this.#limit);
  }

  #order(a: Ranked, b: Ranked): number {
    for (const [i, { isDescending }] of this.#sort.entries()) {
      const [x, y] = [a.keys[i], b.keys[i]];
      if (x === y) continue;
      if (x === undefined || y === undefined) return x === undefined ? 1 : -1;
      return x < y === isDescending ? 1 : -1;
    }
    const isDescending = this.#sort.at(-1)?.isDescending ?? false;
    if (a.primary === b.primary) return 0;
    return a.primary < b.primary === isDescending ? 1 : -1;
  }
}
