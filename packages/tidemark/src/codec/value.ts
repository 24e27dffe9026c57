/**
 * Values as bytes. Most records are plain JSON, and JSON.stringify is several times faster than any codec written in
 * JavaScript, so the first byte tells two kinds apart:
 *
 *   01  JSON text follows: UTF-8, up to the end
 *   02  varint length of a JSON text, the text `[skeleton, patches]`, attachments up to the end
 *
 * The second kind carries all else that structured clone can store, and objects with names that JSON escapes, which
 * not every JSON.parse reads right (see `text.ts`). In the skeleton each special (a Date, undefined,
 * a Map …) is replaced by a placeholder that JSON holds; the patches say, innermost first, how to turn each of them
 * back. Bytes of buffers and blobs are attached behind the text, in the order of their patches. `pack.ts` and
 * `unpack.ts` say more.
 *
 * As with JSON, what a value refers to twice is two things after reading. As with structured clone, properties that
 * are not enumerable or whose names are symbols are not stored, and getters are stored as what they return.
 */
import type { ByteWriter } from "../base/bytes.ts";
import { ByteReader, maxVarintBytes } from "../base/bytes.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { type Aside, isWhole, noneAside, type ValueBytes } from "./aside.ts";
import { flatten } from "./flat.ts";
import { type Packed, pack } from "./pack.ts";
import type { BlobLike } from "./platform.ts";
import { stringifyUnpatched, toJsonPatched } from "./text.ts";
import { Attached, unpack } from "./unpack.ts";

export const plainKind = 0x01;
export const richKind = 0x02;

const noBlobs: readonly BlobLike[] = [];
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Appends one value, unless it holds blobs whose bytes are not known: encoding is synchronous, reading a blob is not.
 * Then nothing is written and the blobs are returned; read them and call again with their bytes. An empty answer
 * means that the value is written.
 *
 * @param where names the value in errors, usually its collection.
 * @param blobBytes what the blobs hold, by their identity.
 * @param aside takes blobs that are larger than `maxInlineBytes`; absent: they are read, too.
 * @throws TidemarkError VALUE_UNSUPPORTED naming the place of what cannot be stored, or of a blob that `blobBytes` is
 * given without. Nothing is written then.
 */
export function encodeValue(
  value: unknown,
  into: ByteWriter,
  where: string,
  blobBytes?: ReadonlyMap<object, Uint8Array>,
  aside?: Aside[],
): readonly BlobLike[] {
  const flat = toJsonPatched() ? undefined : flatten(value);
  if (flat) {
    into.u8(flat.isRich ? richKind : plainKind);
    if (flat.isRich) writeText(flat.text, into);
    else into.utf8(flat.text);
    return noBlobs;
  }
  const packed = pack(value, where, blobBytes, aside !== undefined);
  if (packed.unread.length > 0) return packed.unread;
  write(packed, into, aside);
  return noBlobs;
}

function write({ skeleton, patches, attachments }: Packed, into: ByteWriter, aside: Aside[] | undefined): void {
  const stringify = toJsonPatched() ? stringifyUnpatched : JSON.stringify;
  if (patches.length === 0) {
    const json = stringify(skeleton);
    into.u8(plainKind);
    into.utf8(json);
    return;
  }
  const json = stringify([skeleton, patches]);
  into.u8(richKind);
  writeText(json, into);
  for (const content of attachments) {
    if (content instanceof Uint8Array) into.bytes(content);
    else aside!.push({ at: into.length, ...content });
  }
}

/** As `into.text`, but without a copy when, as nearly always, all is ASCII and the length therefore known. */
function writeText(text: string, into: ByteWriter): void {
  const start = into.length;
  into.varint(text.length);
  if (into.utf8(text) === text.length) return;
  into.length = start;
  into.text(text);
}

/**
 * The JSON text within a value's bytes: of the value itself, or, where it is rich, of the `[skeleton, patches]` that
 * `unpack` makes it from. `undefined` where attached bytes belong to it.
 * @throws CORRUPT where it is neither
 */
export function jsonOf(bytes: Uint8Array): { readonly text: Uint8Array; readonly isRich: boolean } | undefined {
  if (bytes[0] === plainKind) return { text: bytes.subarray(1), isRich: false };
  if (bytes[0] !== richKind) throw unknownKind();
  // A varint by hand: every rich record that is read passes here.
  let at = 1;
  let length = bytes[at]! & 0x7f;
  for (let scale = 0x80; bytes[at++]! >= 0x80; scale *= 0x80) length += (bytes[at]! & 0x7f) * scale;
  return at + length === bytes.length ? { text: bytes.subarray(at), isRich: true } : undefined;
}

/**
 * Where what stands before the attachments ends, by the bytes that are there; `undefined` where these are too few to tell.
 * A plain value has nothing else. @throws CORRUPT
 */
export function headEnd(bytes: Uint8Array): number | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] !== richKind) return bytes.length;
  const length = bytes.subarray(1, 1 + maxVarintBytes);
  if (length.length < maxVarintBytes && length.every((b) => b >= 0x80)) return undefined;
  const reader = new ByteReader(bytes, "value", 1);
  const textBytes = reader.varint();
  return reader.at + textBytes;
}

/**
 * The value that `encodeValue` wrote as exactly these bytes.
 * @throws TidemarkError CORRUPT when they are damaged; VALUE_UNSUPPORTED when this platform lacks a type they hold.
 */
export function decodeValue(value: ValueBytes): unknown {
  const { bytes, aside } = isWhole(value) ? { bytes: value, aside: noneAside } : value;
  return decoding(() => {
    if (bytes[0] === plainKind) return JSON.parse(decoder.decode(bytes.subarray(1))) as unknown;
    if (bytes[0] === richKind) return decodeRich(bytes, aside);
    throw unknownKind();
  });
}

/** Whatever `decode` meets in damaged text or patches: @throws CORRUPT */
export function decoding<T>(decode: () => T): T {
  try {
    return decode();
  } catch (e) {
    if (isTidemarkError(e)) throw e;
    throw new TidemarkError("CORRUPT", "A stored value is damaged", { what: "value" }, e);
  }
}

const unknownKind = (): TidemarkError =>
  new TidemarkError("CORRUPT", "A stored value begins with an unknown kind", { what: "value" });

function decodeRich(bytes: Uint8Array, aside: readonly Aside[]): unknown {
  const reader = new ByteReader(bytes, "value", 1);
  const json = reader.take(reader.varint());
  return unpack(JSON.parse(decoder.decode(json)), new Attached(reader, aside));
}
