/**
 * Many records on their way: what is encoded is with the worker while the page encodes the rest. All of it happens within
 * the call, before anything the caller does next, and nothing is written before the write that ends it.
 */
import type { Catalog } from "../codec/schema.ts";
import type { EndingBatch, WriteKind, WritePart } from "../codec/record.ts";
import { RecordBatch } from "./records.ts";
import { collectionIn } from "./schema.ts";

/** Fewer go in one message. */
const minRecords = 2000;
const recordsPerPart = 1000;
/** Later records may be larger than the first ones. */
const spare = { factor: 1.2, bytes: 32 * 1024 } as const;

/** A way to a worker that a call made now goes, by the schema that it would speak. */
export interface UploadWay {
  readonly id: number;
  readonly schema: Catalog;
  part(part: WritePart): void;
  drop(): void;
}

export interface Uploaded {
  readonly batch: RecordBatch;
  /** What is left to send, once; `undefined` where the parts do not help: by another schema, or for another try. */
  end(schema: Catalog): EndingBatch | undefined;
}

/** `undefined` where that is not the way to go. @throws as `RecordBatch` */
export function upload(
  collection: string,
  kind: Exclude<WriteKind, "delete">,
  records: readonly unknown[],
  begin: () => UploadWay | undefined,
): Uploaded | undefined {
  const way = records.length < minRecords ? undefined : begin();
  if (!way) return undefined;
  try {
    const batch = RecordBatch.begin(collection, kind, records);
    const last = sendParts(batch, records.length, way, collection);
    if (last) return { batch, end: endOf(way, last) };
  } catch (e) {
    way.drop();
    throw e;
  }
  way.drop();
  return undefined;
}

/** Sends all but the last part, which it answers; `undefined` where a record is of the kind that takes longer. */
function sendParts(
  batch: RecordBatch,
  count: number,
  way: UploadWay,
  collection: string,
): { readonly writes: Uint8Array; readonly parts: number } | undefined {
  const stored = collectionIn(way.schema, collection);
  let maxBytes = 0;
  for (let position = 0; ; position++) {
    const from = position * recordsPerPart;
    const to = Math.min(count, from + recordsPerPart);
    if (!batch.encodeUpTo(to)) return undefined;
    const writes = batch.writesOf(from, to, stored);
    if (to === count) return { writes, parts: position };
    if (position === 0) maxBytes = Math.ceil((writes.length / to) * count * spare.factor) + spare.bytes;
    way.part({ upload: way.id, position, count, maxBytes, writes });
  }
}

function endOf(way: UploadWay, { writes, parts }: { writes: Uint8Array; parts: number }): Uploaded["end"] {
  let isSpent = false;
  return ({ epoch }) => {
    if (isSpent) return undefined;
    isSpent = true;
    if (epoch === way.schema.epoch) return { writes, upload: { id: way.id, parts } };
    way.drop();
    return undefined;
  };
}
