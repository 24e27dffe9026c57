import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { byteKey } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { attempt, fuzzRuns, mutantsOf } from "../base/mutations.test-support.ts";
import { type Aside, isWhole, readBytes, sizeOf, type SplitValue, type ValueBytes } from "./aside.ts";
import { blob, expectSame, file, patterned } from "./blobs.test-support.ts";
import { readWrites, writeWriteHead } from "./record.ts";
import { Splitter } from "./splitter.ts";
import { decodeValue, encodeValue } from "./value.ts";
import { packValues, unpackValues, type Values } from "./values.ts";

vi.setConfig({ testTimeout: 600_000 });

const numRuns = fuzzRuns(150);

/** Values with large blobs, and other things between them. */
const splits = [
  blob(32_769),
  { parts: [file(40_000), new Uint8Array(9), blob(33_000, 2), new Date(5)] },
  { parts: [new ArrayBuffer(40_000), undefined, blob(70_000)] },
].map((value): SplitValue => {
  const out = new ByteWriter();
  const aside: Aside[] = [];
  encodeValue(value, out, "value", undefined, aside);
  return { bytes: out.finish(), aside };
});
const wholes = await Promise.all(splits.map((split) => readBytes(split, 0, sizeOf(split))));

/** A value whose text says anything of what is attached, in front of bytes that may be fewer or more. */
const lying = fc
  .tuple(
    fc.array(
      fc.tuple(
        fc.constantFrom("B", "F", "b", "v"),
        fc.constantFrom<unknown>("", "Uint8Array", 5, null),
        fc.constantFrom<unknown>(0, 1, 32_769, 40_000, 80_000, 2 ** 31, 2 ** 40, 1e300, -1, 0.5, null, "1"),
      ),
      { maxLength: 3 },
    ),
    fc.constantFrom(0, 1, 32_769, 72_769, 80_000, 120_000),
    fc.constantFrom(0, 0, 0, 1, -1, 2 ** 40),
  )
  .map(([patches, attachedBytes, off]) => {
    const all = patches.map(([code, first, size], i) => {
      if (code === "b") return [code, size, 0, i];
      return code === "F" ? [code, first, size, "name", 1, 0, i] : [code, first, size, 0, i];
    });
    const text = new TextEncoder().encode(JSON.stringify([patches.map(() => 0), all]));
    const out = new ByteWriter();
    out.u8(2);
    out.varint(Math.max(0, text.length + off));
    out.bytes(text);
    out.bytes(patterned(attachedBytes, 1));
    return out.finish();
  });
const bytesOfValues = fc.oneof(mutantsOf(fc.constantFrom(...wholes)), lying);
const steps = fc.array(fc.oneof(fc.constant(61_440), fc.integer({ min: 1, max: 9 }), fc.nat(70_000)), { minLength: 1 });

/** As they come from storage: a piece at a time. */
function taken(bytes: Uint8Array, lengths: readonly number[], claimedBytes: number): ValueBytes {
  const splitter = new Splitter(claimedBytes, 1024 * 1024);
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = i < 50 ? (lengths[i % lengths.length] ?? 0) : bytes.length;
    splitter.push(bytes.subarray(at, at + length));
    at += length;
  }
  return splitter.finish();
}

test("[MV6] bytes that come in pieces are read as they are in one, or refused as they are", async () => {
  const claimed = fc.option(fc.constantFrom(0, 1, 2 ** 31, 2 ** 53 - 1), { nil: undefined });
  let split = 0;
  await fc.assert(
    fc.asyncProperty(bytesOfValues, steps, claimed, async (bytes, lengths, size) => {
      const expected = attempt(() => decodeValue(bytes), ["CORRUPT"]);
      const value = attempt(() => taken(bytes, lengths, size ?? bytes.length), ["CORRUPT"]);
      if ("code" in value) {
        expect(expected).toEqual(value);
        return;
      }
      expect(sizeOf(value.answer)).toBe(bytes.length);
      if (!isWhole(value.answer)) split++;
      const found = attempt(() => decodeValue(value.answer), ["CORRUPT"]);
      if ("answer" in expected && "answer" in found) await expectSame(found.answer, expected.answer);
      else expect(found).toEqual(expected);
    }),
    { numRuns, endOnFailure: true },
  );
  expect(split).toBeGreaterThan(0);
});

test("[MV6] a length that never ends is refused at once, and not looked at again with every piece", () => {
  const splitter = new Splitter(2 ** 30, 1024);
  const piece = new Uint8Array(61_440).fill(0xff);
  splitter.push(Uint8Array.of(2));
  expect(attempt(() => splitter.push(piece))).toEqual({ code: "CORRUPT" });
});

const junk = fc.constantFrom<unknown>(undefined, null, 0, -1, 0.5, NaN, 2 ** 40, "x", {}, [], new Uint8Array(3));
const fakes = fc.record({ size: junk, type: junk, slice: junk });
/** What stands aside, some of it lost, moved, swapped, or something else. */
const strayed = (aside: readonly Aside[]): fc.Arbitrary<unknown> =>
  fc
    .tuple(
      fc.nat(Math.max(0, aside.length - 1)),
      fc.nat(aside.length),
      fc.constantFrom("at", "blob", "all", "lose", "twice", "last"),
      junk,
      fc.oneof(fc.nat(90), fc.constant(1000)),
      fakes,
    )
    .map(([i, j, what, other, at, fake]) => {
      const all: unknown[] = [...aside];
      const one = aside[i];
      if (what === "at") all[i] = { ...one, at };
      if (what === "blob") all[i] = { ...one, blob: at % 2 === 0 ? other : fake };
      if (what === "all") all[i] = other;
      if (what === "lose") all.splice(i, 1);
      if (what === "twice") all.splice(j, 0, one);
      return what === "last" && at < 9 ? other : all;
    });

test("[MV6] a message of values whose large blobs are not what or where they were is refused, or as long", () => {
  const packed = fc
    .array(fc.option(fc.constantFrom<ValueBytes>(...splits, Uint8Array.of(1, 0x35)), { nil: undefined }), {
      maxLength: 4,
    })
    .map((all) => packValues([...all, splits[0]!]) as Extract<Values, { form: "mixed" }>);
  const mutant = packed.chain((of) => strayed(of.aside!).map((aside) => ({ ...of, aside }) as Values));
  fc.assert(
    fc.property(mutant, (of) => {
      const found = attempt(() => unpackValues(of), ["CORRUPT"]);
      if ("answer" in found) expect(found.answer).toHaveLength((of as { lengths: Uint32Array }).lengths.length);
    }),
    { numRuns: 4 * numRuns },
  );
});

test("[MV11] a batch of writes whose large blobs are not what or where they were is refused, or all are in place", () => {
  const key = byteKey("\0\0\0\u0001k");
  const batch = fc.array(fc.option(fc.constantFrom(...splits), { nil: undefined }), { maxLength: 4 }).map((all) => {
    const out = new ByteWriter();
    const aside: Aside[] = [];
    for (const split of [...all, splits[1]!]) {
      writeWriteHead(out, split ? "put" : "delete", key, split?.bytes.length ?? 0);
      for (const one of split?.aside ?? []) aside.push({ ...one, at: out.length + one.at });
      if (split) out.bytes(split.bytes);
    }
    return { writes: out.finish(), aside };
  });
  const mutant = batch.chain(({ writes, aside }) =>
    strayed(aside).map((of) => ({ writes, aside: of as readonly Aside[] | undefined })),
  );
  expect(attempt(() => fc.sample(batch, 9).map((of) => readWrites(of)))).toHaveProperty("answer");
  fc.assert(
    fc.property(mutant, (of) => {
      const found = attempt(() => readWrites(of), ["CORRUPT"]);
      if ("code" in found) return;
      const own = found.answer.flatMap(({ payload, aside = [] }) =>
        aside.map((one) => [payload!.length, one] as const),
      );
      expect(own.map(([, one]) => one.blob)).toEqual((of.aside ?? []).map((one) => one.blob));
      for (const [length, { at, blob: stands }] of own) {
        expect(at >= 0 && at <= length).toBe(true);
        expect(stands).toBeInstanceOf(Blob);
      }
    }),
    { numRuns: 4 * numRuns },
  );
});
