/**
 * A value that is not in its record. What is large would be rewritten with every fold of its neighbours, so its bytes
 * lie in store `blobs`, in chunks, and the record holds a reference in their place:
 *
 *   03 ‖ varint id ‖ varint size in bytes
 *
 * Every chunk but the last holds `chunkBytes` of the value. A chunk's key says how large it is: chunk i lies at
 * id + i × 64 + its size in KB, so that what is stored is counted without reading it. Ids are multiples of 64 and never
 * given twice.
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { TidemarkError } from "../base/errors.ts";
import { valueStart } from "./record.ts";

/** The first byte of a reference, beside those of values (`value.ts`). */
const outsideKind = 0x03;

/**
 * Values larger than this go out of line. That is the size of a block: such a value would have one of its own, so to
 * read it costs a look into storage either way.
 */
export const maxInlineBytes: number = 32 * 1024;

/**
 * What a chunk holds. Below 64 KB with all that surrounds it, since Chromium keeps larger values in files of their own,
 * which a later strict transaction may not make durable (decision 14).
 */
const chunkBytes = 60 * 1024;

/** The ids one chunk takes. */
export const slotsPerChunk = 64;

export interface OutsideRef {
  /** Of the first chunk. */
  readonly id: number;
  /** Of the value. */
  readonly sizeBytes: number;
}

export const chunksOf = (sizeBytes: number): number => Math.ceil(sizeBytes / chunkBytes);

/** All keys that its chunks can have: `from` ≤ key < `to`. */
export const slotsOf = ({ id, sizeBytes }: OutsideRef): { readonly from: number; readonly to: number } => ({
  from: id,
  to: id + chunksOf(sizeBytes) * slotsPerChunk,
});

/** Where chunk `i` lies, and what it holds of the value: `from` ≤ byte < `to`. */
export function chunkAt(
  { id, sizeBytes }: OutsideRef,
  i: number,
): { readonly key: number; readonly from: number; readonly to: number } {
  const from = i * chunkBytes;
  const to = Math.min(sizeBytes, from + chunkBytes);
  return { key: id + i * slotsPerChunk + Math.ceil((to - from) / 1024), from, to };
}

/** The bytes that the chunk under this key takes, within one KB. */
export const bytesAt = (key: number): number => (key % slotsPerChunk) * 1024;

/** The reference that stands for a value; `undefined` for a value itself. */
export function outsideIn(value: Uint8Array): OutsideRef | undefined {
  if (value[0] !== outsideKind) return undefined;
  const r = new ByteReader(value, "reference to a value", 1);
  const ref = { id: r.varint(), sizeBytes: r.varint() };
  if (!r.done) throw new TidemarkError("CORRUPT", "A reference to a value goes on after its end", { what: "value" });
  return ref;
}

/** The reference in a record's payload; `undefined` where the record holds its value, as nearly all do. */
export function outsideOf(payload: Uint8Array): OutsideRef | undefined {
  if (payload.length === 0) return undefined;
  const at = valueStart(payload);
  return payload[at] === outsideKind ? outsideIn(payload.subarray(at)) : undefined;
}

/** The payload with a reference in place of its value, in a buffer of its own. */
export function withReference(payload: Uint8Array, { id, sizeBytes }: OutsideRef): Uint8Array {
  const headBytes = Math.min(valueStart(payload), payload.length);
  const out = new ByteWriter(headBytes + 20);
  out.bytes(payload.subarray(0, headBytes));
  out.u8(outsideKind);
  out.varint(id);
  out.varint(sizeBytes);
  return out.finish();
}

/**
 * The values that go with versions of one key: what one of `dropped` refers to and none of `kept`. A record that is
 * written again with its old value, as when an index is built, refers to what its former version refers to.
 */
export function outsideLost(
  dropped: readonly (Uint8Array | undefined)[],
  kept: readonly (Uint8Array | undefined)[],
): readonly OutsideRef[] {
  const lost = new Map<number, OutsideRef>();
  for (const payload of dropped) {
    const ref = payload && outsideOf(payload);
    if (ref) lost.set(ref.id, ref);
  }
  if (lost.size === 0) return none;
  for (const payload of kept) {
    const ref = payload && outsideOf(payload);
    if (ref) lost.delete(ref.id);
  }
  return [...lost.values()];
}
const none: readonly OutsideRef[] = [];
