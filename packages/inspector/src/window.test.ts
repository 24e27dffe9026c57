import { expect, test } from "vitest";
import { maxHeightPx, scrollTo, windowOf } from "./window.ts";

const list = (total: number, scrollTop: number) => ({ total, rowPx: 30, viewportPx: 300, scrollTop });

test("a short list is drawn as it is", () => {
  expect(windowOf(list(100, 0))).toEqual({ heightPx: 3000, first: 0, count: 11, topPx: 0 });
  expect(windowOf(list(100, 45))).toEqual({ heightPx: 3000, first: 1, count: 11, topPx: 30 });
  expect(windowOf(list(3, 0))).toEqual({ heightPx: 90, first: 0, count: 3, topPx: 0 });
  expect(windowOf(list(0, 0))).toMatchObject({ heightPx: 0, count: 0 });
});

test.each([1_000_000, 100_000_000])("of %d rows every one can be reached, and browsers draw it", (total) => {
  const { heightPx, first } = windowOf(list(total, 0));
  expect([heightPx, first]).toEqual([maxHeightPx, 0]);
  const end = windowOf(list(total, heightPx - 300));
  expect(end.first + end.count).toBe(total);
  for (const row of [0, 1, 12_345, total >> 1, total - 1]) {
    const shown = windowOf(list(total, scrollTo(row, list(total, heightPx / 3))));
    expect(row).toBeGreaterThanOrEqual(shown.first);
    expect(row).toBeLessThan(shown.first + shown.count);
    const topOfRow = shown.topPx + (row - shown.first) * 30;
    const seenFrom = scrollTo(row, list(total, heightPx / 3));
    expect(topOfRow).toBeGreaterThan(seenFrom - 1); // whole, but for rounding
    expect(topOfRow + 30).toBeLessThan(seenFrom + 301);
  }
});

test("what is in sight does not move, and the least way is taken", () => {
  expect(scrollTo(5, list(100, 0))).toBe(0);
  expect(scrollTo(10, list(100, 0))).toBe(30);
  expect(scrollTo(3, list(100, 300))).toBe(90);
  expect(scrollTo(2, list(3, 0))).toBe(0);
});
