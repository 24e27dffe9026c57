import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byteKey } from "../base/brand.ts";
import type { BlockInfo } from "./block-info.ts";
import { compareInternal } from "./internal-key.ts";
import { type Compaction, foldLevel, type LevelOptions, maxBytesOf, nextCompaction } from "./levels.ts";
import { levelCount, Manifest } from "./manifest.ts";
import { at, Disk, infoOf, keys, numbers } from "./segments.test-support.ts";

const options: LevelOptions = { minLevelBytes: 1000, maxStepBytes: 500 };
const maxStepBlocks = 64;
const bottom = levelCount - 1;

/** Per level, its blocks; keys are numbers in text. */
function manifestOf(...levels: readonly (readonly BlockInfo[])[]): Manifest {
  const newPageId = numbers();
  const empty = Array.from({ length: levelCount - levels.length }, () => []);
  const edits = [...empty, ...levels].map((added, level) => ({ level, removed: [], added }));
  return Manifest.empty.edit(edits, newPageId);
}
const key = (n: number) => `k${String(n).padStart(5, "0")}`;
/** A block of the keys from `from` to `to`. */
const block = (id: number, from: number, to: number, sizeBytes: number, top = 9): BlockInfo =>
  infoOf(id, at(key(from), top), at(key(to), top), { sizeBytes, tombstones: 0 });
/** A level of `sizeBytes` as blocks of 100 bytes. */
const sized = (sizeBytes: number, firstId: number): readonly BlockInfo[] =>
  Array.from({ length: sizeBytes / 100 }, (_, i) => block(firstId + i, 10 * i, 10 * i + 5, 100));

describe("levels", () => {
  test("come into use from the bottom up, each for an eighth of the one below", () => {
    const max = (...sizes: number[]) => maxBytesOf(manifestOf(...sizes.map((n, i) => sized(n, 10_000 * i))), options);
    expect(max(0)).toEqual([0, 0, 0, Infinity]);
    expect(max(8000)).toEqual([0, 0, 0, Infinity]);
    expect(max(8800)).toEqual([0, 0, 1100, Infinity]);
    expect(max(64_000)).toEqual([0, 0, 8000, Infinity]);
    expect(max(80_000)).toEqual([0, 1250, 10_000, Infinity]);
    expect(max(1_000_000)).toEqual([1_000_000 / 512, 1_000_000 / 64, 125_000, Infinity]);
  });

  test("take the memtable in at the uppermost in use, and never below one that holds anything", () => {
    const level = (...sizes: number[]) => foldLevel(manifestOf(...sizes.map((n, i) => sized(n, 10_000 * i))), options);
    expect(level(0)).toBe(bottom);
    expect(level(8000)).toBe(bottom);
    expect(level(8800)).toBe(2);
    expect(level(80_000)).toBe(1);
    expect(level(200, 800)).toBe(2); // from larger days
    expect(level(100, 0, 0, 80_000)).toBe(0);
    expect(level(100, 0, 8800)).toBe(1);
  });

  test("ask for nothing while all are within their bounds", () => {
    for (const sizes of [[0], [8000], [1000, 8800], [1250, 10_000, 80_000]]) {
      expect(nextCompaction(manifestOf(...sizes.map((n, i) => sized(n, 10_000 * i))), options)).toBeUndefined();
    }
  });

  test("ask for a step of the one that is fullest, those out of use first", () => {
    const next = (...sizes: number[]) =>
      nextCompaction(manifestOf(...sizes.map((n, i) => sized(n, 10_000 * i))), options)?.level;
    expect(next(100, 0)).toBe(2);
    expect(next(1300, 8800)).toBe(2);
    expect(next(1300, 10_000, 80_000)).toBe(1);
    expect(next(1300, 40_000, 80_000)).toBe(2);
    expect(next(100, 1300, 40_000, 80_000)).toBe(0);
    expect(next(100, 100, 100, 8000)).toBe(0);
  });
});

/** What a step reads at most if it meets blocks by their ranges: its own blocks that meet any, and those. */
function costOf(blocks: readonly BlockInfo[], below: readonly BlockInfo[]): number {
  const meets = (a: BlockInfo, b: BlockInfo) => a.first.key <= b.last.key && b.first.key <= a.last.key;
  const own = blocks.filter((a) => below.some((b) => meets(a, b)));
  const met = below.filter((b) => blocks.some((a) => meets(a, b)));
  return [...own, ...met].reduce((n, { sizeBytes }) => n + sizeBytes, 0);
}

/** Random blocks of one level; chains over several of them are common. */
const levelBlocks = (level: number, maxLength: number) =>
  fc
    .tuple(
      fc.uniqueArray(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 50 })), {
        selector: ([k, n]) => 1000 * k + n,
        maxLength,
        size: "max",
      }),
      fc.array(fc.constantFrom(1, 1, 2, 3), { minLength: 1, maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 5 }),
    )
    .map(([points, lengths, sizes]) => {
      const sorted = points.map(([k, n]) => at(key(k), n + 1000 * (levelCount - level))).toSorted(compareInternal);
      const blocks: BlockInfo[] = [];
      for (let i = 0, n = 0; i < sorted.length; n++) {
        const end = Math.min(sorted.length, i + lengths[n % lengths.length]!);
        const more = { count: end - i, tombstones: 0, sizeBytes: sizes[n % sizes.length]! };
        blocks.push(infoOf(10_000 * level + n + 1, sorted[i]!, sorted[end - 1]!, more));
        i = end;
      }
      return blocks;
    });
const manifests = fc
  .tuple(levelBlocks(0, 20), levelBlocks(1, 40), levelBlocks(2, 150), levelBlocks(3, 150))
  .map((levels) => manifestOf(...levels));
const someOptions = fc.record({
  minLevelBytes: fc.constantFrom(1, 100, 1000),
  maxStepBytes: fc.constantFrom(1, 300, 1000, 5000),
});

describe("a step", () => {
  test("is the same whenever the manifest is the same, and a run of neighbours in their level", () => {
    fc.assert(
      fc.property(manifests, someOptions, fc.nat(60), (manifest, opts, k) => {
        const cursors = manifest.levels.map((_, level) => ({ level, removed: [], added: [], cursor: byteKey(key(k)) }));
        const pointed = manifest.edit(cursors, numbers());
        for (const m of [manifest, pointed]) {
          const step = nextCompaction(m, opts);
          expect(nextCompaction(m, opts)).toEqual(step);
          if (step) checkStep(m, step, opts);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("takes blocks of the whole level in turn", () => {
    fc.assert(
      fc.property(manifests, someOptions, (start, opts) => {
        let manifest = start;
        const first = nextCompaction(manifest, opts);
        if (!first) return;
        const taken: number[] = [];
        let step: Compaction = first;
        do {
          taken.push(...step.blocks.map(({ id }) => id));
          const { level, cursor } = step;
          manifest = manifest.edit([{ level, removed: [], added: [], cursor }], numbers());
          step = nextCompaction(manifest, opts)!; // nothing went down, so it asks again
        } while (step.blocks[0] !== first.blocks[0] && taken.length < 1000);
        expect(taken).toEqual([...start.levels[first.level]!.blocks()].map(({ id }) => id));
      }),
      { numRuns: 100 },
    );
  });

  test("goes on after its cursor though blocks came and went there, and begins anew at the end", () => {
    const above = [1, 2, 3, 4, 5].map((i) => block(i, 10 * i, 10 * i + 5, 400));
    const below = [block(9, 0, 99, 100)];
    const from = (cursor: string) =>
      nextCompaction(
        manifestOf(above, below).edit([{ level: 2, removed: [], added: [], cursor: byteKey(cursor) }], numbers()),
        options,
      )!.blocks[0]!.id;
    expect([from(""), from(key(10)), from(key(12)), from(key(25)), from(key(50)), from(key(51))]).toEqual([
      1, 1, 2, 3, 5, 1,
    ]);
  });

  test("that only moves blocks takes many of them at once", () => {
    const above = Array.from({ length: 100 }, (_, i) => block(i + 1, 100 + 10 * i, 105 + 10 * i, 400));
    const step = nextCompaction(manifestOf(above, [block(900, 0, 50, 100)]), options)!;
    expect(step.blocks).toEqual(above.slice(0, maxStepBlocks));
  });

  test("stays small where many blocks meet one and the same block below", () => {
    const above = Array.from({ length: 50 }, (_, i) => block(i + 1, 10 * i, 10 * i + 5, 100));
    const below = [block(900, 0, 1000, 100)];
    const step = nextCompaction(manifestOf(above, below), options)!;
    expect(costOf(step.blocks, below)).toBeLessThanOrEqual(options.maxStepBytes);
    expect(step.blocks.length).toBe(4);
  });

  test("stays small where blocks meet nothing but have to be read for what they can lose", () => {
    for (const more of [{ tombstones: 1 }, { obsolete: 1 }]) {
      const above = Array.from({ length: 50 }, (_, i) => ({ ...block(i + 1, 10 * i, 10 * i + 5, 100), ...more }));
      const step = nextCompaction(manifestOf(above, [block(900, 1000, 1001, 100)]), options)!;
      expect(step.blocks.length).toBe(5);
    }
  });
});

function checkStep(manifest: Manifest, { level, blocks, cursor }: Compaction, opts: LevelOptions): void {
  const all = [...manifest.levels[level]!.blocks()];
  const below = [...manifest.levels[level + 1]!.blocks()];
  const start = all.indexOf(blocks[0]!);
  expect(blocks).toEqual(all.slice(start, start + blocks.length));
  expect(blocks.length).toBeGreaterThan(0);
  // What stays above of any key that goes down is newer.
  const rest = all.slice(start + blocks.length);
  const last = blocks.at(-1)!.last.key;
  if (rest[0]) expect(rest[0].first.key > last).toBe(true);
  expect(cursor).toBe(rest.length === 0 ? "" : `${last}\0`);
  // Without the rest of the last chain, it is bounded.
  let end = blocks.length;
  while (end > 1 && blocks[end - 2]!.last.key === blocks[end - 1]!.first.key) end--;
  const bounded = blocks.slice(0, end);
  expect(bounded.length).toBeLessThanOrEqual(maxStepBlocks);
  if (bounded.length > 1) {
    expect(costOf(bounded, below)).toBeLessThanOrEqual(Math.max(opts.maxStepBytes, costOf(bounded.slice(0, 1), below)));
  }
}

describe("steps, one after the other,", () => {
  const sizes = fc.record({
    perLevel: fc.array(fc.nat(120), { minLength: levelCount, maxLength: levelCount }),
    minLevelBytes: fc.constantFrom(100, 1000, 5000),
    maxStepBytes: fc.constantFrom(1, 1000, 4000),
    spread: fc.integer({ min: 1, max: 400 }),
    floor: fc.constantFrom(0, 100, 1_000_000),
  });

  test("bring every level within its bounds, and keep upper levels newer", async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), async (given, seed) => {
        const { perLevel, spread, floor } = given;
        const random = randomOf(seed);
        const disk = new Disk();
        for (const [n, count] of perLevel.toReversed().entries()) {
          const wanted = new Set(Array.from({ length: count }, () => keys(0, 400)[random() % spread]!));
          const changes = [...wanted].sort().map((k) => (n % 3 === 1 ? disk.remove(k) : disk.put(k, 30)));
          await disk.fold(changes, { level: bottom - n, targetBytes: 200 });
        }
        const blocks = disk.manifest.blocks;
        let steps = 0;
        for (let step = nextCompaction(disk.manifest, given); step; step = nextCompaction(disk.manifest, given)) {
          await disk.sink(step.level, step.blocks, { floor, targetBytes: 200, cursor: step.cursor });
          checkNewerAbove(disk);
          expect(++steps).toBeLessThanOrEqual(levelCount * (blocks + 40));
        }
        const max = maxBytesOf(disk.manifest, given);
        disk.manifest.levels.forEach((l, i) => expect(l.sizeBytes).toBeLessThanOrEqual(max[i]!));
        const used = max.findIndex((n) => n > 0);
        expect(foldLevel(disk.manifest, given)).toBe(used);
      }),
      { numRuns: 40 },
    );
  });
});

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 8;
  };
}

/** Of every key, what an upper level holds is newer than what is below. */
function checkNewerAbove(disk: Disk): void {
  const oldest = new Map<string, number>();
  for (let level = 0; level < levelCount; level++) {
    const here = new Map<string, number>();
    for (const one of disk.content(level)) {
      const [k, n] = one.split("@") as [string, string];
      expect(Number(n)).toBeLessThan(oldest.get(k) ?? Infinity);
      here.set(k, Number(n));
    }
    for (const [k, n] of here) oldest.set(k, n);
  }
}
