/**
 * The manifest of storage format 1: one row that lists the blocks of a single level.
 *
 *   0  envelope   9 bytes, see envelope.ts; magic "TMMF", format 1
 *   9  varint     number of blocks; then for each, in order:
 *        varint   id
 *        key      first key    (a key: varint bytes shared with the key written before it, varint length of the
 *        varint   its seq       rest, the rest)
 *        key      last key
 *        varint   its seq
 *        varint   count
 *        varint   size in bytes
 */
import { blockId, byteKey } from "../base/brand.ts";
import { ByteReader } from "../base/bytes.ts";
import { damaged, type Envelope, envelopeBytes, openEnvelope } from "../wal/envelope.ts";
import { type BlockInfo, faultOf, readInternalKey } from "./block-info.ts";
import { levelCount, Manifest } from "./manifest.ts";

const envelope: Envelope = { magic: 0x464d4d54, format: 1 };
const what = { what: "manifest" };
const noFilter = new Uint8Array(0);

/**
 * The same blocks as the lowest level. Pages get numbers from 1 on, which no tenure gives out. How many tombstones and
 * obsolete versions a block holds was not stored: until it is rewritten none counts as a tombstone, and all but one as
 * obsolete, since whoever reads the block must not take it for one with a single version of each key.
 * @throws TidemarkError CORRUPT with {what: "manifest"}.
 */
export function upgradedFrom1(bytes: Uint8Array): Manifest {
  let pages = 0;
  const added = decode(bytes);
  return Manifest.empty.edit([{ level: levelCount - 1, removed: [], added }], () => ++pages);
}

function decode(bytes: Uint8Array): readonly BlockInfo[] {
  openEnvelope(bytes, envelope, what);
  const input = new ByteReader(bytes, what.what, envelopeBytes);
  const blocks: BlockInfo[] = [];
  let before = byteKey("");
  for (let left = input.varint(); left > 0; left--) {
    const id = blockId(input.varint());
    const first = readInternalKey(input, before);
    const last = first && readInternalKey(input, first.key);
    if (!first || !last) throw damaged(what, "shares more of a key than there is");
    const count = input.varint();
    const sizeBytes = input.varint();
    blocks.push({
      id,
      first,
      last,
      count,
      tombstones: 0,
      obsolete: count - 1,
      outside: 0,
      due: 0,
      pinned: 0,
      sizeBytes,
      filter: noFilter,
    });
    before = last.key;
  }
  if (!input.done) throw damaged(what, "goes on after its end");
  const fault = faultOf(blocks);
  if (fault !== undefined) throw damaged(what, `lists blocks that ${fault}`);
  return blocks;
}
