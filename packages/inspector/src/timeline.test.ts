import { expect, test } from "vitest";
import { layOut } from "./timeline.ts";

const strip = { now: 100_000, windowMs: 60_000, widthPx: 600, lanePx: 40 };

test("of slices and of frames that fall together the longest is shown, and told apart where it is late", () => {
  const near = (...ms: number[]) => ms.map((one, i) => ({ at: 70_000 + i, ms: one }));
  const { slices, frames } = layOut(near(1, 4, 2), [{ at: 1, ms: 500 }, ...near(10, 40, 12)], [], strip);
  expect(slices).toEqual([{ x: 300, width: 2, height: 10, isHigh: false }]);
  expect(frames).toEqual([{ x: 300, width: 2, height: 32, isHigh: true }]);
  const late = layOut(near(9), near(500), [], strip);
  expect(late.slices).toEqual([{ x: 300, width: 2, height: 22.5, isHigh: true }]);
  expect(late.frames).toEqual([{ x: 300, width: 2, height: 40, isHigh: true }]);
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
