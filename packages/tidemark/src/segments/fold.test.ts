import { describe, expect, test } from "vitest";
import { type BlockId, blockId, byteKey, seq, stamp } from "../base/brand.ts";
import { Block } from "./block.ts";
import type { StagedBlock } from "./block-writer.ts";
import { fold, type FoldResult } from "./fold.ts";
import { Manifest } from "./manifest.ts";
import type { KeyVersions, Version } from "./version.ts";

const targetBytes = 1000;

/** Blocks in memory, and a record of what the folds did. */
class Disk {
  readonly stored = new Map<BlockId, StagedBlock>();
  readonly loads: (readonly BlockId[])[] = [];
  readonly stores: (readonly StagedBlock[])[] = [];
  manifest = Manifest.empty;
  #lastId = 0;
  #lastSeq = 0;

  get loaded(): readonly BlockId[] {
    return this.loads.flat();
  }

  /** Ids of the blocks from position `from` to `to` of the present manifest. */
  ids(from = 0, to?: number): readonly BlockId[] {
    return this.manifest.blocks.slice(from, to).map((block) => block.id);
  }

  async fold(changes: readonly KeyVersions[], floor = 0, maxStoreBytes?: number): Promise<FoldResult> {
    this.loads.length = 0;
    this.stores.length = 0;
    const result = await fold({
      manifest: this.manifest,
      changes,
      floor: seq(floor),
      targetBytes,
      ...(maxStoreBytes === undefined ? {} : { maxStoreBytes }),
      newBlockId: () => blockId(++this.#lastId),
      load: async (ids) => {
        this.loads.push(ids);
        return ids.map((id) => Block.open(id, this.stored.get(id)!.bytes));
      },
      store: async (blocks) => {
        this.stores.push(blocks);
        for (const block of blocks) this.stored.set(block.id, block);
      },
    });
    this.manifest = result.manifest;
    return result;
  }

  put(key: string, payloadBytes = 100): KeyVersions {
    return { key: byteKey(key), versions: [this.version(new Uint8Array(payloadBytes))] };
  }

  remove(key: string): KeyVersions {
    return { key: byteKey(key), versions: [this.version(undefined)] };
  }

  version(payload: Uint8Array | undefined): Version {
    const at = ++this.#lastSeq;
    return { seq: seq(at), stamp: stamp(at), payload };
  }

  /** Everything that the manifest lists, as key@seq. */
  content(): readonly string[] {
    return this.manifest.blocks.flatMap(({ id, count }) => {
      const block = Block.open(id, this.stored.get(id)!.bytes);
      return Array.from({ length: count }, (_, i) => `${block.keyAt(i)}@${block.seqAt(i)}`);
    });
  }
}

const keys = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from }, (_, i) => `k${String(from + i).padStart(4, "0")}`);

/** About 80 keys of 100 bytes in about ten blocks. */
async function filledDisk(): Promise<Disk> {
  const disk = new Disk();
  await disk.fold(keys(0, 80).map((key) => disk.put(key)));
  return disk;
}

describe("fold", () => {
  test("[VG14] blocks that no change touches are neither read nor rewritten", async () => {
    const disk = await filledDisk();
    const before = disk.ids();
    expect(before.length).toBeGreaterThan(8);
    const { first } = disk.manifest.blocks[4]!;
    const result = await disk.fold([disk.put(first.key)]);
    expect(disk.loaded).toEqual([before[4]]);
    expect(result.removed).toEqual([before[4]]);
    expect(disk.ids().filter((id) => before.includes(id))).toEqual(before.toSpliced(4, 1));
  });

  test("[VG14] changes far apart rewrite two runs and nothing between them", async () => {
    const disk = await filledDisk();
    const before = disk.ids();
    await disk.fold([disk.put("k0000x"), disk.put(disk.manifest.blocks[6]!.last.key)]);
    expect(disk.loaded).toEqual([before[0], before[6]]);
  });

  test("[VG14] a key between two full blocks becomes a block without reading any", async () => {
    const disk = await filledDisk();
    const { last } = disk.manifest.blocks[2]!;
    const result = await disk.fold([disk.put(`${last.key}x`)]);
    expect(disk.loaded).toEqual([]);
    expect(result.removed).toEqual([]);
    expect(disk.manifest.blocks[3]!.count).toBe(1);
  });

  test("small neighbours of a rewritten run join it", async () => {
    const disk = await filledDisk();
    const { last } = disk.manifest.blocks[2]!;
    await disk.fold([disk.put(`${last.key}x`)]);
    const blocks = disk.ids();
    await disk.fold([disk.put(`${last.key}y`)]);
    expect(disk.loaded).toEqual([blocks[3]]);
    expect(disk.manifest.blocks[3]!.count).toBe(2);
    await disk.fold([disk.put(disk.manifest.blocks[2]!.first.key)]);
    expect(disk.loaded.length).toBe(2);
    expect(disk.manifest.blocks.every((block) => block.sizeBytes <= targetBytes)).toBe(true);
  });

  test("neighbouring blocks that are all touched are packed together", async () => {
    const disk = await filledDisk();
    const before = disk.ids();
    const doomed = keys(0, 80).filter((_, i) => i % 4 !== 0);
    await disk.fold(
      doomed.map((key) => disk.remove(key)),
      1000,
    );
    expect(disk.content().length).toBe(20);
    expect(disk.ids().length).toBe(Math.ceil(before.length / 4));
  });

  test("[VG14] sequential inserts append blocks and rewrite at most the last one", async () => {
    const disk = new Disk();
    for (let round = 0; round < 40; round++) {
      const last = disk.ids().at(-1);
      const result = await disk.fold(keys(round * 5, round * 5 + 5).map((key) => disk.put(key)));
      expect([[], [last]]).toContainEqual(result.removed);
    }
    expect(disk.content().length).toBe(200);
    expect(disk.manifest.blocks.length).toBeLessThan(45);
  });

  test("one key with a long chain spans blocks; folding it again reads them all and collects the garbage", async () => {
    const disk = await filledDisk();
    const versions = Array.from({ length: 30 }, () => disk.version(new Uint8Array(700))).toReversed();
    await disk.fold([{ key: byteKey("k0040"), versions }]);
    const chain = disk.manifest.blocks.filter((b) => b.first.key <= "k0040" && b.last.key >= "k0040");
    expect(chain.length).toBeGreaterThan(20);
    await disk.fold([disk.put("k0040")], 108);
    expect(new Set(disk.loaded)).toEqual(new Set(chain.map((b) => b.id)));
    expect(disk.content().filter((at) => at.startsWith("k0040@"))).toEqual([
      "k0040@111",
      "k0040@110",
      "k0040@109",
      "k0040@108",
    ]);
  });

  test("[VG2] nothing is decided on a part of a chain: an unchanged key that goes on outside the run stays", async () => {
    const disk = new Disk();
    const chain = [undefined, 700, 700, 700]
      .map((n) => disk.version(n === undefined ? n : new Uint8Array(n)))
      .toReversed();
    const versions = [disk.version(undefined), ...chain];
    await disk.fold([disk.put("a"), { key: byteKey("b"), versions }, disk.put("c")]);
    const all = disk.content();
    const { blocks } = disk.manifest;
    expect(blocks[0]!.last.key).toBe("b");
    expect(blocks.at(-1)!.first.key).toBe("b");
    await disk.fold([disk.put("a")], 100);
    expect(disk.content().filter((at) => at.startsWith("b@"))).toEqual(all.filter((at) => at.startsWith("b@")));
    await disk.fold([disk.put("c")], 100);
    expect(disk.content().filter((at) => at.startsWith("b@"))).toEqual(all.filter((at) => at.startsWith("b@")));
  });

  test("garbage of unchanged keys goes when their block is rewritten anyway", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("a"), disk.put("b"), disk.put("c")]);
    await disk.fold([disk.put("b"), disk.remove("c")]);
    const result = await disk.fold([disk.put("a")], 6);
    expect(disk.content()).toEqual(["a@6", "b@4"]);
    expect(result.dropped).toEqual({ versions: 4, bytes: 303 + 1 });
  });

  test("where all of a run is dropped, no block results", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("a"), disk.put("b")]);
    const result = await disk.fold([disk.remove("a"), disk.remove("b")], 100);
    expect(disk.manifest.blocks).toEqual([]);
    expect(result.added).toEqual([]);
    expect(result.removed.length).toBe(1);
    expect(result.written).toEqual({ blocks: 0, bytes: 0 });
    expect((await disk.fold([disk.remove("z")], 100)).dropped).toEqual({ versions: 1, bytes: 1 });
  });

  test("a version larger than the target has a block of its own", async () => {
    const disk = new Disk();
    await disk.fold([disk.put("a"), disk.put("b", 5000), disk.put("c"), disk.put("d", 5000), disk.put("e", 5000)]);
    expect(disk.manifest.blocks.map((block) => block.first.key)).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("[MV11] blocks are loaded and stored in bounded batches, before the manifest names them", async () => {
    const disk = new Disk();
    const changes = keys(0, 200).map((key) => disk.put(key));
    changes.push(disk.put("l", 9000));
    const maxBytes = 3500;
    const sizes = () => disk.stores.map((batch) => batch.reduce((sum, { bytes }) => sum + bytes.length, 0));
    const result = await disk.fold(changes, 0, maxBytes);
    expect(disk.stores.flat().map((block) => block.id)).toEqual(disk.ids());
    expect(sizes().filter((size) => size > maxBytes)).toEqual([disk.manifest.blocks.at(-1)!.sizeBytes]);
    expect(disk.stores.length).toBeLessThan(disk.manifest.blocks.length / 2);
    expect(result.written).toEqual({ blocks: disk.ids().length, bytes: sizes().reduce((a, b) => a + b) });

    const { blocks } = disk.manifest;
    await disk.fold(
      keys(0, 200).map((key) => disk.put(key)),
      0,
      maxBytes,
    );
    const sizeOf = new Map(blocks.map((block) => [block.id, block.sizeBytes]));
    for (const ids of disk.loads)
      expect(ids.reduce((sum, id) => sum + sizeOf.get(id)!, 0)).toBeLessThanOrEqual(maxBytes);
    expect(disk.loads.length).toBeGreaterThan(3);
  });

  test("[VG5] the same input gives the same bytes", async () => {
    const [one, other] = [await filledDisk(), await filledDisk()];
    expect([...one.stored]).toEqual([...other.stored]);
    expect(one.manifest.encode()).toEqual(other.manifest.encode());
  });

  test("without changes nothing happens", async () => {
    const disk = await filledDisk();
    const before = disk.ids();
    const result = await disk.fold([], 1000);
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
});
