/**
 * The manifest: which blocks there are, in internal order and without overlap. A chain may span several of them, so
 * the last key of one may be the first key of the next.
 *
 *   0  envelope   9 bytes, see envelope.ts; magic "TMMF"
 *   9  varint     number of blocks; then for each, in order:
 *        varint   id
 *        key      first key    (a key: varint bytes shared with the key written before it, varint length of the
 *        varint   its seq       rest, the rest)
 *        key      last key
 *        varint   its seq
 *        varint   count
 *        varint   size in bytes
 */
import { type BlockId, blockId, type ByteKey, byteKey, type Seq, seq } from "../base/brand.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { assert } from "../base/errors.ts";
import type { StoredValue } from "../storage/contract.ts";
import { beginEnvelope, damaged, type Envelope, envelopeBytes, openEnvelope, sealEnvelope } from "../wal/envelope.ts";
import { compareInternal, type InternalKey, sharedPrefixLength } from "./internal-key.ts";

export interface BlockInfo {
  readonly id: BlockId;
  readonly first: InternalKey;
  readonly last: InternalKey;
  readonly count: number;
  readonly sizeBytes: number;
}

const envelope: Envelope = { magic: 0x464d4d54, format: 1 };
const what = { what: "manifest" };

export class Manifest {
  static readonly empty: Manifest = new Manifest([]);
  readonly blocks: readonly BlockInfo[];

  private constructor(blocks: readonly BlockInfo[]) {
    this.blocks = blocks;
  }

  /** Index of the first block whose last version is at or after (key, seq); `blocks.length` if there is none. */
  find(key: ByteKey, at: Seq): number {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { last } = this.blocks[middle]!;
      if (last.key < key || (last.key === key && last.seq > at)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** This manifest without `removed`, which it lists, and with `added`, given in order. */
  replace(removed: ReadonlySet<BlockId>, added: readonly BlockInfo[]): Manifest {
    const kept = this.blocks.filter((block) => !removed.has(block.id));
    assert(kept.length + removed.size === this.blocks.length, "only listed blocks are removed");
    const merged: BlockInfo[] = [];
    let next = 0;
    for (const block of kept) {
      while (next < added.length && compareInternal(added[next]!.first, block.first) < 0) merged.push(added[next++]!);
      merged.push(block);
    }
    while (next < added.length) merged.push(added[next++]!);
    const fault = faultOf(merged);
    assert(fault === undefined, `the manifest's blocks ${fault}`);
    return new Manifest(merged);
  }

  encode(): StoredValue {
    const out = new ByteWriter(64 + 48 * this.blocks.length);
    beginEnvelope(out, envelope);
    out.varint(this.blocks.length);
    let before = byteKey("");
    for (const { id, first, last, count, sizeBytes } of this.blocks) {
      out.varint(id);
      for (const { key, seq: keySeq } of [first, last]) {
        const shared = sharedPrefixLength(before, key, key.length);
        out.varint(shared);
        out.varint(key.length - shared);
        out.key(key, shared);
        out.varint(keySeq);
        before = key;
      }
      out.varint(count);
      out.varint(sizeBytes);
    }
    return sealEnvelope(out);
  }

  /** @throws TidemarkError CORRUPT or FORMAT_UNSUPPORTED with {what: "manifest"}. */
  static decode(bytes: Uint8Array): Manifest {
    openEnvelope(bytes, envelope, what);
    const input = new ByteReader(bytes, what.what, envelopeBytes);
    const blocks: BlockInfo[] = [];
    let before = byteKey("");
    for (let left = input.varint(); left > 0; left--) {
      const id = blockId(input.varint());
      const first = readInternalKey(input, before);
      const last = readInternalKey(input, first.key);
      blocks.push({ id, first, last, count: input.varint(), sizeBytes: input.varint() });
      before = last.key;
    }
    if (!input.done) throw damaged(what, "goes on after its end");
    const fault = faultOf(blocks);
    if (fault !== undefined) throw damaged(what, `lists blocks that ${fault}`);
    return new Manifest(blocks);
  }
}

function readInternalKey(input: ByteReader, before: ByteKey): InternalKey {
  const shared = input.varint();
  if (shared > before.length) throw damaged(what, "shares more of a key than there is");
  const key = byteKey(before.slice(0, shared) + input.key(input.varint()));
  return { key, seq: seq(input.varint()) };
}

/** What is wrong with a list of blocks, if anything. */
function faultOf(blocks: readonly BlockInfo[]): string | undefined {
  const ids = new Set<BlockId>();
  let before: BlockInfo | undefined;
  for (const block of blocks) {
    if (ids.has(block.id)) return "share an id";
    ids.add(block.id);
    if (block.count < 1) return "are empty";
    if (compareInternal(block.first, block.last) > 0) return "end before they begin";
    if (before !== undefined && compareInternal(before.last, block.first) >= 0) return "overlap";
    before = block;
  }
  return undefined;
}
