/**
 * Many values as one message. Nearly always they become one JSON array text, so that whoever receives them decodes
 * and parses once, not once a record; that is most of a scan's speed. Rich values stand in it as `[skeleton, patches]`
 * and are patched afterwards; only those with attached bytes have to travel one by one.
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { TidemarkError } from "../base/errors.ts";
import { type Aside, Dealer, isWhole, type ValueBytes } from "./aside.ts";
import { Attached, unpack } from "./unpack.ts";
import { decodeValue, decoding, jsonOf } from "./value.ts";

export type Values =
  /** One JSON array text. `kinds` says per value what it is; absent: all plain. */
  | {
      readonly form: "json";
      readonly text: Uint8Array<ArrayBuffer>;
      readonly count: number;
      readonly kinds: Uint8Array<ArrayBuffer> | undefined;
    }
  /** Encoded values one after the other; a length of `missing` stands for "not there". */
  | {
      readonly form: "mixed";
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly lengths: Uint32Array<ArrayBuffer>;
      /** Blobs of theirs that are not among the bytes. */
      readonly aside?: readonly Aside[];
    };

const plain = 0;
const rich = 1;
const absent = 2;

const missing = 0xffff_ffff;
const comma = 0x2c;
const open = 0x5b;
const close = 0x5d;
const nullText: Uint8Array = new TextEncoder().encode("null");
const decoder = new TextDecoder();

export function packValues(values: readonly (ValueBytes | undefined)[]): Values {
  return (areWhole(values) ? asJson(values) : undefined) ?? oneByOne(values);
}

const areWhole = (values: readonly (ValueBytes | undefined)[]): values is readonly (Uint8Array | undefined)[] =>
  values.every((v) => v === undefined || isWhole(v));

/** `undefined` where a value has attached bytes. */
function asJson(values: readonly (Uint8Array | undefined)[]): Values | undefined {
  const out = new ByteWriter(values.reduce((n, v) => n + (v?.length ?? nullText.length) + 1, 2));
  const kinds = new Uint8Array(values.length);
  let allPlain = true;
  out.u8(open);
  for (const [i, value] of values.entries()) {
    if (i > 0) out.u8(comma);
    const json = value === undefined ? { text: nullText, isRich: false } : jsonOf(value);
    if (json === undefined) return undefined;
    out.bytes(json.text);
    if (value === undefined) kinds[i] = absent;
    else if (json.isRich) kinds[i] = rich;
    allPlain &&= kinds[i] === plain;
  }
  out.u8(close);
  return { form: "json", text: out.finish(), count: values.length, kinds: allPlain ? undefined : kinds };
}

function oneByOne(values: readonly (ValueBytes | undefined)[]): Values {
  const parts = values.map((v) => (v && isWhole(v) ? { bytes: v, aside: [] } : v));
  const out = new ByteWriter(parts.reduce((n, v) => n + (v?.bytes.length ?? 0), 0));
  const lengths = new Uint32Array(values.length);
  const aside: Aside[] = [];
  parts.forEach((v, i) => {
    lengths[i] = v ? v.bytes.length : missing;
    for (const one of v?.aside ?? []) aside.push({ ...one, at: out.length + one.at });
    if (v) out.bytes(v.bytes);
  });
  return { form: "mixed", bytes: out.finish(), lengths, ...(aside.length === 0 ? {} : { aside }) };
}

/** How many values there are, without unpacking them. */
export const countOf = (packed: Values): number => (packed.form === "json" ? packed.count : packed.lengths.length);

/** The values, `undefined` where there was none. @throws CORRUPT where what was stored of one is damaged */
export function unpackValues(packed: Values): unknown[] {
  return decoding(() => (packed.form === "json" ? fromJson(packed) : fromParts(packed)));
}

function fromJson({ text, count, kinds }: Extract<Values, { form: "json" }>): unknown[] {
  const values: unknown = JSON.parse(decoder.decode(text));
  if (!Array.isArray(values) || values.length !== count) throw notWhole();
  if (!kinds) return values;
  // No bytes are attached; how long the text is bounds what is made of it.
  const nothing = new Attached(new ByteReader(text, "value", text.length));
  for (let i = 0; i < values.length; i++) {
    if (kinds[i] === rich) values[i] = unpack(values[i], nothing);
    else if (kinds[i] === absent) values[i] = undefined;
  }
  return values;
}

function fromParts({ bytes, lengths, aside = [] }: Extract<Values, { form: "mixed" }>): unknown[] {
  let at = 0;
  const dealer = new Dealer(aside);
  return Array.from(lengths, (length) => {
    if (length === missing) return undefined;
    at += length;
    if (at > bytes.length) throw notWhole();
    return decodeValue({ bytes: bytes.subarray(at - length, at), aside: dealer.deal(at - length, at) });
  });
}

const notWhole = (): TidemarkError =>
  new TidemarkError("CORRUPT", "Not as many values arrive as were read: one of them is damaged", { what: "value" });

/** The buffers to hand over when these values are posted. */
export const buffersOf = (packed: Values): ArrayBuffer[] =>
  packed.form === "json" ? [packed.text.buffer] : [packed.bytes.buffer, packed.lengths.buffer];
