import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { isTidemarkError } from "../base/errors.ts";
import { ByteWriter } from "../base/bytes.ts";
import { fuzzRuns, mutantsOf, resealed } from "../base/mutations.test-support.ts";
import { type Aside, isWhole, readBytes, sizeOf } from "../codec/aside.ts";
import { blob, expectSame } from "../codec/blobs.test-support.ts";
import { chunkAt, chunksOf, type OutsideRef, slotsPerChunk, withReference } from "../codec/outside.ts";
import { recordValue } from "../codec/record.ts";
import { decodeValue, encodeValue } from "../codec/value.ts";
import type { Found, Storage, StoredValue } from "../storage/contract.ts";
import { encodeChunk, loadOutside } from "./chunks.ts";

vi.setConfig({ testTimeout: 600_000 });

/** A value that is not in memory whole: a blob of its stands aside, and lies in many chunks. */
const value = { name: "photo", photo: blob(1_060_000), more: new Uint8Array(3000) };
const bytes = await (async () => {
  const out = new ByteWriter();
  const aside: Aside[] = [];
  encodeValue(value, out, "value", undefined, aside);
  const split = { bytes: out.finish(), aside };
  return readBytes(split, 0, sizeOf(split));
})();
const ref: OutsideRef = { id: 640, sizeBytes: bytes.length };
const rows = new Map(
  Array.from({ length: chunksOf(bytes.length) }, (_, i) => {
    const { key, from, to } = chunkAt(ref, i);
    return [key, encodeChunk(key, bytes.subarray(from, to))] as const;
  }),
);
const keys = [...rows.keys()];

/** What befalls the chunk at a position: other bytes, with a checksum that fits or not, or none. */
type Blow = readonly [at: number, kind: "bytes" | "sealed" | "lost" | "other" | "renamed"];
const blow: fc.Arbitrary<Blow> = fc.tuple(
  fc.oneof(fc.constant(0), fc.nat(keys.length - 1)),
  fc.constantFrom("bytes", "sealed", "lost", "other", "renamed"),
);

const reading = (stored: ReadonlyMap<number, StoredValue>): Pick<Storage, "read"> => ({
  read: (reads) =>
    Promise.resolve(
      reads.map((r): Found => {
        const found = r.kind === "get" ? stored.get(r.key as number) : undefined;
        return found ? [{ key: (r as { key: number }).key, value: found }] : [];
      }),
    ),
});

test("[MV8] a value in chunks, any of which is damaged, lost or another's, is refused, or read as what the chunks say", async () => {
  let [read, refused] = [0, 0];
  const damaged = fc.option(blow, { nil: undefined, freq: 2 }).chain((one) => {
    if (!one) return fc.constant(rows);
    const [at, kind] = one;
    const key = keys[at]!;
    const valid = rows.get(key)!;
    const other = rows.get(keys[(at + 1) % keys.length]!)!;
    return mutantsOf(fc.constant(valid)).map((mutant) => {
      const stored = new Map(rows);
      const put = { bytes: mutant, sealed: resealed(mutant, valid), other, renamed: encodeChunk(key, other) };
      if (kind === "lost") stored.delete(key);
      else stored.set(key, put[kind] as StoredValue);
      return stored;
    });
  });
  const claimed = fc.oneof(
    { weight: 8, arbitrary: fc.constant(ref) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(-1, 1, -61_440, 61_440).map((n) => ({ ...ref, sizeBytes: ref.sizeBytes + n })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(2 ** 31, 2 ** 40, 2 ** 53 - 1).map((sizeBytes) => ({ ...ref, sizeBytes })),
    },
    { weight: 1, arbitrary: fc.constantFrom(0, 640 + slotsPerChunk, 2 ** 50).map((id) => ({ ...ref, id })) },
  );
  await fc.assert(
    fc.asyncProperty(damaged, claimed, async (stored, of) => {
      const before = process.memoryUsage().arrayBuffers;
      try {
        const [found] = await loadOutside(reading(stored), [recordValue(withReference(Uint8Array.of(0), of))]);
        expect(sizeOf(found!)).toBe(of.sizeBytes);
        const made = decodeValue(found!);
        // What was forged, with its checksum, is what is stored.
        if (stored === rows) {
          expect(isWhole(found!)).toBe(false);
          await expectSame(made, value);
        }
        read++;
      } catch (e) {
        if (!isTidemarkError(e, "CORRUPT") && !isTidemarkError(e, "FORMAT_UNSUPPORTED")) throw e;
        expect(stored !== rows || of !== ref).toBe(true);
        refused++;
      } finally {
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
      }
    }),
    { numRuns: fuzzRuns(60), endOnFailure: true },
  );
  expect(Math.min(read, refused)).toBeGreaterThan(0);
});
