/** Records on their way out: values encoded once, keys extracted by the stored schema. */
import { type ByteKey, byteKey, type TableId } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { TidemarkError } from "../base/errors.ts";
import { encodeKey, prefixEnd } from "../codec/key.ts";
import { extractIndexKeys, extractKey } from "../codec/path.ts";
import { tablePrefix, type WriteKind, writeRecordHead, writeWriteHead } from "../codec/record.ts";
import type { StoredCollection } from "../codec/schema.ts";
import { encodeValue } from "../codec/value.ts";

interface BlobLike {
  arrayBuffer(): Promise<ArrayBuffer>;
}
export type BlobBytes = ReadonlyMap<object, Uint8Array>;

/** Encoded writes, or the blobs that have to be read first. */
export type EncodedWrites =
  | { readonly writes: Uint8Array<ArrayBuffer>; readonly keys: readonly ByteKey[] }
  | { readonly unread: readonly BlobLike[] };

/** Encodes whole records as one batch of writes. Bad input throws before anything is sent. */
export function encodeRecords(
  name: string,
  stored: StoredCollection,
  kind: Exclude<WriteKind, "delete">,
  values: readonly unknown[],
  blobs: BlobBytes | undefined,
): EncodedWrites {
  const out = new ByteWriter(256 + values.length * 128);
  const payload = new ByteWriter(512);
  const prefix = tablePrefix(stored.table);
  const indexes = Object.entries(stored.indexes).map(([index, { table, path, multi }]) => ({
    prefix: tablePrefix(table),
    where: `${name}.${index}`,
    spec: { path, multi },
  }));
  const keys: ByteKey[] = [];
  const unread: BlobLike[] = [];
  values.forEach((value, position) => {
    const where = values.length === 1 ? name : `${name}[${position}]`;
    if (typeof value !== "object" || value === null) throw notARecord(where, value);
    const key = byteKey(prefix + extractKey(value, stored.key, where));
    const entries: ByteKey[] = [];
    for (const { prefix: of, where: at, spec } of indexes) {
      for (const k of extractIndexKeys(value, spec, at)) entries.push(byteKey(of + k));
    }
    payload.reset();
    writeRecordHead(payload, entries);
    unread.push(...(encodeValue(value, payload, where, blobs) as readonly BlobLike[]));
    writeWriteHead(out, kind, key, payload.length);
    out.bytes(payload.written());
    keys.push(key);
  });
  return unread.length > 0 ? { unread } : { writes: out.finish(), keys };
}

export function encodeDeletes(keys: readonly ByteKey[]): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(64 * keys.length);
  for (const key of keys) writeWriteHead(out, "delete", key, 0);
  return out.finish();
}

export const recordKey = (name: string, stored: StoredCollection, key: unknown): ByteKey =>
  byteKey(tablePrefix(stored.table) + encodeKey(key, name));

/** All keys of a table from the least to the greatest that begin with `prefix`. */
export const keysUnder = (table: TableId, prefix: ByteKey): { from: ByteKey; to: ByteKey | undefined } => {
  const from = byteKey(tablePrefix(table) + prefix);
  return { from, to: prefixEnd(from) };
};

export async function readBlobs(blobs: readonly BlobLike[]): Promise<BlobBytes> {
  const read = await Promise.all(blobs.map(async (b) => [b, new Uint8Array(await b.arrayBuffer())] as const));
  return new Map(read);
}

function notARecord(where: string, value: unknown): TidemarkError {
  return new TidemarkError(
    "VALUE_UNSUPPORTED",
    `${where} is ${value === null ? "null" : typeof value}; a record is an object`,
    {
      where,
      path: where,
      type: value === null ? "null" : typeof value,
    },
  );
}
