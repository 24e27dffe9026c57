import fc from "fast-check";
import { expect, test } from "vitest";
import { byteKey, seq, stamp, tabId } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import { attempt, bareInputs, fuzzRuns, mutantsOf, resealed, sealedInputs } from "../base/mutations.test-support.ts";
import type { Found, Storage, StoredValue } from "../storage/contract.ts";
import { encodeChunk, loadValues } from "./chunks.ts";
import { type Commit, decodeEntry, encodeEntry, encodeWrites, supersededThatFits, wholeEntry } from "./entry.ts";
import { keptIn, entryIn, endOf, putKept } from "./kept.ts";
import { chainFrom, decodeFence, encodeFence } from "./log.ts";
import { chunkAt, chunksOf, type OutsideRef } from "../codec/outside.ts";

const numRuns = fuzzRuns(1000);

const key = fc.uint8Array({ maxLength: 12 }).map((bytes) => byteKey(String.fromCharCode(...bytes)));
const natural = fc.oneof(fc.nat(300), fc.maxSafeNat());
const write = fc
  .record({
    key,
    payload: fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined }),
    supersedes: natural.map(seq),
    supersededBytes: natural,
    oldEntries: fc.array(key, { maxLength: 2 }),
  })
  .map((w) => (w.supersedes === 0 ? { ...w, supersededBytes: 0 } : w));
const commits = fc
  .tuple(
    fc.nat(2 ** 40),
    fc.array(fc.record({ id: natural, stamp: natural.map(stamp), tag: fc.string(), writes: fc.array(write) }), {
      minLength: 1,
      maxLength: 3,
    }),
  )
  .map(([first, all]) => all.map((c, i): Commit => ({ ...c, seq: seq(first + i) })));
const inline = commits.map((all) => encodeEntry(7, 3, tabId("tab"), all));
const staged = commits.map((all) => {
  const body = { id: 64, sizeBytes: encodeWrites(all).length };
  const origin = tabId("tab");
  return {
    entry: encodeEntry(7, 3, origin, all, body, supersededThatFits(origin, all, body)),
    body: encodeWrites(all),
  };
});
const entry = fc.oneof(
  inline,
  staged.map((s) => s.entry),
);

test("[MV8] a log entry of any bytes is refused as damaged, or is one that is written so", () => {
  fc.assert(
    fc.property(sealedInputs(entry), (bytes) => {
      const found = attempt(() => decodeEntry(bytes));
      if ("code" in found) return;
      const { firstSeq, lastSeq, commits: all } = found.answer;
      expect(all.length).toBe(lastSeq - firstSeq + 1);
      expect(all.length).toBeGreaterThan(0);
      expect(Number.isSafeInteger(lastSeq)).toBe(true);
      expect(endOf(found.answer).seq).toBe(lastSeq);
    }),
    { numRuns },
  );
});

test("[MV8] an entry that claims no commits, or more than any array holds, is damaged", () => {
  const made: Commit = { seq: seq(1), stamp: stamp(1), id: 1, tag: "", writes: [] };
  const whole = encodeEntry(7, 3, tabId("tab"), [made]);
  const countAt = whole.length - 9;
  expect(whole[countAt]).toBe(1);
  for (const count of [[0], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x80, 0x80, 0x80, 0x80, 0x01]]) {
    const bytes = Uint8Array.from([...whole.subarray(0, countAt), ...count, ...whole.subarray(countAt + 1)]);
    expect(attempt(() => decodeEntry(resealed(bytes, whole)))).toEqual({ code: "CORRUPT" });
  }
});

test("[MV8] the staged writes of an entry, of any bytes, are refused as damaged or are all there", () => {
  fc.assert(
    fc.property(
      staged,
      sealedInputs(staged.map((s) => s.entry)),
      bareInputs(staged.map((s) => s.body)),
      fc.boolean(),
      (whole, mutant, body, isEntryWhole) => {
        const of = attempt(() => decodeEntry(isEntryWhole ? whole.entry : mutant));
        if ("code" in of || of.answer.isWhole) return;
        const found = attempt(() => wholeEntry(of.answer, isEntryWhole ? body : whole.body));
        if ("answer" in found) expect(found.answer.commits).toHaveLength(of.answer.commits.length);
      },
    ),
    { numRuns },
  );
});

test("[MV8] a log of any rows is followed up to what is damaged, and no further", () => {
  const head = { seq: seq(0), checksum: 3, stamp: stamp(0) };
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), sealedInputs(entry)), { maxLength: 3 }), (rows) => {
      const found = rows.map(([at, value]) => ({ key: at, value: value as StoredValue }));
      const chained = attempt(() => chainFrom(found, head), ["FORMAT_UNSUPPORTED"]);
      if ("code" in chained) return;
      let last = 0;
      for (const { firstSeq, lastSeq } of chained.answer.entries) {
        expect(firstSeq).toBe(last + 1);
        last = lastSeq;
      }
      for (const { value } of found) attempt(() => entryIn(value));
    }),
    { numRuns: Math.ceil(numRuns / 3) },
  );
});

test("[MV8] the fence and the mark of a kept log, of any bytes, are refused as damaged or are numbers", () => {
  const head = fc.record({ seq: natural.map(seq), checksum: fc.nat(0xffff_ffff), stamp: natural.map(stamp) });
  const fence = fc
    .tuple(head, fc.nat(0xffff_ffff), natural)
    .map(([h, database, incarnation]) => encodeFence({ ...h, database, incarnation }));
  const mark = fc.tuple(head, head, natural).map(([from, to, sizeBytes]) => {
    const put = putKept({ from, to, sizeBytes });
    return put.kind === "put" ? put.value : expect.unreachable();
  });
  fc.assert(
    fc.property(sealedInputs(fence), sealedInputs(mark), (a, b) => {
      const found = [
        attempt(() => decodeFence(a)),
        attempt(() => keptIn([{ key: "kept-log", value: b as StoredValue }])),
      ];
      for (const one of found) if ("answer" in one) expect(JSON.stringify(one.answer)).not.toContain("null");
    }),
    { numRuns },
  );
});

/** Storage in which these are the chunks of a value. */
const chunksAt = (ref: OutsideRef, rows: readonly Uint8Array[]): Pick<Storage, "read"> => {
  const stored = new Map<unknown, Found>(
    rows.map((row, i) => {
      const { key: at } = chunkAt(ref, i);
      return [at, [{ key: at, value: row as StoredValue }]];
    }),
  );
  return { read: (reads) => Promise.resolve(reads.map((r) => (r.kind === "get" && stored.get(r.key)) || [])) };
};

test("[MV8] a value out of line, of any chunks and any reference, is whole or refused, and takes no more room than it has", async () => {
  const value = fc.uint8Array({ minLength: 1, maxLength: 500 }).chain((v) => {
    const mutants = mutantsOf(fc.constant(encodeChunk(641, v)));
    return fc.tuple(fc.constant(v), fc.option(mutants, { nil: undefined }));
  });
  const size = fc.oneof(
    fc.constant(undefined),
    fc.constantFrom(0, 1, 61_440, 61_441, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 53 - 1),
  );
  await fc.assert(
    fc.asyncProperty(value, size, async ([v, mutant], claimed) => {
      const ref = { id: 640, sizeBytes: claimed ?? v.length };
      expect(chunksOf(v.length)).toBe(1);
      const storage = chunksAt(ref, [mutant ?? encodeChunk(chunkAt(ref, 0).key, v)]);
      const outcome = await attemptAsync(() => loadValues(storage, [ref]));
      if (outcome === undefined) return;
      expect(outcome).toEqual([ref.sizeBytes === 0 ? new Uint8Array(0) : v]);
    }),
    { numRuns: Math.ceil(numRuns / 10) },
  );
});

async function attemptAsync<T>(work: () => Promise<T>): Promise<T | undefined> {
  const before = process.memoryUsage().arrayBuffers;
  try {
    return await work();
  } catch (e) {
    if (isTidemarkError(e, "CORRUPT")) return undefined;
    throw e;
  } finally {
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  }
}
