import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { seq, stamp } from "../base/brand.ts";
import { retain } from "./drop.ts";
import type { Version } from "./version.ts";

const value = (at: number): Version => ({ seq: seq(at), stamp: stamp(at), payload: Uint8Array.of(at & 255) });
const tombstone = (at: number): Version => ({ seq: seq(at), stamp: stamp(at), payload: undefined });
const kept = (versions: readonly Version[], floor: number, complete = true): readonly number[] =>
  retain(versions, seq(floor), complete).map((version) => version.seq);
/** What a read at `r` finds: the payload, or `undefined` for "no record". */
const read = (versions: readonly Version[], r: number) => versions.find((version) => version.seq <= r)?.payload;

const top = 30;
const chains = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 1, max: top }), fc.boolean()), { selector: ([at]) => at, maxLength: 10 })
  .map((raw) => raw.toSorted(([a], [b]) => b - a).map(([at, lives]) => (lives ? value(at) : tombstone(at))));
const floors = fc.integer({ min: 0, max: top + 2 });

/** The rule, said once more and naively: what of `versions` has to go. */
function reclaimable(versions: readonly Version[], v: Version, floor: number, complete: boolean): boolean {
  const superseded = versions.some((n) => n.seq > v.seq && n.seq <= floor);
  const newest = versions.every((n) => n.seq <= v.seq);
  return superseded || (newest && complete && v.payload === undefined && v.seq < floor);
}

describe("retain", () => {
  test("[VG1] every read at or above the floor answers as before", () => {
    fc.assert(
      fc.property(chains, floors, fc.boolean(), (versions, floor, complete) => {
        const after = retain(versions, seq(floor), complete);
        for (let r = floor; r <= top + 3; r++) expect(read(after, r)).toBe(read(versions, r));
      }),
    );
  });

  test("[VG1] what goes is all that the rule lets go, and no more", () => {
    fc.assert(
      fc.property(chains, floors, fc.boolean(), (versions, floor, complete) => {
        const expected = versions.filter((v) => !reclaimable(versions, v, floor, complete));
        expect(retain(versions, seq(floor), complete)).toEqual(expected);
        expect(retain(expected, seq(floor), complete)).toEqual(expected);
      }),
    );
  });

  test("[VG1] c < floor and a newer version exists, but n > floor: a reader at the floor keeps its row", () => {
    expect(kept([value(9), value(3)], 5)).toEqual([9, 3]);
    expect(kept([tombstone(9), value(3)], 5)).toEqual([9, 3]);
    expect(kept([value(9), value(3), value(2)], 5)).toEqual([9, 3]);
  });

  test("[VG1] a successor exactly at the floor supersedes", () => {
    expect(kept([value(5), value(3)], 5)).toEqual([5]);
    expect(kept([value(6), value(3)], 5)).toEqual([6, 3]);
  });

  test("[VG2] the newest live version is never removed", () => {
    fc.assert(
      fc.property(chains, floors, fc.boolean(), (older, floor, complete) => {
        const newest = value(top + 1);
        expect(retain([newest, ...older], seq(floor), complete)[0]).toBe(newest);
      }),
    );
  });

  test("[VG2] a tombstone goes below the floor, with all that it hides", () => {
    expect(kept([tombstone(4)], 5)).toEqual([]);
    expect(kept([tombstone(4), value(3), tombstone(1)], 5)).toEqual([]);
    expect(kept([tombstone(5), value(3)], 5)).toEqual([5]);
    expect(kept([value(8), tombstone(4), value(3)], 5)).toEqual([8, 4]);
  });

  test("[VG2] a tombstone that may hide an older copy elsewhere stays", () => {
    expect(kept([tombstone(4), value(3)], 5, false)).toEqual([4]);
  });

  test("a chain that is not newest first is a bug", () => {
    expect(() => kept([value(3), value(4)], 5)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
    expect(() => kept([value(3), value(3)], 1)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });
});
