/**
 * Reading at a seq.
 *
 * What a key is at seq r is decided by the first source that knows a version with seq ≤ r: the transaction's own writes
 * (overlay), then the memtable, then, level by level, the one block that may hold (key, r). Memtable and manifest belong
 * together and change together, synchronously, when a checkpoint arrives; so every step below looks at both without
 * awaiting in between, and after every await it looks anew. A block that is gone from storage means that our manifest is
 * old: the store reloads and the step is taken again. The answer at r is the same in every state, as long as r is held;
 * the guard of a view refuses to look where it is not (read-guard.ts).
 */
import type { BlockId, ByteKey, Seq } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Block } from "../segments/block.ts";
import type { BlockSource } from "../segments/block-source.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import { hashOf, mayHold } from "../segments/filter.ts";
import { newest } from "../segments/internal-key.ts";
import type { Manifest } from "../segments/manifest.ts";
import type { Version } from "../segments/version.ts";
import type { Memtable } from "./memtable.ts";
import type { ReadGuard } from "./read-guard.ts";
import { type Extent, extentOf, following } from "./extent.ts";
import type { Range } from "./read-set.ts";
import { type Sighting, sightings, type Visit, visitAll, visitBlock } from "./sightings.ts";

/** Where a reader finds the present state; `reload` is called when the manifest turns out to be old. */
export interface ReadState {
  readonly memtable: Memtable;
  readonly manifest: Manifest;
  /** What the manifest's blocks hold: all versions up to this seq that anybody may still read. */
  readonly checkpoint: Seq;
  readonly blocks: Blocks;
  reload(): Promise<void>;
}

export type Blocks = Pick<BlockSource, "cached" | "load">;

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

/** At most so many blocks are held by one scan, or one look at a chain, at a time. */
const maxBlocksAtOnce = 16;
/** Keys that lie far apart take a block each: the more of them one transaction fetches, the fewer wait for one another. */
const maxScatteredBlocks = 64;

export class Reader {
  readonly #state: ReadState;
  readonly #guard: ReadGuard | undefined;

  /** Without a guard: for what reads only where nothing is ever collected, or looks whether anything was. */
  constructor(state: ReadState, guard?: ReadGuard) {
    this.#state = state;
    this.#guard = guard;
  }

  /** The versions visible at `at`, tombstones included, positions matching. */
  getMany(keys: readonly ByteKey[], at: Seq, overlay?: Memtable): Promise<(Version | undefined)[]> {
    return this.#resolve(keys, (key, held, before) => this.#lookUp(key, at, overlay, held, before));
  }

  async get(key: ByteKey, at: Seq, overlay?: Memtable): Promise<Version | undefined> {
    this.#guard?.check();
    const found = this.#lookUp(key, at, overlay, none);
    return found instanceof Wanted ? (await this.getMany([key], at, overlay))[0] : found;
  }

  /**
   * All versions of `key` with seq ≤ `at` that are there, newest first, tombstones included. Of those that nobody at
   * `at` sees, some may be collected between two calls; none ever comes.
   */
  async chain(key: ByteKey, at: Seq): Promise<readonly Version[]> {
    let held: Held = none;
    for (;;) {
      this.#guard?.check();
      const { manifest, memtable } = this.#state;
      const infos = blocksOfChain(manifest, key, at);
      const missing = infos.filter(({ id }) => !held.has(id));
      if (missing.length === 0) {
        return [...memtable.chain(key, at), ...infos.flatMap(({ id }) => held.get(id)!.chain(key, at))];
      }
      const next = missing.slice(0, maxBlocksAtOnce);
      held = new Map([...held, ...(await this.#load(next, next.length))]);
    }
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
    this.#guard?.check();
    for (let i = 0; i < keys.length; i++) settle(i, none, undefined);
    while (waiting.size > 0) {
      const next = [...waiting.values()].slice(0, maxScatteredBlocks);
      const infos = next.map((those) => those[0]!.wanted.info);
      const held = await this.#load(infos, infos.length);
      this.#guard?.check();
      for (const { id } of infos) waiting.delete(id);
      for (const { position, wanted } of next.flat()) settle(position, held, wanted);
    }
    return answers;
  }

  /**
   * Calls `visit` for each key of the range that is there at `at`, in order, until it returns false. `visit` is
   * synchronous and runs between awaits, so what it collects per call is bounded by itself alone.
   */
  async scan(range: Range, at: Seq, reverse: boolean, overlay: Memtable | undefined, visit: Visit): Promise<void> {
    let left: Range | undefined = range;
    let held: Held = none;
    let ahead = 1;
    while (left !== undefined) {
      this.#guard?.check();
      const { manifest } = this.#state;
      const extent: Extent = extentOf(manifest, left, reverse);
      const blocks = this.#blocksOf(extent, held);
      if (blocks === undefined) {
        held = await this.#loadMore(extent, held, following(manifest, extent, left, reverse, ahead));
        ahead = Math.min(ahead * 2, maxBlocksAtOnce);
        continue;
      }
      const only = overlay === undefined ? this.#onlySource(extent, blocks, at) : undefined;
      if (only) {
        if (!visitBlock(only, extent, reverse, visit)) return;
        left = extent.rest;
        continue;
      }
      const { split } = extent;
      let border: Sighting | undefined;
      if (split !== undefined) {
        // Its chain runs over a block border: look this one key up by itself, then go round again with it in hand.
        border = { key: split, version: await this.get(split, at, overlay) };
        this.#guard?.check();
        if (manifest !== this.#state.manifest) continue;
      }
      const { memtable } = this.#state;
      const seen = sightings({ range: extent, at, reverse, overlay, memtable, border, blocks });
      if (!visitAll(seen, visit)) return;
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

  /** The block that alone says what is there at `at`, one version a key, as it is nearly always. */
  #onlySource({ parts, split, from, to }: Extent, blocks: readonly Block[], at: Seq): Block | undefined {
    const [part] = parts;
    if (part === undefined || parts.length > 1 || split !== undefined || part.info.obsolete > 0) return undefined;
    const { checkpoint, memtable } = this.#state;
    return at >= checkpoint && memtable.isEmptyWithin(from, to) ? blocks[0] : undefined;
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
    const blocks = await this.#state.blocks.load(infos, needed, { from: this.#guard?.storage });
    const missing = infos.find(({ id }, i) => i < needed && !blocks.has(id));
    if (missing === undefined) return blocks;
    await this.#state.reload();
    if (!this.#state.manifest.has(missing)) return blocks;
    const { id } = missing;
    throw new TidemarkError("CORRUPT", `Block ${id} is listed but not stored`, { what: "block", id });
  }
}

const none: Held = new Map();

/** The blocks that may hold versions of `key` with seq ≤ `at`, in the order of their versions: newest first. */
function blocksOfChain({ filled }: Manifest, key: ByteKey, at: Seq): readonly BlockInfo[] {
  const hash = hashOf(key);
  const infos = filled.flatMap((level) => [...level.chainOf(key, level.find(key, at))]);
  return infos.filter(({ filter }) => mayHold(filter, hash));
}
