import { expect, test } from "vitest";
import { formatBytes, formatDuration, formatTimes, median, quantile } from "./format.ts";

const plain = (text: string): string => text.replaceAll("\u00a0", " ");

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.00 kB"],
  [38_240_000, "38.2 MB"],
  [999_600, "1.00 MB"],
  [4_696_956_693, "4.70 GB"],
  [52_000_000_000_000, "52000 GB"],
])("%i bytes are %s", (bytes, text) => expect(plain(formatBytes(bytes))).toBe(text));

test.each([
  [0.04, "0.0 ms"],
  [9.94, "9.9 ms"],
  [9.96, "10 ms"],
  [999.6, "1.00 s"],
  [12_340, "12.3 s"],
  [61_000, "1 min 1 s"],
])("%d ms are %s", (ms, text) => expect(plain(formatDuration(ms))).toBe(text));

test("times have two digits that count", () => {
  expect([1.04, 9.96, 68.4, 1234].map(formatTimes)).toEqual(["1.0", "10", "68", "1,200"]);
});

test("medians and other quantiles", () => {
  expect(median([])).toBeUndefined();
  expect(median([3, 1, 2])).toBe(2);
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
  expect(quantile(hundred, 0.99)).toBe(100);
  expect(quantile([5], 0.99)).toBe(5);
});
