import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockId, byteKey, seq } from "../base/brand.ts";
import { checksum } from "../base/checksum.ts";
import { isTidemarkError } from "../base/errors.ts";
import { compareInternal, type InternalKey } from "./internal-key.ts";
import { type BlockInfo, Manifest } from "./manifest.ts";

const at = (key: string, n: number): InternalKey => ({ key: byteKey(key), seq: seq(n) });
const info = (id: number, first: InternalKey, last: InternalKey): BlockInfo => ({
  id: blockId(id),
  first,
  last,
  count: 3,
  sizeBytes: 100 + id,
});
const of = (...blocks: BlockInfo[]): Manifest => Manifest.empty.replace(new Set(), blocks);
const ids = (manifest: Manifest) => manifest.blocks.map((block) => block.id);

/** A chain of b spans blocks 1 to 3. */
const spanning = (): Manifest =>
  of(info(1, at("a", 4), at("b", 90)), info(2, at("b", 80), at("b", 70)), info(3, at("b", 60), at("c", 2)));

const manifests = fc
  .uniqueArray(
    fc.tuple(
      fc.string({ maxLength: 3, unit: fc.constantFrom("\0", "a", "b", "\xff") }),
      fc.integer({ min: 1, max: 2 ** 40 }),
    ),
    {
      selector: ([key, n]) => `${key}:${n}`,
      maxLength: 60,
    },
  )
  .map((points) => {
    const keys = points.map(([key, n]) => at(key, n)).toSorted(compareInternal);
    const blocks: BlockInfo[] = [];
    for (let i = 0; i + 1 < keys.length; i += 2) blocks.push(info(i + 1, keys[i]!, keys[i + 1]!));
    return of(...blocks);
  });

describe("Manifest", () => {
  test("finds the first block that ends at or after a version", () => {
    fc.assert(
      fc.property(
        manifests,
        fc.string({ maxLength: 3, unit: fc.constantFrom("a", "b") }),
        fc.nat(100),
        (manifest, key, n) => {
          for (const probe of [at(key, n), ...manifest.blocks.flatMap((b) => [b.first, b.last])]) {
            const expected = manifest.blocks.findIndex((block) => compareInternal(block.last, probe) >= 0);
            expect(manifest.find(probe.key, probe.seq)).toBe(expected < 0 ? manifest.blocks.length : expected);
          }
        },
      ),
    );
  });

  test("finds its way inside a chain that spans blocks", () => {
    const manifest = spanning();
    expect([100, 90, 89, 75, 70, 69, 1].map((n) => manifest.find(byteKey("b"), seq(n)))).toEqual([0, 0, 1, 1, 1, 2, 2]);
    expect(manifest.find(byteKey("d"), seq(1))).toBe(3);
    expect(Manifest.empty.find(byteKey(""), seq(0))).toBe(0);
  });

  test("replaces blocks in place and leaves the old manifest as it was", () => {
    const manifest = spanning();
    const next = manifest.replace(new Set([blockId(2)]), [
      info(4, at("b", 80), at("b", 75)),
      info(5, at("b", 74), at("b", 74)),
      info(6, at("x", 1), at("y", 1)),
    ]);
    expect(ids(next)).toEqual([1, 4, 5, 3, 6]);
    expect(ids(manifest)).toEqual([1, 2, 3]);
    expect(ids(next.replace(new Set(ids(next)), []))).toEqual([]);
  });

  test("refuses blocks that overlap, share an id, run backwards or are not listed", () => {
    const manifest = spanning();
    const bug = expect.objectContaining({ code: "INTERNAL" });
    expect(() => manifest.replace(new Set(), [info(4, at("b", 85), at("b", 80))])).toThrow(bug);
    expect(() => manifest.replace(new Set(), [info(3, at("d", 1), at("d", 1))])).toThrow(bug);
    expect(() => manifest.replace(new Set(), [info(4, at("d", 1), at("d", 2))])).toThrow(bug);
    expect(() => manifest.replace(new Set([blockId(9)]), [])).toThrow(bug);
  });

  test("survives encoding", () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        expect(Manifest.decode(manifest.encode()).blocks).toEqual(manifest.blocks);
      }),
    );
  });
});

describe("damaged manifests", () => {
  const corrupt = expect.objectContaining({ code: "CORRUPT", details: expect.objectContaining({ what: "manifest" }) });

  test("[MV8] every flipped bit and every truncation is detected and reported as CORRUPT", () => {
    const bytes = spanning().encode();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => Manifest.decode(damaged)).toThrow(corrupt);
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(() => Manifest.decode(bytes.subarray(0, length))).toThrow(corrupt);
    }
  });

  test("[MV8] bytes damaged before they were sealed decode to a valid manifest or throw CORRUPT", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }), (damage) => {
        const bytes = spanning().encode();
        for (const [where, value] of damage) bytes[9 + (where % (bytes.length - 9))] = value;
        reseal(bytes);
        try {
          const { blocks } = Manifest.decode(bytes);
          for (let i = 1; i < blocks.length; i++) {
            expect(compareInternal(blocks[i - 1]!.last, blocks[i]!.first)).toBeLessThan(0);
          }
        } catch (e) {
          if (!isTidemarkError(e, "CORRUPT")) throw e;
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("an intact manifest of a newer format is no damage", () => {
    const bytes = spanning().encode();
    bytes[8] = 2;
    expect(() => Manifest.decode(reseal(bytes))).toThrow(
      expect.objectContaining({ code: "FORMAT_UNSUPPORTED", details: { what: "manifest", format: 2, supported: 1 } }),
    );
  });
});

function reseal(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, checksum(bytes.subarray(8)), true);
  return bytes;
}
