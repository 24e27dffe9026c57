import { type ByteKey, byteKey, type TableId } from "../base/brand.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { encodeIndexKey, encodeKey, prefixEnd, stringPrefix, tuplePrefix } from "../codec/key.ts";
import { tablePrefix } from "../codec/record.ts";
import type { Catalog } from "../codec/schema.ts";
import { countOf, unpackValues } from "../codec/values.ts";
import type { KeyRange, ScanAnswer, ScanRequest } from "../protocol/messages.ts";
import { invalid } from "../protocol/options.ts";
import type { Connection } from "./connection.ts";
import { collectionIn } from "./schema.ts";
import { abortable, type Source } from "./source.ts";
import type { ReadOptions } from "./types.ts";
import { isHarmlessLoss } from "./worker-death.ts";

/** One answer carries about so many bytes of values: bounds memory on both sides, whatever the range holds. */
const answerBytes = 256 * 1024;
/** So often one read in several parts is begun again. */
const maxEvictions = 10;

/** What a query ranges over, resolved when it runs, since table numbers are known only then. */
export interface QueryTarget {
  readonly source: Source;
  readonly collection: string;
  /** `undefined`: the primary key. */
  readonly index: string | undefined;
}

interface Shape {
  /** Within one table: encoded keys without the table. */
  readonly bounds: KeyRange;
  readonly reverse: boolean;
  readonly limit: number | undefined;
}

const everything: Shape = { bounds: { from: byteKey(""), to: undefined }, reverse: false, limit: undefined };

/**
 * A query in key order. Immutable: every refinement gives a new one. Bounds are on the index it was made for; `K` is
 * the type of that index's keys.
 */
export class Query<T, K> {
  readonly #target: QueryTarget;
  readonly #shape: Shape;

  constructor(target: QueryTarget, shape: Shape = everything) {
    this.#target = target;
    this.#shape = shape;
  }

  equals(key: K): Query<T, K> {
    const from = this.#encode(key);
    return this.#within({ from, to: prefixEnd(from) });
  }
  above(key: K): Query<T, K> {
    return this.#within({ from: pastAll(this.#encode(key)), to: undefined });
  }
  aboveOrEqual(key: K): Query<T, K> {
    return this.#within({ from: this.#encode(key), to: undefined });
  }
  below(key: K): Query<T, K> {
    return this.#within({ from: byteKey(""), to: this.#encode(key) });
  }
  belowOrEqual(key: K): Query<T, K> {
    return this.#within({ from: byteKey(""), to: prefixEnd(this.#encode(key)) });
  }

  /** Keys from `lower` to `upper`; the lower bound is included and the upper one not, unless said otherwise. */
  between(
    lower: K,
    upper: K,
    { includeLower = true, includeUpper = false }: { includeLower?: boolean; includeUpper?: boolean } = {},
  ): Query<T, K> {
    const [a, b] = [this.#encode(lower), this.#encode(upper)];
    return this.#within({ from: includeLower ? a : pastAll(a), to: includeUpper ? prefixEnd(b) : b });
  }

  /** Strings that start with `prefix`; on a compound key, keys whose first parts are those of `prefix`. */
  startsWith(
    prefix: K extends string ? string : K extends readonly unknown[] ? readonly unknown[] : never,
  ): Query<T, K> {
    const from = this.#encodePrefix(prefix);
    return this.#within({ from, to: prefixEnd(from) });
  }

  reverse(): Query<T, K> {
    return new Query(this.#target, { ...this.#shape, reverse: !this.#shape.reverse });
  }

  /** At most `n` records. @throws OPTIONS_INVALID unless a whole number from 0 up. */
  limit(n: number): Query<T, K> {
    if (!Number.isSafeInteger(n) || n < 0) throw invalid("limit", n, "a whole number from 0 up");
    return new Query(this.#target, { ...this.#shape, limit: n });
  }

  toArray({ signal }: ReadOptions = {}): Promise<T[]> {
    const { source } = this.#target;
    return abortable(signal, () => source.enter((connection) => this.#read(connection, signal)));
  }

  async first(options: ReadOptions = {}): Promise<T | undefined> {
    return (await this.limit(Math.min(1, this.#shape.limit ?? 1)).toArray(options))[0];
  }

  async last(options: ReadOptions = {}): Promise<T | undefined> {
    if (this.#shape.limit !== undefined) return (await this.toArray(options)).at(-1);
    return this.reverse().first(options);
  }

  /** How many records; counted in the index, without reading them. */
  async count({ signal }: ReadOptions = {}): Promise<number> {
    const { source } = this.#target;
    const { handle } = source;
    const n = await abortable(signal, () =>
      source.enter((connection) =>
        source.underSchema(connection, async (schema) => {
          const { range, records, whole } = this.#extent(schema);
          return connection.call<"count">({ op: "count", handle, epoch: schema.epoch, ...range, records, whole });
        }),
      ),
    );
    return Math.min(n, this.#shape.limit ?? Infinity);
  }

  async #read(connection: Connection, signal: AbortSignal | undefined, tries = 0): Promise<T[]> {
    const { source } = this.#target;
    const { limit } = this.#shape;
    if (limit === 0) return [];
    signal?.throwIfAborted();
    const { request, first } = await source.underSchema(connection, async (schema) => {
      const asked = this.#request(schema);
      return { request: asked, first: await connection.call<"scan">(asked) };
    });
    let answer: ScanAnswer = first;
    const { handle } = answer;
    const answering = connection.present; // the worker asked first may have died, and another one answered
    try {
      const all: T[] = [];
      for (;;) {
        const left = limit === undefined ? undefined : limit - all.length - countOf(answer.values);
        const next = answer.rest && answering.call<"scan">({ ...request, ...answer.rest, handle, limit: left });
        next?.catch(noop); // awaited below
        // The next part is on its way while this one is unpacked.
        if (next) await Promise.resolve();
        for (const value of unpackValues(answer.values)) all.push(value as T);
        if (!next) return all;
        signal?.throwIfAborted();
        answer = await next;
      }
    } catch (e) {
      // The view kept for us was evicted while this tab slept, or went with its worker, which died between two parts.
      const isAgain = isTidemarkError(e, "READ_VIEW_EVICTED") ? tries < maxEvictions : tries === 0 && isHarmlessLoss(e);
      if (handle === source.handle || !isAgain) throw e;
      return this.#read(connection.present, signal, tries + 1);
    } finally {
      // Read at the head in several parts: the worker kept a view open for us.
      if (handle !== source.handle) answering.call<"end">({ op: "end", handle }).catch(() => undefined);
    }
  }

  #within(bounds: KeyRange): Query<T, K> {
    const { from, to } = this.#shape.bounds;
    const narrower = {
      from: bounds.from > from ? bounds.from : from,
      to: bounds.to === undefined || (to !== undefined && to < bounds.to) ? to : bounds.to,
    };
    return new Query(this.#target, { ...this.#shape, bounds: narrower });
  }

  #encode(key: unknown): ByteKey {
    return this.#target.index === undefined ? encodeKey(key, this.#where()) : encodeIndexKey(key, this.#where());
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
    const { collection, index } = this.#target;
    return index === undefined ? collection : `${collection}.${index}`;
  }

  /** Where it ranges, and how entries of an index lead to records: the same for all parts of a scan. */
  #extent(schema: Catalog): Pick<ScanRequest, "records" | "whole"> & { readonly range: KeyRange } {
    const { collection, index } = this.#target;
    const stored = collectionIn(schema, collection);
    if (index === undefined) return { range: this.#rangeIn(stored.table), records: undefined, whole: undefined };
    if (!Object.hasOwn(stored.indexes, index)) throw unknownIndex(collection, index);
    const { table, multi } = stored.indexes[index]!;
    const range = this.#rangeIn(table);
    return { range, records: stored.table, whole: multi ? range : undefined };
  }

  #request(schema: Catalog): ScanRequest {
    const { handle } = this.#target.source;
    const { reverse, limit } = this.#shape;
    const { range, records, whole } = this.#extent(schema);
    const { epoch } = schema;
    return { op: "scan", handle, epoch, ...range, records, whole, reverse, limit, maxBytes: answerBytes };
  }

  #rangeIn(table: TableId): KeyRange {
    const { from, to } = this.#shape.bounds;
    const prefix = tablePrefix(table);
    return { from: byteKey(prefix + from), to: to === undefined ? prefixEnd(prefix) : byteKey(prefix + to) };
  }
}

export function unknownIndex(collection: string, index: string): TidemarkError {
  return new TidemarkError("UNKNOWN_NAME", `Collection '${collection}' has no index '${index}'`, { collection, index });
}

/** The least byte string above all that begin with `key`. Encoded keys never end in 0xff alone, so there is one. */
const pastAll = (key: ByteKey): ByteKey => prefixEnd(key)!;

const noop = (): void => undefined;
