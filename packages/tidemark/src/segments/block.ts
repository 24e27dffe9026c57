/**
 * A block: some tens of KB of versions in internal order (key ascending, then seq descending), immutable.
 *
 *   0   envelope        9 bytes, see envelope.ts; magic "TMBK"
 *   9   u32             count, at least 1
 *   13  f64             base seq: the smallest of the block
 *   21  f64             base stamp: the smallest of the block
 *   29  u32             length of the prefix that all keys share
 *   33  prefix
 *       u32 × count     offset table: where each entry begins, from the start of the block
 *       entries, each:
 *         varint        length of the key's rest
 *         bytes         the key's rest, after the prefix
 *         varint        seq − base seq
 *         varint        stamp − base stamp
 *         u8            0 = value, 1 = tombstone
 *         bytes         payload, up to where the next entry begins (none for a tombstone; may be empty for a value)
 *
 * Any entry is decoded without its neighbours, and a search compares bytes in place. Where one search was not all, the next
 * makes a table of the keys' heads, four bytes each after the prefix, as numbers: bisecting that leaves a comparison or two
 * of bytes.
 */
import { countBelow } from "../base/ascending.ts";
import { type BlockId, type ByteKey, byteKey, type Seq, seq, type Stamp, stamp } from "../base/brand.ts";
import { ByteWriter, compareBytesToKey, keyFromBytes } from "../base/bytes.ts";
import { assert, type TidemarkError } from "../base/errors.ts";
import { blockFormat } from "../codec/formats.ts";
import type { StoredValue } from "../storage/contract.ts";
import { beginEnvelope, damaged, type Envelope, envelopeBytes, openEnvelope, sealEnvelope } from "../wal/envelope.ts";
import { sharedPrefixLength } from "./internal-key.ts";
import type { Version } from "./version.ts";

export interface BlockEntry {
  readonly key: ByteKey;
  readonly version: Version;
}

const envelope: Envelope = { magic: 0x4b424d54, ...blockFormat };
const countAt = envelopeBytes;
const baseSeqAt = countAt + 4;
const baseStampAt = baseSeqAt + 8;
const prefixLengthAt = baseStampAt + 8;
export const blockHeaderBytes: number = prefixLengthAt + 4;
/** What an entry takes beside key and payload, as a rule: offset, length, seq, stamp (5 bytes reach an hour), flag. */
export const usualEntryOverheadBytes = 13;

const valueFlag = 0;
const tombstoneFlag = 1;

/** `entries` are in internal order; at least one. */
export function encodeBlock(entries: readonly BlockEntry[]): StoredValue {
  const first = entries[0];
  const last = entries.at(-1);
  assert(first !== undefined && last !== undefined, "a block holds at least one version");
  const prefixLength = sharedPrefixLength(first.key, last.key, first.key.length);
  const base = lowestOf(entries);
  const out = new ByteWriter(capacityFor(entries, prefixLength));

  beginEnvelope(out, envelope);
  out.u32(entries.length);
  out.f64(base.seq);
  out.f64(base.stamp);
  out.u32(prefixLength);
  for (let i = 0; i < prefixLength; i++) out.u8(first.key.charCodeAt(i));
  const table = out.length;
  for (let i = 0; i < entries.length; i++) out.u32(0);

  let before: BlockEntry | undefined;
  for (const [i, entry] of entries.entries()) {
    assert(before === undefined || inOrder(before, entry), "versions enter a block in order");
    before = entry;
    out.patchU32(table + 4 * i, out.length);
    writeEntry(out, entry, prefixLength, base);
  }
  return sealEnvelope(out);
}

function writeEntry(out: ByteWriter, { key, version }: BlockEntry, prefixLength: number, base: Base): void {
  out.varint(key.length - prefixLength);
  out.key(key, prefixLength);
  out.varint(version.seq - base.seq);
  out.varint(version.stamp - base.stamp);
  if (version.payload === undefined) {
    out.u8(tombstoneFlag);
  } else {
    out.u8(valueFlag);
    out.bytes(version.payload);
  }
}

interface Base {
  readonly seq: number;
  readonly stamp: number;
}

function lowestOf(entries: readonly BlockEntry[]): Base {
  let lowestSeq = Number.MAX_SAFE_INTEGER;
  let lowestStamp = Number.MAX_SAFE_INTEGER;
  for (const { version } of entries) {
    lowestSeq = Math.min(lowestSeq, version.seq);
    lowestStamp = Math.min(lowestStamp, version.stamp);
  }
  return { seq: lowestSeq, stamp: lowestStamp };
}

function capacityFor(entries: readonly BlockEntry[], prefixLength: number): number {
  const mostOverheadBytes = 28;
  let bytes = blockHeaderBytes + prefixLength;
  for (const { key, version } of entries) {
    bytes += mostOverheadBytes + key.length - prefixLength + (version.payload?.length ?? 0);
  }
  return bytes;
}

const inOrder = (a: BlockEntry, b: BlockEntry): boolean =>
  a.key === b.key ? a.version.seq > b.version.seq : a.key < b.key;

export class Block {
  readonly id: BlockId;
  readonly count: number;
  readonly sizeBytes: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #prefix: ByteKey;
  readonly #table: number;
  readonly #baseSeq: number;
  readonly #baseStamp: number;
  #heads: Uint32Array | undefined;
  #wasSearched = false;
  /** Where the last varint read ended. Lets a parse return two numbers without allocating. */
  #at = 0;

  private constructor(id: BlockId, bytes: Uint8Array) {
    this.id = id;
    this.#bytes = bytes;
    this.sizeBytes = bytes.length;
    if (bytes.length < blockHeaderBytes) throw this.#damaged("is too short");
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.count = this.#view.getUint32(countAt, true);
    this.#baseSeq = this.#view.getFloat64(baseSeqAt, true);
    this.#baseStamp = this.#view.getFloat64(baseStampAt, true);
    this.#table = blockHeaderBytes + this.#view.getUint32(prefixLengthAt, true);
    if (this.count === 0 || this.#table + 4 * this.count > bytes.length) throw this.#damaged("ends too early");
    if (!isWhole(this.#baseSeq) || !isWhole(this.#baseStamp)) {
      throw this.#damaged("has no base");
    }
    this.#prefix = keyFromBytes(bytes, blockHeaderBytes, this.#table);
    this.#checkTable();
  }

  /**
   * The block stays a view of `bytes`, which must not change any more.
   * @throws TidemarkError CORRUPT or FORMAT_UNSUPPORTED with {what: "block", id}.
   */
  static open(id: BlockId, bytes: Uint8Array): Block {
    openEnvelope(bytes, envelope, { what: "block", id });
    return new Block(id, bytes);
  }

  /** The first entry at or after (key, seq) in internal order; `count` if there is none. */
  lowerBound(key: ByteKey, at: Seq): number {
    if (!key.startsWith(this.#prefix)) return key < this.#prefix ? 0 : this.count;
    if (this.#wasSearched) this.#heads ??= this.#headsOfKeys();
    this.#wasSearched = true;
    let low = 0;
    let high = this.count;
    if (this.#heads) {
      const head = headOf(key, this.#prefix.length);
      low = countBelow(this.#heads, head);
      if (this.#heads[low] !== head) return low;
      high = countBelow(this.#heads, head + 1, low);
    }
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isBefore(middle, key, at)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #headsOfKeys(): Uint32Array {
    const heads = new Uint32Array(this.count);
    for (let i = 0; i < heads.length; i++) {
      const length = this.#varint(this.#offset(i));
      const from = this.#at;
      this.#checkEnd(i, from + length);
      const end = from + length;
      let head = 0;
      for (let at = from; at < from + headBytes; at++) head = head * 256 + (at < end ? this.#bytes[at]! : 0);
      heads[i] = head;
    }
    return heads;
  }

  keyAt(i: number): ByteKey {
    const length = this.#varint(this.#offset(i));
    const from = this.#at;
    this.#checkEnd(i, from + length);
    const rest = keyFromBytes(this.#bytes, from, from + length);
    return this.#prefix === "" ? rest : byteKey(this.#prefix + rest);
  }

  keyEquals(i: number, key: ByteKey): boolean {
    const skip = this.#prefix.length;
    const length = this.#varint(this.#offset(i));
    if (key.length !== skip + length || !key.startsWith(this.#prefix)) return false;
    return compareBytesToKey(this.#bytes, this.#at, this.#at + length, key, skip) === 0;
  }

  seqAt(i: number): Seq {
    const length = this.#varint(this.#offset(i));
    return this.#readSeq(this.#at + length);
  }

  stampAt(i: number): Stamp {
    this.seqAt(i);
    return this.#readStamp();
  }

  /** The payload is a view of the block's bytes, not a copy. */
  versionAt(i: number): Version {
    const versionSeq = this.seqAt(i);
    const versionStamp = this.#readStamp();
    const flag = this.#bytes[this.#at];
    const from = this.#at + 1;
    const end = this.#checkEnd(i, from);
    if (flag === valueFlag) {
      return { seq: versionSeq, stamp: versionStamp, payload: this.#bytes.subarray(from, end) };
    }
    if (flag !== tombstoneFlag || from !== end) throw this.#damaged("has an entry of no known kind");
    return { seq: versionSeq, stamp: versionStamp, payload: undefined };
  }

  /** The payload alone; `undefined` of a tombstone. */
  payloadAt(i: number): Uint8Array | undefined {
    const length = this.#varint(this.#offset(i));
    this.#varint(this.#at + length);
    this.#varint(this.#at);
    const flag = this.#bytes[this.#at];
    const from = this.#at + 1;
    const end = this.#checkEnd(i, from);
    if (flag === valueFlag) return this.#bytes.subarray(from, end);
    if (flag !== tombstoneFlag || from !== end) throw this.#damaged("has an entry of no known kind");
    return undefined;
  }

  /** What the entry takes of the block, its place in the offset table included. */
  entryBytesAt(i: number): number {
    const from = this.#offset(i);
    return this.#checkEnd(i, from) - from + 4;
  }

  /** The newest version of `key` with seq ≤ `at` in this block. */
  find(key: ByteKey, at: Seq): Version | undefined {
    if (this.#heads && key.startsWith(this.#prefix)) {
      const head = headOf(key, this.#prefix.length);
      const only = countBelow(this.#heads, head);
      if (this.#heads[only] !== head) return undefined;
      // Nearly always it is the only one with this head, and one comparison of bytes tells.
      if (this.#heads[only + 1] !== head)
        return this.keyEquals(only, key) && this.seqAt(only) <= at ? this.versionAt(only) : undefined;
    }
    const i = this.lowerBound(key, at);
    return i < this.count && this.keyEquals(i, key) ? this.versionAt(i) : undefined;
  }

  /** All versions of `key` with seq ≤ `at` in this block, newest first. */
  chain(key: ByteKey, at: Seq): readonly Version[] {
    const versions: Version[] = [];
    for (let i = this.lowerBound(key, at); i < this.count && this.keyEquals(i, key); i++) {
      versions.push(this.versionAt(i));
    }
    return versions;
  }

  /** `key` begins with the prefix. */
  #isBefore(i: number, key: ByteKey, at: Seq): boolean {
    const length = this.#varint(this.#offset(i));
    const end = this.#at + length;
    const order = compareBytesToKey(this.#bytes, this.#at, end, key, this.#prefix.length);
    return order < 0 || (order === 0 && this.#readSeq(end) > at);
  }

  #readSeq(at: number): Seq {
    return seq(this.#above(this.#baseSeq, this.#varint(at)));
  }

  #readStamp(): Stamp {
    return stamp(this.#above(this.#baseStamp, this.#varint(this.#at)));
  }

  #above(base: number, by: number): number {
    const n = base + by;
    if (n > Number.MAX_SAFE_INTEGER) throw this.#damaged("holds an oversized number");
    return n;
  }

  #offset(i: number): number {
    return this.#view.getUint32(this.#table + 4 * i, true);
  }

  #varint(from: number): number {
    const bytes = this.#bytes;
    let b = bytes[from]!;
    let at = from + 1;
    let value = b & 0x7f;
    for (let scale = 0x80; b >= 0x80 && scale < 2 ** 56; scale *= 0x80) {
      b = bytes[at++]!;
      value += (b & 0x7f) * scale;
    }
    // Over the end of the block `b` is undefined, which is not below 0x80 either.
    if (!(b < 0x80)) throw this.#damaged("has an entry that does not end");
    this.#at = at;
    return value;
  }

  /** Where entry `i` ends, having seen that what was parsed of it, up to `parsed`, lies inside. */
  #checkEnd(i: number, parsed: number): number {
    const end = i + 1 < this.count ? this.#offset(i + 1) : this.#bytes.length;
    if (parsed > end) throw this.#damaged("has an entry that runs into the next");
    return end;
  }

  #checkTable(): void {
    let expectedFrom = this.#table + 4 * this.count;
    for (let i = 0; i < this.count; i++) {
      const offset = this.#offset(i);
      if (offset < expectedFrom || offset >= this.sizeBytes) throw this.#damaged("has a broken offset table");
      expectedFrom = offset + 1;
    }
  }

  #damaged(how: string): TidemarkError {
    return damaged({ what: "block", id: this.id }, how);
  }
}

const headBytes = 4;

/** The bytes of `key` from `skip` on, zeros where it ends: as ordered as the keys, but for equal ones. */
function headOf(key: ByteKey, skip: number): number {
  let head = 0;
  for (let at = skip; at < skip + headBytes; at++) head = head * 256 + (at < key.length ? key.charCodeAt(at) : 0);
  return head;
}

const isWhole = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
