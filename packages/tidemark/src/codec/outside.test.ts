import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byteKey } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import {
  bytesAt,
  chunkAt,
  chunksOf,
  outsideIn,
  outsideLost,
  outsideOf,
  slotsOf,
  slotsPerChunk,
  withReference,
} from "./outside.ts";
import { indexEntriesOf, recordValue, writeRecordHead } from "./record.ts";
import { encodeValue } from "./value.ts";

function payloadOf(indexKeys: readonly string[], value: unknown): Uint8Array {
  const out = new ByteWriter();
  writeRecordHead(out, indexKeys.map(byteKey));
  encodeValue(value, out, "c");
  return out.finish();
}

const refs = fc.record({
  id: fc.nat(2 ** 40).map((n) => n * slotsPerChunk),
  sizeBytes: fc.integer({ min: 1, max: 2 ** 24 }),
});
const indexKeys = fc.array(
  fc.string({ unit: "binary-ascii", maxLength: 200 }).map((s) => `\0\0\0\x07${s}`),
  { maxLength: 3 },
);

describe("a reference to a value out of line", () => {
  test("[MV11] stands where the value stood; keys and index entries are as they were", () => {
    fc.assert(
      fc.property(refs, indexKeys, (ref, keys) => {
        const payload = payloadOf(keys, { a: "x".repeat(50) });
        expect(outsideOf(payload)).toBeUndefined();
        const without = withReference(payload, ref);
        expect(outsideOf(without)).toEqual(ref);
        expect(outsideIn(recordValue(without))).toEqual(ref);
        const key = byteKey("\0\0\0\x01k");
        expect(indexEntriesOf(key, without)).toEqual(indexEntriesOf(key, payload));
      }),
    );
  });

  test("[MV11] is found in no payload without one: of an index entry, of any value", () => {
    expect(outsideOf(new Uint8Array(0))).toBeUndefined();
    fc.assert(
      fc.property(fc.jsonValue(), indexKeys, (value, keys) => {
        expect(outsideOf(payloadOf(keys, value))).toBeUndefined();
      }),
    );
  });

  test("[MV11] names chunks that cover the value once, under keys that tell their sizes", () => {
    fc.assert(
      fc.property(refs, (ref) => {
        const { from, to } = slotsOf(ref);
        let covered = 0;
        for (let i = 0; i < chunksOf(ref.sizeBytes); i++) {
          const chunk = chunkAt(ref, i);
          expect(chunk.from).toBe(covered);
          covered = chunk.to;
          expect(Math.floor(chunk.key / slotsPerChunk)).toBe(ref.id / slotsPerChunk + i);
          expect(chunk.key >= from && chunk.key < to).toBe(true);
          expect(bytesAt(chunk.key) - (chunk.to - chunk.from)).toBeLessThan(1024);
          expect(bytesAt(chunk.key)).toBeGreaterThanOrEqual(chunk.to - chunk.from);
        }
        expect(covered).toBe(ref.sizeBytes);
      }),
    );
  });

  test("[MV11] is lost with the last version of its record that has it", () => {
    const [a, b] = [
      { id: 64, sizeBytes: 40_000 },
      { id: 640, sizeBytes: 200_000 },
    ];
    const small = payloadOf([], 1);
    const [withA, withB] = [withReference(small, a), withReference(payloadOf(["\0\0\0\x07k"], 1), b)];
    expect(outsideLost([withA, withB, small, undefined], [small])).toEqual([a, b]);
    expect(outsideLost([withA, withB], [withA, undefined])).toEqual([b]);
    expect(outsideLost([withA, withA], [])).toEqual([a]);
    expect(outsideLost([small, undefined], [withA])).toEqual([]);
  });
});
