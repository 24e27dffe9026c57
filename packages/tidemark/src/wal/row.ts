/**
 * Rows of store `meta`, and the fence: an envelope, then a few numbers. They decide what is void and what may be
 * reclaimed, so a flipped bit in one of them must be seen, never believed.
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { rowFormat } from "../codec/formats.ts";
import type { StoredValue } from "../storage/contract.ts";
import { beginEnvelope, type Envelope, envelopeBytes, openEnvelope, sealEnvelope } from "./envelope.ts";

const envelope: Envelope = { magic: 0x57524d54, ...rowFormat }; // "TMRW"

export function sealRow(write: (out: ByteWriter) => void): StoredValue {
  const out = new ByteWriter(48);
  beginEnvelope(out, envelope);
  write(out);
  return sealEnvelope(out);
}

/** @throws CORRUPT naming the row. */
export function openRow(bytes: Uint8Array, what: string): ByteReader {
  openEnvelope(bytes, envelope, { what });
  return new ByteReader(bytes, what, envelopeBytes);
}
