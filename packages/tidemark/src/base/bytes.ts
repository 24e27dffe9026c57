import { type ByteKey, byteKey } from "./brand.ts";
import { assert, TidemarkError } from "./errors.ts";

/** Appends to a growing buffer. Integers are little-endian; varints are LEB128 of non-negative integers < 2^53. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  length = 0;

  constructor(capacityBytes = 1024) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  #reserve(more: number): void {
    const need = this.length + more;
    if (need <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  u8(n: number): void {
    this.#reserve(1);
    this.#bytes[this.length++] = n;
  }

  u32(n: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.length, n, true);
    this.length += 4;
  }

  /** Overwrites four bytes written before, for lengths and checksums known only afterwards. */
  patchU32(at: number, n: number): void {
    assert(at + 4 <= this.length, "a patch lies within what is written");
    this.#view.setUint32(at, n, true);
  }

  f64(n: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.length, n, true);
    this.length += 8;
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
    const b = encoder.encode(s);
    this.varint(b.length);
    this.bytes(b);
  }

  /** UTF-8 without a length; returns the bytes written. */
  utf8(s: string): number {
    this.#reserve(s.length * 3);
    if (s.length <= maxLoopedChars && this.#ascii(s)) return s.length;
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
}

/** Reads what `ByteWriter` wrote. Running over the end is damage, so it throws CORRUPT naming `what`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly #what: string;
  readonly #view: DataView;
  at: number;

  constructor(bytes: Uint8Array, what: string, at = 0) {
    this.bytes = bytes;
    this.#what = what;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
    return this.#view.getUint32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
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
  const { length } = encoder.encode(s);
  return varintBytes(length) + length;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

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
