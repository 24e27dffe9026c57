import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTidemarkError } from "../base/errors.ts";
import { type BlockInfo, faultOf } from "./block-info.ts";
import { compareInternal } from "./internal-key.ts";
import { Page } from "./page.ts";
import { at, infoOf, reseal } from "./segments.test-support.ts";

const corrupt = expect.objectContaining({
  code: "CORRUPT",
  details: expect.objectContaining({ what: "manifest page" }),
});
const infos = [
  infoOf(1, at("a", 4), at("b", 90)),
  infoOf(2, at("b", 80), at("b", 70), { count: 300, obsolete: 299, outside: 2 }),
  infoOf(3, at("b", 60), at("c\xff\0", 2 ** 40)),
];
const page = Page.of(7, infos);
const reread = (bytes: Uint8Array) => Page.stored(page, Uint8Array.from(bytes));

const lists = fc
  .uniqueArray(
    fc.tuple(
      fc.string({ maxLength: 3, unit: fc.constantFrom("\0", "a", "\xff") }),
      fc.integer({ min: 1, max: 2 ** 50 }),
    ),
    { selector: ([key, n]) => `${n}:${key}`, minLength: 2, maxLength: 256, size: "max" },
  )
  .map((points) => {
    const keys = points.map(([key, n]) => at(key, n)).toSorted(compareInternal);
    const blocks: BlockInfo[] = [];
    for (let i = 0; i + 1 < keys.length; i += 2) blocks.push(infoOf(i * 977 + 1, keys[i]!, keys[i + 1]!));
    return blocks;
  });

describe("a page", () => {
  test("sums up its blocks", () => {
    expect(page).toMatchObject({
      id: 7,
      last: infos[2]!.last,
      blocks: 3,
      versions: 306,
      tombstones: 3,
      sizeBytes: 101 + 102 + 103,
    });
  });

  test("survives storage, and encodes to the same bytes again", () => {
    fc.assert(
      fc.property(lists, (list) => {
        const made = Page.of(9, list);
        const bytes = made.encode();
        const stored = Page.stored(made, bytes);
        expect(stored.infos).toEqual(list);
        expect(stored.infos).toBe(stored.infos);
        expect(stored.encode()).toEqual(bytes);
      }),
    );
  });

  test("lists at least one block", () => {
    expect(() => Page.of(1, [])).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });

  test("is not looked into before somebody asks for its blocks", () => {
    const broken = reread(Uint8Array.of(1, 2, 3));
    expect(broken.blocks).toBe(3);
    expect(() => broken.infos).toThrow(corrupt);
    expect(() => broken.infos).toThrow(corrupt);
  });
});

describe("a damaged page", () => {
  test("[MV8] is CORRUPT, whichever bit is flipped and wherever it ends", () => {
    const bytes = page.encode();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => reread(damaged).infos).toThrow(corrupt);
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(() => reread(bytes.subarray(0, length)).infos).toThrow(corrupt);
    }
    expect(() => reread(reseal(Uint8Array.of(...bytes, 0))).infos).toThrow(corrupt);
  });

  test("[MV8] that was damaged before it was sealed lists blocks in order or is CORRUPT", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(damage, (changes) => {
        const bytes = page.encode();
        for (const [where, value] of changes) bytes[9 + (where % (bytes.length - 9))] = value;
        try {
          const read = reread(reseal(bytes)).infos;
          expect(faultOf(read)).toBeUndefined();
          expect(read.length).toBe(3);
          expect(read[2]!.last).toEqual(page.last);
        } catch (e) {
          if (!isTidemarkError(e, "CORRUPT")) throw e;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("[MV8] is CORRUPT where it lists other blocks than the manifest says", () => {
    for (const other of [infos.slice(1), infos.slice(0, 2), [...infos, infoOf(4, at("d", 1), at("d", 1))]]) {
      expect(() => reread(Page.of(7, other).encode()).infos).toThrow(corrupt);
    }
  });

  test("that is intact but of a newer format is no damage", () => {
    const bytes = page.encode();
    bytes[8] = 3;
    expect(() => reread(reseal(bytes)).infos).toThrow(
      expect.objectContaining({
        code: "FORMAT_UNSUPPORTED",
        details: { what: "manifest page", format: 3, supported: 2 },
      }),
    );
  });
});
