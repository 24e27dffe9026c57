import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockId, byteKey, type ByteKey, seq, stamp } from "../base/brand.ts";
import { checksum } from "../base/checksum.ts";
import { isTidemarkError } from "../base/errors.ts";
import { Block, type BlockEntry, encodeBlock } from "./block.ts";
import { compareInternal } from "./internal-key.ts";
import type { Version } from "./version.ts";

const id = blockId(7);
const highest = seq(Number.MAX_SAFE_INTEGER);
const version = (at: number, payload?: Uint8Array, stamped = at * 1000): Version => ({
  seq: seq(at),
  stamp: stamp(stamped),
  payload,
});
const entry = (key: string, at: number, payload?: Uint8Array): BlockEntry => ({
  key: byteKey(key),
  version: version(at, payload),
});
const internal = ({ key, version: { seq: at } }: BlockEntry) => ({ key, seq: at });

const byteString = (max: number) =>
  fc
    .array(fc.oneof(fc.constantFrom(0, 1, 254, 255), fc.nat(255)), { maxLength: max })
    .map((bytes) => String.fromCharCode(...bytes));
const payloads = fc.option(fc.uint8Array({ maxLength: 200 }), { nil: undefined });
const stamps = fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: 2 ** 51 }));
const seqs = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2 ** 50 }));
const entriesOf = fc
  .tuple(
    fc.oneof(fc.constant(""), byteString(60), fc.constant("p".repeat(5000))),
    fc.array(fc.tuple(byteString(7), seqs, stamps, payloads), { minLength: 1, maxLength: 60 }),
  )
  .map(([prefix, raw]) => {
    const unique = new Map<string, BlockEntry>();
    for (const [rest, at, stamped, payload] of raw) {
      const key = byteKey(prefix + rest);
      unique.set(`${key}:${at}`, { key, version: version(at, payload, stamped) });
    }
    return [...unique.values()].toSorted((a, b) => compareInternal(internal(a), internal(b)));
  });

/** What a search may be asked for: keys of the block and others close to them. */
const probes = (entries: readonly BlockEntry[]): readonly ByteKey[] => [
  byteKey(""),
  byteKey("\xff\xff\xff"),
  ...entries.flatMap(({ key }) => [key, byteKey(`${key}\0`), byteKey(key.slice(0, -1)), byteKey(`${key}\xff`)]),
];

describe("Block", () => {
  test("gives back what was encoded, each entry by itself", () => {
    fc.assert(
      fc.property(entriesOf, (entries) => {
        const bytes = encodeBlock(entries);
        const block = Block.open(id, bytes);
        expect(block.count).toBe(entries.length);
        expect(block.sizeBytes).toBe(bytes.length);
        for (let i = entries.length - 1; i >= 0; i--) {
          const { key, version: expected } = entries[i]!;
          expect(block.keyAt(i)).toBe(key);
          expect(block.seqAt(i)).toBe(expected.seq);
          expect(block.stampAt(i)).toBe(expected.stamp);
          expect(block.versionAt(i)).toEqual(expected);
          expect(block.keyEquals(i, key)).toBe(true);
        }
      }),
    );
  });

  test("searches like a walk through all entries", () => {
    fc.assert(
      fc.property(entriesOf, fc.array(seqs, { maxLength: 4 }), (entries, someSeqs) => {
        const block = Block.open(id, encodeBlock(entries));
        for (const key of probes(entries)) {
          for (const at of [seq(0), highest, ...someSeqs.map(seq), ...entries.slice(0, 5).map((e) => e.version.seq)]) {
            const expected = entries.findIndex((e) => compareInternal(internal(e), { key, seq: at }) >= 0);
            expect(block.lowerBound(key, at)).toBe(expected < 0 ? entries.length : expected);
            expect(block.find(key, at)).toEqual(entries.find((e) => e.key === key && e.version.seq <= at)?.version);
          }
          for (const i of [0, entries.length >> 1]) expect(block.keyEquals(i, key)).toBe(entries[i]!.key === key);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("tells an empty payload from a tombstone", () => {
    const block = Block.open(id, encodeBlock([entry("a", 2), entry("a", 1, new Uint8Array()), entry("b", 3)]));
    expect(block.versionAt(0).payload).toBeUndefined();
    expect(block.versionAt(1).payload).toEqual(new Uint8Array());
    expect(block.versionAt(2).payload).toBeUndefined();
  });

  test("holds a single large version, and its payload is a view of the block", () => {
    const payload = new Uint8Array(70_000).fill(9);
    const bytes = encodeBlock([entry("big", 5, payload)]);
    const found = Block.open(id, bytes).find(byteKey("big"), seq(5));
    expect(found?.payload).toEqual(payload);
    expect(found?.payload?.buffer).toBe(bytes.buffer);
  });

  test("is read in the middle of a larger buffer", () => {
    const bytes = encodeBlock([entry("a", 1, Uint8Array.of(1, 2))]);
    const larger = new Uint8Array(bytes.length + 10).fill(255);
    larger.set(bytes, 3);
    const block = Block.open(id, larger.subarray(3, 3 + bytes.length));
    expect(block.find(byteKey("a"), seq(1))?.payload).toEqual(Uint8Array.of(1, 2));
  });

  test("refuses versions out of order, and none at all", () => {
    for (const wrong of [
      [],
      [entry("b", 1), entry("a", 1)],
      [entry("a", 1), entry("a", 2)],
      [entry("a", 1), entry("a", 1)],
    ]) {
      expect(() => encodeBlock(wrong)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
    }
  });
});

describe("damaged blocks", () => {
  const small = () =>
    encodeBlock([entry("key1", 3, Uint8Array.of(1)), entry("key1", 2), entry("key2", 9, Uint8Array.of(4, 5))]);
  const corrupt = expect.objectContaining({ code: "CORRUPT", details: { what: "block", id } });

  test("[MV8] every single flipped bit is detected and reported as CORRUPT with the block's id", () => {
    const bytes = small();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => Block.open(id, damaged)).toThrow(corrupt);
    }
  });

  test("[MV8] every truncation is detected", () => {
    const bytes = small();
    for (let length = 0; length < bytes.length; length++) {
      expect(() => Block.open(id, bytes.subarray(0, length))).toThrow(corrupt);
    }
  });

  test("[MV8] garbage throws CORRUPT, even where its checksum is right", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (tail, keepsHeader) => {
        const bytes = keepsHeader ? new Uint8Array([...small().subarray(0, 33), ...tail]) : tail;
        expect(() => Block.open(id, bytes)).toThrow(corrupt);
        expect(["intact", "CORRUPT"]).toEqual(expect.arrayContaining([...new Set(outcomes(reseal(bytes)))]));
      }),
    );
  });

  test("[MV8] a block damaged before it was sealed never hangs and throws nothing but CORRUPT", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), fc.nat(), fc.nat(255), (at, value, at2, value2) => {
        const bytes = small();
        bytes[9 + (at % (bytes.length - 9))] = value;
        bytes[9 + (at2 % (bytes.length - 9))] = value2;
        expect(["intact", "CORRUPT"]).toEqual(expect.arrayContaining([...new Set(outcomes(reseal(bytes)))]));
      }),
      { numRuns: 1000 },
    );
  });

  test("an intact block of a newer format is no damage", () => {
    const bytes = small();
    bytes[8] = 2;
    expect(() => Block.open(id, reseal(bytes))).toThrow(
      expect.objectContaining({ code: "FORMAT_UNSUPPORTED", details: { what: "block", id, format: 2, supported: 1 } }),
    );
  });
});

function reseal(bytes: Uint8Array): Uint8Array {
  if (bytes.length >= 8) new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, checksum(bytes.subarray(8)), true);
  return bytes;
}

/** How it goes to open the block and read each part of it. */
function outcomes(bytes: Uint8Array): readonly unknown[] {
  const attempts = [
    (block: Block) => block.lowerBound(byteKey("key1"), seq(2)),
    (block: Block) => block.find(byteKey("key2"), highest),
    ...[0, 1, 2].flatMap((i) => [
      (block: Block) => i < block.count && block.keyAt(i),
      (block: Block) => i < block.count && block.keyEquals(i, byteKey("key1")),
      (block: Block) => i < block.count && block.versionAt(i),
    ]),
  ];
  return attempts.map((attempt) => outcomeOf(() => attempt(Block.open(id, bytes))));
}

function outcomeOf(attempt: () => unknown): unknown {
  try {
    attempt();
    return "intact";
  } catch (e) {
    return isTidemarkError(e) ? e.code : e;
  }
}
