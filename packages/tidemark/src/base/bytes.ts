import { type ByteKey, byteKey } from "./brand.ts";
import { assert, TidemarkError } from "./errors.ts";

/** Appends to a growing buffer. Integers are little-endian; varints are LEB128 of non-negative integers < 2^53. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacityBytes = 1024) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  #reserve(more: number): void {
    const need = this.length + more;
    if (need <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }

  u8(n: number): void {
    this.#reserve(1);
    this.#bytes[this.length++] = n;
  }

  u32(n: number): void {
    this.#reserve(4);
    this.length += 4;
    this.patchU32(this.length - 4, n);
  }

  /** Overwrites four bytes written before, for lengths and checksums known only afterwards. */
  patchU32(at: number, n: number): void {
    assert(at + 4 <= this.length, "a patch lies within what is written");
    const out = this.#bytes;
    out[at] = n;
    out[at + 1] = n >>> 8;
    out[at + 2] = n >>> 16;
    out[at + 3] = n >>> 24;
  }

  f64(n: number): void {
    float.setFloat64(0, n, true);
    this.bytes(floatBytes);
  }

  varint(n: number): void {
    if (this.length + 8 > this.#bytes.length) this.#reserve(varintBytes(n));
    let rest = n;
    while (rest >= 0x80) {
      this.#bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.length++] = rest;
  }

  bytes(b: Uint8Array): void {
    this.#reserve(b.length);
    this.#bytes.set(b, this.length);
    this.length += b.length;
  }

  /** The bytes of a key from `from` on, without a length. */
  key(k: ByteKey, from = 0): void {
    const n = k.length - from;
    this.#reserve(n);
    const out = this.#bytes;
    for (let i = from, at = this.length; i < k.length; i++, at++) out[at] = k.charCodeAt(i);
    this.length += n;
  }

  /** UTF-8, preceded by its byte length as varint. */
  text(s: string): void {
    if (isShortAscii(s)) {
      this.varint(s.length);
      this.utf8(s);
      return;
    }
    const b = encoder.encode(s);
    this.varint(b.length);
    this.bytes(b);
  }

  /** UTF-8 without a length; returns the bytes written. */
  utf8(s: string): number {
    if (s.length <= maxLoopedChars) {
      this.#reserve(s.length);
      if (this.#ascii(s)) return s.length;
    }
    this.#reserve(s.length * 3);
    const { written } = encoder.encodeInto(s, this.#bytes.subarray(this.length));
    this.length += written;
    return written;
  }

  /** Writes `s` if it is all ASCII. */
  #ascii(s: string): boolean {
    const out = this.#bytes;
    const from = this.length;
    for (let i = 0; i < s.length; i++) {
      const unit = s.charCodeAt(i);
      if (unit >= 0x80) return false;
      out[from + i] = unit;
    }
    this.length = from + s.length;
    return true;
  }

  /** What is written, still backed by this writer's buffer: valid until the next write. */
  written(from = 0): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(from, this.length);
  }

  /**
   * What is written, in a buffer that holds nothing else, as storage and transfers want it. Ends this writer. Nothing
   * is copied where the capacity asked for was exact.
   */
  finish(): Uint8Array<ArrayBuffer> {
    return this.length === this.#bytes.length ? this.#bytes : this.#bytes.slice(0, this.length);
  }

  reset(): void {
    this.length = 0;
  }

  get capacityBytes(): number {
    return this.#bytes.length;
  }
}

/** Kept for the next that writes little; absent while somebody does. */
let spare: ByteWriter | undefined;
const maxSpareBytes = 64 * 1024;

/**
 * What `write` writes, in a buffer that holds nothing else: the only one that is made, where a writer of its own would have
 * grown through several. Buffers cost more than what little is written into them.
 */
export function writtenBy(write: (out: ByteWriter) => void): Uint8Array<ArrayBuffer> {
  const out = spare ?? new ByteWriter(4096);
  spare = undefined;
  try {
    write(out);
    return out.written().slice();
  } finally {
    out.reset();
    if (out.capacityBytes <= maxSpareBytes) spare = out;
  }
}

/** Reads what `ByteWriter` wrote. Running over the end is damage, so it throws CORRUPT naming `what`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly #what: string;
  at: number;

  constructor(bytes: Uint8Array, what: string, at = 0) {
    this.bytes = bytes;
    this.#what = what;
    this.at = at;
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  #take(n: number): number {
    const from = this.at;
    if (n < 0 || from + n > this.bytes.length) {
      throw new TidemarkError("CORRUPT", `${this.#what} ends before its content does`, { what: this.#what, at: from });
    }
    this.at = from + n;
    return from;
  }

  u8(): number {
    return this.bytes[this.#take(1)]!;
  }

  u32(): number {
    return u32At(this.bytes, this.#take(4));
  }

  f64(): number {
    floatBytes.set(this.take(8));
    return float.getFloat64(0, true);
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 0x80) {
      const b = this.u8();
      value += (b & 0x7f) * scale;
      if (b < 0x80 && value <= Number.MAX_SAFE_INTEGER) return value;
    }
    throw new TidemarkError("CORRUPT", `${this.#what} holds an oversized number`, { what: this.#what, at: this.at });
  }

  /** How many things follow, each of a byte at least: so many can be made room for. */
  count(): number {
    const n = this.varint();
    if (n <= this.bytes.length - this.at) return n;
    throw new TidemarkError("CORRUPT", `${this.#what} holds less than it says`, { what: this.#what, at: this.at });
  }

  /** A view, not a copy. */
  take(lengthBytes: number): Uint8Array {
    const from = this.#take(lengthBytes);
    return this.bytes.subarray(from, from + lengthBytes);
  }

  key(lengthBytes: number): ByteKey {
    const from = this.#take(lengthBytes);
    return keyFromBytes(this.bytes, from, from + lengthBytes);
  }

  text(): string {
    return decoder.decode(this.take(this.varint()));
  }
}

/** Up to here a loop in JS beats the call into TextEncoder. */
const maxLoopedChars = 512;

export const maxVarintBytes = 8;

/** How many bytes `varint(n)` takes. */
export function varintBytes(n: number): number {
  let bytes = 1;
  for (let rest = n; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** How many bytes `text(s)` takes. */
export function textBytes(s: string): number {
  const { length } = isShortAscii(s) ? s : encoder.encode(s);
  return varintBytes(length) + length;
}

/** The unsigned number of four bytes, which are there. */
export const u32At = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;

function isShortAscii(s: string): boolean {
  if (s.length > maxLoopedChars) return false;
  for (let i = 0; i < s.length; i++) if (s.charCodeAt(i) >= 0x80) return false;
  return true;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** For one number at a time: writers and readers are many and short-lived, and each would need a view of its own. */
const float = new DataView(new ArrayBuffer(8));
const floatBytes = new Uint8Array(float.buffer);

/** The byte string of `bytes[from, to)`. */
export function keyFromBytes(bytes: Uint8Array, from = 0, to: number = bytes.length): ByteKey {
  if (to - from > 4096) {
    let s = "";
    for (let i = from; i < to; i += 4096) s += keyFromBytes(bytes, i, Math.min(to, i + 4096));
    return byteKey(s);
  }
  return byteKey(String.fromCharCode.apply(null, bytes.subarray(from, to) as unknown as number[]));
}

/** Compares `bytes[from, to)` with `key` from its position `keyFrom` on: negative, zero or positive. */
export function compareBytesToKey(bytes: Uint8Array, from: number, to: number, key: ByteKey, keyFrom: number): number {
  const n = Math.min(to - from, key.length - keyFrom);
  for (let i = 0; i < n; i++) {
    const d = bytes[from + i]! - key.charCodeAt(keyFrom + i);
    if (d !== 0) return d;
  }
  return to - from - (key.length - keyFrom);
}

/** All of them, `length` bytes, one after the other; one alone is not copied. */
export function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
