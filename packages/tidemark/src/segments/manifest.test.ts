import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byteKey } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import type { BlockInfo } from "./block-info.ts";
import { compareInternal } from "./internal-key.ts";
import { decodeRoot, levelCount, Manifest, type ManifestEdit, pageChanges, pageSummaries } from "./manifest.ts";
import { Page } from "./page.ts";
import { at, infoOf, numbers, reseal } from "./segments.test-support.ts";

/** `count` blocks of keys k000000 and on. */
const blocks = (count: number, firstId = 1): readonly BlockInfo[] =>
  Array.from({ length: count }, (_, i) => {
    const key = `k${String(i * 3).padStart(6, "0")}`;
    return infoOf(firstId + i, at(key, 9), at(`${key}x`, 2));
  });

const edit = (level: number, added: readonly BlockInfo[], cursor?: string): ManifestEdit => ({
  level,
  removed: [],
  added,
  ...(cursor === undefined ? {} : { cursor: byteKey(cursor) }),
});
const of = (...edits: readonly ManifestEdit[]): Manifest => Manifest.empty.edit(edits, numbers());

/** What its root and its pages say once they have been stored. */
function stored(manifest: Manifest): Manifest {
  const bytes = new Map(manifest.pages().map((page) => [page.id, page.encode()]));
  return Manifest.of(decodeRoot(manifest.encodeRoot()), (summary) => Page.stored(summary, bytes.get(summary.id)!));
}

const contentOf = (manifest: Manifest) => ({
  version: manifest.version,
  cursors: manifest.cursors,
  levels: manifest.levels.map((level) => [...level.blocks()]),
});

describe("a manifest", () => {
  test("has levels, of which reads look at those that hold anything", () => {
    const manifest = of(edit(1, blocks(3)), edit(3, blocks(200, 100), "k"));
    expect(manifest.levels.map(({ length }) => length)).toEqual([0, 3, 0, 200]);
    expect(manifest.filled).toEqual([manifest.levels[1], manifest.levels[3]]);
    expect([manifest.blocks, manifest.versions, manifest.tombstones]).toEqual([203, 609, 203]);
    expect(manifest.sizeBytes).toBe([...manifest.all()].reduce((n, { sizeBytes }) => n + sizeBytes, 0));
    expect(manifest.cursors).toEqual(["", "", "", "k"]);
    expect([...manifest.all()].map(({ id }) => id)).toEqual([...blocks(3), ...blocks(200, 100)].map(({ id }) => id));
    for (const info of manifest.all()) {
      expect(manifest.has(info)).toBe(true);
      expect(manifest.info(info.id)).toBe(info);
    }
    expect(manifest.has(infoOf(7, at("k000000", 9), at("k000000x", 2)))).toBe(false);
    expect(manifest.info(infoOf(99, at("a", 1), at("a", 1)).id)).toBeUndefined();
  });

  test("an edit makes the next version, and a cursor stays where none is given", () => {
    const one = of(edit(2, blocks(3), "k1"));
    const [block] = one.levels[2]!.blocks();
    const two = one.edit([{ level: 2, removed: [block!], added: [] }, edit(3, [block!])], numbers());
    expect([Manifest.empty.version, one.version, two.version]).toEqual([0, 1, 2]);
    expect(two.cursors).toEqual(["", "", "k1", ""]);
    expect(two.levels[3]!.at(0)).toBe(block);
    expect(one.levels.map(({ length }) => length)).toEqual([0, 0, 3, 0]);
    expect(two.edit([edit(2, [], "")], numbers()).cursors).toEqual(["", "", "", ""]);
  });

  test("an edit says which pages come and which go", () => {
    const newPageId = numbers();
    const before = Manifest.empty.edit([edit(3, blocks(1000)), edit(1, blocks(5, 2000))], newPageId);
    const removed = [before.levels[3]!.at(500)!];
    const next = before.edit([{ level: 3, removed, added: [] }], newPageId);
    const { added, removed: gone } = pageChanges(before, next);
    expect([added.length, gone.length]).toEqual([1, 1]);
    expect(gone[0]!.infos).toContain(removed[0]);
    expect(pageChanges(next, next)).toEqual({ added: [], removed: [] });
    expect(pageChanges(Manifest.empty, next).added).toEqual(next.pages());
  });

  test("survives storage", () => {
    const cursors = fc.string({ maxLength: 4, unit: fc.constantFrom("\0", "k", "\xff") });
    const levels = fc.array(fc.tuple(fc.nat(300), cursors), { minLength: levelCount, maxLength: levelCount });
    fc.assert(
      fc.property(levels, fc.nat(20), (sizes, edits) => {
        let manifest = of(
          ...sizes.map(([count, cursor], level) => edit(level, blocks(count, level * 1000 + 1), cursor)),
        );
        for (let n = 0; n < edits; n++) manifest = manifest.edit([], numbers());
        expect(manifest.version).toBe(1 + edits);
        expect(contentOf(stored(manifest))).toEqual(contentOf(manifest));
        expect(stored(manifest).encodeRoot()).toEqual(manifest.encodeRoot());
        expect(stored(manifest).sizeBytes).toBe(manifest.sizeBytes);
      }),
      { numRuns: 30 },
    );
  });

  test("of 100000 blocks has a root of less than 64 KB", () => {
    expect(of(edit(3, blocks(100_000))).encodeRoot().length).toBeLessThan(64 * 1024);
  });
});

describe("a damaged root", () => {
  const corrupt = expect.objectContaining({ code: "CORRUPT", details: expect.objectContaining({ what: "manifest" }) });
  const root = () => of(edit(1, blocks(2), "k\xff"), edit(3, blocks(300, 50))).encodeRoot();

  test("[MV8] is CORRUPT, whichever bit is flipped and wherever it ends", () => {
    const bytes = root();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decodeRoot(damaged)).toThrow(corrupt);
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeRoot(bytes.subarray(0, length))).toThrow(corrupt);
    }
    expect(() => decodeRoot(reseal(Uint8Array.of(...bytes, 0)))).toThrow(corrupt);
  });

  test("[MV8] that was damaged before it was sealed lists pages in order or is CORRUPT", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constant(255))), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(damage, (changes) => {
        const bytes = root();
        for (const [where, value] of changes) bytes[9 + (where % (bytes.length - 9))] = value;
        try {
          const decoded = decodeRoot(reseal(bytes));
          expect(decoded.levels.length).toBe(levelCount);
          for (const { pages } of decoded.levels) {
            for (let i = 1; i < pages.length; i++) {
              expect(compareInternal(pages[i - 1]!.last, pages[i]!.last)).toBeLessThan(0);
            }
          }
          expect(pageSummaries(decoded)).toEqual(decoded.levels.flatMap(({ pages }) => pages));
        } catch (e) {
          if (!isTidemarkError(e, "CORRUPT")) throw e;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("[MV8] is CORRUPT where it claims any other number of levels, however large", () => {
    const bytes = of().encodeRoot();
    const head = bytes.slice(0, 10); // up to and with the version
    for (const count of [[0], [3], [5], [0xff, 0xff, 0x03], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]]) {
      expect(() => decodeRoot(reseal(Uint8Array.of(...head, ...count, ...bytes.subarray(11))))).toThrow(corrupt);
    }
  });

  test("[MV8] pages that do not fit together, each intact by itself, are CORRUPT to whoever reads them", () => {
    const good = of(edit(3, blocks(300)));
    const [first, second] = good.pages();
    const { key } = first!.infos.at(-2)!.last;
    const early: BlockInfo = {
      ...second!.infos[0]!,
      first: { key: byteKey(`${key}a`), seq: at("", 3).seq },
    };
    const overlapping = Page.of(second!.id, [early, ...second!.infos.slice(1)]);
    const manifest = Manifest.of(decodeRoot(good.encodeRoot()), (summary) => {
      const page = summary.id === overlapping.id ? overlapping : good.pages().find(({ id }) => id === summary.id)!;
      return Page.stored(summary, page.encode());
    });
    expect(() => [...manifest.all()]).toThrow(expect.objectContaining({ code: "CORRUPT" }));
  });

  test("that is intact but of a newer format is no damage", () => {
    const bytes = root();
    bytes[8] = 4;
    expect(() => decodeRoot(reseal(bytes))).toThrow(
      expect.objectContaining({ code: "FORMAT_UNSUPPORTED", details: { what: "manifest", format: 4, supported: 3 } }),
    );
    bytes[8] = 1;
    expect(() => decodeRoot(reseal(bytes))).toThrow(corrupt); // see manifest-1.ts
  });
});
