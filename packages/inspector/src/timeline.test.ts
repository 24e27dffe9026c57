import { expect, test } from "vitest";
import { layOut } from "./timeline.ts";

const strip = { now: 100_000, windowMs: 60_000, widthPx: 600, lanePx: 40 };

test("upkeep is laid out as a share of its time, under a top that fits", () => {
  const beat = (at: number, workMs: number) => ({ at, spanMs: 1000, slices: 1, workMs });
  const quiet = layOut([beat(30_000, 900), beat(50_000, 40), beat(60_000, 0)], [], [], strip);
  expect(quiet.topShare).toBe(0.05); // what is out of sight does not count
  expect(quiet.work).toEqual([{ x: 90, width: 9, height: expect.closeTo(32), isHigh: false }]);
  const busy = layOut([beat(50_000, 40), beat(99_000, 800)], [], [], strip);
  expect(busy.topShare).toBe(1);
  expect(busy.work.map(({ height, isHigh }) => [Math.round(height), isHigh])).toEqual([
    [2, false],
    [32, true],
  ]);
});

test("of frames that fall together the worst is shown", () => {
  const frames = [10, 40, 12].map((ms, i) => ({ at: 70_000 + i, ms }));
  const late = { x: 300, width: 2, height: 32, isHigh: true };
  expect(layOut([], [{ at: 1, ms: 500 }, ...frames], [], strip).frames).toEqual([late]);
  expect(layOut([], [{ at: 70_000, ms: 500 }], [], strip).frames).toEqual([{ ...late, height: 40 }]);
});

test("runs reach from their beginning to their end, or to now", () => {
  const spans = [
    { id: 1, from: 0, to: 10 },
    { id: 2, from: 20_000, to: 70_000 },
    { id: 3, from: 94_000 },
  ];
  expect(layOut([], [], spans, strip).spans).toEqual([
    { id: 2, x: 0, width: 300 },
    { id: 3, x: 540, width: 60 },
  ]);
});
