import { type ByteKey, byteKey, type TableId } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { keyEnd } from "../codec/key.ts";
import { outsideIn } from "../codec/outside.ts";
import { indexEntriesOf, recordValue, tablePrefix, tablePrefixBytes } from "../codec/record.ts";
import { packValues, type Values } from "../codec/values.ts";
import type { Handle } from "../mvcc/handles.ts";
import { after, contains, type Range } from "../mvcc/read-set.ts";

export interface ScanQuery extends Range {
  readonly reverse: boolean;
  /** Where the range is an index: the table of its records. */
  readonly records: TableId | undefined;
  readonly limit: number | undefined;
  /** Of a multi index, the query's whole range: a record counts once in it, at the first of its entries. */
  readonly whole: Range | undefined;
  /** About how many bytes of values to take at most. */
  readonly maxBytes: number;
}

export interface ScannedRecords {
  readonly values: Values;
  readonly rest: Range | undefined;
}

/** So many records of an index range are fetched at a time. */
const fetchAtOnce = 512;

/** The next records of a range, as many as `limit` and `maxBytes` allow, and what is left of it. */
export async function scanRecords(handle: Handle, query: ScanQuery): Promise<ScannedRecords> {
  const taken = new Taken(query);
  const rest =
    query.records === undefined
      ? await scanTable(handle, query, taken)
      : await scanIndex(handle, query, query.records, taken);
  const values = packValues(taken.outside.size === 0 ? taken.values : await handle.values(taken.outside, taken.values));
  return { values, rest: taken.isLimited ? undefined : rest };
}

/** Values as they come, until the query has enough; those out of line count, but are read when it has. */
class Taken {
  readonly values: Uint8Array[] = [];
  /** Whose values lie out of line, by position. */
  readonly outside = new Map<number, ByteKey>();
  readonly #limit: number;
  readonly #maxBytes: number;
  #sizeBytes = 0;

  constructor({ limit, maxBytes }: ScanQuery) {
    this.#limit = limit ?? Infinity;
    this.#maxBytes = maxBytes;
  }

  get isLimited(): boolean {
    return this.values.length >= this.#limit;
  }
  get left(): number {
    return this.#limit - this.values.length;
  }

  /** False when this was enough. */
  take(at: { readonly key: ByteKey }, payload: Uint8Array): boolean {
    const value = recordValue(payload);
    const ref = outsideIn(value);
    if (ref) this.outside.set(this.values.length, at.key);
    this.values.push(value);
    this.#sizeBytes += ref?.sizeBytes ?? value.length;
    return this.#sizeBytes < this.#maxBytes && !this.isLimited;
  }
}

async function scanTable(handle: Handle, query: ScanQuery, taken: Taken): Promise<Range | undefined> {
  let rest: Range | undefined;
  await handle.scan(query, query.reverse, (at, payload) => {
    if (taken.take(at, payload)) return true;
    rest = restAfter(query, at.key, query.reverse);
    return false;
  });
  return rest;
}

async function scanIndex(handle: Handle, query: ScanQuery, records: TableId, taken: Taken): Promise<Range | undefined> {
  const prefix = tablePrefix(records);
  let left: Range | undefined = query;
  while (left) {
    const part: Range = left;
    const entries: ByteKey[] = [];
    const most = Math.min(fetchAtOnce, taken.left);
    left = undefined;
    await handle.scan(part, query.reverse, ({ key: entry }) => {
      entries.push(entry);
      if (entries.length < most) return true;
      left = restAfter(part, entry, query.reverse);
      return false;
    });
    const keys = entries.map((e) => recordOf(e, prefix));
    const payloads = await handle.fetch(keys);
    for (const [i, payload] of payloads.entries()) {
      if (!payload) throw new TidemarkError("CORRUPT", "An index entry has no record", { what: "index entry" });
      if (query.whole && !isFirst(entries[i]!, keys[i]!, payload, query.whole, query.reverse)) continue;
      if (!taken.take({ key: keys[i]! }, payload)) return restAfter(part, entries[i]!, query.reverse);
    }
  }
  return undefined;
}

/** How many records a range of a multi index holds, each counted once. */
export async function countRecords(handle: Handle, range: Range, whole: Range, records: TableId): Promise<number> {
  const prefix = tablePrefix(records);
  let n = 0;
  for (let left: Range | undefined = range; left;) {
    const part: Range = left;
    const entries: ByteKey[] = [];
    left = undefined;
    await handle.scan(part, false, ({ key: entry }) => {
      entries.push(entry);
      if (entries.length < fetchAtOnce) return true;
      left = restAfter(part, entry, false);
      return false;
    });
    const keys = entries.map((e) => recordOf(e, prefix));
    const payloads = await handle.fetch(keys);
    payloads.forEach((payload, i) => (n += payload && isFirst(entries[i]!, keys[i]!, payload, whole, false) ? 1 : 0));
  }
  return n;
}

const recordOf = (entry: ByteKey, prefix: ByteKey): ByteKey =>
  byteKey(prefix + entry.slice(keyEnd(entry, tablePrefixBytes)));

/** Whether, of the entries that the record has within `whole`, a query in this direction meets this one first. */
function isFirst(entry: ByteKey, key: ByteKey, payload: Uint8Array, whole: Range, reverse: boolean): boolean {
  return !indexEntriesOf(key, payload).some((e) => contains(whole, e) && (reverse ? e > entry : e < entry));
}

const restAfter = (range: Range, key: ByteKey, reverse: boolean): Range =>
  reverse ? { from: range.from, to: key } : { from: after(key), to: range.to };
