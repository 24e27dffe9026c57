import { expect, test } from "vitest";
import { counted, formatBytes, formatDuration, formatTime, messageOf, orUnknown, shortId } from "./format.ts";

const plain = (text: string): string => text.replaceAll("\u00a0", " ");

test.each([
  [0, "0 bytes"],
  [1, "1 byte"],
  [1023, "1,023 bytes"],
  [1024, "1.0 KB"],
  [10_188, "9.9 KB"],
  [10_200, "10 KB"],
  [1024 * 1024 - 1, "1.0 MB"],
  [38 * 1024 * 1024, "38 MB"],
  [5 * 1024 ** 4, "5.0 TB"],
  [5000 * 1024 ** 4, "5000 TB"],
])("%d bytes are %s", (bytes, text) => expect(plain(formatBytes(bytes))).toBe(text));

test.each([
  [0.0421, "42 µs"],
  [4.04, "4.0 ms"],
  [10, "10 ms"],
  [1234, "1.2 s"],
  [61_000, "1 min 1 s"],
  [3_600_000 * 5, "5 h 0 min"],
  [86_400_000 * 3, "3 days"],
])("%d ms are %s", (ms, text) => expect(plain(formatDuration(ms))).toBe(text));

test("times are those of today, or have a date", () => {
  const at = new Date(2026, 0, 2, 3, 4, 5, 6).getTime();
  expect(formatTime(at, at)).toBe("03:04:05.006");
  expect(plain(formatTime(at, at + 86_400_000))).toBe("2026-01-02 03:04:05");
});

test("small words", () => {
  expect(plain(counted(1, "entry", "entries"))).toBe("1 entry");
  expect(plain(counted(1200, "commit"))).toBe("1,200 commits");
  expect(orUnknown(undefined, formatBytes)).toBe("unknown");
  expect(shortId("12345678-1234-4abc")).toBe("12345678…");
  expect(shortId("upkeep")).toBe("upkeep");
  expect([messageOf(new Error("why")), messageOf("text")]).toEqual(["why", "text"]);
});
