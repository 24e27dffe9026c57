/**
 * Rows of store `meta`, and the fence: an envelope, then a few numbers. They decide what is void and what may be
 * reclaimed, so a flipped bit in one of them must be seen, never believed. Nor must another row's bytes: in store `meta` a
 * checksum of the row's key stands first. The fence, alone of its kind in its store, is as format 1 had all of them.
 */
import { ByteReader, type ByteWriter } from "../base/bytes.ts";
import { checksum } from "../base/checksum.ts";
import { fenceFormat, rowFormat } from "../codec/formats.ts";
import type { StoredValue, Write } from "../storage/contract.ts";
import { damaged, type Envelope, enveloped, envelopeBytes, formatOf, openEnvelope } from "./envelope.ts";

const magic = 0x57524d54; // "TMRW"
const keyless: Envelope = { magic, ...fenceFormat };
const keyed: Envelope = { magic, ...rowFormat };
const encoder = new TextEncoder();
const sumOf = (key: string): number => checksum(encoder.encode(key));

/** `key`: of store `meta`; absent for the fence. */
export function sealRow(key: string | undefined, write: (out: ByteWriter) => void): StoredValue {
  return enveloped(key === undefined ? keyless : keyed, (out) => {
    if (key !== undefined) out.u32(sumOf(key));
    write(out);
  });
}

export const putRow = (key: string, write: (out: ByteWriter) => void): Write => ({
  kind: "put",
  store: "meta",
  key,
  value: sealRow(key, write),
});

/** @throws CORRUPT naming the row. */
export function openRow(bytes: Uint8Array, key: string | undefined, what: string): ByteReader {
  openEnvelope(bytes, key === undefined ? keyless : keyed, { what });
  const r = new ByteReader(bytes, what, envelopeBytes);
  if (key !== undefined && formatOf(bytes) > 1 && r.u32() !== sumOf(key)) throw damaged({ what }, "is another row's");
  return r;
}
