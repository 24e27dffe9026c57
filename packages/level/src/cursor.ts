/** Goes over a range of one state: one by one, by many, or all that is left; from wherever it is told to. */
import type { Entries, Entry } from "./entries.ts";
import { ahead, isWithin, queryOf, type Range } from "./range.ts";
import type { State } from "./state.ts";

/** How items of one kind are read. */
export interface Reader<T> {
  /** Memory stays flat, however many there are. */
  stream(entries: Entries, range: Range, limit: number): AsyncGenerator<T, void>;
  all(entries: Entries, range: Range, limit: number): Promise<T[]>;
  keyOf(item: T): string;
}

const limited = (entries: Entries, range: Range, limit: number) => {
  const query = queryOf(entries.where(), range);
  return limit === Infinity ? query : query.limit(limit);
};

export const entryReader: Reader<Entry> = {
  stream: (...read) => limited(...read)[Symbol.asyncIterator](),
  all: (...read) => limited(...read).toArray(),
  keyOf: ({ k }) => k,
};

/** So many keys are read at a time. */
const keysAtOnce = 512;

/** Values are not read for it. */
export const keyReader: Reader<string> = {
  stream: keysOf,
  all: (...read) => limited(...read).primaryKeys(),
  keyOf: (key) => key,
};

async function* keysOf(entries: Entries, range: Range, limit: number): AsyncGenerator<string, void> {
  for (let [rest, left] = [range, limit]; left > 0;) {
    const size = Math.min(left, keysAtOnce);
    const keys = await limited(entries, rest, size).primaryKeys();
    yield* keys;
    if (keys.length < size) return;
    rest = ahead(rest, keys.at(-1)!, false);
    left -= size;
  }
}

export class Cursor<T> {
  readonly #state: State;
  readonly #range: Range;
  readonly #reader: Reader<T>;
  /** What lies ahead; nothing where it was told to go out of its range. */
  #rest: Range | undefined;
  #stream: AsyncGenerator<T, void> | undefined;
  /** Something was read since it began, or was told where to go. */
  #isUnderWay = false;

  constructor(state: State, range: Range, reader: Reader<T>) {
    this.#state = state;
    this.#range = range;
    this.#rest = range;
    this.#reader = reader;
  }

  /** At most `size` items. `limit`: how many will be asked for in all, from here on. */
  async take(size: number, limit: number): Promise<T[]> {
    if (!this.#rest) return [];
    const entries = await this.#state.entries();
    // Often the first ones are all that is wanted: only then is more read than was asked for.
    if (!this.#isUnderWay) this.#isUnderWay = true;
    else this.#stream ??= this.#reader.stream(entries, this.#rest, limit);
    const items = this.#stream
      ? await streamed(this.#stream, size)
      : await this.#reader.all(entries, this.#rest, Math.min(size, limit));
    const last = items.at(-1);
    if (last !== undefined) this.#rest = ahead(this.#rest, this.#reader.keyOf(last), false);
    return items;
  }

  async all(limit: number): Promise<T[]> {
    const rest = this.#rest;
    await this.#stop();
    return rest ? this.#reader.all(await this.#state.entries(), rest, limit) : [];
  }

  /** Goes on with `key`, or where that is not there, with what follows it. */
  seek(key: string): void {
    void this.#stop();
    this.#rest = isWithin(this.#range, key) ? ahead(this.#range, key, true) : undefined;
  }

  close(): Promise<void> {
    return this.#stop();
  }

  async #stop(): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#isUnderWay = false;
    await stream?.return();
  }
}

async function streamed<T>(stream: AsyncGenerator<T, void>, size: number): Promise<T[]> {
  const items: T[] = [];
  while (items.length < size) {
    const { value, done } = await stream.next();
    if (done) break;
    items.push(value);
  }
  return items;
}
