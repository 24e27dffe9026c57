import fc from "fast-check";
import { expect, test } from "vitest";
import { byteKey, seq, stamp, tabId } from "../base/brand.ts";
import { checksum } from "../base/checksum.ts";
import { isTidemarkError } from "../base/errors.ts";
import {
  type Commit,
  decodeEntry,
  encodeEntry,
  encodeWrites,
  entryChecksum,
  maxEntryBytes,
  supersededThatFits,
  unaccounted,
  wholeEntry,
} from "./entry.ts";

const key = fc.uint8Array({ maxLength: 12 }).map((bytes) => byteKey(String.fromCharCode(...bytes)));
const natural = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 10 }));
const superseded = fc.oneof(
  fc.constant({ supersedes: seq(0), supersededBytes: 0 }),
  fc.record({ supersedes: fc.oneof(fc.constant(3), natural).map((n) => seq(n + 1)), supersededBytes: natural }),
);
const write = fc
  .record({
    key,
    payload: fc.option(
      fc.uint8Array({ maxLength: 300 }).map((b) => Uint8Array.from(b)),
      { nil: undefined },
    ),
    superseded,
    oldEntries: fc.array(key, { maxLength: 3 }),
  })
  .map(({ superseded: of, ...rest }) => ({ ...rest, ...of }));
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
        superseded: undefined,
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
      const known = supersededThatFits(origin, commits, body);
      const bytes = encodeEntry(7, previous, origin, commits, body, known);
      const entry = decodeEntry(bytes);
      expect(entry).toMatchObject({ body, isWhole: false, sizeBytes: bytes.length + writes.length });
      expect(entry.commits.every((c) => c.writes.length === 0)).toBe(true);
      expect(wholeEntry(entry, writes)).toEqual({ ...entry, commits, isWhole: true });
      const lossy = decodeEntry(encodeEntry(7, previous, origin, commits, body));
      expect(wholeEntry(lossy, writes)).toEqual({ ...lossy, commits: unaccounted(commits), isWhole: true });
      for (const cut of new Set([0, writes.length >> 1, writes.length - 1])) {
        expect(() => wholeEntry(entry, writes.subarray(0, cut))).toThrow(expect.objectContaining({ code: "CORRUPT" }));
      }
    }),
  );
});

test("what staged writes supersede is left out where the entry would become too large", () => {
  const body = { id: 1, sizeBytes: 1 };
  const overwriting = (n: number, c: (i: number) => number): Commit => ({
    seq: seq(100_000),
    stamp: stamp(1),
    id: 1,
    tag: "",
    writes: Array.from({ length: n }, (_, i) => ({
      key: byteKey("key"),
      payload: undefined,
      supersedes: seq(c(i)),
      supersededBytes: 200,
      oldEntries: [],
    })),
  });
  const fits = (commit: Commit): number | undefined => supersededThatFits(tabId("t"), [commit], body)?.length;
  expect(fits(overwriting(28_000, () => 7))).toBeLessThan(maxEntryBytes);
  expect(fits(overwriting(29_000, () => 7))).toBeUndefined();
  expect(fits(overwriting(8_000, (i) => 50_000 + i))).toBeLessThan(maxEntryBytes);
  expect(fits(overwriting(10_000, (i) => 50_000 + i))).toBeUndefined();
});

test("an entry of a format that did not say how large what it supersedes is", () => {
  const commit = { seq: seq(9), stamp: stamp(1), id: 1, tag: "" };
  const put = { key: byteKey("k"), payload: Uint8Array.of(0), oldEntries: [] };
  const told = { ...put, supersedes: seq(3), supersededBytes: 5 };
  const bytes = Array.from(encodeEntry(7, 0, tabId("t"), [{ ...commit, writes: [told] }]));
  bytes.splice(bytes.lastIndexOf(5), 1);
  bytes[8] = 2;
  const old = Uint8Array.from(bytes);
  new DataView(old.buffer).setUint32(4, checksum(old.subarray(8)), true);
  expect(decodeEntry(old).commits).toEqual([{ ...commit, writes: [{ ...told, supersededBytes: undefined }] }]);
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
