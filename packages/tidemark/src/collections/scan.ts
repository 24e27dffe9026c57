/**
 * Queries on ranges of keys, of a record table or of an index table. A scan answers a part at a time, as much as fits a
 * message, and says where to go on. What is passed over, or is wanted by its key alone, is not read where the index tells.
 */
import { type ByteKey, byteKey, type TableId } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { keyEnd } from "../codec/key.ts";
import { outsideIn } from "../codec/outside.ts";
import { indexEntriesOf, recordValue, tablePrefix, tablePrefixBytes } from "../codec/record.ts";
import { packValues, type Values } from "../codec/values.ts";
import type { Handle } from "../mvcc/handles.ts";
import { after, contains, type Range } from "../mvcc/read-set.ts";

export interface CountQuery {
  /** Disjoint, in the order in which they are walked. */
  readonly ranges: readonly Range[];
  /** Where the ranges are of an index: the table of its records. */
  readonly records: TableId | undefined;
  /** Of a multi index, where a record has several entries and counts once. */
  readonly once: Once | undefined;
  readonly limit: number | undefined;
}

/** A record counts at the least or the greatest of the entries that it has in the query's ranges, all of them. */
export interface Once {
  readonly within: readonly Range[];
  readonly at: "least" | "greatest";
}

export interface ScanQuery extends CountQuery {
  readonly reverse: boolean;
  /** So many of the first records are passed over. */
  readonly skip: number;
  readonly wants: "values" | "keys" | "both";
  /** About how many bytes of values and keys to take at most. */
  readonly maxBytes: number;
}

export interface ScannedRecords {
  readonly values: Values | undefined;
  readonly keys: readonly ByteKey[] | undefined;
  readonly rest: ScanRest | undefined;
}

/** The ranges before position `range` are dealt with, and of that one this is left. */
export interface ScanRest {
  readonly range: number;
  readonly left: Range;
  readonly skip: number;
}

/** So many records of an index range are fetched at a time. */
const fetchAtOnce = 512;

/** The next records of the ranges, as many as `limit` and `maxBytes` allow, and what is left of them. */
export async function scanRecords(handle: Handle, query: ScanQuery): Promise<ScannedRecords> {
  const taken = new Taken(query);
  const rest = await walk(handle, query, taken);
  const keys = query.wants === "values" ? undefined : taken.keys;
  const values = query.wants === "keys" ? undefined : await taken.packed(handle);
  return { values, keys, rest: taken.isLimited ? undefined : rest };
}

/** Records as they come, until the query has enough; values out of line count, but are read when it has. */
class Taken {
  readonly keys: ByteKey[] = [];
  readonly #values: Uint8Array[] = [];
  /** Whose values lie out of line, by position. */
  readonly #outside = new Map<number, ByteKey>();
  readonly #wants: ScanQuery["wants"];
  readonly #limit: number;
  readonly #maxBytes: number;
  skip: number;
  #count = 0;
  #sizeBytes = 0;

  constructor({ limit, maxBytes, skip, wants }: ScanQuery) {
    this.#limit = limit ?? Infinity;
    this.#maxBytes = maxBytes;
    this.skip = skip;
    this.#wants = wants;
  }

  get isLimited(): boolean {
    return this.#count >= this.#limit;
  }
  get left(): number {
    return this.#limit - this.#count;
  }

  /** Whether the next record is passed over. */
  passes(): boolean {
    if (this.skip === 0) return false;
    this.skip--;
    return true;
  }

  /** `at`: what is scanned; `key`: the record's. False when this was enough. */
  take(at: ByteKey, key: ByteKey, payload: Uint8Array): boolean {
    if (this.#wants !== "values") {
      this.keys.push(at);
      this.#sizeBytes += at.length;
    }
    if (this.#wants !== "keys") this.#takeValue(key, recordValue(payload));
    this.#count++;
    return this.#sizeBytes < this.#maxBytes && !this.isLimited;
  }

  #takeValue(key: ByteKey, value: Uint8Array): void {
    const ref = outsideIn(value);
    if (ref) this.#outside.set(this.#values.length, key);
    this.#values.push(value);
    this.#sizeBytes += ref?.sizeBytes ?? value.length;
  }

  async packed(handle: Handle): Promise<Values> {
    return packValues(this.#outside.size === 0 ? this.#values : await handle.values(this.#outside, this.#values));
  }
}

async function walk(handle: Handle, query: ScanQuery, taken: Taken): Promise<ScanRest | undefined> {
  if (taken.isLimited) return undefined;
  const { records, once, wants } = query;
  // An index entry says whose it is: the record is read only for its value, or to see at which of its entries it counts.
  const reads = records !== undefined && (wants !== "keys" || once !== undefined);
  for (const [i, range] of query.ranges.entries()) {
    const left = reads
      ? await scanIndex(handle, query, range, records, taken)
      : await scanTable(handle, query, range, taken);
    if (left) return { range: i, left, skip: taken.skip };
  }
  return undefined;
}

async function scanTable(handle: Handle, query: ScanQuery, range: Range, taken: Taken): Promise<Range | undefined> {
  let left: Range | undefined;
  await handle.scan(range, query.reverse, ({ key }, payload) => {
    if (taken.passes() || taken.take(key, key, payload)) return true;
    left = restAfter(range, key, query.reverse);
    return false;
  });
  return left;
}

async function scanIndex(
  handle: Handle,
  query: ScanQuery,
  range: Range,
  records: TableId,
  taken: Taken,
): Promise<Range | undefined> {
  const { once, reverse } = query;
  const prefix = tablePrefix(records);
  for (let left: Range | undefined = range; left;) {
    const part: Range = left;
    const most = Math.min(fetchAtOnce, taken.left);
    const passes = once ? undefined : () => taken.passes();
    const [entries, rest] = await entriesOf(handle, part, reverse, most, passes);
    left = rest;
    const keys = entries.map((e) => recordOf(e, prefix));
    const payloads = await handle.fetch(keys);
    for (const [i, payload] of payloads.entries()) {
      const [entry, key] = [entries[i]!, keys[i]!];
      if (!payload) throw new TidemarkError("CORRUPT", "An index entry has no record", { what: "index entry" });
      if (once && (!counts(entry, key, payload, once) || taken.passes())) continue;
      if (!taken.take(entry, key, payload)) return restAfter(part, entry, reverse);
    }
  }
  return undefined;
}

/** How many records there are, each counted once; as many as `limit` where there are more. */
export async function countRecords(handle: Handle, { ranges, records, once, limit }: CountQuery): Promise<number> {
  const most = limit ?? Infinity;
  let n = 0;
  for (const range of ranges) {
    if (n >= most) break;
    n +=
      once && records !== undefined
        ? await countOnce(handle, range, once, records, most - n)
        : await countKeys(handle, range, most - n);
  }
  return Math.min(n, most);
}

async function countKeys(handle: Handle, range: Range, most: number): Promise<number> {
  let n = 0;
  await handle.scan(range, false, () => ++n < most);
  return n;
}

/** Of a multi index: a record may have several entries in the ranges. */
async function countOnce(handle: Handle, range: Range, once: Once, records: TableId, most: number): Promise<number> {
  const prefix = tablePrefix(records);
  let n = 0;
  for (let left: Range | undefined = range; left;) {
    const [entries, rest] = await entriesOf(handle, left, false, fetchAtOnce, undefined);
    const keys = entries.map((e) => recordOf(e, prefix));
    const payloads = await handle.fetch(keys);
    payloads.forEach((payload, i) => (n += payload && counts(entries[i]!, keys[i]!, payload, once) ? 1 : 0));
    left = n < most ? rest : undefined;
  }
  return n;
}

/** The next entries of an index range that are not passed over, and what is left of it. */
async function entriesOf(
  handle: Handle,
  range: Range,
  reverse: boolean,
  most: number,
  passes: (() => boolean) | undefined,
): Promise<readonly [ByteKey[], Range | undefined]> {
  const entries: ByteKey[] = [];
  let left: Range | undefined;
  await handle.scan(range, reverse, ({ key: entry }) => {
    if (passes?.()) return true;
    entries.push(entry);
    if (entries.length < most) return true;
    left = restAfter(range, entry, reverse);
    return false;
  });
  return [entries, left];
}

const recordOf = (entry: ByteKey, prefix: ByteKey): ByteKey =>
  byteKey(prefix + entry.slice(keyEnd(entry, tablePrefixBytes)));

/** Whether the record counts at this one of its entries. */
function counts(entry: ByteKey, key: ByteKey, payload: Uint8Array, { within, at }: Once): boolean {
  const isBefore = (e: ByteKey): boolean => (at === "least" ? e < entry : e > entry);
  return !indexEntriesOf(key, payload).some((e) => isBefore(e) && within.some((range) => contains(range, e)));
}

const restAfter = (range: Range, key: ByteKey, reverse: boolean): Range =>
  reverse ? { from: range.from, to: key } : { from: after(key), to: range.to };
