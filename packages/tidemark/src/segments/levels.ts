/**
 * How large levels may grow, and which blocks go down next. Levels are sized from the bottom up: each may hold an eighth
 * of the one below it, and a level comes into use once that is worth a few memtables. So a small database has one level
 * and reads look at one block; a large one rewrites about eight bytes a level for each that passes through it, and what
 * lies above the bottom, which alone can be out of date, is at most a seventh of it. (After the dynamic level sizes of
 * RocksDB: Dong et al., "Optimizing Space Amplification in RocksDB", CIDR 2017.)
 */
import { type ByteKey, byteKey, type Seq } from "../base/brand.ts";
import type { BlockInfo } from "./block-info.ts";
import { newest } from "./internal-key.ts";
import type { Level } from "./level.ts";
import { levelCount, type Manifest } from "./manifest.ts";

const fanout = 8;
/** So many blocks go down in one step at most, even if all of them only move. */
const maxStepBlocks = 64;

export interface LevelOptions {
  /** The least that is worth a level of its own. */
  readonly minLevelBytes: number;
  /** About how much one step of compaction reads. */
  readonly maxStepBytes: number;
}

export const defaultLevels: LevelOptions = { minLevelBytes: 4 * 1024 * 1024, maxStepBytes: 512 * 1024 };

/** Per level, how many bytes it may hold: 0 for those not in use, no bound for the lowest. */
export function maxBytesOf(manifest: Manifest, { minLevelBytes }: LevelOptions): readonly number[] {
  const max = Array.from({ length: levelCount }, () => 0);
  let level = levelCount - 1;
  max[level] = Infinity;
  let { sizeBytes } = manifest.levels[level]!;
  while (level > 0 && sizeBytes > fanout * minLevelBytes) {
    sizeBytes /= fanout;
    max[--level] = sizeBytes;
  }
  return max;
}

/** The level that takes the memtable in: the uppermost in use. What is above it, from larger days, comes before it. */
export function foldLevel(manifest: Manifest, options: LevelOptions): number {
  const used = maxBytesOf(manifest, options).findIndex((max) => max > 0);
  const filled = manifest.levels.findIndex((level) => level.length > 0);
  return filled < 0 ? used : Math.min(used, filled);
}

/** A step: `blocks` of `level` go into the level below it. */
export interface Compaction {
  readonly level: number;
  readonly blocks: readonly BlockInfo[];
  /** Where the chain that they begin with begins before them: the oldest version of it that stays. */
  readonly staysAbove: Seq | undefined;
  /** Where the level's next step begins. */
  readonly cursor: ByteKey;
}

/** The next step that the manifest asks for; `undefined` while every level is within its bounds. */
export function nextCompaction(manifest: Manifest, options: LevelOptions): Compaction | undefined {
  const max = maxBytesOf(manifest, options);
  let level = -1;
  let worst = 1;
  for (let i = 0; i < levelCount - 1; i++) {
    const overflow = manifest.levels[i]!.sizeBytes / max[i]!; // NaN for an empty level that is not in use
    if (overflow > worst) [level, worst] = [i, overflow];
  }
  return level < 0 ? undefined : stepOf(manifest, level, options);
}

function stepOf(manifest: Manifest, level: number, { maxStepBytes }: LevelOptions): Compaction {
  const from = manifest.levels[level]!;
  const below = manifest.levels[level + 1]!;
  const begun = from.findBeginning(manifest.cursors[level]!);
  const start = begun < from.length ? begun : 0;
  const blocks: BlockInfo[] = [];
  let sizeBytes = 0;
  let to = below.find(from.at(start)!.first.key, newest);
  for (let i = start; i < from.length && blocks.length < maxStepBlocks; i++) {
    const block = from.at(i)!;
    const met = metBy(block, below, to);
    const costBytes = met.isMove ? 0 : block.sizeBytes + met.sizeBytes;
    if (blocks.length > 0 && costBytes > 0 && sizeBytes + costBytes > maxStepBytes) break;
    blocks.push(block);
    sizeBytes += costBytes;
    to = met.to;
  }
  // What is left above must not be older than what goes below: a chain goes down from its old end.
  for (let i = start + blocks.length; isSplit(from, i); i++) blocks.push(from.at(i)!);
  const last = from.at(start + blocks.length - 1)!;
  const isEnd = start + blocks.length >= from.length;
  const staysAbove = isSplit(from, start) ? from.at(start - 1)!.last.seq : undefined;
  return { level, blocks, staysAbove, cursor: isEnd ? byteKey("") : byteKey(`${last.last.key}\0`) };
}

const isSplit = (level: Level, i: number): boolean =>
  i > 0 && i < level.length && level.at(i - 1)!.last.key === level.at(i)!.first.key;

interface Met {
  /** Of the blocks below, from the given position on, that have to be rewritten with it. */
  readonly sizeBytes: number;
  /** Where they end. */
  readonly to: number;
  /** Whether the block meets nothing and has nothing to lose: the merge only lists it elsewhere. */
  readonly isMove: boolean;
}

/** What a block meets in the level `below`, of which what comes before position `from` is met by others already. */
function metBy(block: BlockInfo, below: Level, from: number): Met {
  const before = below.at(from - 1);
  let isMove = block.obsolete === 0 && block.tombstones === 0 && !(before && before.last.key >= block.first.key);
  let sizeBytes = 0;
  let to = from;
  for (let met = below.at(to); met !== undefined && met.first.key <= block.last.key; met = below.at(++to)) {
    if (met.last.key < block.first.key) continue;
    isMove = false;
    sizeBytes += met.sizeBytes;
  }
  return { sizeBytes, to, isMove };
}
