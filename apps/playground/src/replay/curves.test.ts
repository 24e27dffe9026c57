import { expect, test } from "vitest";
import { Curve, expectedCurve } from "./curves.ts";

test("a curve keeps the highest point of each column, and its end", () => {
  const curve = new Curve(3000); // ten commits a column
  for (const [commits, bytes] of [
    [1, 5],
    [2, 9],
    [3, 4],
    [11, 1],
    [12, 0],
  ] as const) {
    curve.add({ commits, bytes });
  }
  expect(curve.points).toEqual([
    { commits: 2, bytes: 9 },
    { commits: 11, bytes: 1 },
    { commits: 12, bytes: 0 },
  ]);
});

test("a curve stays short however many points come", () => {
  const curve = new Curve(100_000);
  for (let commits = 0; commits <= 100_000; commits++) curve.add({ commits, bytes: commits });
  expect(curve.points.length).toBeLessThan(310);
  expect(curve.points.at(-1)).toEqual({ commits: 100_000, bytes: 100_000 });
});

test("every version whole: the sum of all lengths", () => {
  const session = {
    startContent: "ab",
    endContent: "abXY",
    txns: [{ patches: [[2, 0, "XYZ"]] }, { patches: [[4, 1, ""]] }, { patches: [] }],
  } as const;
  expect(expectedCurve(session, 3).at(-1)).toEqual({ commits: 3, bytes: 5 + 4 + 4 });
  expect(expectedCurve(session, 1).at(-1)).toEqual({ commits: 1, bytes: 5 });
});
