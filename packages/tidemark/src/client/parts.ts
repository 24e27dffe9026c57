/**
 * A scan, part by part. The worker answers about so many bytes at a time; of a scan of the head in several parts it keeps
 * a view open, so that all of them are of one state. The next part is on its way while one is unpacked.
 */
import type { ByteKey } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import type { Catalog } from "../codec/schema.ts";
import { countOf, unpackValues } from "../codec/values.ts";
import type { DamageReport, ScanAnswer, ScanRequest } from "../protocol/messages.ts";
import type { Connection } from "./connection.ts";
import type { Source } from "./source.ts";
import { isHarmlessLoss } from "./worker-death.ts";

/** So often one read in several parts is begun again. */
const maxEvictions = 10;

export interface Part {
  /** As far as they were wanted; positions match. */
  readonly values: readonly unknown[];
  readonly keys: readonly ByteKey[];
  /** Of a salvage: what was passed over. */
  readonly damage?: readonly DamageReport[] | undefined;
}

export interface PartsOptions {
  readonly source: Source;
  readonly connection: Connection;
  readonly request: (schema: Catalog) => ScanRequest;
  readonly signal: AbortSignal | undefined;
}

/** The parts of one scan. Whoever stops early lets go of it. The first is asked for at once. */
async function* partsOf({ source, connection, request: made, signal }: PartsOptions): AsyncGenerator<Part, void> {
  signal?.throwIfAborted();
  const { request, first } = await source.underSchema(connection, async (schema) => {
    const asked = made(schema);
    return { request: asked, first: await connection.call<"scan">(asked) };
  });
  const { handle } = first;
  const answering = connection.present; // the worker asked first may have died, and another one answered
  let next: Promise<ScanAnswer> | undefined;
  const ask = ({ rest }: ScanAnswer, from: ScanRequest): ScanRequest | undefined => {
    if (!rest) return undefined;
    const { left, skip, range } = rest;
    const asked = { ...from, handle, skip, ranges: [left, ...from.ranges.slice(range + 1)] };
    next = answering.call<"scan">(asked);
    next.catch(noop); // awaited below, or by nobody
    return asked;
  };
  try {
    let answer = first;
    for (let asked: ScanRequest | undefined = request; ;) {
      const { limit } = asked;
      asked = ask(answer, limit === undefined ? asked : { ...asked, limit: limit - sizeOf(answer) });
      if (asked) await Promise.resolve(); // it leaves now, and this one is unpacked meanwhile
      yield unpacked(answer);
      if (!asked) return;
      signal?.throwIfAborted();
      answer = await next!;
    }
  } catch (e) {
    throw handle === source.handle ? e : ownViewLost(e);
  } finally {
    if (handle !== source.handle) answering.call<"end">({ op: "end", handle }).catch(noop);
  }
}

const sizeOf = ({ values, keys }: ScanAnswer): number => keys?.length ?? countOf(values!);

const unpacked = ({ values, keys = [], damage }: ScanAnswer): Part => ({
  values: values ? unpackValues(values) : [],
  keys,
  damage,
});

/** The view that a scan of the head read by is gone: with another one it can begin anew. */
class OwnViewLost extends Error {}

function ownViewLost(e: unknown): unknown {
  const isGone = isTidemarkError(e, "READ_VIEW_EVICTED") || isHarmlessLoss(e);
  return isGone ? new OwnViewLost("The view of a scan was lost", { cause: e }) : e;
}

/** What a scan gathers, made anew each time it begins. */
export interface Gathering<R> {
  /** False when this was enough. */
  take(part: Part): boolean;
  readonly result: R;
}

/** A whole scan. Where its view is evicted while this tab sleeps, or goes with its worker, it is done again. */
export async function gathered<R>(options: PartsOptions, begin: () => Gathering<R>): Promise<R> {
  let { connection } = options;
  for (let tries = 0; ; tries++) {
    const gathering = begin();
    try {
      for await (const part of partsOf({ ...options, connection })) if (!gathering.take(part)) break;
      return gathering.result;
    } catch (e) {
      if (!(e instanceof OwnViewLost)) throw e;
      const isAgain = isTidemarkError(e.cause, "READ_VIEW_EVICTED") ? tries < maxEvictions : tries === 0;
      if (!isAgain) throw e.cause;
      connection = connection.present;
    }
  }
}

/** A scan whose parts are used as they come: it cannot begin anew. */
export async function* streamed(options: PartsOptions): AsyncGenerator<Part, void> {
  try {
    yield* partsOf(options);
  } catch (e) {
    throw e instanceof OwnViewLost ? e.cause : e;
  }
}

const noop = (): void => undefined;
