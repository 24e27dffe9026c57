/**
 * Reading at a seq.
 *
 * What a key is at seq r is decided by the first source that knows a version with seq ≤ r: the transaction's own writes
 * (overlay), then the memtable, then the one block that may hold (key, r). Memtable and manifest belong together and
 * change together, synchronously, when a checkpoint arrives; so every step below looks at both without awaiting in
 * between, and after every await it looks anew. A block that is gone from storage means that our manifest is old: the
 * store reloads and the step is taken again. The answer at r is the same in every state, as long as r is pinned.
 */
import { type BlockId, type ByteKey, byteKey, type Seq, seq } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Block } from "../segments/block.ts";
import type { BlockSource } from "../segments/block-source.ts";
import type { Manifest } from "../segments/manifest.ts";
import type { Version } from "../segments/version.ts";
import type { Memtable } from "./memtable.ts";
import type { Range } from "./read-set.ts";

/** Where a reader finds the present state; `reload` is called when the manifest turns out to be old. */
export interface ReadState {
  readonly memtable: Memtable;
  readonly manifest: Manifest;
  readonly blocks: BlockSource;
  reload(): Promise<void>;
}

/** A version as seen in passing; `undefined` where the source has none that is old enough. */
interface Sighting {
  readonly key: ByteKey;
  readonly version: Version | undefined;
}

interface BlockVersions {
  readonly manifest: Manifest;
  readonly versions: Map<ByteKey, Version | undefined>;
}

/** At most so many blocks are held by one read at a time. */
const maxBlocksAtOnce = 16;
const newest = seq(Number.MAX_SAFE_INTEGER);

/** The smallest key greater than `key`. */
export const after = (key: ByteKey): ByteKey => byteKey(`${key}\u0000`);

export class Reader {
  readonly #state: ReadState;

  constructor(state: ReadState) {
    this.#state = state;
  }

  /** The versions visible at `at`, tombstones included, positions matching. */
  getMany(keys: readonly ByteKey[], at: Seq, overlay?: Memtable): Promise<(Version | undefined)[]> {
    return this.#resolve(keys, (key, held) => this.#lookUp(key, at, overlay, held));
  }

  async get(key: ByteKey, at: Seq, overlay?: Memtable): Promise<Version | undefined> {
    const found = this.#lookUp(key, at, overlay, none);
    return typeof found === "number" ? (await this.getMany([key], at, overlay))[0] : found;
  }

  /** The newest version that the blocks of one manifest hold of each key; what the memtable knows is newer. */
  async inBlocks(keys: readonly ByteKey[]): Promise<BlockVersions> {
    for (;;) {
      const { manifest } = this.#state;
      const versions = await this.#resolve(keys, (key, held) => this.#inBlock(key, newest, held));
      if (manifest === this.#state.manifest)
        return { manifest, versions: new Map(keys.map((k, i) => [k, versions[i]])) };
    }
  }

  /** Looks every key up; those that need a block wait for it, block by block, a few at a time. */
  async #resolve(
    keys: readonly ByteKey[],
    look: (key: ByteKey, held: ReadonlyMap<BlockId, Block>) => Version | undefined | BlockId,
  ): Promise<(Version | undefined)[]> {
    const answers = Array.from<Version | undefined>({ length: keys.length });
    const waiting = new Map<BlockId, number[]>();
    const settle = (position: number, held: ReadonlyMap<BlockId, Block>): void => {
      const found = look(keys[position]!, held);
      if (typeof found !== "number") answers[position] = found;
      else if (waiting.get(found)?.push(position) === undefined) waiting.set(found, [position]);
    };
    for (let i = 0; i < keys.length; i++) settle(i, none);
    while (waiting.size > 0) {
      const ids = [...waiting.keys()].slice(0, maxBlocksAtOnce);
      const held = await this.#load(ids);
      const positions = ids.flatMap((id) => waiting.get(id) ?? []);
      for (const id of ids) waiting.delete(id);
      for (const position of positions) settle(position, held);
    }
    return answers;
  }

  /**
   * Calls `visit` for each key of the range that is there at `at`, in order, until it returns false. `visit` is
   * synchronous and runs between awaits, so what it collects per call is bounded by itself alone.
   */
  async scan(
    range: Range,
    at: Seq,
    reverse: boolean,
    overlay: Memtable | undefined,
    visit: (key: ByteKey, payload: Uint8Array, version: Version) => boolean,
  ): Promise<void> {
    let left: Range | undefined = range;
    let held: ReadonlyMap<BlockId, Block> = new Map();
    let ahead = 1;
    while (left !== undefined) {
      const extent: Extent = this.#extent(left, reverse);
      const { id } = extent;
      const block: Block | undefined = id === undefined ? undefined : (held.get(id) ?? this.#state.blocks.cached(id));
      if (id !== undefined && block === undefined) {
        held = await this.#load(this.#following(extent, left, reverse, ahead));
        ahead = Math.min(ahead * 2, maxBlocksAtOnce);
        continue;
      }
      if (extent.split !== undefined && !this.#isOverlaid(extent.split, at, overlay)) {
        // Its chain runs over a block border: look this one key up by itself, then go round again with it in hand.
        const { manifest } = this.#state;
        const version = await this.get(extent.split, at, overlay);
        if (manifest !== this.#state.manifest) continue;
        if (!visitExtent(this.#sightings(extent, block, at, reverse, overlay, version), visit)) return;
      } else if (!visitExtent(this.#sightings(extent, block, at, reverse, overlay, undefined), visit)) return;
      left = extent.rest;
    }
  }

  #isOverlaid(key: ByteKey, at: Seq, overlay: Memtable | undefined): boolean {
    return overlay?.newest(key) !== undefined || this.#state.memtable.find(key, at) !== undefined;
  }

  #sightings(
    extent: Extent,
    block: Block | undefined,
    at: Seq,
    reverse: boolean,
    overlay: Memtable | undefined,
    split: Version | undefined,
  ): Generator<Sighting, void> {
    const { from, to } = extent;
    const memory = inMemtable(this.#state.memtable, from, to, at, reverse);
    const upper = overlay ? merge(inMemtable(overlay, from, to, newest, reverse), memory, reverse) : memory;
    if (!block) return upper;
    const stored = reverse ? blockDescending(block, from, to, at) : blockAscending(block, from, to, at);
    if (split === undefined || extent.split === undefined) return merge(upper, stored, reverse);
    return merge(upper, merge([{ key: extent.split, version: split }][Symbol.iterator](), stored, reverse), reverse);
  }

  /** A version, `undefined` for none, or the id of the block that has to be loaded to tell. */
  #lookUp(
    key: ByteKey,
    at: Seq,
    overlay: Memtable | undefined,
    held: ReadonlyMap<BlockId, Block>,
  ): Version | undefined | BlockId {
    return overlay?.newest(key) ?? this.#state.memtable.find(key, at) ?? this.#inBlock(key, at, held);
  }

  #inBlock(key: ByteKey, at: Seq, held: ReadonlyMap<BlockId, Block>): Version | undefined | BlockId {
    const { blocks } = this.#state.manifest;
    const info = blocks[this.#state.manifest.find(key, at)];
    if (info === undefined || info.first.key > key) return undefined;
    const block = held.get(info.id) ?? this.#state.blocks.cached(info.id);
    return block === undefined ? info.id : block.find(key, at);
  }

  async #load(ids: readonly BlockId[]): Promise<ReadonlyMap<BlockId, Block>> {
    const blocks = await this.#state.blocks.load(ids);
    const [wanted] = ids;
    if (wanted === undefined || blocks.has(wanted)) return blocks;
    await this.#state.reload();
    if (!this.#state.manifest.blocks.some((b) => b.id === wanted)) return blocks;
    throw new TidemarkError("CORRUPT", `Block ${wanted} is listed but not stored`, { what: "block", id: wanted });
  }

  /** The part of `left` that one block (or none) covers, and what remains after it. */
  #extent(left: Range, reverse: boolean): Extent {
    return reverse ? this.#lastExtent(left) : this.#firstExtent(left);
  }

  #firstExtent(left: Range): Extent {
    const { blocks } = this.#state.manifest;
    const at = this.#state.manifest.find(left.from, newest);
    const info = blocks[at];
    if (info === undefined || (left.to !== undefined && info.first.key >= left.to)) return { ...left, at: -1 };
    const last = info.last.key;
    const end = after(last);
    const done = left.to !== undefined && end >= left.to;
    const covered = { at, id: info.id, from: left.from, to: done ? left.to : end };
    const split =
      blocks[at + 1]?.first.key === last && (left.to === undefined || last < left.to) ? { split: last } : {};
    return { ...covered, ...split, ...(done ? {} : { rest: { from: end, to: left.to } }) };
  }

  #lastExtent(left: Range): Extent {
    const { blocks } = this.#state.manifest;
    // The last block that begins before `to`: the one before the first whose first key is not below it.
    let low = 0;
    let high = blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (left.to === undefined || blocks[middle]!.first.key < left.to) low = middle + 1;
      else high = middle;
    }
    const at = low - 1;
    const info = blocks[at];
    if (info === undefined || info.last.key < left.from) return { ...left, at: -1 };
    const first = info.first.key;
    const done = first <= left.from;
    const covered = { at, id: info.id, from: done ? left.from : first, to: left.to };
    const split = blocks[at - 1]?.last.key === first && first >= left.from ? { split: first } : {};
    return { ...covered, ...split, ...(done ? {} : { rest: { from: left.from, to: first } }) };
  }

  /** The extent's block and up to `count` − 1 blocks after it that the scan will want. */
  #following(extent: Extent, left: Range, reverse: boolean, count: number): readonly BlockId[] {
    const { blocks } = this.#state.manifest;
    const ids: BlockId[] = [];
    for (let i = extent.at; ids.length < count; i += reverse ? -1 : 1) {
      const info = blocks[i];
      if (info === undefined) break;
      if (reverse ? info.last.key < left.from : left.to !== undefined && info.first.key >= left.to) break;
      ids.push(info.id);
    }
    return ids;
  }
}

interface Extent extends Range {
  /** Position of the block in the manifest; −1 for none. */
  readonly at: number;
  readonly id?: BlockId;
  /** A key at the extent's border whose version chain goes on in the neighbouring block. */
  readonly split?: ByteKey;
  readonly rest?: Range;
}

const none: ReadonlyMap<BlockId, Block> = new Map();

function visitExtent(
  sightings: Iterable<Sighting>,
  visit: (key: ByteKey, payload: Uint8Array, version: Version) => boolean,
): boolean {
  for (const { key, version } of sightings) {
    if (version?.payload !== undefined && !visit(key, version.payload, version)) return false;
  }
  return true;
}

function* inMemtable(
  table: Memtable,
  from: ByteKey,
  to: ByteKey | undefined,
  at: Seq,
  reverse: boolean,
): Generator<Sighting, void> {
  for (const key of table.keys(from, to, reverse)) yield { key, version: table.find(key, at) };
}

function* blockAscending(block: Block, from: ByteKey, to: ByteKey | undefined, at: Seq): Generator<Sighting, void> {
  let i = block.lowerBound(from, newest);
  while (i < block.count) {
    const key = block.keyAt(i);
    if (to !== undefined && key >= to) return;
    let version: Version | undefined;
    for (; i < block.count && block.keyEquals(i, key); i++) {
      if (version === undefined && block.seqAt(i) <= at) version = block.versionAt(i);
    }
    yield { key, version };
  }
}

function* blockDescending(block: Block, from: ByteKey, to: ByteKey | undefined, at: Seq): Generator<Sighting, void> {
  let i = (to === undefined ? block.count : block.lowerBound(to, newest)) - 1;
  while (i >= 0) {
    const key = block.keyAt(i);
    if (key < from) return;
    let version: Version | undefined;
    // From old to new: the last one that is old enough is the visible one.
    for (; i >= 0 && block.keyEquals(i, key); i--) if (block.seqAt(i) <= at) version = block.versionAt(i);
    yield { key, version };
  }
}

/** Both in order; where both sight a key the upper one decides, unless it has no version old enough. */
function* merge(
  upper: Iterator<Sighting, void>,
  lower: Iterator<Sighting, void>,
  reverse: boolean,
): Generator<Sighting, void> {
  let a = upper.next();
  let b = lower.next();
  while (!a.done || !b.done) {
    if (b.done) {
      yield (a as IteratorYieldResult<Sighting>).value;
      a = upper.next();
    } else if (a.done) {
      yield b.value;
      b = lower.next();
    } else if (a.value.key === b.value.key) {
      yield a.value.version === undefined ? b.value : a.value;
      a = upper.next();
      b = lower.next();
    } else if (a.value.key < b.value.key !== reverse) {
      yield a.value;
      a = upper.next();
    } else {
      yield b.value;
      b = lower.next();
    }
  }
}
