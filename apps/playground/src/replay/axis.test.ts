import { expect, test } from "vitest";
import { byteTicks, countTicks } from "./axis.ts";

test("linear lines are round, and the last is at the top or above", () => {
  expect(byteTicks(4.7e9, "linear")).toEqual([0, 1e9, 2e9, 3e9, 4e9, 5e9]);
  expect(byteTicks(1e6, "linear")).toEqual([0, 2e5, 4e5, 6e5, 8e5, 1e6]);
});

test("logarithmic lines are powers of ten from 1 kB on", () => {
  expect(byteTicks(4.7e9, "log")).toEqual([1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10]);
  expect(byteTicks(500, "log")).toEqual([1e3, 1e4, 1e5]);
});

test("counts end within the axis", () => {
  expect(countTicks(137_154, 5)).toEqual([0, 50_000, 100_000]);
  expect(countTicks(2000, 5)).toEqual([0, 500, 1000, 1500, 2000]);
  expect(countTicks(2000, 2)).toEqual([0, 1000, 2000]);
});
