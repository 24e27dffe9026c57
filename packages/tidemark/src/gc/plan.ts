/**
 * What a cycle looks at next: the blocks that are due under its rule, in an order of its own that is fixed by what is
 * stored and by nothing else. Levels from the bottom up, and each from its end to its beginning; a step is as many blocks
 * as make about so many bytes. Where nothing is due nothing is read: pages of the manifest say so in one number.
 */
import type { ByteKey } from "../base/brand.ts";
import type { Level } from "../segments/level.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import { type InternalKey, compareInternal } from "../segments/internal-key.ts";
import type { Manifest } from "../segments/manifest.ts";
import { lookAhead, type Pace } from "../segments/pace.ts";
import type { Page } from "../segments/page.ts";
import type { Run } from "../segments/sweep.ts";
import { tableOf } from "../codec/record.ts";
import type { Stretch } from "./dead-tables.ts";
import type { RunKind } from "./journal.ts";

/** Where a cycle goes on: below `before` in `level`, then in the levels above. */
export interface Cursor {
  readonly level: number;
  readonly before: InternalKey | undefined;
}

export interface DueTerms {
  /** What is due at or below it. */
  readonly reach: number;
  /** Whether what only points and retention kept is to be looked at too: some were released. */
  readonly isReleased: boolean;
  readonly dead: readonly Stretch[];
}

export interface PlanTerms extends DueTerms {
  readonly maxStepBytes: number;
  readonly maxStepBlocks: number;
  readonly maxStepVersions: number;
}

export interface Step {
  readonly level: number;
  readonly runs: readonly Run[];
  /** After it. */
  readonly cursor: Cursor;
}

/** The next step from `cursor` on; `undefined` where nothing is left to look at. */
export function nextStep(manifest: Manifest, cursor: Cursor, terms: PlanTerms): Step | undefined {
  for (let level = cursor.level; level >= 0; level--) {
    const before = level === cursor.level ? cursor.before : undefined;
    const positions: number[] = [];
    let [sizeBytes, versions] = [0, 0];
    for (const [position, info] of dueBlocks(manifest, level, before, terms)) {
      const isFull = sizeBytes + info.sizeBytes > terms.maxStepBytes || versions + info.count > terms.maxStepVersions;
      if (positions.length > 0 && isFull) break;
      positions.push(position);
      sizeBytes += info.sizeBytes;
      versions += info.count;
      if (positions.length === terms.maxStepBlocks) break;
    }
    const last = positions.at(-1);
    if (last === undefined) continue;
    return { level, runs: runsOf(positions), cursor: { level, before: manifest.levels[level]!.at(last)!.first } };
  }
  return undefined;
}

/** Age decides what is looked at: young is the uppermost level in use, middle all but the lowest. */
export function startOf({ levels }: Manifest, kind: RunKind): Cursor {
  const lowest = levels.length - 1;
  const filled = levels.findIndex(({ length }) => length > 0);
  const young = filled < 0 ? lowest : filled;
  const level = { YOUNG_ONLY: young, YOUNG_AND_MIDDLE: Math.max(young, lowest - 1), FULL_GC: lowest }[kind];
  return { level, before: undefined };
}

/** Per level, the due blocks that reach to `from` or beyond it, in order. */
export const dueRuns = (manifest: Manifest, terms: DueTerms, from: ByteKey): readonly Iterable<BlockInfo>[] =>
  manifest.levels.map((_, l) => {
    const due = [...dueBlocks(manifest, l, undefined, terms)].map(([, info]) => info).toReversed();
    return due.filter(({ last }) => last.key >= from);
  });

export interface DueSize {
  /** Versions that are superseded or deletions, in due blocks, and about how many bytes those blocks lose with them. */
  readonly versions: number;
  readonly bytes: number;
}

/** What is due in each level, as far as the manifest tells. Pages are decoded as one comes to them, so between two it looks. */
export async function dueSizes(manifest: Manifest, terms: DueTerms, pace: Pace): Promise<readonly DueSize[]> {
  const sizes: DueSize[] = [];
  for (const level of manifest.levels) {
    let [versions, bytes] = [0, 0];
    for (const { from, to } of duePages(manifest, level, terms)) {
      for (let i = from; i < to; i++) {
        const info = level.at(i)!;
        if (!isDue(info, manifest, terms)) continue;
        const gone = Math.max(1, info.obsolete + info.tombstones);
        versions += gone;
        bytes += (info.sizeBytes * Math.min(gone, info.count)) / info.count;
      }
      if (pace.isDue(lookAhead)) await pace.pause();
    }
    sizes.push({ versions, bytes });
  }
  return sizes;
}

/** Descending positions as ascending runs. */
function runsOf(positions: readonly number[]): readonly Run[] {
  const runs: Run[] = [];
  for (const position of positions.toReversed()) {
    const last = runs.at(-1);
    if (last?.to === position) runs[runs.length - 1] = { from: last.from, to: position + 1 };
    else runs.push({ from: position, to: position + 1 });
  }
  return runs;
}

/** The due blocks of a level that end before `before`, last first, with their positions. */
function* dueBlocks(
  manifest: Manifest,
  l: number,
  before: InternalKey | undefined,
  terms: DueTerms,
): Generator<readonly [number, BlockInfo], void> {
  const level = manifest.levels[l]!;
  for (const run of duePages(manifest, level, terms)) {
    for (let i = run.to - 1; i >= run.from; i--) {
      const info = level.at(i)!;
      if (before !== undefined && compareInternal(info.last, before) >= 0) continue;
      if (isDue(info, manifest, terms)) yield [i, info];
    }
  }
}

/** The blocks of each page of a level, last first, among which any may be due. */
function* duePages({ marks }: Manifest, level: Level, terms: DueTerms): Generator<Run, void> {
  const isAnyMarkDue = [...marks.values()].some((mark) => mark <= terms.reach);
  let end = level.length;
  for (const page of level.pages.toReversed()) {
    const start = end - page.blocks;
    if (isAnyMarkDue || mayBeDue(page, level, start, terms)) yield { from: start, to: end };
    end = start;
  }
}

function mayBeDue(page: Page, level: Level, start: number, terms: DueTerms): boolean {
  if (page.due <= terms.reach || (terms.isReleased && page.pinned > 0)) return true;
  return terms.dead.length > 0 && touchesDead(level.at(start)!, page.last, terms.dead);
}

function isDue(info: BlockInfo, { marks }: Manifest, { reach, isReleased, dead }: DueTerms): boolean {
  const mark = marks.get(info.id);
  if (info.due <= reach || (isReleased && info.pinned > 0)) return true;
  return (mark !== undefined && mark <= reach) || touchesDead(info, info.last, dead);
}

/** Whether anything from the beginning of a block to `last` may lie in a dead table. */
function touchesDead({ first }: BlockInfo, last: InternalKey, dead: readonly Stretch[]): boolean {
  const [from, to] = [tableOf(first.key), tableOf(last.key)];
  return dead.some((stretch) => stretch.from <= to && stretch.to > from);
}
