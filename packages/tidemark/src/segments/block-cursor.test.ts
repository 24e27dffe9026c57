import { describe, expect, test } from "vitest";
import { blockId } from "../base/brand.ts";
import { BlockCursor, type Window } from "./block-cursor.ts";
import { Disk, filledDisk, keys } from "./segments.test-support.ts";
import type { Version } from "./version.ts";

const all: Window = { maxBytes: Infinity, wants: () => true };
const one: Window = { maxBytes: 0, wants: () => true };

/** A cursor over the lowest level, and what it loads, as positions. */
function cursorOf(disk: Disk, from = 0) {
  const blocks = disk.blocks();
  const loads: number[][] = [];
  const cursor = new BlockCursor(
    (i) => blocks[i],
    async (infos) => {
      loads.push(infos.map((info) => blocks.indexOf(info)));
      return infos.map(({ id }) => disk.open(id));
    },
    from,
  );
  return { cursor, loads, blocks };
}

async function walk(cursor: BlockCursor, window: Window): Promise<readonly string[]> {
  const found: string[] = [];
  while (cursor.key !== undefined) {
    const { key } = cursor;
    const versions: Version[] = [];
    if (cursor.needsLoad) await cursor.load(window);
    cursor.take(versions);
    found.push(...versions.map(({ seq }) => `${key}@${seq}`));
  }
  return found;
}

describe("a block cursor", () => {
  test("walks through all versions, however it reads ahead", async () => {
    const disk = await filledDisk();
    const versions = Array.from({ length: 9 }, () => disk.version(new Uint8Array(700))).toReversed();
    await disk.fold([{ ...disk.put("k0040"), versions }]);
    for (const window of [all, one, { maxBytes: 2500, wants: () => true }, { ...all, wants: () => false }]) {
      expect(await walk(cursorOf(disk).cursor, window)).toEqual(disk.content());
    }
  });

  test("reads as many blocks at once as fit, up to the first that is not wanted", async () => {
    const disk = await filledDisk();
    const { cursor, loads, blocks } = cursorOf(disk);
    const wants = (info: (typeof blocks)[number]) => info !== blocks[5];
    await walk(cursor, { maxBytes: blocks.slice(0, 3).reduce((n, { sizeBytes }) => n + sizeBytes, 0), wants });
    expect(loads.slice(0, 3)).toEqual([
      [0, 1, 2],
      [3, 4],
      [5, 6, 7],
    ]);
    expect(loads.flat()).toEqual(blocks.map((_, i) => i));
  });

  test("knows where a block begins without reading it, and can pass over it or go elsewhere", async () => {
    const disk = await filledDisk();
    const { cursor, loads, blocks } = cursorOf(disk, 1);
    expect([cursor.position, cursor.key, cursor.beginning]).toEqual([1, blocks[1]!.first.key, blocks[1]]);
    cursor.skip();
    expect([cursor.position, cursor.beginning]).toEqual([2, blocks[2]]);
    cursor.jump(4);
    expect([cursor.key, cursor.needsLoad, loads]).toEqual([blocks[4]!.first.key, true, []]);
    await cursor.load(one);
    cursor.take([]);
    expect([cursor.position, cursor.beginning]).toEqual([4, undefined]);
    cursor.jump(4);
    expect([cursor.key, cursor.beginning]).toEqual([blocks[4]!.first.key, blocks[4]]);
    cursor.jump(blocks.length);
    expect([cursor.key, cursor.beginning, cursor.needsLoad]).toEqual([undefined, undefined, false]);
    expect(loads).toEqual([[4]]);
  });

  test("refuses blocks other than those that the manifest lists", async () => {
    const bug = expect.objectContaining({ code: "INTERNAL" });
    const disk = new Disk();
    await disk.fold(keys(0, 20).map((key) => disk.put(key)));
    const [first, second] = disk.blocks();
    const loading = (info: typeof first, id = first!.id) =>
      new BlockCursor(
        (i) => [info][i],
        async () => [disk.open(id)],
      ).load(all);
    await expect(loading(first)).resolves.toBeUndefined();
    await expect(loading(first, second!.id)).rejects.toThrow(bug);
    await expect(loading({ ...first!, count: first!.count + 1 })).rejects.toThrow(bug);
    await expect(loading({ ...first!, id: blockId(99) })).rejects.toThrow(bug);
    const cursor = new BlockCursor(
      (i) => [first, second][i],
      async () => [disk.open(first!.id)],
    );
    await expect(cursor.load(all)).rejects.toThrow(bug);
    await expect(
      new BlockCursor(
        () => undefined,
        async () => [],
      ).load(all),
    ).rejects.toThrow(bug);
  });
});
