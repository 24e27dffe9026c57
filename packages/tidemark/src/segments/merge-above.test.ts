import { describe, expect, test } from "vitest";
import { byteKey } from "../base/brand.ts";
import { levelCount } from "./manifest.ts";
import type { Pace } from "./pace.ts";
import { Disk, filledDisk, keys, referring } from "./segments.test-support.ts";

const upper = levelCount - 2;

describe("blocks from above", () => {
  test("[VG14] move without being read where they meet nothing, and keep their ids", async () => {
    const disk = await filledDisk();
    const before = disk.ids();
    await disk.fold(
      keys(100, 140).map((key) => disk.put(key)),
      { level: upper },
    );
    const above = disk.blocks(upper);
    const moved = above.filter(({ sizeBytes }) => sizeBytes >= 500);
    const { removed, added, written } = await disk.sink(upper, moved);
    expect([disk.loads, disk.stores, removed]).toEqual([[], [], []]);
    expect(added).toEqual(moved);
    expect(written).toEqual({ blocks: 0, bytes: 0 });
    expect(disk.ids()).toEqual([...before, ...moved.map(({ id }) => id)]);
  });

  test("[VG14] rewrite only what they meet", async () => {
    const disk = await filledDisk();
    const before = disk.blocks();
    const inside = (i: number) => disk.put(before[i]!.first.key);
    await disk.fold([inside(2), inside(3)], { level: upper });
    const above = disk.blocks(upper);
    const { removed } = await disk.sink(upper, above);
    expect(removed).toEqual(before.slice(2, 4));
    expect(new Set(disk.loaded)).toEqual(new Set([...above, ...removed].map(({ id }) => id)));
    expect(disk.loaded.length).toBe(3);
  });

  test("[VG14] those that move pass between stretches, and read-ahead leaves them out", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("c", 600), disk.put("g", 600)]);
    const [c, g] = disk.blocks();
    await disk.fold(
      ["b", "c", "d", "e", "f", "g", "h"].map((key) => disk.put(key, 600)),
      { level: upper },
    );
    const above = disk.blocks(upper);
    const { removed, added } = await disk.sink(upper, above);
    const still = ["b", "d", "e", "f", "h"];
    expect(added.filter((info) => above.includes(info)).map(({ first }) => first.key)).toEqual(still);
    expect(removed).toEqual([c, g]);
    expect(new Set(disk.loaded)).toEqual(new Set([c, g, above[1], above[5]].map((info) => info!.id)));
    expect(disk.loaded.length).toBe(4);
    expect(
      disk
        .content()
        .map((one) => one[0])
        .join(""),
    ).toBe("bccdefggh");
  });

  test("[VG14] a small neighbour below is no reason to read a block that moves", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("b", 600)]);
    await disk.fold([disk.put("f", 100)]);
    await disk.fold([disk.put("b", 600), disk.put("d", 600)], { level: upper });
    const above = disk.blocks(upper);
    expect(above.map(({ first }) => first.key)).toEqual(["b", "d"]);
    const { added } = await disk.sink(upper, above);
    expect(added).toContain(above[1]);
    expect(disk.loaded).not.toContain(above[1]!.id);
  });

  test("a small block below, passed by one that moved, stays where it is", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("a", 100)]); // small
    await disk.fold([disk.put("c", 600)], { level: upper });
    await disk.fold([disk.put("e", 600), disk.remove("f")], { level: upper });
    const above = disk.blocks(upper);
    expect(above.map(({ tombstones }) => tombstones)).toEqual([0, 1]);
    await disk.sink(upper, above, { floor: 3 });
    expect(disk.content()).toEqual(["a@1", "c@2", "e@3", "f@4"]);
  });

  test("are rewritten where that gains something: tombstones, obsolete versions, small ones", async () => {
    for (const rows of [
      (disk: Disk) => [disk.put("x", 600), disk.remove("y")],
      (disk: Disk) => [disk.put("x", 100)],
      (disk: Disk) => {
        const versions = [disk.version(new Uint8Array(300)), disk.version(new Uint8Array(300))].toReversed();
        return [{ key: byteKey("x"), versions }];
      },
    ]) {
      const disk = await filledDisk();
      await disk.fold(rows(disk), { level: upper });
      const above = disk.blocks(upper);
      const { added } = await disk.sink(upper, above, { floor: 1000 });
      expect(disk.loaded).toEqual(above.map(({ id }) => id));
      expect(added.map(({ count, tombstones, obsolete }) => [count, tombstones, obsolete])).toEqual([[1, 0, 0]]);
    }
  });

  test("[VG2] a tombstone stays where a level below may hold what it hides, and goes where none does", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("b"), disk.put("d")]);
    await disk.fold([disk.put("m")], { level: upper });
    await disk.fold([disk.remove("a"), disk.remove("c"), disk.remove("d"), disk.remove("e")], {
      level: upper,
      floor: 100,
    });
    expect(disk.content(upper)).toEqual(["c@5", "d@6", "m@3"]); // nobody has looked whether the block holds c
    const { dropped } = await disk.sink(upper, disk.blocks(upper), { floor: 100 });
    expect(dropped.versions).toBe(3);
    expect(disk.content()).toEqual(["b@1", "m@3"]);
  });

  test("[VG1] a value out of line goes with the last version that anybody can read, whatever an older one below says", async () => {
    const disk = new Disk();
    const refer = (id: number) => disk.version(referring(id));
    const b = byteKey("b");
    await disk.fold([{ key: b, versions: [refer(64)] }]);
    const again = refer(64); // a record is written again with its value, as when an index is built
    const { lost } = await disk.fold([{ key: b, versions: [refer(128), again] }], { level: upper, floor: 3 });
    expect([disk.content(upper), disk.content()]).toEqual([["b@3"], ["b@1"]]);
    expect(lost.map(({ id }) => id)).toEqual([64]); // b@1 is hidden from everybody at or above the floor
    const sunk = await disk.sink(upper, disk.blocks(upper), { floor: 3 });
    expect([disk.content(upper), disk.content()]).toEqual([[], ["b@3"]]);
    expect(sunk.lost.map(({ id }) => id)).toEqual([64]); // to delete it again does no harm
  });

  test("[VG2] the older part of a chain goes down while its newer part stays above", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("b", 700)]);
    const versions = Array.from({ length: 4 }, () => disk.version(new Uint8Array(700))).toReversed();
    await disk.fold([{ key: byteKey("b"), versions }], { level: upper });
    const above = disk.blocks(upper);
    expect(above.map(({ first }) => first.seq)).toEqual([5, 4, 3, 2]);
    await disk.sink(upper, above.slice(2), { floor: 2 });
    expect(disk.content(upper)).toEqual(["b@5", "b@4"]);
    expect(disk.content()).toEqual(["b@3", "b@2"]);
  });
});

describe("the pace", () => {
  const paceOf = (isDue: () => boolean) => {
    const pauses: number[] = [];
    const pace: Pace = {
      isDue,
      pause: async () => {
        pauses.push(pauses.length);
        await Promise.resolve();
      },
    };
    return { pace, pauses };
  };

  test("is kept: a merge pauses wherever a slice is over, and nowhere else", async () => {
    const changes = (disk: Disk) => keys(0, 400).map((key) => disk.put(key));
    const disk = new Disk();
    const never = paceOf(() => false);
    await disk.fold(changes(disk), { pace: never.pace });
    expect(never.pauses).toEqual([]);

    let looks = 0;
    const other = new Disk();
    const sometimes = paceOf(() => ++looks % 3 === 0);
    await other.fold(changes(other), { pace: sometimes.pace });
    expect(looks).toBeGreaterThanOrEqual(400 / 16);
    expect(sometimes.pauses.length).toBe(Math.floor(looks / 3));

    const third = new Disk();
    const always = paceOf(() => true);
    await third.fold(changes(third), { pace: always.pace });
    expect(always.pauses.length).toBe(looks);
    expect([...third.stored]).toEqual([...disk.stored]); // [VG5]
    expect([...other.stored]).toEqual([...disk.stored]);
  });

  test("is kept by a compaction too", async () => {
    const disk = await filledDisk();
    await disk.fold(
      keys(0, 80).map((key) => disk.put(key)),
      { level: upper },
    );
    const { pace, pauses } = paceOf(() => true);
    await disk.sink(upper, disk.blocks(upper), { pace });
    expect(pauses.length).toBeGreaterThanOrEqual(80 / 16);
  });

  test("a pause that fails ends the merge, and the old manifest holds", async () => {
    const disk = await filledDisk();
    const [before, content] = [disk.manifest, disk.content()];
    const gone = new Error("the tab closes");
    const pace: Pace = { isDue: () => true, pause: () => Promise.reject(gone) };
    await expect(
      disk.fold(
        keys(0, 80).map((key) => disk.put(key)),
        { pace },
      ),
    ).rejects.toBe(gone);
    expect(disk.manifest).toBe(before);
    expect(disk.content()).toEqual(content);
  });
});
