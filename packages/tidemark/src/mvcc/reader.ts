/**
 * Reading at a seq.
 *
 * What a key is at seq r is decided by the first source that knows a version with seq ≤ r: the transaction's own writes
 * (overlay), then the memtable, then, level by level, the one block that may hold (key, r). Memtable and manifest belong
 * together and change together, synchronously, when a checkpoint arrives; so every step below looks at both without
 * awaiting in between, and after every await it looks anew. A block that is gone from storage means that our manifest is
 * old: the store reloads and the step is taken again. The answer at r is the same in every state, as long as r is pinned.
 */
import { type BlockId, type ByteKey, byteKey, type Seq, seq } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Block } from "../segments/block.ts";
import type { BlockSource } from "../segments/block-source.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import { hashOf, mayHold } from "../segments/filter.ts";
import type { Level } from "../segments/level.ts";
import type { Manifest } from "../segments/manifest.ts";
import type { Version } from "../segments/version.ts";
import type { Memtable } from "./memtable.ts";
import type { Range } from "./read-set.ts";

/** Where a reader finds the present state; `reload` is called when the manifest turns out to be old. */
export interface ReadState {
  readonly memtable: Memtable;
  readonly manifest: Manifest;
  /** What the manifest's blocks hold: all versions up to this seq that anybody may still read. */
  readonly checkpoint: Seq;
  readonly blocks: BlockSource;
  reload(): Promise<void>;
}

/** A version as seen in passing; `undefined` where the source has none that is old enough. */
interface Sighting {
  readonly key: ByteKey;
  readonly version: Version | undefined;
}

interface BlockVersions {
  /** The checkpoint that they belong to. */
  readonly checkpoint: Seq;
  readonly versions: Map<ByteKey, Version | undefined>;
}

/** A block has to be loaded before a key can be told; the levels above `level` do not know it. */
class Wanted {
  readonly info: BlockInfo;
  readonly level: number;
  readonly manifest: Manifest;

  constructor(info: BlockInfo, level: number, manifest: Manifest) {
    this.info = info;
    this.level = level;
    this.manifest = manifest;
  }
}
type Look = Version | undefined | Wanted;
type Held = ReadonlyMap<BlockId, Block>;

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
    return this.#resolve(keys, (key, held, before) => this.#lookUp(key, at, overlay, held, before));
  }

  async get(key: ByteKey, at: Seq, overlay?: Memtable): Promise<Version | undefined> {
    const found = this.#lookUp(key, at, overlay, none);
    return found instanceof Wanted ? (await this.getMany([key], at, overlay))[0] : found;
  }

  /** The newest version that the blocks of one checkpoint hold of each key; what the memtable knows is newer. */
  async inBlocks(keys: readonly ByteKey[]): Promise<BlockVersions> {
    for (;;) {
      const { checkpoint } = this.#state;
      const versions = await this.#resolve(keys, (key, held, before) => this.#inBlocks(key, newest, held, before));
      if (checkpoint === this.#state.checkpoint)
        return { checkpoint, versions: new Map(keys.map((k, i) => [k, versions[i]])) };
    }
  }

  /** Looks every key up; those that need a block wait for it, block by block, a few at a time. */
  async #resolve(
    keys: readonly ByteKey[],
    look: (key: ByteKey, held: Held, before: Wanted | undefined) => Look,
  ): Promise<(Version | undefined)[]> {
    const answers = Array.from<Version | undefined>({ length: keys.length });
    const waiting = new Map<BlockId, { readonly position: number; readonly wanted: Wanted }[]>();
    const settle = (position: number, held: Held, before: Wanted | undefined): void => {
      const found = look(keys[position]!, held, before);
      if (!(found instanceof Wanted)) {
        answers[position] = found;
        return;
      }
      const also = waiting.get(found.info.id);
      if (also) also.push({ position, wanted: found });
      else waiting.set(found.info.id, [{ position, wanted: found }]);
    };
    for (let i = 0; i < keys.length; i++) settle(i, none, undefined);
    while (waiting.size > 0) {
      const next = [...waiting.values()].slice(0, maxBlocksAtOnce);
      const infos = next.map((those) => those[0]!.wanted.info);
      const held = await this.#load(infos, infos.length);
      for (const { id } of infos) waiting.delete(id);
      for (const { position, wanted } of next.flat()) settle(position, held, wanted);
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
    let held: Held = none;
    let ahead = 1;
    while (left !== undefined) {
      const { manifest } = this.#state;
      const extent: Extent = extentOf(manifest, left, reverse);
      const blocks = this.#blocksOf(extent, held);
      if (blocks === undefined) {
        held = await this.#loadMore(extent, held, following(manifest, extent, left, reverse, ahead));
        ahead = Math.min(ahead * 2, maxBlocksAtOnce);
        continue;
      }
      const { split } = extent;
      let border: Sighting | undefined;
      if (split !== undefined) {
        // Its chain runs over a block border: look this one key up by itself, then go round again with it in hand.
        border = { key: split, version: await this.get(split, at, overlay) };
        if (manifest !== this.#state.manifest) continue;
      }
      if (!visitExtent(this.#sightings(extent, blocks, at, reverse, overlay, border), visit)) return;
      left = extent.rest;
    }
  }

  /** The extent's blocks, uppermost first, as far as each of them is at hand; `undefined` where one is not. */
  #blocksOf({ parts }: Extent, held: Held): readonly Block[] | undefined {
    const blocks: Block[] = [];
    for (const { info } of parts) {
      const block = held.get(info.id) ?? this.#state.blocks.cached(info.id);
      if (block === undefined) return undefined;
      blocks.push(block);
    }
    return blocks;
  }

  #sightings(
    { from, to }: Extent,
    blocks: readonly Block[],
    at: Seq,
    reverse: boolean,
    overlay: Memtable | undefined,
    border: Sighting | undefined,
  ): Iterator<Sighting, void> {
    const sources: Iterator<Sighting, void>[] = [];
    if (overlay) sources.push(inMemtable(overlay, from, to, newest, reverse));
    sources.push(inMemtable(this.#state.memtable, from, to, at, reverse));
    if (border) sources.push([border][Symbol.iterator]() as Iterator<Sighting, void>);
    for (const block of blocks) {
      sources.push(reverse ? blockDescending(block, from, to, at) : blockAscending(block, from, to, at));
    }
    return sources.reduceRight((lower, upper) => merge(upper, lower, reverse));
  }

  /** A version, `undefined` for none, or the block that has to be loaded to tell. */
  #lookUp(key: ByteKey, at: Seq, overlay: Memtable | undefined, held: Held, before?: Wanted): Look {
    return overlay?.newest(key) ?? this.#state.memtable.find(key, at) ?? this.#inBlocks(key, at, held, before);
  }

  /** `before`: what it waited for; above that level it need not look again, if the manifest is still the same. */
  #inBlocks(key: ByteKey, at: Seq, held: Held, before: Wanted | undefined): Look {
    const { manifest } = this.#state;
    const { filled } = manifest;
    let hash: number | undefined;
    for (let l = before?.manifest === manifest ? before.level : 0; l < filled.length; l++) {
      const level = filled[l]!;
      const info = level.at(level.find(key, at));
      if (info === undefined || info.first.key > key) continue;
      const block = held.get(info.id) ?? this.#state.blocks.cached(info.id);
      if (block === undefined) {
        hash ??= hashOf(key);
        if (!mayHold(info.filter, hash)) continue;
        return new Wanted(info, l, manifest);
      }
      const version = block.find(key, at);
      if (version !== undefined) return version;
    }
    return undefined;
  }

  /** `held` as far as the extent still needs it, its other blocks, and `ahead`. */
  async #loadMore({ parts }: Extent, held: Held, ahead: readonly BlockInfo[]): Promise<Held> {
    const kept = parts.flatMap(({ info: { id } }) => (held.has(id) ? [[id, held.get(id)!] as const] : []));
    const needed = parts.filter(({ info: { id } }) => !held.has(id)).map(({ info }) => info);
    const loaded = await this.#load([...needed, ...ahead], needed.length);
    return new Map([...kept, ...loaded]);
  }

  /** Of the blocks, the first `needed` have to come: one that does not means that our manifest is old, or damage. */
  async #load(infos: readonly BlockInfo[], needed: number): Promise<Held> {
    const ids = infos.map(({ id }) => id);
    const blocks = await this.#state.blocks.load(ids, needed);
    const missing = infos.find(({ id }, i) => i < needed && !blocks.has(id));
    if (missing === undefined) return blocks;
    await this.#state.reload();
    if (!this.#state.manifest.has(missing)) return blocks;
    const { id } = missing;
    throw new TidemarkError("CORRUPT", `Block ${id} is listed but not stored`, { what: "block", id });
  }
}

/** A stretch of keys that at most one block a level covers. */
interface Extent extends Range {
  /** Those blocks, uppermost level first. */
  readonly parts: readonly Part[];
  /** A key at the extent's border whose version chain goes on in a neighbouring block. */
  readonly split?: ByteKey;
  readonly rest?: Range;
}

interface Part {
  readonly level: Level;
  readonly position: number;
  readonly info: BlockInfo;
}

/** The part of `left` that one block a level (or none) covers, and what remains after it. */
const extentOf = (manifest: Manifest, left: Range, reverse: boolean): Extent =>
  reverse ? lastExtent(manifest, left) : firstExtent(manifest, left);

function firstExtent({ filled }: Manifest, left: Range): Extent {
  const met: Part[] = [];
  for (const level of filled) {
    const position = level.find(left.from, newest);
    const info = level.at(position);
    if (info !== undefined && (left.to === undefined || info.first.key < left.to)) met.push({ level, position, info });
  }
  if (met.length === 0) return { ...left, parts: met };
  const last = met.reduce((low, { info }) => (info.last.key < low ? info.last.key : low), met[0]!.info.last.key);
  const end = after(last);
  const isAll = left.to !== undefined && end >= left.to;
  const parts = met.filter(({ info }) => info.first.key <= last);
  const isSplit =
    (left.to === undefined || last < left.to) &&
    parts.some((p) => p.info.last.key === last && p.level.at(p.position + 1)?.first.key === last);
  return {
    from: left.from,
    to: isAll ? left.to : end,
    parts,
    ...(isSplit ? { split: last } : {}),
    ...(isAll ? {} : { rest: { from: end, to: left.to } }),
  };
}

function lastExtent({ filled }: Manifest, left: Range): Extent {
  const met: Part[] = [];
  for (const level of filled) {
    const position = (left.to === undefined ? level.length : level.findBeginning(left.to)) - 1;
    const info = level.at(position);
    if (info !== undefined && info.last.key >= left.from) met.push({ level, position, info });
  }
  if (met.length === 0) return { ...left, parts: met };
  const first = met.reduce((high, { info }) => (info.first.key > high ? info.first.key : high), met[0]!.info.first.key);
  const isAll = first <= left.from;
  const parts = met.filter(({ info }) => info.last.key >= first);
  const isSplit =
    first >= left.from &&
    parts.some((p) => p.info.first.key === first && p.level.at(p.position - 1)?.last.key === first);
  return {
    from: isAll ? left.from : first,
    to: left.to,
    parts,
    ...(isSplit ? { split: first } : {}),
    ...(isAll ? {} : { rest: { from: left.from, to: first } }),
  };
}

/** Level by level, up to `count` − 1 blocks after the extent's that the scan will want. */
function following(
  manifest: Manifest,
  { parts }: Extent,
  left: Range,
  reverse: boolean,
  count: number,
): readonly BlockInfo[] {
  const ahead: BlockInfo[] = [];
  const most = Math.max(1, Math.floor(count / manifest.filled.length));
  for (const { level, position } of parts) {
    for (let n = 1; n < most; n++) {
      const info = level.at(reverse ? position - n : position + n);
      if (info === undefined) break;
      if (reverse ? info.last.key < left.from : left.to !== undefined && info.first.key >= left.to) break;
      ahead.push(info);
    }
  }
  return ahead;
}

const none: Held = new Map();

function visitExtent(
  sightings: Iterator<Sighting, void>,
  visit: (key: ByteKey, payload: Uint8Array, version: Version) => boolean,
): boolean {
  for (let next = sightings.next(); !next.done; next = sightings.next()) {
    const { key, version } = next.value;
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
