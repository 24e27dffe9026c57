import fc from "fast-check";
import { expect, test } from "vitest";
import { byteKey, seq, stamp, tabId } from "../base/brand.ts";
import { checksum } from "../base/checksum.ts";
import { isTidemarkError } from "../base/errors.ts";
import { type Commit, decodeEntry, encodeEntry, encodeWrites, entryChecksum, wholeEntry } from "./entry.ts";

const key = fc.uint8Array({ maxLength: 12 }).map((bytes) => byteKey(String.fromCharCode(...bytes)));
const natural = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 10 }));
const write = fc.record({
  key,
  payload: fc.option(
    fc.uint8Array({ maxLength: 300 }).map((b) => Uint8Array.from(b)),
    { nil: undefined },
  ),
  supersedes: natural.map(seq),
  oldEntries: fc.array(key, { maxLength: 3 }),
});
const members = fc.array(
  fc.record({
    id: natural,
    stamp: natural.map(stamp),
    tag: fc.string({ unit: "grapheme" }),
    writes: fc.array(write, { maxLength: 5 }),
  }),
  { minLength: 1, maxLength: 4 },
);
const group = fc
  .record({ first: natural, members, previous: fc.nat(0xffff_ffff), origin: fc.string({ unit: "grapheme" }) })
  .map(({ first, members: all, previous, origin }) => {
    const commits = all.map((m, i): Commit => ({ ...m, seq: seq(first + i) }));
    return { commits, previous, origin: tabId(origin) };
  });

test("an entry is read as it was written", () => {
  fc.assert(
    fc.property(group, ({ commits, previous, origin }) => {
      const bytes = encodeEntry(7, previous, origin, commits);
      expect(decodeEntry(bytes)).toEqual({
        database: 7,
        firstSeq: commits[0]!.seq,
        lastSeq: commits.at(-1)!.seq,
        previous,
        origin,
        commits,
        checksum: entryChecksum(bytes),
        sizeBytes: bytes.length,
        body: undefined,
        isWhole: true,
      });
    }),
  );
});

test("an entry whose writes are stored elsewhere is whole again with them", () => {
  fc.assert(
    fc.property(group, fc.nat(), ({ commits, previous, origin }, id) => {
      const writes = encodeWrites(commits);
      const body = { id, sizeBytes: writes.length };
      const bytes = encodeEntry(7, previous, origin, commits, body);
      const entry = decodeEntry(bytes);
      expect(entry).toMatchObject({ body, isWhole: false, sizeBytes: bytes.length + writes.length });
      expect(entry.commits.every((c) => c.writes.length === 0)).toBe(true);
      const staged = commits.map((c) => ({ ...c, writes: c.writes.map((w) => ({ ...w, supersedes: 0 })) }));
      expect(wholeEntry(entry, writes)).toEqual({ ...entry, commits: staged, isWhole: true });
      for (const cut of new Set([0, writes.length >> 1, writes.length - 1])) {
        expect(() => wholeEntry(entry, writes.subarray(0, cut))).toThrow(expect.objectContaining({ code: "CORRUPT" }));
      }
    }),
  );
});

test("[MV8] every flipped bit of an entry is found, and so is every cut", () => {
  const { commits, previous, origin } = fc.sample(group, { numRuns: 20, seed: 7 }).at(-1)!;
  const bytes = encodeEntry(7, previous, origin, commits);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    expect(codeOf(damaged), `bit ${bit & 7} of byte ${bit >> 3}`).toBe("CORRUPT");
  }
  for (let length = 0; length < bytes.length; length++) expect(codeOf(bytes.subarray(0, length))).toBe("CORRUPT");
  expect(codeOf(Uint8Array.from([...bytes, 0]))).toBe("CORRUPT");
});

test("[MV8] garbage is refused, even with a checksum that fits", () => {
  const start = encodeEntry(7, 0, tabId("t"), [{ seq: seq(1), stamp: stamp(1), id: 1, tag: "", writes: [] }]).subarray(
    0,
    4,
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, isSealed) => {
      const bytes = Uint8Array.from([...start, 0, 0, 0, 0, ...noise]);
      if (isSealed) new DataView(bytes.buffer).setUint32(4, checksum(bytes.subarray(8)), true);
      expect(codeOf(isSealed ? bytes : noise)).toMatch(/^(read|CORRUPT|FORMAT_UNSUPPORTED)$/);
      if (!isSealed) expect(codeOf(noise)).toBe("CORRUPT");
    }),
    { numRuns: 2000 },
  );
});

function codeOf(bytes: Uint8Array): string {
  try {
    decodeEntry(bytes);
    return "read";
  } catch (e) {
    if (isTidemarkError(e)) return e.code;
    throw e;
  }
}
