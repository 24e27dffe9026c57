import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BlockId, type ByteKey, byteKey, type Seq, seq } from "../base/brand.ts";
import { BlockSource } from "../segments/block-source.ts";
import { levelCount, type Manifest } from "../segments/manifest.ts";
import { Disk, keys } from "../segments/segments.test-support.ts";
import type { KeyVersions, Version } from "../segments/version.ts";
import type { Write } from "../storage/contract.ts";
import { createMemoryStorage, type MemoryMedium } from "../storage/memory.ts";
import { Memtable } from "./memtable.ts";
import { type ReadState, Reader } from "./reader.ts";
import { after, contains, type Range } from "./read-set.ts";

type Chains = Map<ByteKey, Version[]>;

const unbounded: Range = { from: byteKey(""), to: undefined };

/** Versions in a memtable and in levels of blocks, read through a reader, beside a plain list of all of them. */
class World implements ReadState {
  readonly disk = new Disk();
  readonly model: Chains = new Map();
  readonly medium: MemoryMedium = createMemoryStorage();
  readonly memtable = new Memtable();
  readonly reader = new Reader(this);
  /** Ids of the blocks that were read, in order. */
  readonly read: BlockId[] = [];
  manifest: Manifest = this.disk.manifest;
  checkpoint: Seq = seq(0);
  blocks!: BlockSource;
  reloads = 0;
  head = 0;

  /** New versions, one seq each, oldest first; an absent length is a delete. */
  #versions(writes: readonly (readonly [string, number | undefined])[]): readonly KeyVersions[] {
    const fresh: Chains = new Map();
    for (const [k, payloadBytes] of writes) {
      const key = byteKey(k);
      const payload = payloadBytes === undefined ? undefined : new Uint8Array(payloadBytes);
      const version = this.disk.version(payload);
      this.head = version.seq;
      for (const chains of [fresh, this.model]) chains.set(key, [version, ...(chains.get(key) ?? [])]);
    }
    const list = [...fresh].map(([key, versions]) => ({ key, versions }));
    return list.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  async fill(
    level: number,
    writes: readonly (readonly [string, number | undefined])[],
    targetBytes = 200,
  ): Promise<void> {
    await this.disk.fold(this.#versions(writes), { level, targetBytes });
    this.checkpoint = seq(this.head);
  }

  fillMemtable(writes: readonly (readonly [string, number | undefined])[]): void {
    const fresh = this.#versions(writes).flatMap(({ key, versions }) => versions.map((version) => ({ key, version })));
    for (const { key, version } of fresh.toSorted((a, b) => a.version.seq - b.version.seq)) {
      this.memtable.put(key, version);
    }
  }

  /** Some neighbouring blocks of a level go down, with the rest of the last chain. */
  async sink(level: number, share: number, count: number, targetBytes = 200): Promise<void> {
    const all = this.disk.blocks(level);
    const start = Math.floor(share * all.length);
    let end = start + count;
    while (all[end] !== undefined && all[end]!.first.key === all[end - 1]!.last.key) end++;
    const above = all.slice(start, end);
    if (above.length > 0) await this.disk.sink(level, above, { targetBytes });
  }

  /** Storage holds the blocks of the disk, and no others. */
  async store(cacheMaxBytes: number): Promise<void> {
    const storage = await this.medium.open("db");
    const puts = [...this.disk.stored.values()].map(({ id, bytes }): Write => ({
      kind: "put",
      store: "blocks",
      key: id,
      value: bytes,
    }));
    const writes: readonly Write[] = [{ kind: "deleteRange", store: "blocks", range: {} }, ...puts];
    await storage.commit({ durability: "strict", writes });
    this.blocks = new BlockSource(storage, cacheMaxBytes);
    this.medium.onStep = (step) => {
      if (step.kind === "read")
        this.read.push(...step.reads.map((one) => (one.kind === "get" ? (one.key as BlockId) : never())));
      return "go";
    };
  }

  load(): void {
    this.manifest = this.disk.manifest;
  }

  async reload(): Promise<void> {
    this.reloads++;
    this.load();
  }

  at(key: ByteKey, r: number): Version | undefined {
    return this.model.get(key)?.find((version) => version.seq <= r);
  }

  /** What a scan should find. */
  expected(range: Range, r: number, reverse: boolean, overlay?: Memtable): readonly string[] {
    const all = new Set([...this.model.keys(), ...(overlay?.keys(byteKey(""), undefined, false) ?? [])]);
    const found = [...all]
      .filter((key) => contains(range, key))
      .flatMap((key) => {
        const version = overlay?.newest(key) ?? this.at(key, r);
        return version?.payload === undefined ? [] : [{ key, version }];
      });
    found.sort((a, b) => (a.key < b.key !== reverse ? -1 : 1));
    return found.map(({ key, version }) => `${key}@${version.seq}`);
  }

  async scan(
    range: Range,
    r: number,
    reverse: boolean,
    overlay?: Memtable,
    limit = Infinity,
  ): Promise<readonly string[]> {
    const found: string[] = [];
    await this.reader.scan(range, seq(r), reverse, overlay, (at, payload) => {
      const mine = overlay?.newest(at.key) ?? this.at(at.key, r);
      expect([at.seq, payload]).toEqual([mine?.seq, mine?.payload]);
      found.push(`${at.key}@${at.seq}`);
      return found.length < limit;
    });
    return found;
  }
}

/** Without what a memtable knows of it besides. */
const bare = (version: Version | undefined): Version | undefined =>
  version && { seq: version.seq, stamp: version.stamp, payload: version.payload };

function never(): never {
  throw new Error("a reader reads single blocks");
}

const names = ["", "\0", "a", "a\0", "ab", "b", "c", "d", "e", "f\xff", "g", "\xff"];
const writes = fc.array(
  fc.tuple(fc.constantFrom(...names), fc.option(fc.constantFrom(0, 1, 30, 150), { nil: undefined, freq: 3 })),
  { maxLength: 20, size: "max" },
);
const ranges = fc.record({
  from: fc.constantFrom(...names, "aa", "z").map(byteKey),
  to: fc.option(fc.constantFrom(...names, "aa", "z").map(byteKey), { nil: undefined }),
});
const worlds = fc.record({
  /** Lowest level first, the memtable last. */
  writes: fc.array(writes, { minLength: levelCount + 1, maxLength: levelCount + 1 }),
  sinks: fc.array(
    fc.tuple(fc.nat(levelCount - 2), fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 4 })),
    { maxLength: 5 },
  ),
  targetBytes: fc.constantFrom(1, 120, 300),
  cacheMaxBytes: fc.constantFrom(0, 300, 1_000_000),
});

type Given = typeof worlds extends fc.Arbitrary<infer T> ? T : never;

async function worldOf(given: Given): Promise<World> {
  const world = new World();
  for (let n = 0; n < levelCount; n++) await world.fill(levelCount - 1 - n, given.writes[n]!, given.targetBytes);
  for (const [level, share, count] of given.sinks) await world.sink(level, share, count, given.targetBytes);
  world.fillMemtable(given.writes[levelCount]!);
  await world.store(given.cacheMaxBytes);
  world.load();
  return world;
}

function overlayOf(world: World, own: readonly (readonly [string, number | undefined])[]): Memtable {
  const overlay = new Memtable();
  for (const [key, length] of own) {
    const payload = length === undefined ? undefined : new Uint8Array(length);
    overlay.put(byteKey(key), { ...world.disk.version(payload) });
  }
  return overlay;
}

describe("a reader", () => {
  test("[MV2] sees at every seq what a plain list of all versions says, whichever level each is in", async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async (given) => {
        const world = await worldOf(given);
        const all = names.map(byteKey);
        for (let r = 0; r <= world.head + 1; r++) {
          const expected = all.map((key) => world.at(key, r));
          expect((await world.reader.getMany(all, seq(r))).map(bare)).toEqual(expected);
        }
        for (const key of all) {
          expect(bare(await world.reader.get(key, seq(world.head)))).toEqual(world.at(key, world.head));
        }
        for (const key of all) {
          for (const r of [world.head + 1, world.checkpoint, Math.floor(world.head / 2)]) {
            const chain = (world.model.get(key) ?? []).filter((version) => version.seq <= r);
            expect((await world.reader.chain(key, seq(r))).map(bare)).toEqual(chain);
          }
        }
        const { versions, checkpoint } = await world.reader.inBlocks(all);
        expect(checkpoint).toBe(world.checkpoint);
        for (const key of all) expect(versions.get(key)).toEqual(world.at(key, checkpoint));
      }),
      { numRuns: 60 },
    );
  });

  test("[MV2] scans ranges forwards and backwards, through chains that are split in several levels", async () => {
    await fc.assert(
      fc.asyncProperty(
        worlds,
        fc.array(ranges, { maxLength: 4 }),
        writes,
        fc.nat(5),
        async (given, some, own, limit) => {
          const world = await worldOf(given);
          const overlay = overlayOf(world, own);
          for (const range of [unbounded, ...some]) {
            for (const r of [world.head, Math.floor(world.head / 2), Math.floor(world.head / 3), 0]) {
              for (const reverse of [false, true]) {
                const expected = world.expected(range, r, reverse);
                expect(await world.scan(range, r, reverse)).toEqual(expected);
                expect(await world.scan(range, r, reverse, undefined, limit + 1)).toEqual(expected.slice(0, limit + 1));
                const mine = await world.scan(range, r, reverse, overlay);
                expect(mine).toEqual(world.expected(range, r, reverse, overlay));
              }
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("[MV2] answers the same when the levels are rewritten under it", async () => {
    await fc.assert(
      fc.asyncProperty(worlds, ranges, async (given, range) => {
        const world = await worldOf({ ...given, cacheMaxBytes: 0 });
        const r = Math.floor((2 * world.head) / 3);
        const old = world.manifest;
        for (let level = 0; level < levelCount - 1; level++) await world.sink(level, 0, 3, 150);
        await world.store(0); // what the old manifest lists may be gone
        for (const reverse of [false, true]) {
          world.manifest = old;
          expect(await world.scan(range, r, reverse)).toEqual(world.expected(range, r, reverse));
        }
        world.manifest = old;
        const all = names.map(byteKey);
        const found = await world.reader.getMany(all, seq(r));
        expect(found.map(bare)).toEqual(all.map((key) => world.at(key, r)));
        expect(world.reloads).toBeLessThanOrEqual(3);
      }),
      { numRuns: 60 },
    );
  });
});

/** Four levels of 40 to 70 keys each, chains of k0050 split in all of them, and nothing in the memtable. */
async function layered(cacheMaxBytes: number): Promise<World> {
  const world = new World();
  for (let n = 0; n < levelCount; n++) {
    const chain = Array.from({ length: 4 }, () => ["k0050", 150] as const);
    const some = keys(0, 100).filter((_, i) => i % (n + 2) === 0);
    await world.fill(levelCount - 1 - n, [...some.map((key) => [key, 50] as const), ...chain], 400);
  }
  await world.store(cacheMaxBytes);
  world.load();
  return world;
}

describe("[VG14] a reader reads no more blocks than it must", () => {
  test("for a single key: at most one a level, from the top down to the one that decides", async () => {
    const world = await layered(0);
    for (const key of [...keys(0, 100), "a", "k0007x", "z"].map(byteKey)) {
      for (const r of [0, 20, 70, 110, 130, world.head]) {
        world.read.length = 0;
        const found = await world.reader.get(key, seq(r));
        expect(found).toEqual(world.at(key, r));
        const wanted: BlockId[] = [];
        for (const level of world.manifest.filled) {
          const info = level.at(level.find(key, seq(r)));
          if (info === undefined || info.first.key > key) continue;
          wanted.push(info.id);
          if (found && world.disk.open(info.id).find(key, seq(r))) break;
        }
        // Of those before the one that decides a filter may know better.
        expect(wanted.filter((id) => world.read.includes(id))).toEqual(world.read);
        if (found) expect(world.read.at(-1)).toBe(wanted.at(-1));
        expect(world.read.length).toBeLessThanOrEqual(levelCount);
      }
    }
  });

  test("for many keys: each block once", async () => {
    const world = await layered(0);
    await world.reader.getMany(keys(0, 100).map(byteKey), seq(world.head));
    expect(new Set(world.read).size).toBe(world.read.length);
  });

  test("for a scan: each block once, and none outside the range", async () => {
    for (const range of [unbounded, { from: byteKey("k0013"), to: byteKey("k0061") }]) {
      for (const reverse of [false, true]) {
        const world = await layered(1_000_000);
        expect(await world.scan(range, world.head, reverse)).toEqual(world.expected(range, world.head, reverse));
        const within = [...world.manifest.all()].filter(
          ({ first, last }) => last.key >= range.from && (range.to === undefined || first.key < range.to),
        );
        // Of a chain over several blocks only the one that decides is needed.
        const needed = within.filter(({ first, last }) => first.key < last.key).map(({ id }) => id);
        expect(within.map(({ id }) => id)).toEqual(expect.arrayContaining(world.read));
        expect(world.read).toEqual(expect.arrayContaining(needed));
        expect(new Set(world.read).size).toBe(world.read.length);
      }
    }
  });

  test("for the first record of a scan: one a level", async () => {
    for (const reverse of [false, true]) {
      const world = await layered(0);
      await world.scan(unbounded, world.head, reverse, undefined, 1);
      expect(world.read.length).toBeLessThanOrEqual(levelCount);
    }
  });
});

test("[MV8] a block that is listed and not stored is CORRUPT; what is not in its range can be read", async () => {
  const world = await layered(0);
  const lost = world.manifest.filled[0]!.at(2)!;
  const storage = await world.medium.open("db");
  await storage.commit({ durability: "strict", writes: [{ kind: "delete", store: "blocks", key: lost.id }] });
  const corrupt = expect.objectContaining({ code: "CORRUPT", details: { what: "block", id: lost.id } });
  await expect(world.reader.get(lost.first.key, seq(world.head))).rejects.toThrow(corrupt);
  await expect(world.scan(unbounded, world.head, false)).rejects.toThrow(corrupt);
  await expect(world.scan(unbounded, world.head, true)).rejects.toThrow(corrupt);
  const before = { from: byteKey(""), to: lost.first.key };
  const behind = { from: after(lost.last.key), to: undefined };
  for (const range of [before, behind]) {
    expect(await world.scan(range, world.head, false)).toEqual(world.expected(range, world.head, false));
    expect(await world.scan(range, world.head, true)).toEqual(world.expected(range, world.head, true));
  }
});
