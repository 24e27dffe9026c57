import { expect, test } from "vitest";
import { pauseAfter } from "./inspection.ts";

test("the pause grows with what looks take, so that they take about a fiftieth of the time", () => {
  const pause = (tookMs: number, isRunning = false): number => pauseAfter([tookMs, tookMs, tookMs], isRunning);
  expect([1, 20, 40, 300, 10_000].map((ms) => pause(ms))).toEqual([1000, 1000, 2000, 5000, 5000]);
  expect([1, 20].map((ms) => pause(ms, true))).toEqual([500, 1000]);
});

test("a look that was held up is no measure", () => {
  expect(pauseAfter([], false)).toBe(1000);
  expect(pauseAfter([800], false)).toBe(1000);
  expect(pauseAfter([4, 800, 5], false)).toBe(1000);
  expect(pauseAfter([4, 800, 800, 100], false)).toBe(5000);
});
