/**
 * Keys as byte strings whose order is IndexedDB's: number < Date < string < binary < array. Index keys may also be
 * null < false < true, before numbers.
 *
 * One tag byte tells the type; what follows orders within it and ends by itself, so that encodings can be joined (an
 * index key and the primary key it points to) without losing order or boundaries:
 *
 *   null, false, true   the tag alone
 *   number, Date        the double, big-endian; sign bit flipped, and all the others too if it was negative
 *   string              each UTF-16 unit in the bit pattern of UTF-8 (1 to 3 bytes; a pair of surrogates stays two
 *                       units, since IndexedDB compares units), then 00
 *   binary              its bytes, then 00
 *   array               its elements, then 00
 *
 * So that 00 only ever ends something, a unit or byte 0 becomes 01 01, and 1 becomes 01 02.
 */
import { type ByteKey, byteKey } from "../base/brand.ts";
import { keyFromBytes } from "../base/bytes.ts";
import { TidemarkError } from "../base/errors.ts";

/** What a key decodes to; a binary key of any kind comes back as an ArrayBuffer. */
export type KeyValue = null | boolean | number | string | Date | ArrayBuffer | readonly KeyValue[];

const tagNull = 0x10;
const tagFalse = 0x18;
const tagTrue = 0x19;
const tagNumber = 0x20;
const tagDate = 0x30;
const tagString = 0x40;
const tagBinary = 0x50;
const tagArray = 0x60;

const end = "\0";
const nullKey = String.fromCharCode(tagNull);
const falseKey = String.fromCharCode(tagFalse);
const trueKey = String.fromCharCode(tagTrue);
const stringStart = String.fromCharCode(tagString);
const binaryStart = String.fromCharCode(tagBinary);
const arrayStart = String.fromCharCode(tagArray);

const maxKeyBytes = 64 * 1024;
const maxNesting = 100;
/** A tag and a double. */
const numberBytes = 9;
const scratch = new DataView(new ArrayBuffer(8));

/**
 * The byte string of a primary key.
 * @param where names the key in errors, as in `notes.id`.
 * @throws TidemarkError KEY_INVALID for all but IndexedDB's keys, above 64 KB encoded or 100 arrays deep.
 */
export function encodeKey(value: unknown, where: string): ByteKey {
  return within(encode(value, false, where, []), where);
}

/** Like `encodeKey`, but null, false and true are keys too, also within arrays. */
export function encodeIndexKey(value: unknown, where: string): ByteKey {
  return within(encode(value, true, where, []), where);
}

/** The key of the array whose elements have these keys. */
export function joinKeys(elements: readonly ByteKey[], where: string): ByteKey {
  return within(arrayStart + elements.join("") + end, where);
}

/** What the keys of all arrays begin with whose first elements are `values`; index keys are allowed. */
export function tuplePrefix(values: readonly unknown[], where: string): ByteKey {
  return within(arrayStart + elementsOf(values, true, where, []), where);
}

/** What the keys of all arrays begin with whose first elements have these keys. */
export const joinedPrefix = (elements: readonly ByteKey[]): ByteKey => byteKey(arrayStart + elements.join(""));

/** What the keys of all strings begin with that begin with `text`. */
export function stringPrefix(text: string): ByteKey {
  return byteKey(stringStart + encodeText(text));
}

/** The least byte string above all that begin with `prefix`; undefined when there is no such bound. */
export function prefixEnd(prefix: ByteKey): ByteKey | undefined {
  let last = prefix.length - 1;
  while (last >= 0 && prefix.charCodeAt(last) === 0xff) last--;
  if (last < 0) return undefined;
  return byteKey(prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1));
}

function within(key: string, where: string): ByteKey {
  if (key.length > maxKeyBytes) refuse("is too large for a key: at most 64 KB encoded", where, []);
  return byteKey(key);
}

/** `path` leads to `value` through arrays. */
function encode(value: unknown, asIndex: boolean, where: string, path: number[]): string {
  switch (typeof value) {
    case "number":
      if (Number.isNaN(value)) refuse("is NaN, which is not a key", where, path);
      return encodeDouble(tagNumber, value);
    case "string":
      if (value.length > maxKeyBytes) refuse("is too long for a key: at most 64 KB encoded", where, path);
      return stringStart + encodeText(value) + end;
    case "boolean":
      if (!asIndex) break;
      return value ? trueKey : falseKey;
    case "object":
      return encodeObject(value, asIndex, where, path);
    default:
  }
  return refuse(`is a value of type ${typeof value}, ${whatIsAKey(asIndex)}`, where, path);
}

function encodeObject(value: object | null, asIndex: boolean, where: string, path: number[]): string {
  if (value === null && asIndex) return nullKey;
  if (Array.isArray(value)) return arrayStart + elementsOf(value, asIndex, where, path) + end;
  const time = timeOf(value);
  if (time !== undefined) {
    if (Number.isNaN(time)) refuse("is an invalid Date, which is not a key", where, path);
    return encodeDouble(tagDate, time);
  }
  const bytes = bytesOf(value);
  if (bytes !== undefined) {
    if (bytes.length > maxKeyBytes) refuse("is too long for a key: at most 64 KB encoded", where, path);
    return binaryStart + encodeBytes(bytes) + end;
  }
  return refuse(`is ${value === null ? "null" : "an object"}, ${whatIsAKey(asIndex)}`, where, path);
}

function elementsOf(array: readonly unknown[], asIndex: boolean, where: string, path: number[]): string {
  if (path.length >= maxNesting) refuse(`lies more than ${maxNesting} arrays deep, or contains itself`, where, path);
  let out = "";
  for (let i = 0; i < array.length; i++) {
    path.push(i);
    out += encode(array[i], asIndex, where, path);
    // Here and not only at the end: arrays that share their elements could double at every level.
    if (out.length > maxKeyBytes) refuse("takes the key above 64 KB encoded", where, path);
    path.pop();
  }
  return out;
}

function refuse(why: string, where: string, path: readonly number[]): never {
  const shown = path.map((i) => `[${i}]`).join("");
  throw new TidemarkError("KEY_INVALID", `${where}${shown} ${why}`, { where, path: shown });
}

const whatIsAKey = (asIndex: boolean): string =>
  asIndex
    ? "but an index key is null, a boolean, number, Date, string, binary or an array of these"
    : "but a key is a number, Date, string, binary or an array of these";

/** The time of a Date of any realm; undefined if it is none. */
function timeOf(value: object | null): number | undefined {
  if (!(value instanceof Date) && Object.prototype.toString.call(value) !== "[object Date]") return undefined;
  try {
    return Date.prototype.getTime.call(value);
  } catch {
    return undefined;
  }
}

/** The bytes of an ArrayBuffer or view; undefined if it is neither, shared or detached. */
function bytesOf(value: object | null): Uint8Array | undefined {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  if (Object.prototype.toString.call(buffer) !== "[object ArrayBuffer]") return undefined;
  try {
    return ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      : new Uint8Array(value as ArrayBuffer, 0);
  } catch {
    return undefined;
  }
}

function encodeDouble(tag: number, n: number): string {
  scratch.setFloat64(0, n === 0 ? 0 : n);
  let high = scratch.getUint32(0);
  let low = scratch.getUint32(4);
  if (high >= 0x8000_0000) {
    high = ~high;
    low = ~low;
  } else {
    high ^= 0x8000_0000;
  }
  return String.fromCharCode(
    tag,
    high >>> 24,
    (high >>> 16) & 0xff,
    (high >>> 8) & 0xff,
    high & 0xff,
    low >>> 24,
    (low >>> 16) & 0xff,
    (low >>> 8) & 0xff,
    low & 0xff,
  );
}

/** Whether text and encoding are the same: units from 2 to 127 only. */
function isPlainAscii(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 2 || unit > 0x7f) return false;
  }
  return true;
}

function encodeText(text: string): string {
  if (isPlainAscii(text, 0, text.length)) return text;
  const out = new Uint8Array(text.length * 3);
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 2) {
      out[at++] = 1;
      out[at++] = unit + 1;
    } else if (unit < 0x80) {
      out[at++] = unit;
    } else if (unit < 0x800) {
      out[at++] = 0xc0 | (unit >> 6);
      out[at++] = 0x80 | (unit & 0x3f);
    } else {
      out[at++] = 0xe0 | (unit >> 12);
      out[at++] = 0x80 | ((unit >> 6) & 0x3f);
      out[at++] = 0x80 | (unit & 0x3f);
    }
  }
  return keyFromBytes(out, 0, at);
}

function encodeBytes(bytes: Uint8Array): string {
  const out = new Uint8Array(bytes.length * 2);
  let at = 0;
  for (const b of bytes) {
    if (b < 2) out[at++] = 1;
    out[at++] = b < 2 ? b + 1 : b;
  }
  return keyFromBytes(out, 0, at);
}

/**
 * The value of a key or index key. Only what the encoder writes is accepted: encoding the answer gives `key` again.
 * @throws TidemarkError CORRUPT for anything else.
 */
export function decodeKey(key: ByteKey): KeyValue {
  const cursor: Cursor = { key, at: 0 };
  const value = decode(cursor, 0);
  if (cursor.at !== key.length) damaged(cursor.at);
  return value;
}

/**
 * The position after the one key that starts at `from`.
 * @throws TidemarkError CORRUPT where none starts or it does not end.
 */
export function keyEnd(key: ByteKey, from: number): number {
  let at = from;
  let open = 0;
  do {
    const tag = key.charCodeAt(at);
    if (tag === tagNumber || tag === tagDate) at += numberBytes;
    else if (tag === tagString || tag === tagBinary) at = terminator(key, at) + 1;
    else if (tag === tagArray || (tag === 0 && open > 0)) {
      open += tag === 0 ? -1 : 1;
      at++;
    } else if (tag === tagNull || tag === tagFalse || tag === tagTrue) at++;
    else damaged(at);
  } while (open > 0);
  if (at > key.length) damaged(from);
  return at;
}

interface Cursor {
  readonly key: ByteKey;
  at: number;
}

function damaged(at: number): never {
  throw new TidemarkError("CORRUPT", `A key is damaged at byte ${at}`, { what: "key", at });
}

/** Where the string or binary that starts at `from` ends: what is inside holds no 00. */
function terminator(key: ByteKey, from: number): number {
  const at = key.indexOf(end, from);
  return at < 0 ? damaged(from) : at;
}

function decode(cursor: Cursor, depth: number): KeyValue {
  const { key, at } = cursor;
  switch (key.charCodeAt(at)) {
    case tagNumber:
      return decodeDouble(cursor);
    case tagString: {
      const to = terminator(key, at);
      cursor.at = to + 1;
      return decodeText(key, at + 1, to);
    }
    case tagDate: {
      const date = new Date(decodeDouble(cursor));
      // A Date holds whole milliseconds within limits; whatever it had to round was not one.
      return encodeDouble(tagDate, date.getTime()) === key.slice(at, cursor.at) ? date : damaged(at);
    }
    case tagBinary: {
      const to = terminator(key, at);
      cursor.at = to + 1;
      return decodeBytes(key, at + 1, to);
    }
    case tagArray:
      return decodeArray(cursor, depth);
    default:
      return decodeConstant(cursor);
  }
}

function decodeConstant(cursor: Cursor): KeyValue {
  const tag = cursor.key.charCodeAt(cursor.at++);
  if (tag === tagNull) return null;
  if (tag === tagTrue) return true;
  if (tag === tagFalse) return false;
  return damaged(cursor.at - 1);
}

function decodeArray(cursor: Cursor, depth: number): KeyValue {
  if (depth >= maxNesting) damaged(cursor.at);
  const elements: KeyValue[] = [];
  cursor.at++;
  while (cursor.key.charCodeAt(cursor.at) !== 0) elements.push(decode(cursor, depth + 1));
  cursor.at++;
  return elements;
}

function decodeDouble(cursor: Cursor): number {
  const { key, at } = cursor;
  if (at + numberBytes > key.length) damaged(at);
  const positive = key.charCodeAt(at + 1) >= 0x80;
  for (let i = 0; i < 8; i++) {
    const b = key.charCodeAt(at + 1 + i);
    if (b > 0xff) damaged(at);
    scratch.setUint8(i, positive ? b : ~b);
  }
  if (positive) scratch.setUint8(0, scratch.getUint8(0) ^ 0x80);
  const n = scratch.getFloat64(0);
  if (Number.isNaN(n) || Object.is(n, -0)) damaged(at);
  cursor.at = at + numberBytes;
  return n;
}

function decodeText(key: ByteKey, from: number, to: number): string {
  if (isPlainAscii(key, from, to)) return key.slice(from, to);
  let text = "";
  for (let at = from; at < to;) {
    const lead = key.charCodeAt(at);
    const size = lead < 2 || (lead >= 0xc0 && lead < 0xe0) ? 2 : lead < 0x80 ? 1 : 3;
    const unit = String.fromCharCode(decodeUnit(lead, key.charCodeAt(at + 1), key.charCodeAt(at + 2), size));
    // Catches every other way to write the unit, and one cut off by the end.
    if (at + size > to || encodeText(unit) !== key.slice(at, at + size)) damaged(at);
    text += unit;
    at += size;
  }
  return text;
}

function decodeUnit(lead: number, second: number, third: number, size: number): number {
  if (size === 1) return lead;
  if (size === 3) return ((lead & 0x0f) << 12) | ((second & 0x3f) << 6) | (third & 0x3f);
  return lead < 2 ? second - 1 : ((lead & 0x1f) << 6) | (second & 0x3f);
}

function decodeBytes(key: ByteKey, from: number, to: number): ArrayBuffer {
  const bytes = new Uint8Array(to - from);
  let length = 0;
  for (let at = from; at < to; at++) {
    let b = key.charCodeAt(at);
    if (b === 1) {
      b = key.charCodeAt(++at) - 1;
      if (b !== 0 && b !== 1) damaged(at);
    }
    if (b > 0xff) damaged(at);
    bytes[length++] = b;
  }
  return bytes.buffer.slice(0, length);
}
