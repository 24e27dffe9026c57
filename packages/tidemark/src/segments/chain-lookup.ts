/** What levels hold of a key, looked up block by block: for whoever judges a part of its chain. */
import type { BlockId, ByteKey } from "../base/brand.ts";
import { seq } from "../base/brand.ts";
import type { LoadBlocks } from "./block-cursor.ts";
import type { BlockInfo } from "./block-info.ts";
import type { Block } from "./block.ts";
import { hashOf, mayHold } from "./filter.ts";
import { newest } from "./internal-key.ts";
import type { Level } from "./level.ts";
import type { Manifest } from "./manifest.ts";
import type { Newer } from "./rule.ts";
import type { Version } from "./version.ts";

/** So many blocks are kept at hand: neighbouring keys ask for the same ones. */
const maxHeld = 16;
const oldest = seq(0);

export class ChainLookup {
  readonly #manifest: Manifest;
  readonly #load: LoadBlocks;
  readonly #held = new Map<BlockId, Block>();

  constructor(manifest: Manifest, load: LoadBlocks) {
    this.#manifest = manifest;
    this.#load = load;
  }

  /**
   * The oldest version of `key` that is newer than what blocks of `level` from position `before` on hold (from its
   * head on where that is `undefined`), and how many such there are, up to `max`. Levels above are looked at only if
   * `looksAbove`.
   */
  async newer(
    key: ByteKey,
    level: number,
    before: number | undefined,
    looksAbove: boolean,
    max: number,
  ): Promise<{ readonly newer: Newer | undefined; readonly position: number }> {
    const { levels } = this.#manifest;
    let found: Version | undefined;
    let position = 0;
    if (before !== undefined) {
      found = await this.#lastIn(levels[level]!.at(before - 1)!, key);
      if (max > 0) position += await this.#count(levels[level]!, key, before, max);
    }
    for (const above of looksAbove ? levels.slice(0, level).toReversed() : []) {
      if (found !== undefined && position >= max) break;
      found ??= await this.#oldestIn(above, key);
      if (max > 0) position += await this.#count(above, key, above.length, max - position);
    }
    return { newer: found, position: Math.max(position, found === undefined ? 0 : 1) };
  }

  /** The versions of `key` in blocks of `level` from position `from` on and in the levels below, newest first. */
  async older(key: ByteKey, level: number, from: number): Promise<readonly Version[]> {
    const [own, ...below] = this.#manifest.levels.slice(level);
    const versions = [...(await this.#chain(own!, key, from))];
    for (const one of below) versions.push(...(await this.#chain(one, key)));
    return versions;
  }

  /** All versions of `key` in all levels, newest first. */
  async all(key: ByteKey): Promise<readonly Version[]> {
    const versions: Version[] = [];
    for (const level of this.#manifest.filled) versions.push(...(await this.#chain(level, key)));
    return versions;
  }

  async #chain(level: Level, key: ByteKey, from?: number): Promise<readonly Version[]> {
    const versions: Version[] = [];
    for (const info of level.chainOf(key, from)) {
      if (mayHold(info.filter, hashOf(key))) versions.push(...(await this.#block(info)).chain(key, newest));
    }
    return versions;
  }

  async #oldestIn(level: Level, key: ByteKey): Promise<Version | undefined> {
    const i = level.find(key, oldest);
    const here = level.at(i);
    const info = here !== undefined && here.first.key <= key ? here : level.at(i - 1);
    if (info === undefined || info.last.key < key || !mayHold(info.filter, hashOf(key))) return undefined;
    return await this.#lastIn(info, key);
  }

  async #lastIn(info: BlockInfo, key: ByteKey): Promise<Version | undefined> {
    const block = await this.#block(info);
    const i = block.lowerBound(key, oldest) - 1;
    return i >= 0 && block.keyEquals(i, key) ? block.versionAt(i) : undefined;
  }

  /** How many versions of `key` blocks before position `end` hold, up to `max`. */
  async #count(level: Level, key: ByteKey, end: number, max: number): Promise<number> {
    let count = 0;
    for (let i = level.find(key, newest); i < end && count < max; i++) {
      const info = level.at(i)!;
      if (info.first.key > key) break;
      if (info.first.key !== info.last.key && !mayHold(info.filter, hashOf(key))) continue;
      const block = await this.#block(info);
      count += block.lowerBound(key, oldest) - block.lowerBound(key, newest);
    }
    return Math.min(count, max);
  }

  async #block(info: BlockInfo): Promise<Block> {
    const { id } = info;
    const held = this.#held.get(id);
    if (held) return held;
    const [block] = await this.#load([info]);
    if (this.#held.size >= maxHeld) this.#held.delete(this.#held.keys().next().value!);
    this.#held.set(id, block!);
    return block!;
  }
}
