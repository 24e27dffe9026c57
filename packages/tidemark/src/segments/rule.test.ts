import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byteKey, seq, stamp } from "../base/brand.ts";
import { tablePrefix } from "../codec/record.ts";
import { RetentionPolicy } from "../codec/retention.ts";
import { tableId } from "../base/brand.ts";
import { type Chain, type Clause, judge, never, onRelease, type Rule } from "./rule.ts";
import { ruleAt } from "./segments.test-support.ts";
import type { Version } from "./version.ts";

const key = byteKey(`${tablePrefix(tableId(1))}k`);
const msOf = (at: number): number => at * 1000;
const value = (at: number): Version => ({
  seq: seq(at),
  stamp: stamp(msOf(at) * 1024),
  payload: Uint8Array.of(0, at & 255),
});
const tombstone = (at: number): Version => ({ seq: seq(at), stamp: stamp(msOf(at) * 1024), payload: undefined });

interface Judged {
  readonly kept: readonly number[];
  readonly wakes: readonly number[];
  readonly dropped: readonly (readonly [seq: number, by: number, clause: Clause])[];
}

function judged(versions: readonly Version[], rule: Rule, more: Partial<Chain> = {}): Judged {
  const dropped: [number, number, Clause][] = [];
  const chain: Chain = { key, versions, newer: undefined, position: 0, older: "none", ...more };
  const kept = judge(chain, rule, (version, by, clause) => dropped.push([version.seq, by, clause]));
  return { kept: kept.map(({ version }) => version.seq), wakes: kept.map(({ wake }) => wake), dropped };
}
const kept = (versions: readonly Version[], rule: Rule, more?: Partial<Chain>): readonly number[] =>
  judged(versions, rule, more).kept;

const retaining = (policy: RetentionPolicy, floor: number, nowMs = 0, points: readonly number[] = []): Rule => ({
  ...ruleAt(floor, points),
  nowMs,
  retentionOf: () => policy.retention,
});

/** What a read at `r` finds: the payload, or `undefined` for "no record". */
const read = (versions: readonly Version[], r: number) => versions.find((version) => version.seq <= r)?.payload;

const top = 30;
const chains = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 1, max: top }), fc.boolean()), { selector: ([at]) => at, maxLength: 10 })
  .map((raw) => raw.toSorted(([a], [b]) => b - a).map(([at, lives]) => (lives ? value(at) : tombstone(at))));
const floors = fc.integer({ min: 0, max: top + 2 });
const pointLists = fc.uniqueArray(fc.integer({ min: 0, max: top + 2 }), { maxLength: 4 });
const sorted = (points: readonly number[]): readonly number[] => points.toSorted((a, b) => a - b);
const from = (floor: number): readonly number[] => Array.from({ length: top + 4 - floor }, (_, i) => floor + i);

/** The rule, said once more and naively: who reads there? */
function mustStay(
  versions: readonly Version[],
  i: number,
  floor: number,
  points: readonly number[],
  retained: (i: number) => boolean = () => false,
): boolean {
  if (i === 0) return true;
  const [c, n] = [versions[i]!.seq, versions[i - 1]!.seq];
  return retained(i) || [...points, ...from(floor)].some((r) => c <= r && r < n);
}

describe("the rule", () => {
  test("[VG1][VG3] every read at or above the floor, and at every point, answers as before", () => {
    fc.assert(
      fc.property(chains, floors, pointLists, (versions, floor, points) => {
        const left = kept(versions, ruleAt(floor, sorted(points)));
        const after = versions.filter((v) => left.includes(v.seq));
        for (const r of [...points, ...from(floor)]) expect(read(after, r)).toBe(read(versions, r));
      }),
    );
  });

  test("[VG1][VG7] what goes is all that nobody can see, and no more, in both proof modes", () => {
    fc.assert(
      fc.property(chains, floors, pointLists, (versions, floor, points) => {
        const stays = versions.filter((_, i) => mustStay(versions, i, floor, points));
        const [only] = stays;
        const isGone = stays.length === 1 && only!.payload === undefined && only!.seq < floor;
        const { kept: left, dropped } = judged(versions, ruleAt(floor, sorted(points)));
        expect(left).toEqual(isGone ? [] : stays.map((v) => v.seq));
        expect([...left, ...dropped.map(([at]) => at)].toSorted((a, b) => b - a)).toEqual(versions.map((v) => v.seq));
        for (const [at, by, clause] of dropped) {
          expect(by).toBe(clause === "tombstone" ? at : versions[versions.findIndex((v) => v.seq === at) - 1]!.seq);
          expect(by).toBeLessThanOrEqual(floor);
          if (clause === "floor") expect(points.some((p) => p < at)).toBe(false);
        }
      }),
    );
  });

  test("[VG1] c < floor and a newer version exists, but n > floor: a reader at the floor keeps its row", () => {
    expect(kept([value(9), value(3)], ruleAt(5))).toEqual([9, 3]);
    expect(kept([tombstone(9), value(3)], ruleAt(5))).toEqual([9, 3]);
    expect(kept([value(9), value(3), value(2)], ruleAt(5))).toEqual([9, 3]);
  });

  test("[VG1] a successor exactly at the floor supersedes", () => {
    expect(kept([value(5), value(3)], ruleAt(5))).toEqual([5]);
    expect(kept([value(6), value(3)], ruleAt(5))).toEqual([6, 3]);
  });

  test("[VG1] recovery is correct without what goes: its successor is durable", () => {
    expect(kept([value(9), value(3)], { ...ruleAt(20), checkpoint: seq(8) })).toEqual([9, 3]);
    expect(kept([value(9), value(3)], { ...ruleAt(20), checkpoint: seq(9) })).toEqual([9]);
    expect(kept([tombstone(9)], { ...ruleAt(20), checkpoint: seq(8) })).toEqual([9]);
  });

  test("[VG7] points are points: what lies between two of them, seen by neither, goes", () => {
    const chain = [value(9), value(7), value(5), value(3)];
    expect(kept(chain, ruleAt(9, [3, 7]))).toEqual([9, 7, 3]);
    expect(judged(chain, ruleAt(9, [3, 7])).dropped).toEqual([[5, 7, "interval"]]);
    expect(kept(chain, ruleAt(9, [2, 4, 6, 8]))).toEqual([9, 7, 5, 3]);
    expect(kept(chain, ruleAt(9, [2, 10]))).toEqual([9]);
  });

  test("[VG8] each of several snapshots counts, not only the latest", () => {
    expect(kept([value(9), value(7), value(5)], ruleAt(9, [5, 6, 9]))).toEqual([9, 5]);
  });

  test("[VG2] the newest live version is never removed", () => {
    fc.assert(
      fc.property(chains, floors, pointLists, (older, floor, points) => {
        expect(kept([value(top + 1), ...older], ruleAt(floor, sorted(points)))[0]).toBe(top + 1);
      }),
    );
  });

  test("[VG2] a tombstone goes below the floor, with all that it hides", () => {
    expect(kept([tombstone(4)], ruleAt(5))).toEqual([]);
    expect(kept([tombstone(4), value(3), tombstone(1)], ruleAt(5))).toEqual([]);
    expect(kept([tombstone(5), value(3)], ruleAt(5))).toEqual([5]);
    expect(kept([value(8), tombstone(4), value(3)], ruleAt(5))).toEqual([8, 4]);
    expect(kept([tombstone(6), value(3)], ruleAt(9, [4]))).toEqual([6, 3]);
  });

  test("[VG2] a tombstone that may hide an older copy elsewhere stays", () => {
    expect(kept([tombstone(4), value(3)], ruleAt(5), { older: "maybe" })).toEqual([4]);
    expect(kept([tombstone(4)], ruleAt(5), { older: "some" })).toEqual([4]);
  });

  test("[VG2] of a chain whose newer part is elsewhere, the newest at hand is superseded like any other", () => {
    const newer = { seq: seq(6), stamp: undefined };
    expect(kept([value(4), value(3)], ruleAt(6), { newer, position: 1 })).toEqual([]);
    expect(kept([value(4), value(3)], ruleAt(5), { newer, position: 1 })).toEqual([4]);
  });

  test("[VG14] says from which floor on looking again gains something", () => {
    expect(judged([value(9), value(7), value(3)], ruleAt(5)).wakes).toEqual([never, 9, 7]);
    expect(judged([value(9), value(3)], ruleAt(9, [4])).wakes).toEqual([never, onRelease]);
    expect(judged([tombstone(9)], ruleAt(9)).wakes).toEqual([10]);
    expect(judged([tombstone(9), value(3)], ruleAt(20, [4])).wakes).toEqual([onRelease, onRelease]);
    fc.assert(
      fc.property(chains, floors, pointLists, (versions, floor, points) => {
        const { kept: left, wakes } = judged(versions, ruleAt(floor, sorted(points)));
        const after = versions.filter((v) => left.includes(v.seq));
        const wake = Math.min(...wakes.map((w) => (w === onRelease ? never : w)));
        for (const later of from(floor)) {
          const isDue = judged(after, ruleAt(later, sorted(points))).dropped.length > 0;
          if (isDue) expect(wake).toBeLessThanOrEqual(later);
        }
      }),
    );
  });

  test("a chain that is not newest first is a bug", () => {
    expect(() => kept([value(3), value(4)], ruleAt(5))).toThrow(expect.objectContaining({ code: "INTERNAL" }));
    expect(() => kept([value(3), value(3)], ruleAt(1))).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });
});

describe("retention", () => {
  const chain = [value(9), tombstone(7), value(5), value(3), value(1)];

  test("[GM4] the latest n are kept, tombstones counted", () => {
    expect(kept(chain, retaining(RetentionPolicy.keepLatestN(1), 20))).toEqual([9]);
    expect(kept(chain, retaining(RetentionPolicy.keepLatestN(3), 20))).toEqual([9, 7, 5]);
    expect(kept(chain, retaining(RetentionPolicy.keepLatestN(9), 20))).toEqual([9, 7, 5, 3, 1]);
  });

  test("[GM4] a list or a range keeps what is visible there", () => {
    expect(kept(chain, retaining(RetentionPolicy.keepVersions([4, 8]), 20))).toEqual([9, 7, 3]);
    expect(kept(chain, retaining(RetentionPolicy.keepRange(2, 5), 20))).toEqual([9, 5, 3, 1]);
    expect(kept(chain, retaining(RetentionPolicy.keepVersions([]), 20))).toEqual([9]);
  });

  test("[GM4][VG6] keepFor runs from the successor's stamp, and only holds back", () => {
    const day = RetentionPolicy.keepFor(1 / 86_400); // a second
    expect(kept(chain, retaining(day, 20, msOf(7) + 500))).toEqual([9, 7, 5]);
    expect(kept(chain, retaining(day, 20, msOf(30)))).toEqual([9]);
    expect(kept(chain, retaining(day, 0, msOf(30)))).toEqual([9, 7, 5, 3, 1]);
    const newer = { seq: seq(11), stamp: undefined }; // when, nobody knows
    expect(kept(chain, retaining(day, 20, msOf(30)), { newer, position: 1 })).toEqual([9]);
  });

  test("[GM4] a union keeps what any of its parts keeps", () => {
    const both = RetentionPolicy.union(RetentionPolicy.keepLatestN(2), RetentionPolicy.keepVersions([1]));
    expect(kept(chain, retaining(both, 20))).toEqual([9, 7, 1]);
    const all = RetentionPolicy.keepLatestN(1).and(RetentionPolicy.keepLatestN(2)).and(RetentionPolicy.keepFor(0));
    expect(kept(chain, retaining(all, 20))).toEqual([9, 7]);
  });

  test("[VG1][GM4] no policy lets anything go that somebody sees, and none keeps less than without it", () => {
    const policies = fc.oneof(
      fc.integer({ min: 1, max: 5 }).map((n) => RetentionPolicy.keepLatestN(n)),
      pointLists.map((seqs) => RetentionPolicy.keepVersions(seqs)),
      fc.tuple(floors, floors).map(([a, b]) => RetentionPolicy.keepRange(Math.min(a, b), Math.max(a, b))),
    );
    fc.assert(
      fc.property(chains, floors, pointLists, policies, (versions, floor, points, policy) => {
        const { latest = 0, ranges = [] } = policy.retention;
        const isRetained = (i: number): boolean =>
          i < latest ||
          ranges.some(([a, b]) =>
            from(0).some((r) => a <= r && r <= b && versions[i]!.seq <= r && r < versions[i - 1]!.seq),
          );
        const stays = versions.filter((_, i) => mustStay(versions, i, floor, points, isRetained));
        const [only] = stays;
        const isGone = stays.length === 1 && only!.payload === undefined && only!.seq < floor;
        const left = kept(versions, retaining(policy, floor, 0, sorted(points)));
        expect(left).toEqual(isGone ? [] : stays.map((v) => v.seq));
      }),
    );
  });

  test.each([
    ["keepLatestN", () => RetentionPolicy.keepLatestN(0)],
    ["keepLatestN", () => RetentionPolicy.keepLatestN(-1)],
    ["keepLatestN", () => RetentionPolicy.keepLatestN(1.5)],
    ["keepVersions", () => RetentionPolicy.keepVersions([-1])],
    ["keepRange", () => RetentionPolicy.keepRange(5, 4)],
    ["keepFor", () => RetentionPolicy.keepFor(-1)],
    ["keepFor", () => RetentionPolicy.keepFor(Number.NaN)],
  ])("[GM4] %s refuses what is out of range, and says so", (option, make) => {
    expect(make).toThrow(expect.objectContaining({ code: "OPTIONS_INVALID", details: { option } }));
  });
});
