/** How a query's shape becomes requests, on a connection that the call has its turn on. */
import { byteKey, type TableId } from "../base/brand.ts";
import { prefixEnd } from "../codec/key.ts";
import { tablePrefix } from "../codec/record.ts";
import type { Catalog } from "../codec/schema.ts";
import type { KeyRange, ScanRequest, ScanWants } from "../protocol/messages.ts";
import { readyIndex } from "./building.ts";
import type { Connection } from "./connection.ts";
import { gathered, type Part, type PartsOptions, streamed } from "./parts.ts";
import { Refinement } from "./refinement.ts";
import { collectionIn } from "./schema.ts";
import type { Shape } from "./shape.ts";
import { abortable, type Source } from "./source.ts";

/** One answer carries about so many bytes: bounds memory on both sides, whatever the range holds. */
const answerBytes = 256 * 1024;

/** What a query ranges over, resolved when it runs, since table numbers are known only then. */
export interface QueryTarget {
  readonly source: Source;
  readonly collection: string;
  /** `undefined`: the primary key. */
  readonly index: string | undefined;
}

export interface Reading {
  readonly shape: Shape;
  /** All ranges of the query, where this is a part of it: a record counts once in them. */
  readonly within?: readonly KeyRange[];
  readonly wants: ScanWants;
  readonly signal?: AbortSignal | undefined;
}

/** How many records the ranges hold, whatever else is in the shape; no more than `limit` are counted. */
export function countOn(
  connection: Connection,
  target: QueryTarget,
  shape: Shape,
  limit: number | undefined,
): Promise<number> {
  const { source } = target;
  if (shape.ranges.length === 0) return Promise.resolve(0);
  return source.underSchema(connection, async (schema) => {
    const { handle } = source;
    const extent = extentOf(schema, target, shape, shape.ranges);
    return connection.call<"count">({ op: "count", handle, epoch: schema.epoch, ...extent, limit });
  });
}

/** What `take` makes of all parts; of its calls those count that have the list of the last beginning. */
export function gatherOn<R>(
  connection: Connection,
  target: QueryTarget,
  reading: Reading,
  take: (all: R[], part: Part) => void,
): Promise<R[]> {
  const { shape } = reading;
  if (shape.limit === 0 || shape.ranges.length === 0) return Promise.resolve([]);
  return gathered(partsOn(connection, target, reading), () => {
    const all: R[] = [];
    const refinement = new Refinement(shape);
    return {
      result: all,
      take: (part: Part): boolean => {
        take(all, refinement.of(part));
        return !refinement.isEnough;
      },
    };
  });
}

/** A reading whose first part has come: the rest follows as it is used. */
export interface Stream {
  readonly parts: AsyncGenerator<Part, void>;
  readonly first: IteratorResult<Part, void>;
  readonly shape: Shape;
  readonly signal: AbortSignal | undefined;
}

export async function beginStream(
  connection: Connection,
  target: QueryTarget,
  shape: Shape,
  signal: AbortSignal | undefined,
): Promise<Stream> {
  const parts = streamed(partsOn(connection, target, { shape, wants: "values", signal }));
  return { parts, first: await parts.next(), shape, signal };
}

/** Lets go of it, once a part that is on its way is there. */
export const endStream = ({ parts }: Stream): void => void parts.return().catch(() => undefined);

/** Every record in turn. Whoever stops early lets go of it; an abort does, even where nobody asks for the next one. */
export async function* recordsOf<T>(stream: Stream): AsyncGenerator<T, void> {
  const { parts, first, shape, signal } = stream;
  const refinement = new Refinement(shape);
  const end = (): void => endStream(stream);
  signal?.addEventListener("abort", end, { once: true });
  try {
    for (let part = first; !part.done; part = await abortable(signal, () => parts.next())) {
      for (const value of refinement.of(part.value).values) {
        signal?.throwIfAborted();
        yield value as T;
      }
      if (refinement.isEnough) break;
    }
  } finally {
    signal?.removeEventListener("abort", end);
    if (signal?.aborted) end();
    else await parts.return();
  }
}

export function partsOn(
  connection: Connection,
  target: QueryTarget,
  { shape, within = shape.ranges, wants, signal }: Reading,
): PartsOptions {
  const { reverse, filters, offset, limit } = shape;
  const { source } = target;
  // What a filter refuses neither is passed over nor counts: then both are done here.
  const ends = filters.length > 0 ? { skip: 0, limit: undefined } : { skip: offset, limit };
  const request = (schema: Catalog): ScanRequest => ({
    op: "scan",
    handle: source.handle,
    epoch: schema.epoch,
    ...extentOf(schema, target, shape, within),
    ...ends,
    reverse,
    wants,
    maxBytes: answerBytes,
  });
  return { source, connection, request, signal };
}

/** Where it ranges, and how entries of an index lead to records: the same for all parts of a scan. */
function extentOf(
  schema: Catalog,
  { collection, index }: QueryTarget,
  shape: Shape,
  within: readonly KeyRange[],
): Pick<ScanRequest, "ranges" | "records" | "once"> {
  const stored = collectionIn(schema, collection);
  const { isOneKey, reverse, counts = reverse ? "greatest" : "least" } = shape;
  if (index === undefined) {
    return { ranges: walked(stored.table, shape.ranges, reverse), records: undefined, once: undefined };
  }
  const { table, multi } = readyIndex(collection, index, stored);
  // Under one key a record has one entry.
  const once = multi && !isOneKey ? { within: walked(table, within, reverse), at: counts } : undefined;
  return { ranges: walked(table, shape.ranges, reverse), records: stored.table, once };
}

/** Ranges of a table, in the order in which they are walked. */
function walked(table: TableId, ranges: readonly KeyRange[], reverse: boolean): readonly KeyRange[] {
  const prefix = tablePrefix(table);
  const full = ranges.map(({ from, to }) => ({
    from: byteKey(prefix + from),
    to: to === undefined ? prefixEnd(prefix) : byteKey(prefix + to),
  }));
  return reverse ? full.toReversed() : full;
}
