import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BlockId, byteKey, seq } from "../base/brand.ts";
import type { BlockInfo } from "./block-info.ts";
import { compareInternal, type InternalKey } from "./internal-key.ts";
import { Level } from "./level.ts";
import { maxPageBlocks, type Page } from "./page.ts";
import { at, infoOf, numbers } from "./segments.test-support.ts";

const newest = Number.MAX_SAFE_INTEGER;
const levelOf = (blocks: readonly BlockInfo[], newPageId = numbers()): Level =>
  Level.empty.edit({ removed: [], added: blocks }, newPageId);
const idsOf = (level: Level) => [...level.blocks()].map(({ id }) => id);

/** A chain of b spans blocks 1 to 3. */
const spanning = (): Level =>
  levelOf([
    infoOf(1, at("a", 4), at("b", 90)),
    infoOf(2, at("b", 80), at("b", 70)),
    infoOf(3, at("b", 60), at("c", 2)),
  ]);

/** Blocks of one key or two that lie close: chains over many of them are common. */
function blocksOf(points: readonly InternalKey[], lengths: readonly number[], newId: () => number): BlockInfo[] {
  const sorted = points.toSorted(compareInternal);
  const blocks: BlockInfo[] = [];
  for (let i = 0, n = 0; i < sorted.length; n++) {
    const end = Math.min(sorted.length, i + 1 + (lengths[n % lengths.length] ?? 0));
    blocks.push(infoOf(newId(), sorted[i]!, sorted[end - 1]!, { count: end - i, tombstones: (end - i) >> 1 }));
    i = end;
  }
  return blocks;
}

const point = fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 1000 })).map(([k, n]) => at(keyOf(k), n));
const keyOf = (k: number) => "\0ab\xff".repeat(k >> 3) + String.fromCharCode(k & 7 ? 96 + (k & 7) : 0);
const points = (maxLength: number) =>
  fc.uniqueArray(point, { selector: ({ key, seq: n }) => `${n}:${key}`, maxLength, size: "max" });
const lengths = fc.array(fc.constantFrom(0, 0, 0, 1, 2), { minLength: 1, maxLength: 7 });
const someBlocks = fc
  .tuple(fc.oneof({ weight: 2, arbitrary: points(12) }, { weight: 3, arbitrary: points(900) }), lengths)
  .map(([list, sizes]) => blocksOf(list, sizes, numbers()));

function checkPages(level: Level): void {
  for (const page of level.pages) {
    expect(page.infos.length).toBe(page.blocks);
    expect(page.blocks).toBeLessThanOrEqual(maxPageBlocks);
    expect(page.blocks).toBeGreaterThan(0);
  }
  expect(level.pages.length).toBeLessThanOrEqual(1 + Math.ceil(level.length / (maxPageBlocks / 4)));
}

function checkSame(level: Level, blocks: readonly BlockInfo[]): void {
  expect([...level.blocks()]).toEqual(blocks);
  const sum = (of: (info: BlockInfo) => number) => blocks.reduce((n, info) => n + of(info), 0);
  expect([level.length, level.versions, level.tombstones, level.sizeBytes]).toEqual([
    blocks.length,
    sum((b) => b.count),
    sum((b) => b.tombstones),
    sum((b) => b.sizeBytes),
  ]);
  checkPages(level);
}

/** The first position from which on `isTrue`, by looking at all. */
function firstOf(blocks: readonly BlockInfo[], isTrue: (info: BlockInfo) => boolean): number {
  const i = blocks.findIndex(isTrue);
  return i < 0 ? blocks.length : i;
}

describe("a level", () => {
  test("answers every question as the plain list of its blocks does", () => {
    fc.assert(
      fc.property(
        someBlocks,
        fc.array(point, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        (blocks, extra, froms) => {
          const level = levelOf(blocks);
          checkSame(level, blocks);
          const near = blocks.filter((_, i) => i < 20 || i % 37 === 0 || i > blocks.length - 5);
          const probes = [...extra, at("", 1), at("\xff\xff", 1), ...near.flatMap((b) => [b.first, b.last])];
          for (const probe of probes) {
            const { key } = probe;
            expect(level.find(key, probe.seq)).toBe(firstOf(blocks, (b) => compareInternal(b.last, probe) >= 0));
            expect(level.findBeginning(key)).toBe(firstOf(blocks, (b) => b.first.key >= key));
            expect(level.mayHold(key)).toBe(blocks.some((b) => b.first.key <= key && key <= b.last.key));
          }
          for (const [i, b] of blocks.entries()) expect(level.at(i)).toBe(b);
          expect([level.at(-1), level.at(blocks.length)]).toEqual([undefined, undefined]);
          for (const b of near) {
            expect(level.has(b)).toBe(true);
            expect(level.has({ ...b, id: infoOf(100_000, b.first, b.last).id })).toBe(false);
          }
          for (const from of froms.map((n) => n % (blocks.length + 2))) {
            expect([...level.blocks(from)]).toEqual(blocks.slice(from));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("finds its way inside a chain that spans blocks", () => {
    const level = spanning();
    expect([100, 90, 89, 75, 70, 69, 1].map((n) => level.find(byteKey("b"), seq(n)))).toEqual([0, 0, 1, 1, 1, 2, 2]);
    expect(level.find(byteKey("d"), seq(1))).toBe(3);
    expect(level.findBeginning(byteKey("b"))).toBe(1);
    expect(level.findBeginning(byteKey("b\0"))).toBe(3);
  });

  test("finds its way inside a chain that spans pages", () => {
    const blocks = Array.from({ length: 400 }, (_, i) => infoOf(i + 1, at("b", 1000 - 2 * i), at("b", 999 - 2 * i)));
    const level = levelOf([infoOf(900, at("a", 1), at("b", 2000)), ...blocks, infoOf(901, at("b", 1), at("c", 7))]);
    expect(level.pages.length).toBeGreaterThan(3);
    for (let n = 1; n < 1100; n++) {
      const expected = firstOf([...level.blocks()], (b) => compareInternal(b.last, at("b", n)) >= 0);
      expect(level.find(byteKey("b"), seq(n))).toBe(expected);
    }
    expect(level.find(byteKey("b"), seq(newest))).toBe(0);
    expect(level.findBeginning(byteKey("b"))).toBe(1);
    expect(level.findBeginning(byteKey("b\0"))).toBe(402);
  });

  test("that is empty holds nothing", () => {
    expect(Level.empty.find(byteKey(""), seq(0))).toBe(0);
    expect(Level.empty.findBeginning(byteKey("a"))).toBe(0);
    expect(Level.empty.at(0)).toBeUndefined();
    expect(Level.empty.mayHold(byteKey("a"))).toBe(false);
    expect(Level.empty.has(infoOf(1, at("a", 1), at("a", 1)))).toBe(false);
    expect([...Level.empty.blocks()]).toEqual([]);
  });
});

const pageIds = (pages: readonly Page[]) => new Set(pages.map(({ id }) => id));

describe("an edit", () => {
  test("replaces blocks in place and leaves the old level as it was", () => {
    const level = spanning();
    const added = [
      infoOf(4, at("b", 80), at("b", 75)),
      infoOf(5, at("b", 74), at("b", 74)),
      infoOf(6, at("x", 1), at("y", 1)),
    ];
    const next = level.edit({ removed: [level.at(1)!], added }, numbers());
    expect(idsOf(next)).toEqual([1, 4, 5, 3, 6]);
    expect(idsOf(level)).toEqual([1, 2, 3]);
    expect(idsOf(next.edit({ removed: [...next.blocks()], added: [] }, numbers()))).toEqual([]);
    expect(level.edit({ removed: [], added: [] }, numbers()).pages).toEqual(level.pages);
  });

  test("any sequence of edits does what it does to a plain list, and shares the pages that it does not touch", () => {
    const edits = fc.array(
      fc.record({
        /** Where the edited stretches begin, and how many blocks are replaced by how many. */
        stretches: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(200)), { maxLength: 3 }),
        leave: fc.constantFrom(0, 1, 2, 5),
        sizes: lengths,
        more: points(300),
      }),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(points(1200), edits, (first, history) => {
        const [newId, newPageId] = [numbers(), numbers()];
        let list = blocksOf(first, [0], newId);
        let level = levelOf(list, newPageId);
        for (const { stretches, leave, sizes, more } of history) {
          const { removed, added } = editOf(list, stretches, leave, more, sizes, newId);
          const gone = new Set(removed);
          const before = level;
          level = level.edit({ removed, added }, newPageId);
          list = [...list.filter((b) => !gone.has(b)), ...added].toSorted((a, b) => compareInternal(a.first, b.first));
          checkSame(level, list);
          checkSharing(before, level, [...removed, ...added]);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("of a level with 5000 blocks replaces as many pages as it touches, wherever it is", () => {
    const [newId, newPageId] = [numbers(), numbers()];
    const key = (i: number) => `k${String(i).padStart(6, "0")}`;
    let level = levelOf(
      Array.from({ length: 5000 }, (_, i) => infoOf(newId(), at(key(10 * i), 9), at(key(10 * i + 4), 1))),
      newPageId,
    );
    expect(level.pages.length).toBe(Math.ceil(5000 / maxPageBlocks));
    for (let i = 0; i < 4998; i += 61) {
      const before = level;
      const removed = [0, 1, 2].map((n) => level.at(i + n)!);
      const added = removed.map(({ first, last }) => infoOf(newId(), first, last));
      level = level.edit({ removed, added }, newPageId);
      const [old, now] = [pageIds(before.pages), pageIds(level.pages)];
      expect([...now].filter((id) => !old.has(id)).length).toBeLessThanOrEqual(3);
      expect([...old].filter((id) => !now.has(id)).length).toBeLessThanOrEqual(3);
    }
    checkPages(level);
    expect(level.length).toBe(5000);
  });

  test("appending block by block fills pages instead of leaving small ones behind", () => {
    const [newId, newPageId] = [numbers(), numbers()];
    let level = Level.empty;
    for (let i = 0; i < 1000; i++) {
      const key = `k${String(i).padStart(5, "0")}`;
      const before = pageIds(level.pages);
      level = level.edit({ removed: [], added: [infoOf(newId(), at(key, 2), at(key, 1))] }, newPageId);
      expect(level.pages.filter(({ id }) => !before.has(id)).length).toBeLessThanOrEqual(2);
    }
    expect(level.length).toBe(1000);
    expect(level.pages.length).toBeLessThanOrEqual(Math.ceil((1000 / maxPageBlocks) * 2));
    checkPages(level);
  });

  test("taking out block by block joins the pages that grow small", () => {
    const [newId, newPageId] = [numbers(), numbers()];
    const key = (i: number) => `k${String(i).padStart(6, "0")}`;
    const blocks = Array.from({ length: 2000 }, (_, i) => infoOf(newId(), at(key(i), 2), at(key(i), 1)));
    let level = levelOf(blocks, newPageId);
    const kept = blocks.filter((_, i) => i % 32 === 0);
    for (const info of blocks) {
      if (!kept.includes(info)) level = level.edit({ removed: [info], added: [] }, newPageId);
    }
    expect([...level.blocks()]).toEqual(kept);
    expect(level.pages.length).toBeLessThanOrEqual(1 + Math.ceil(kept.length / (maxPageBlocks / 4)));
  });

  test("refuses blocks that overlap, run backwards, are empty, are not listed or come out of order", () => {
    const level = spanning();
    const bug = expect.objectContaining({ code: "INTERNAL" });
    const adding =
      (...added: BlockInfo[]) =>
      () =>
        level.edit({ removed: [], added }, numbers());
    expect(adding(infoOf(4, at("b", 85), at("b", 79)))).toThrow(bug);
    expect(adding(infoOf(4, at("a", 9), at("a", 4)))).toThrow(bug);
    expect(adding(infoOf(4, at("d", 1), at("d", 2)))).toThrow(bug);
    expect(adding(infoOf(4, at("d", 1), at("d", 1), { count: 0 }))).toThrow(bug);
    expect(adding(infoOf(4, at("e", 1), at("e", 1)), infoOf(5, at("d", 1), at("d", 1)))).toThrow(bug);
    expect(() => level.edit({ removed: [infoOf(9, at("b", 80), at("b", 70))], added: [] }, numbers())).toThrow(bug);
  });

  test("refuses a block that overlaps one of a neighbouring page", () => {
    const key = (i: number) => `k${String(i).padStart(6, "0")}`;
    const level = levelOf(
      Array.from({ length: 2 * maxPageBlocks - 9 }, (_, i) => infoOf(i + 1, at(key(2 * i), 9), at(key(2 * i), 1))),
    );
    expect(level.pages.length).toBe(2);
    const border = level.pages[0]!.blocks;
    const bug = expect.objectContaining({ code: "INTERNAL" });
    const between = (first: number, last: number) => () =>
      level.edit({ removed: [], added: [infoOf(900, at(key(first), 5), at(key(last), 5))] }, numbers());
    expect(between(2 * border - 1, 2 * border - 1)).not.toThrow();
    expect(between(2 * border - 1, 2 * border + 1)).toThrow(bug);
    const removed = [level.at(border - 1)!];
    const added = [infoOf(900, removed[0]!.first, at(key(2 * border + 1), 5))];
    expect(() => level.edit({ removed, added }, numbers())).toThrow(bug);
  });
});

/** Blocks to take out, and what comes in instead: new blocks that fit into the gaps, and `more` wherever there is room. */
function editOf(
  list: readonly BlockInfo[],
  stretches: readonly (readonly [number, number])[],
  leave: number,
  more: readonly InternalKey[],
  sizes: readonly number[],
  newId: () => number,
): { removed: readonly BlockInfo[]; added: readonly BlockInfo[] } {
  const gone = new Set<BlockInfo>();
  for (const [share, n] of stretches) {
    const from = Math.floor(share * list.length);
    list.slice(from, from + n).forEach((b, i) => (leave === 0 || i % (leave + 1) !== 0 ? gone.add(b) : undefined));
  }
  const removed = list.filter((b) => gone.has(b));
  const kept = list.filter((b) => !gone.has(b));
  const isFree = (p: InternalKey) => {
    const next = kept.find((b) => compareInternal(b.last, p) >= 0);
    return next === undefined || compareInternal(p, next.first) < 0;
  };
  const free = more.filter(isFree).toSorted(compareInternal);
  const added: BlockInfo[] = [];
  let group: InternalKey[] = [];
  const close = () => {
    added.push(...blocksOf(group, sizes, newId));
    group = [];
  };
  for (const p of free) {
    const before = group.at(-1);
    if (before && kept.some((b) => compareInternal(before, b.first) < 0 && compareInternal(b.last, p) < 0)) close();
    group.push(p);
  }
  close();
  return { removed, added };
}

/** A page goes only if a block of it changes, or if it is next to such a page and one of the two is small. */
function checkSharing(before: Level, next: Level, changed: readonly BlockInfo[]): void {
  const now = new Set(next.pages);
  const gone = before.pages.filter((page) => !now.has(page));
  const pageOf = ({ first }: BlockInfo): number => Math.min(before.pages.length - 1, firstPage(before.pages, first));
  const touched = new Set(changed.map(pageOf));
  for (const page of gone) {
    const p = before.pages.indexOf(page);
    expect(touched.has(p) || touched.has(p + 1)).toBe(true);
  }
  const made = next.pages.filter((page) => !before.pages.includes(page));
  expect(gone.length).toBeLessThanOrEqual(2 * touched.size);
  expect(made.length).toBeLessThanOrEqual(2 * touched.size + 1 + Math.ceil(changed.length / (maxPageBlocks / 2)));
  const ids: BlockId[] = idsOf(next);
  expect(new Set(ids).size).toBe(ids.length);
}

const firstPage = (pages: readonly Page[], probe: InternalKey): number => {
  const p = pages.findIndex(({ last }) => compareInternal(last, probe) >= 0);
  return p < 0 ? pages.length : p;
};
