import { type ByteKey, byteKey } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { decodeKey, encodeIndexKey, encodeKey, keyEnd, prefixEnd, stringPrefix, tuplePrefix } from "../codec/key.ts";
import { tablePrefixBytes } from "../codec/record.ts";
import type { KeyRange, ScanWants } from "../protocol/messages.ts";
import type { Connection } from "./connection.ts";
import { cursorOf, readCursor } from "./cursor.ts";
import { checkedCount, invalid } from "../protocol/options.ts";
import { type Part, streamed } from "./parts.ts";
import {
  beginStream,
  countOn,
  endStream,
  gatherOn,
  partsOn,
  type QueryTarget,
  recordsOf,
  type Stream,
} from "./reading.ts";
import { Refinement } from "./refinement.ts";
import { beyond, everything, intersection, type Shape, union } from "./shape.ts";
import { enterAbortable, type Source } from "./source.ts";
import type { Page, QueryPlan, ReadOptions } from "./types.ts";

/** A record, with the key in the queried order that it was found under. */
interface Keyed<T> {
  readonly key: ByteKey;
  readonly record: T;
}

/**
 * A query in key order. Immutable: every refinement gives a new one. Whatever the order of the calls, it is always first
 * the ranges, then filters, reverse, offset and limit. Bounds are on the index it was made for; `K` is the type of that
 * index's keys, `P` of the primary keys. A record is found once, also where several of its entries lie in the ranges.
 */
export class Query<T, K, P = unknown> {
  protected readonly target: QueryTarget;
  protected readonly shape: Shape;

  constructor(target: QueryTarget, shape: Shape = everything) {
    this.target = target;
    this.shape = shape;
  }

  equals(key: K): this {
    return this.#within([this.#one(key)], true);
  }
  /** Any of these keys; results come in the order of the index, not of the list. */
  anyOf(keys: readonly K[]): this {
    if (!Array.isArray(keys)) throw invalid("anyOf", keys, "a list of keys");
    return this.#within(union(keys.map((key: K) => this.#one(key))), false);
  }
  above(key: K): this {
    return this.#within([{ from: pastAll(this.#encode(key)), to: undefined }]);
  }
  aboveOrEqual(key: K): this {
    return this.#within([{ from: this.#encode(key), to: undefined }]);
  }
  below(key: K): this {
    return this.#within([{ from: byteKey(""), to: this.#encode(key) }]);
  }
  belowOrEqual(key: K): this {
    return this.#within([{ from: byteKey(""), to: prefixEnd(this.#encode(key)) }]);
  }

  /** Keys from `lower` to `upper`; the lower bound is included and the upper one not, unless said otherwise. */
  between(
    lower: K,
    upper: K,
    { includeLower = true, includeUpper = false }: { includeLower?: boolean; includeUpper?: boolean } = {},
  ): this {
    const [a, b] = [this.#encode(lower), this.#encode(upper)];
    const [from, to] = [includeLower ? a : pastAll(a), includeUpper ? prefixEnd(b) : b];
    return this.#within(to !== undefined && from >= to ? [] : [{ from, to }]);
  }

  /** Strings that start with `prefix`; on a compound key, keys whose first parts are those of `prefix`. */
  startsWith(prefix: K extends string ? string : K extends readonly unknown[] ? readonly unknown[] : never): this {
    const from = this.#encodePrefix(prefix);
    return this.#within([{ from, to: prefixEnd(from) }]);
  }

  /** Records for which `test` answers something true. It is synchronous, and runs in the page. */
  filter(test: (record: T) => unknown): this {
    if (typeof test !== "function") throw invalid("filter", test, "a function of a record");
    return this.with({ filters: [...this.shape.filters, test as (record: unknown) => unknown] });
  }

  reverse(): this {
    return this.with({ reverse: !this.shape.reverse });
  }

  /** Without the first `n` records. @throws OPTIONS_INVALID unless a whole number from 0 up. */
  offset(n: number): this {
    return this.with({ offset: checkedCount("offset", n) });
  }
  /** At most `n` records. @throws OPTIONS_INVALID unless a whole number from 0 up. */
  limit(n: number): this {
    return this.with({ limit: checkedCount("limit", n) });
  }

  toArray({ signal }: ReadOptions = {}): Promise<T[]> {
    return this.#gather(this.shape, "values", signal, (all: T[], { values }) => {
      for (const value of values) all.push(value as T);
    });
  }

  async first(options: ReadOptions = {}): Promise<T | undefined> {
    return (await this.limit(Math.min(1, this.shape.limit ?? 1)).toArray(options))[0];
  }

  async last(options: ReadOptions = {}): Promise<T | undefined> {
    const { limit, offset, reverse } = this.shape;
    if (limit === undefined && offset === 0) {
      return this.with({ reverse: !reverse, counts: reverse ? "greatest" : "least" }).first(options);
    }
    const [last] = await this.#gather(this.shape, "values", options.signal, (one: T[], { values }) => {
      if (values.length > 0) one[0] = values.at(-1) as T;
    });
    return last;
  }

  /** Of each record, without reading it where no filter has to see it. */
  primaryKeys(options: ReadOptions = {}): Promise<P[]> {
    return this.#keys(options, (key) => this.#primaryOf(key)) as Promise<P[]>;
  }
  /** Of each record, the key that it is found under. On a multi index that is the first in the ranges. */
  indexKeys(options: ReadOptions = {}): Promise<K[]> {
    return this.#keys(options, (key) => this.#indexKeyOf(key)) as Promise<K[]>;
  }

  /** How many records; counted in the index, without reading them where no filter has to see them. */
  async count({ signal }: ReadOptions = {}): Promise<number> {
    const { filters, offset, limit } = this.shape;
    if (filters.length > 0) {
      const counts = await this.#gather(this.shape, "values", signal, (sum: number[], { values }) => {
        sum[0] = (sum[0] ?? 0) + values.length;
      });
      return counts[0] ?? 0;
    }
    const n = await this.#countUpTo(limit === undefined ? undefined : offset + limit, signal);
    return Math.max(0, n - offset);
  }

  /**
   * The next `size` records, and where there are more, a cursor to go on with. It holds no place open: each page is of
   * the state of its own call, unless the query is one of a read view. @throws OPTIONS_INVALID for another query's cursor
   */
  async page(size: number, cursor?: string, { signal }: ReadOptions = {}): Promise<Page<T>> {
    if (!Number.isSafeInteger(size) || size < 1) throw invalid("size", size, "a whole number from 1 up");
    const { reverse, ranges } = this.shape;
    const from = cursor === undefined ? undefined : readCursor(cursor, reverse);
    const limit = from ? from.left : this.shape.limit;
    const most = Math.min(size, limit ?? Infinity);
    const isRest = from ? { ranges: beyond(ranges, from.key, reverse), offset: 0 } : {};
    const shape = { ...this.shape, ...isRest, limit: most === limit ? most : most + 1 };
    const found = await this.#gather(shape, "both", signal, (all: Keyed<T>[], { values, keys }) => {
      for (const [i, record] of values.entries()) all.push({ key: keys[i]!, record: record as T });
    });
    const items = found.slice(0, most).map(({ record }) => record);
    if (found.length <= most || most === 0) return { items };
    const key = byteKey(found[most - 1]!.key.slice(tablePrefixBytes));
    return { items, cursor: cursorOf({ key, left: limit === undefined ? undefined : limit - most }, reverse) };
  }

  /**
   * Every record in turn, all as of one state; memory stays flat, however many there are. It begins when the first is
   * asked for. Aborting ends the loop with the signal's reason.
   */
  async *values({ signal }: ReadOptions = {}): AsyncGenerator<T, void> {
    const begin = (connection: Connection): Promise<Stream> => beginStream(connection, this.target, this.shape, signal);
    yield* recordsOf<T>(await enterAbortable(this.target.source, signal, begin, endStream));
  }

  /** As `values()`. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void> {
    return this.values();
  }

  /** How it would be carried out. `entries` is counted in the index, up to a million. */
  async explain({ signal }: ReadOptions = {}): Promise<QueryPlan> {
    const { collection, index } = this.target;
    const { ranges, filters, reverse } = this.shape;
    const entries = await this.#countUpTo(maxExplained, signal);
    return { collection, index, ranges: ranges.length, entries, isFiltered: filters.length > 0, isReverse: reverse };
  }

  /** How many records the ranges hold; no more than `limit` are counted. */
  #countUpTo(limit: number | undefined, signal: AbortSignal | undefined): Promise<number> {
    return enterAbortable(this.target.source, signal, (c) => countOn(c, this.target, this.shape, limit));
  }

  /** The same query with something else in its shape. */
  protected with(change: Partial<Shape>): this {
    const Same = this.constructor as new (target: QueryTarget, shape: Shape) => this;
    return new Same(this.target, { ...this.shape, ...change });
  }

  /** Primary keys, encoded and without their table, a part at a time, by a connection that the call has its turn on. */
  protected async *keyParts(
    source: Source,
    connection: Connection,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly ByteKey[], void> {
    const wants = this.shape.filters.length > 0 ? "both" : "keys";
    const refinement = new Refinement(this.shape);
    const target = { ...this.target, source };
    for await (const part of streamed(partsOn(connection, target, { shape: this.shape, wants, signal }))) {
      yield refinement.of(part).keys.map((key) => this.#primaryOf(key));
      if (refinement.isEnough) return;
    }
  }

  async #keys({ signal }: ReadOptions, keyOf: (found: ByteKey) => ByteKey): Promise<unknown[]> {
    const wants = this.shape.filters.length > 0 ? "both" : "keys";
    return this.#gather(this.shape, wants, signal, (all: unknown[], { keys }) => {
      for (const key of keys) all.push(decodeKey(keyOf(key)));
    });
  }

  #gather<R>(
    shape: Shape,
    wants: ScanWants,
    signal: AbortSignal | undefined,
    take: (all: R[], part: Part) => void,
  ): Promise<R[]> {
    const read = { shape, within: this.shape.ranges, wants, signal };
    return enterAbortable(this.target.source, signal, (connection) => gatherOn(connection, this.target, read, take));
  }

  #one(key: K): KeyRange {
    const from = this.#encode(key);
    return { from, to: prefixEnd(from) };
  }

  #within(ranges: readonly KeyRange[], isOneKey = false): this {
    return this.with({
      ranges: intersection(this.shape.ranges, ranges),
      isOneKey: isOneKey || this.shape.isOneKey,
    });
  }

  #encode(key: unknown): ByteKey {
    return this.target.index === undefined ? encodeKey(key, this.#where()) : encodeIndexKey(key, this.#where());
  }

  #encodePrefix(prefix: unknown): ByteKey {
    if (typeof prefix === "string") return stringPrefix(prefix);
    if (Array.isArray(prefix)) return tuplePrefix(prefix, this.#where());
    const where = this.#where();
    throw new TidemarkError(
      "KEY_INVALID",
      `startsWith on ${where} takes a string or the first parts of a compound key, not a value of type ${typeof prefix}`,
      { where, path: where },
    );
  }

  #where(): string {
    const { collection, index } = this.target;
    return index === undefined ? collection : `${collection}.${index}`;
  }

  #primaryOf(found: ByteKey): ByteKey {
    const from = this.target.index === undefined ? tablePrefixBytes : keyEnd(found, tablePrefixBytes);
    return byteKey(found.slice(from));
  }
  #indexKeyOf(found: ByteKey): ByteKey {
    const to = this.target.index === undefined ? undefined : keyEnd(found, tablePrefixBytes);
    return byteKey(found.slice(tablePrefixBytes, to));
  }
}

const maxExplained = 1_000_000;

/** The least byte string above all that begin with `key`. Encoded keys never end in 0xff alone, so there is one. */
const pastAll = (key: ByteKey): ByteKey => prefixEnd(key)!;
