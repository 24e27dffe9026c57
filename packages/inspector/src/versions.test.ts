import type { GcHolder, GcProof } from "tidemark";
import { describe, expect, test } from "vitest";
import { isSameKey, keyAt, keyText, statesOf, typedKey } from "./versions.ts";

const holder = (kind: GcHolder["kind"], seq: number): GcHolder => {
  return { id: `${kind}/${seq}`, kind, owner: `${seq}`, seq, behind: 0, bytesHeld: 0, frees: 0 };
};
const proof = (seq: number): GcProof => {
  return { collection: "c", key: "a", seq, supersededBy: 9, floor: 9, clause: "floor", bytes: 1 };
};

describe("what becomes of versions 9, 5 and 2", () => {
  const versions = [{ seq: 9 }, { seq: 5 }, { seq: 2 }];
  const states = (floor: number, checkpoint: number, holders: readonly GcHolder[], proofs?: readonly GcProof[]) =>
    statesOf(versions, { explanation: { floor, holders }, checkpoint, ...(proofs && { proofs }) });

  test("the newest is live; the others may go once floor and checkpoint are past what superseded them", () => {
    expect(states(9, 9, [])).toEqual([{ is: "live" }, { is: "reclaimable", by: 9 }, { is: "reclaimable", by: 5 }]);
    expect(states(9, 6, [])).toEqual([{ is: "live" }, { is: "waiting", by: 9 }, { is: "reclaimable", by: 5 }]);
  });

  test("who reads in between keeps a version, by name; who reads below keeps the floor from rising", () => {
    const [snapshot, tab] = [holder("snapshot", 3), holder("pin", 6)];
    expect(states(3, 9, [snapshot, tab])).toEqual([
      { is: "live" },
      { is: "held", by: 9, readers: [tab], holdsFloor: snapshot },
      { is: "held", by: 5, readers: [snapshot], holdsFloor: snapshot },
    ]);
    const low = holder("snapshot", 1);
    expect(states(1, 9, [low])).toEqual([
      { is: "live" },
      { is: "held", by: 9, readers: [], holdsFloor: low },
      { is: "held", by: 5, readers: [], holdsFloor: low },
    ]);
  });

  test("between two snapshots that do not see it a version goes, if the floor is past it", () => {
    const points = [holder("snapshot", 1), holder("snapshot", 10)];
    expect(states(9, 9, points).map(({ is }) => is)).toEqual(["live", "reclaimable", "reclaimable"]);
  });

  test("the log and a consumer hold the floor, and see nothing", () => {
    const log = holder("checkpoint", 2);
    expect(states(2, 2, [log])[2]).toEqual({ is: "held", by: 5, readers: [], holdsFloor: log });
    expect(states(2, 2, [])[2]).toEqual({ is: "held", by: 5, readers: [], holdsFloor: undefined });
  });

  test("a proof settles it; without one, what could go by the floor is retained by something else", () => {
    expect(states(9, 9, [], [proof(5)])).toEqual([
      { is: "live" },
      { is: "reclaimable", by: 9, proof: proof(5) },
      { is: "retained", by: 5 },
    ]);
  });

  test("a deletion is a version too", () => {
    const situation = { explanation: { floor: 9, holders: [] }, checkpoint: 9 };
    expect(statesOf([{ seq: 9, deleted: true }, { seq: 5 }], situation)).toEqual([
      { is: "deleted" },
      { is: "reclaimable", by: 9 },
    ]);
    expect(statesOf([{ seq: 9, deleted: true }], { ...situation, proofs: [proof(9)] })).toEqual([
      { is: "deleted", proof: proof(9) },
    ]);
    expect(statesOf([], situation)).toEqual([]);
  });
});

test("keys are read at their path, written, compared, and understood when typed", () => {
  const at = new Date(Date.UTC(2026, 0, 1));
  expect(keyAt({ a: { b: 1 } }, "a.b")).toBe(1);
  expect(keyAt({ a: 1, at }, ["a", "at"])).toEqual([1, at]);
  expect(keyAt({}, "a.b")).toBeUndefined();
  expect(keyText([1, "x", at, new Uint8Array([1, 255])])).toBe('[1, "x", Date(2026-01-01T00:00:00.000Z), bytes(01ff)]');
  expect(keyText(new Date(Number.NaN))).toBe("Date(invalid)");
  expect(isSameKey(new Uint8Array([1]), new Uint8Array([1]).buffer)).toBe(true);
  expect(isSameKey("1", 1)).toBe(false);
  expect(["12", '"12"', "[1,2]", "abc", "null", '{"a":1}'].map(typedKey)).toEqual([
    12,
    "12",
    [1, 2],
    "abc",
    "null",
    '{"a":1}',
  ]);
});
