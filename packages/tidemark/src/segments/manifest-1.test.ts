import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byteKey } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { isTidemarkError } from "../base/errors.ts";
import { beginEnvelope, sealEnvelope } from "../wal/envelope.ts";
import { type BlockInfo, faultOf } from "./block-info.ts";
import { compareInternal, type InternalKey, sharedPrefixLength } from "./internal-key.ts";
import { levelCount } from "./manifest.ts";
import { upgradedFrom1 } from "./manifest-1.ts";
import { at, infoOf, reseal } from "./segments.test-support.ts";

/** As format 1 wrote it. */
function encode1(blocks: readonly BlockInfo[]): Uint8Array {
  const out = new ByteWriter();
  beginEnvelope(out, { magic: 0x464d4d54, format: 1 });
  out.varint(blocks.length);
  let before = byteKey("");
  const put = ({ key, seq }: InternalKey) => {
    const shared = sharedPrefixLength(before, key, key.length);
    out.varint(shared);
    out.varint(key.length - shared);
    out.key(key, shared);
    out.varint(seq);
    before = key;
  };
  for (const { id, first, last, count, sizeBytes } of blocks) {
    out.varint(id);
    put(first);
    put(last);
    out.varint(count);
    out.varint(sizeBytes);
  }
  return sealEnvelope(out);
}

/** What format 1 did not say: no tombstone is known of, and nobody may rely on one version a key. */
const block = (id: number, first: InternalKey, last: InternalKey) => {
  const info = infoOf(id, first, last, { tombstones: 0 });
  return { ...info, obsolete: info.count - 1 };
};
const spanning = [
  block(1, at("a", 4), at("b", 90)),
  block(2, at("b", 80), at("b", 70)),
  block(3, at("b", 60), at("c\xff", 2)),
];
const lists = fc
  .uniqueArray(
    fc.tuple(
      fc.string({ maxLength: 4, unit: fc.constantFrom("\0", "a", "b", "\xff") }),
      fc.integer({ min: 1, max: 2 ** 40 }),
    ),
    { selector: ([key, n]) => `${n}:${key}`, maxLength: 1000, size: "max" },
  )
  .map((points) => {
    const keys = points.map(([key, n]) => at(key, n)).toSorted(compareInternal);
    const blocks: BlockInfo[] = [];
    for (let i = 0; i + 1 < keys.length; i += 2) blocks.push(block(i + 1, keys[i]!, keys[i + 1]!));
    return blocks;
  });
const corrupt = expect.objectContaining({ code: "CORRUPT", details: expect.objectContaining({ what: "manifest" }) });

/** Nobody noted what is in them. */
const due = (blocks: readonly BlockInfo[]): readonly BlockInfo[] => blocks.map((info) => ({ ...info, due: 0 }));

describe("a manifest of format 1", () => {
  test("becomes the lowest level, all else being empty", () => {
    fc.assert(
      fc.property(lists, (blocks) => {
        const manifest = upgradedFrom1(encode1(blocks));
        expect([...manifest.levels[levelCount - 1]!.blocks()]).toEqual(due(blocks));
        expect([...manifest.all()]).toEqual(due(blocks));
        expect(manifest.cursors).toEqual(["", "", "", ""]);
        expect(manifest.pages().map(({ id }) => id)).toEqual(manifest.pages().map((_, i) => i + 1));
        expect(manifest.tombstones).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test("that was empty becomes an empty one", () => {
    expect([upgradedFrom1(encode1([])).blocks, upgradedFrom1(encode1([])).pages()]).toEqual([0, []]);
  });

  test("[MV8] that is damaged is CORRUPT, whichever bit is flipped and wherever it ends", () => {
    const bytes = encode1(spanning);
    expect([...upgradedFrom1(bytes).all()]).toEqual(due(spanning));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => upgradedFrom1(damaged)).toThrow(corrupt);
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(() => upgradedFrom1(bytes.subarray(0, length))).toThrow(corrupt);
    }
    expect(() => upgradedFrom1(reseal(Uint8Array.of(...bytes, 0)))).toThrow(corrupt);
  });

  test("[MV8] that was damaged before it was sealed becomes a valid one or is CORRUPT", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }), (damage) => {
        const bytes = encode1(spanning);
        for (const [where, value] of damage) bytes[9 + (where % (bytes.length - 9))] = value;
        try {
          expect(faultOf([...upgradedFrom1(reseal(bytes)).all()])).toBeUndefined();
        } catch (e) {
          if (!isTidemarkError(e, "CORRUPT")) throw e;
        }
      }),
      { numRuns: 1000 },
    );
  });
});
