import { type BlockId, blockId, type ByteKey, byteKey, seq } from "../base/brand.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { never, type Wake } from "./rule.ts";
import { compareInternal, type InternalKey, sharedPrefixLength } from "./internal-key.ts";

/** What a manifest knows of a block without reading it. */
export interface BlockInfo {
  readonly id: BlockId;
  readonly first: InternalKey;
  readonly last: InternalKey;
  /** Versions in it. */
  readonly count: number;
  /** How many of them are tombstones. */
  readonly tombstones: number;
  /** How many stand behind a newer version of the same key in this very block. */
  readonly obsolete: number;
  /** How many have their value in store `blobs`: such a block is read before it is dropped. */
  readonly outside: number;
  /** The least floor at which looking at it may gain something (rule.ts); `never` where nothing in it is superseded. */
  readonly due: Wake;
  /** How many of its versions only a point or a retention policy keeps. */
  readonly pinned: number;
  readonly sizeBytes: number;
  /** Which keys it may hold (filter.ts); empty for blocks of index entries, which nobody looks up one by one. */
  readonly filter: Uint8Array;
}

/** A key takes only what it does not share with the key written before it. */
export function writeInternalKey(out: ByteWriter, { key, seq: keySeq }: InternalKey, before: ByteKey): void {
  const shared = sharedPrefixLength(before, key, key.length);
  out.varint(shared);
  out.varint(key.length - shared);
  out.key(key, shared);
  out.varint(keySeq);
}

/** `undefined` where it claims to share more than there is. */
export function readInternalKey(input: ByteReader, before: ByteKey): InternalKey | undefined {
  const shared = input.varint();
  if (shared > before.length) return undefined;
  const rest = input.key(input.varint());
  return { key: byteKey(before.slice(0, shared) + rest), seq: seq(input.varint()) };
}

export function writeBlockInfo(out: ByteWriter, info: BlockInfo, before: ByteKey): void {
  out.varint(info.id);
  writeInternalKey(out, info.first, before);
  writeInternalKey(out, info.last, info.first.key);
  out.varint(info.count);
  out.varint(info.tombstones);
  out.varint(info.obsolete);
  out.varint(info.outside);
  out.varint(info.due === never ? 0 : info.due + 1);
  out.varint(info.pinned);
  out.varint(info.sizeBytes);
  out.varint(info.filter.length);
  out.bytes(info.filter);
}

/** Format 1 did not say when a block is due: what has anything to lose is looked at once. */
export function readBlockInfo(input: ByteReader, before: ByteKey, format: number): BlockInfo | undefined {
  const id = blockId(input.varint());
  const first = readInternalKey(input, before);
  const last = first && readInternalKey(input, first.key);
  if (!first || !last) return undefined;
  const [count, tombstones, obsolete, outside] = [input.varint(), input.varint(), input.varint(), input.varint()];
  const isOld = format === 1;
  const due = isOld ? (tombstones + obsolete > 0 ? 0 : never) : wakeOf(input.varint());
  const pinned = isOld ? 0 : input.varint();
  const sizeBytes = input.varint();
  const filter = input.take(input.varint());
  return { id, first, last, count, tombstones, obsolete, outside, due, pinned, sizeBytes, filter };
}

/** As stored: one more, and 0 for never. */
export const wakeOf = (stored: number): Wake => (stored === 0 ? never : stored - 1);

/** What is wrong with a list of blocks, if anything. */
export function faultOf(blocks: readonly BlockInfo[]): string | undefined {
  let before: BlockInfo | undefined;
  for (const block of blocks) {
    if (block.count < 1) return "are empty";
    if (compareInternal(block.first, block.last) > 0) return "end before they begin";
    if (before !== undefined && compareInternal(before.last, block.first) >= 0) return "overlap";
    before = block;
  }
  return undefined;
}
