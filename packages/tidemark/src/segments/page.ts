/**
 * A page of the manifest: up to `maxPageBlocks` neighbouring blocks of one level. Like a block it is immutable and its
 * id is never used again, so a page that is known by its id need not be read again. A row of store `meta`:
 *
 *   0  envelope   9 bytes, see envelope.ts; magic "TMMP"
 *   9  varint     number of blocks, at least 1; then for each, in order:
 *        varint   id
 *        key      first key    (a key: varint bytes shared with the key written before it, varint length of the
 *        varint   its seq       rest, the rest)
 *        key      last key
 *        varint   its seq
 *        varint   versions, of them tombstones, of them obsolete, of them with an outside value
 *        varint   the least floor at which looking at it may gain something + 1, 0 for never (not in format 1)
 *        varint   versions that only a point or retention keeps                         (not in format 1)
 *        varint   size in bytes
 *        varint   length of its filter (filter.ts), the filter
 */
import { byteKey } from "../base/brand.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { assert } from "../base/errors.ts";
import { pageFormat } from "../codec/formats.ts";
import type { StoredValue } from "../storage/contract.ts";
import {
  beginEnvelope,
  damaged,
  type Envelope,
  envelopeBytes,
  formatOf,
  openEnvelope,
  sealEnvelope,
} from "../wal/envelope.ts";
import { type BlockInfo, faultOf, readBlockInfo, writeBlockInfo } from "./block-info.ts";
import { compareInternal, type InternalKey } from "./internal-key.ts";
import type { Wake } from "./rule.ts";

export const maxPageBlocks = 64;

const envelope: Envelope = { magic: 0x504d4d54, ...pageFormat };
const what = { what: "manifest page" };

/** What the manifest's root says of a page, so that a search reads only the page it ends in. */
export interface PageSummary {
  readonly id: number;
  /** Where its last block ends. */
  readonly last: InternalKey;
  readonly blocks: number;
  readonly versions: number;
  readonly tombstones: number;
  readonly sizeBytes: number;
  /** The least of its blocks' dues, and how many of their versions only a point or retention keeps. */
  readonly due: Wake;
  readonly pinned: number;
}

export class Page implements PageSummary {
  readonly id: number;
  readonly last: InternalKey;
  readonly blocks: number;
  readonly versions: number;
  readonly tombstones: number;
  readonly sizeBytes: number;
  readonly due: Wake;
  readonly pinned: number;
  readonly #bytes: StoredValue | undefined;
  #infos: readonly BlockInfo[] | undefined;

  private constructor(summary: PageSummary, bytes: StoredValue | undefined, infos: readonly BlockInfo[] | undefined) {
    this.id = summary.id;
    this.last = summary.last;
    this.blocks = summary.blocks;
    this.versions = summary.versions;
    this.tombstones = summary.tombstones;
    this.sizeBytes = summary.sizeBytes;
    this.due = summary.due;
    this.pinned = summary.pinned;
    this.#bytes = bytes;
    this.#infos = infos;
  }

  /** A new page of `infos`, which are in order. */
  static of(id: number, infos: readonly BlockInfo[]): Page {
    const last = infos.at(-1)?.last;
    assert(last !== undefined, "a page lists at least one block");
    const sum = (of: (info: BlockInfo) => number): number => infos.reduce((n, info) => n + of(info), 0);
    const summary = {
      id,
      last,
      blocks: infos.length,
      versions: sum((b) => b.count),
      tombstones: sum((b) => b.tombstones),
      sizeBytes: sum((b) => b.sizeBytes),
      due: Math.min(...infos.map((b) => b.due)),
      pinned: sum((b) => b.pinned),
    };
    return new Page(summary, undefined, infos);
  }

  /** A stored page. It is decoded when somebody first looks into it. */
  static stored(summary: PageSummary, bytes: StoredValue): Page {
    return new Page(summary, bytes, undefined);
  }

  /** @throws TidemarkError CORRUPT or FORMAT_UNSUPPORTED with {what: "manifest page"}. */
  get infos(): readonly BlockInfo[] {
    this.#infos ??= this.#decoded();
    return this.#infos;
  }

  encode(): StoredValue {
    const { infos } = this;
    const out = new ByteWriter(64 + 320 * infos.length);
    beginEnvelope(out, envelope);
    out.varint(infos.length);
    let before = byteKey("");
    for (const info of infos) {
      writeBlockInfo(out, info, before);
      before = info.last.key;
    }
    return sealEnvelope(out);
  }

  #decoded(): readonly BlockInfo[] {
    const bytes = this.#bytes!;
    openEnvelope(bytes, envelope, what);
    const input = new ByteReader(bytes, what.what, envelopeBytes);
    const infos: BlockInfo[] = [];
    let before = byteKey("");
    for (let left = input.varint(); left > 0; left--) {
      const info = readBlockInfo(input, before, formatOf(bytes));
      if (info === undefined) throw damaged(what, "shares more of a key than there is");
      infos.push(info);
      before = info.last.key;
    }
    if (!input.done) throw damaged(what, "goes on after its end");
    const fault = faultOf(infos);
    if (fault !== undefined) throw damaged(what, `lists blocks that ${fault}`);
    const last = infos.at(-1)?.last;
    if (infos.length !== this.blocks || last === undefined || compareInternal(last, this.last) !== 0) {
      throw damaged(what, "is not the one that the manifest lists");
    }
    return infos;
  }
}
