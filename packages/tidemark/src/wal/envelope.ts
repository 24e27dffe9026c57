/**
 * How log entries, blocks, manifests and rows of store `meta` begin:
 *
 *   0  u32  magic
 *   4  u32  checksum of everything from byte 8 on
 *   8  u8   format version
 *
 * The format version stands under the checksum, so that a flipped bit in it is damage and not "a newer Tidemark".
 * These nine bytes mean the same in every format version to come.
 */
import { type ByteWriter, u32At, writtenBy } from "../base/bytes.ts";
import { checksum } from "../base/checksum.ts";
import { type ErrorDetails, TidemarkError } from "../base/errors.ts";
import type { StoredValue } from "../storage/contract.ts";

export const envelopeBytes = 9;
/** Where the checksum stands. */
export const checksumAt = 4;
const checkedFrom = 8;
/** Where the format stands. */
export const formatAt = 8;

export interface Envelope {
  readonly magic: number;
  /** What is written. */
  readonly format: number;
  /** The oldest that is still read; absent: only `format`. */
  readonly oldest?: number;
}

/** Of what `openEnvelope` has let pass. */
export const formatOf = (bytes: Uint8Array): number => bytes[checkedFrom]!;

export function beginEnvelope(out: ByteWriter, envelope: Envelope): void {
  out.u32(envelope.magic);
  out.u32(0);
  out.u8(envelope.format);
}

export function sealEnvelope(out: ByteWriter): StoredValue {
  putChecksum(out);
  return out.finish();
}

/** What `write` writes, in an envelope: for what is small. */
export const enveloped = (envelope: Envelope, write: (out: ByteWriter) => void): StoredValue =>
  writtenBy((out) => {
    beginEnvelope(out, envelope);
    write(out);
    putChecksum(out);
  });

const putChecksum = (out: ByteWriter): void => out.patchU32(checksumAt, checksum(out.written(checkedFrom)));

/** @throws TidemarkError CORRUPT, or FORMAT_UNSUPPORTED for intact bytes of a newer format; both with `details`. */
export function openEnvelope(bytes: Uint8Array, envelope: Envelope, details: ErrorDetails): void {
  if (bytes.length < envelopeBytes) throw damaged(details, "is too short");
  if (u32At(bytes, 0) !== envelope.magic) throw damaged(details, "does not begin as one");
  if (u32At(bytes, checksumAt) !== checksum(bytes.subarray(checkedFrom))) {
    throw damaged(details, "does not match its checksum");
  }
  const format = bytes[formatAt]!;
  if (format > envelope.format) {
    throw new TidemarkError(
      "FORMAT_UNSUPPORTED",
      `This ${name(details)} was written by a newer build of Tidemark; reload the page to get it`,
      {
        ...details,
        format,
        supported: envelope.format,
      },
    );
  }
  if (format < (envelope.oldest ?? envelope.format)) throw damaged(details, "has no known format");
}

export const damaged = (details: ErrorDetails, how: string): TidemarkError =>
  new TidemarkError("CORRUPT", `A ${name(details)} ${how}`, details);

const name = (details: ErrorDetails): string => String(details["what"]);
