import { describe, expect, test } from "vitest";
import { byteKey, seq, stamp, tableId } from "../base/brand.ts";
import { Disk, filledDisk, keys, referring } from "./segments.test-support.ts";
import type { Version } from "./version.ts";

const targetBytes = 1000;

describe("a fold", () => {
  test("[VG14] blocks that no change touches are neither read nor rewritten", async () => {
    const disk = await filledDisk();
    const before = disk.ids();
    expect(before.length).toBeGreaterThan(8);
    const { first } = disk.blocks()[4]!;
    const { removed } = await disk.fold([disk.put(first.key)]);
    expect(disk.loaded).toEqual([before[4]]);
    expect(removed.map(({ id }) => id)).toEqual([before[4]]);
    expect(disk.ids().filter((id) => before.includes(id))).toEqual(before.toSpliced(4, 1));
  });

  test("[VG14] changes far apart rewrite two stretches and nothing between them", async () => {
    const disk = await filledDisk();
    const before = disk.ids();
    await disk.fold([disk.put("k0000x"), disk.put(disk.blocks()[6]!.last.key)]);
    expect(disk.loaded).toEqual([before[0], before[6]]);
  });

  test("[VG14] reading ahead passes over what no change touches", async () => {
    const disk = await filledDisk();
    const before = disk.blocks();
    const touched = [2, 3, 4, 6];
    await disk.fold(touched.map((i) => disk.put(before[i]!.first.key)));
    expect(disk.loads).toEqual([[2, 3, 4].map((i) => before[i]!.id), [before[6]!.id]]);
  });

  test("[VG14] a key between two full blocks becomes a block without reading any", async () => {
    const disk = await filledDisk();
    const { last } = disk.blocks()[2]!;
    const { removed } = await disk.fold([disk.put(`${last.key}x`)]);
    expect(disk.loaded).toEqual([]);
    expect(removed).toEqual([]);
    expect(disk.blocks()[3]!.count).toBe(1);
  });

  test("small neighbours of a stretch that is rewritten join it", async () => {
    const disk = await filledDisk();
    const { last } = disk.blocks()[2]!;
    await disk.fold([disk.put(`${last.key}x`)]);
    const blocks = disk.ids();
    await disk.fold([disk.put(`${last.key}y`)]);
    expect(disk.loaded).toEqual([blocks[3]]);
    expect(disk.blocks()[3]!.count).toBe(2);
    await disk.fold([disk.put(disk.blocks()[2]!.first.key)]);
    expect(disk.loaded.length).toBe(2);
    expect(disk.blocks().every((block) => block.sizeBytes <= targetBytes)).toBe(true);
  });

  test("neighbouring blocks that are all touched are packed together", async () => {
    const disk = await filledDisk();
    const before = disk.ids();
    const doomed = keys(0, 80).filter((_, i) => i % 4 !== 0);
    await disk.fold(
      doomed.map((key) => disk.remove(key)),
      { floor: 1000 },
    );
    expect(disk.content().length).toBe(20);
    expect(disk.ids().length).toBe(Math.ceil(before.length / 4));
  });

  test("[VG14] sequential inserts append blocks and rewrite at most the last one", async () => {
    const disk = new Disk();
    for (let round = 0; round < 40; round++) {
      const last = disk.ids().at(-1);
      const { removed } = await disk.fold(keys(round * 5, round * 5 + 5).map((key) => disk.put(key)));
      expect([[], [last]]).toContainEqual(removed.map(({ id }) => id));
    }
    expect(disk.content().length).toBe(200);
    expect(disk.blocks().length).toBeLessThan(45);
  });

  test("one key with a long chain spans blocks; folding it again reads those that are due and collects the garbage", async () => {
    const disk = await filledDisk();
    const versions = Array.from({ length: 30 }, () => disk.version(new Uint8Array(700))).toReversed();
    await disk.fold([{ key: byteKey("k0040"), versions }]);
    const chain = disk.blocks().filter((b) => b.first.key <= "k0040" && b.last.key >= "k0040");
    expect(chain.length).toBeGreaterThan(20);
    await disk.fold([disk.put("k0040")], { floor: 80 });
    expect(disk.loaded).toEqual([chain[0]!.id]); // what is new goes before the rest of its chain
    expect(disk.content().filter((one) => one.startsWith("k0040@")).length).toBe(32);
    const now = disk.blocks().filter((b) => b.first.key <= "k0040" && b.last.key >= "k0040");
    await disk.fold([disk.put("k0040")], { floor: 111 });
    expect(new Set(disk.loaded)).toEqual(new Set(now.map((b) => b.id)));
    expect(disk.content().filter((one) => one.startsWith("k0040@"))).toEqual(["k0040@112", "k0040@111"]);
  });

  test("[VG2] on a part of a chain only what it proves is decided: a tombstone that goes on outside the stretch stays", async () => {
    const disk = new Disk();
    const chain = [undefined, 700, 700, 700]
      .map((n) => disk.version(n === undefined ? n : new Uint8Array(n)))
      .toReversed();
    const versions = [disk.version(undefined), ...chain];
    await disk.fold([disk.put("a"), { key: byteKey("b"), versions }, disk.put("c")]);
    const ofB = () => disk.content().filter((one) => one.startsWith("b@"));
    const all = ofB();
    expect(disk.blocks()[0]!.last.key).toBe("b");
    expect(disk.blocks().at(-1)!.first.key).toBe("b");
    await disk.fold([disk.put("a")], { floor: 100 });
    expect(ofB()).toEqual(all.filter((one) => one !== "b@4")); // superseded by 5, which is at hand
    await disk.fold([disk.put("c")], { floor: 100 });
    expect(ofB()).toEqual(["b@5", "b@3"]);
  });

  test("garbage of unchanged keys goes when their block is rewritten anyway", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("a"), disk.put("b"), disk.put("c")]);
    await disk.fold([disk.put("b"), disk.remove("c")]);
    const result = await disk.fold([disk.put("a")], { floor: 6 });
    expect(disk.content()).toEqual(["a@6", "b@4"]);
    expect(result.dropped).toEqual({ versions: 4, bytes: 303 + 1 });
  });

  test("[VG1] a value out of line is lost with the last version that refers to it, and counted until then", async () => {
    const disk = new Disk();
    const refer = (key: string, id: number) => ({ key: byteKey(key), versions: [disk.version(referring(id))] });
    await disk.fold([refer("a", 64), refer("b", 128), refer("c", 192), disk.put("d")]);
    expect(disk.blocks().map(({ outside }) => outside)).toEqual([3]);
    const again = await disk.fold([refer("a", 64), refer("b", 256), disk.remove("c")], { floor: 4 });
    expect(again.lost).toEqual([]);
    expect(disk.blocks().map(({ outside }) => outside)).toEqual([5]);
    const { lost } = await disk.fold([disk.put("d")], { floor: 8 });
    expect(lost.map(({ id }) => id)).toEqual([128, 192]);
    expect(disk.content()).toEqual(["a@5", "b@6", "d@8"]);
    const last = await disk.fold([disk.put("a"), disk.remove("b")], { floor: 100 });
    expect(last.lost.map(({ id }) => id)).toEqual([64, 256]);
    expect(disk.blocks().map(({ outside }) => outside)).toEqual([0]);
  });

  test("where all of a stretch is dropped, no block results", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("a"), disk.put("b")]);
    const result = await disk.fold([disk.remove("a"), disk.remove("b")], { floor: 100 });
    expect(disk.blocks()).toEqual([]);
    expect(result.added).toEqual([]);
    expect(result.removed.length).toBe(1);
    expect(result.written).toEqual({ blocks: 0, bytes: 0 });
    expect((await disk.fold([disk.remove("z")], { floor: 100 })).dropped).toEqual({ versions: 1, bytes: 1 });
  });

  test("a version larger than the target has a block of its own", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("a"), disk.put("b", 5000), disk.put("c"), disk.put("d", 5000), disk.put("e", 5000)]);
    expect(disk.blocks().map((block) => block.first.key)).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("[MV11] blocks are loaded and stored in bounded batches, before the manifest names them", async () => {
    const disk = new Disk();
    const changes = keys(0, 200).map((key) => disk.put(key));
    changes.push(disk.put("l", 9000));
    const maxStoreBytes = 3500;
    const sizes = () => disk.stores.map((batch) => batch.reduce((sum, { bytes }) => sum + bytes.length, 0));
    const result = await disk.fold(changes, { maxStoreBytes });
    expect(disk.stores.flat().map((block) => block.id)).toEqual(disk.ids());
    expect(sizes().filter((size) => size > maxStoreBytes)).toEqual([disk.blocks().at(-1)!.sizeBytes]);
    expect(disk.stores.length).toBeLessThan(disk.blocks().length / 2);
    expect(result.written).toEqual({ blocks: disk.ids().length, bytes: sizes().reduce((a, b) => a + b) });

    const sizeOf = new Map(disk.blocks().map((block) => [block.id, block.sizeBytes]));
    await disk.fold(
      keys(0, 200).map((key) => disk.put(key)),
      { maxStoreBytes },
    );
    for (const ids of disk.loads) {
      expect(ids.reduce((sum, id) => sum + sizeOf.get(id)!, 0)).toBeLessThanOrEqual(maxStoreBytes);
    }
    expect(disk.loads.length).toBeGreaterThan(3);
  });

  test("[VG5] the same input gives the same bytes", async () => {
    const [one, other] = [await filledDisk(), await filledDisk()];
    expect([...one.stored]).toEqual([...other.stored]);
    expect(one.manifest.encodeRoot()).toEqual(other.manifest.encodeRoot());
    expect(one.manifest.pages().map((page) => page.encode())).toEqual(
      other.manifest.pages().map((page) => page.encode()),
    );
  });

  test("without changes nothing happens", async () => {
    const disk = await filledDisk();
    const before = disk.ids();
    const result = await disk.fold([], { floor: 1000 });
    expect(disk.ids()).toEqual(before);
    expect([disk.loads, disk.stores, result.removed, result.added]).toEqual([[], [], [], []]);
  });

  test("changes out of order, or older than the blocks, are bugs", async () => {
    const disk = await filledDisk();
    const bug = expect.objectContaining({ code: "INTERNAL" });
    await expect(disk.fold([disk.put("b"), disk.put("a")])).rejects.toThrow(bug);
    const stale: Version = { seq: seq(1), stamp: stamp(1), payload: undefined };
    await expect(disk.fold([{ key: byteKey("k0003"), versions: [stale] }])).rejects.toThrow(bug);
  });

  test("keys of a table that nobody looks at go with the block they are in, untouched ones too", async () => {
    const disk = new Disk();
    const inTable = (table: number, key: string) => `\0\0\0${String.fromCharCode(table)}${key}`;
    await disk.fold([1, 2, 3].flatMap((table) => [disk.put(inTable(table, "a")), disk.put(inTable(table, "b"))]));
    const asked: number[] = [];
    const isDead = (table: number) => {
      asked.push(table);
      return table === tableId(2);
    };
    const { dropped } = await disk.fold([disk.put(inTable(2, "c")), disk.put(inTable(3, "c"))], { isDead });
    expect(dropped.versions).toBe(3);
    expect(disk.content()).toEqual(
      ["1a@1", "1b@2", "3a@5", "3b@6", "3c@8"].map((s) => inTable(Number(s[0]), s.slice(1))),
    );
    expect(new Set(asked)).toEqual(new Set([1, 2, 3]));
  });
});
