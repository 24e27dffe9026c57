import { expect, test } from "vitest";
import { byteKey } from "../base/brand.ts";
import { ChangeCursor, noChanges } from "./changes.ts";
import { Disk, keys, ListedChanges } from "./segments.test-support.ts";

const listed = (...names: readonly string[]) => {
  const disk = new Disk();
  return new ListedChanges(names.map((key) => disk.put(key, 1)));
};

test("a cursor walks through all changes, reading a bounded number at a time", () => {
  for (const count of [0, 1, 255, 256, 257, 512, 1000]) {
    const source = listed(...keys(0, count));
    const cursor = new ChangeCursor(source);
    expect(source.keysRead).toBeLessThanOrEqual(256);
    const taken = [];
    while (cursor.key !== undefined) {
      const { key } = cursor;
      taken.push(cursor.take());
      expect(taken.at(-1)!.key).toBe(key);
    }
    expect(taken).toEqual(source.list);
    expect(source.keysRead).toBe(count);
  }
});

test("a cursor can tell whether anything ahead changes in a range of keys, far ahead too", () => {
  const names = keys(0, 1000).filter((_, i) => i % 10 === 0 || i < 300);
  const cursor = new ChangeCursor(listed(...names));
  for (let i = 0; i < 5; i++) cursor.take();
  const meets = (from: string, to: string) => cursor.meets(byteKey(from), byteKey(to));
  for (let i = 5; i < 1000; i += 3) {
    for (const length of [0, 1, 8, 9, 20]) {
      const [from, to] = keys(i, i + length + 1);
      const last = keys(i + length, i + length + 1)[0]!;
      expect(meets(from!, last)).toBe(names.some((name) => name >= from! && name <= last));
      if (to !== undefined) expect(meets(`${from}x`, `${from}y`)).toBe(false);
    }
  }
  expect(meets("k0005", "k0005")).toBe(true);
  expect(meets("l", "z")).toBe(false);
});

test("where nothing changes there is nothing to walk", () => {
  const cursor = new ChangeCursor(noChanges);
  expect([cursor.key, cursor.meets(byteKey(""), byteKey("z"))]).toEqual([undefined, false]);
});
