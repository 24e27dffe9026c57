import { expect, test } from "vitest";
import { pushBounded, Series } from "./series.ts";

test("memory is bounded, both ends stay, and points stay evenly apart", () => {
  const series = new Series(["n"], 64);
  const total = 10_000;
  for (let at = 0; at < total; at++) {
    series.add(at, { n: at * 2 });
    expect(series.length).toBeLessThanOrEqual(64);
    expect(series.times.at(-1)).toBe(at); // the newest is always there
  }
  expect(series.times[0]).toBe(0);
  expect(series.of("n")).toEqual(series.times.map((at) => at * 2));
  const gaps = series.times.slice(1, -1).map((at, i) => at - series.times[i]!);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(4 * Math.min(...gaps));
  expect(series.length).toBeGreaterThan(24);
});

test("a list keeps its newest", () => {
  expect([1, 2, 3, 4].reduce<number[]>((list, n) => pushBounded(list, n, 3), [])).toEqual([2, 3, 4]);
});
