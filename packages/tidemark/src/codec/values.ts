/**
 * Many values as one message. Where all are plain they become one JSON array text, so that whoever receives them
 * decodes and parses once, not once a record; that is most of a scan's speed.
 */
import { ByteWriter } from "../base/bytes.ts";
import { assert } from "../base/errors.ts";
import { decodeValue, isPlain } from "./value.ts";

export type Values =
  | { readonly form: "json"; readonly text: Uint8Array<ArrayBuffer>; readonly count: number }
  /** Encoded values one after the other; a length of `missing` stands for "not there". */
  | { readonly form: "mixed"; readonly bytes: Uint8Array<ArrayBuffer>; readonly lengths: Uint32Array<ArrayBuffer> };

const missing = 0xffff_ffff;
const comma = 0x2c;
const open = 0x5b;
const close = 0x5d;
const decoder = new TextDecoder();

export function packValues(values: readonly (Uint8Array | undefined)[]): Values {
  let sizeBytes = 2;
  let plain = true;
  for (const v of values) {
    sizeBytes += v ? v.length : 0;
    plain &&= v !== undefined && isPlain(v);
  }
  const out = new ByteWriter(sizeBytes + 8);
  if (plain) {
    out.u8(open);
    values.forEach((v, i) => {
      if (i > 0) out.u8(comma);
      out.bytes(v!.subarray(1));
    });
    out.u8(close);
    return { form: "json", text: out.finish(), count: values.length };
  }
  const lengths = new Uint32Array(values.length);
  values.forEach((v, i) => {
    lengths[i] = v ? v.length : missing;
    if (v) out.bytes(v);
  });
  return { form: "mixed", bytes: out.finish(), lengths };
}

/** The values, `undefined` where there was none. */
export function unpackValues(packed: Values): unknown[] {
  if (packed.form === "json") {
    const values = JSON.parse(decoder.decode(packed.text)) as unknown[];
    assert(values.length === packed.count, "as many values arrive as were sent");
    return values;
  }
  let at = 0;
  return Array.from(packed.lengths, (length) => {
    if (length === missing) return undefined;
    at += length;
    return decodeValue(packed.bytes.subarray(at - length, at));
  });
}

/** The buffers to hand over when these values are posted. */
export const buffersOf = (packed: Values): ArrayBuffer[] =>
  packed.form === "json" ? [packed.text.buffer] : [packed.bytes.buffer, packed.lengths.buffer];
