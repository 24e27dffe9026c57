import fc from "fast-check";
import { expect, test } from "vitest";
import { type BlockId, blockId, type ByteKey, byteKey, type Seq, seq, stamp } from "../base/brand.ts";
import type { StoredValue } from "../storage/contract.ts";
import { Block } from "./block.ts";
import { retain } from "./drop.ts";
import { fold, type FoldResult } from "./fold.ts";
import { Manifest } from "./manifest.ts";
import type { KeyVersions, Version } from "./version.ts";

type Chains = Map<ByteKey, Version[]>;

interface Write {
  readonly key: string;
  /** Absent: a delete. */
  readonly payloadBytes: number | undefined;
}

interface Round {
  readonly writes: readonly Write[];
  /** Where the floor goes: this share of the way from where it is to the head. */
  readonly floorShare: number;
  readonly targetBytes: number;
  readonly maxStoreBytes: number;
}

const keys = ["", "\0", "a", "a\0", "ab", "b", "c", "long shared prefix 1", "long shared prefix 2", "\xff", "\xff\xff"];
const rounds: fc.Arbitrary<Round> = fc.record({
  writes: fc.array(
    fc.record({
      key: fc.constantFrom(...keys),
      payloadBytes: fc.option(fc.oneof(fc.nat(30), fc.nat(400)), { nil: undefined, freq: 2 }),
    }),
    { maxLength: 25 },
  ),
  floorShare: fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
  targetBytes: fc.integer({ min: 1, max: 600 }),
  maxStoreBytes: fc.integer({ min: 1, max: 1000 }),
});

/** The database under test: a manifest over stored blocks. */
class World {
  readonly stored = new Map<BlockId, StoredValue>();
  /** The trivially correct model: all versions ever, newest first per key. */
  readonly model: Chains = new Map();
  manifest = Manifest.empty;
  head = 0;
  floor = 0;
  #lastId = 0;

  /** Commits the writes, one seq each, and gives them as the memtable would. */
  commit(writes: readonly Write[]): readonly KeyVersions[] {
    const changes: Chains = new Map();
    for (const { key: k, payloadBytes } of writes) {
      const at = ++this.head;
      const payload = payloadBytes === undefined ? undefined : new Uint8Array(payloadBytes).fill(at);
      const version: Version = { seq: seq(at), stamp: stamp(at * 1024), payload };
      for (const chains of [changes, this.model]) {
        const key = byteKey(k);
        chains.set(key, [version, ...(chains.get(key) ?? [])]);
      }
    }
    return [...changes].map(([key, versions]) => ({ key, versions })).toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  async fold(changes: readonly KeyVersions[], { targetBytes, maxStoreBytes }: Round): Promise<FoldResult> {
    return fold({
      manifest: this.manifest,
      changes,
      floor: seq(this.floor),
      targetBytes,
      maxStoreBytes,
      newBlockId: () => blockId(++this.#lastId),
      load: async (ids) => ids.map((id) => this.open(id)),
      store: async (blocks) => {
        for (const { id, bytes } of blocks) this.stored.set(id, bytes);
      },
    });
  }

  open(id: BlockId): Block {
    return Block.open(id, this.stored.get(id)!);
  }

  find(key: ByteKey, at: Seq): Version | undefined {
    const info = this.manifest.blocks[this.manifest.find(key, at)];
    return info && this.open(info.id).find(key, at);
  }

  /** All that the manifest holds. */
  chains(): Chains {
    const chains: Chains = new Map();
    for (const { id } of this.manifest.blocks) {
      const block = this.open(id);
      for (let i = 0; i < block.count; i++) {
        const key = block.keyAt(i);
        chains.set(key, [...(chains.get(key) ?? []), block.versionAt(i)]);
      }
    }
    return chains;
  }
}

const payloadAt = (versions: readonly Version[], r: number) => versions.find((version) => version.seq <= r)?.payload;

function checkReads(world: World): void {
  for (const [key, versions] of world.model) {
    for (let r = world.floor; r <= world.head + 1; r++) {
      expect(world.find(key, seq(r))?.payload, `${key} at ${r}`).toEqual(payloadAt(versions, r));
    }
  }
}

/**
 * A touched key holds what the rule leaves of all its versions; any other that, or all it had: its block may have been
 * left alone. (Not of its history: a tombstone that is gone is not required again once the key is written anew.)
 */
function checkContent(world: World, before: Chains, changes: readonly KeyVersions[]): void {
  const after = world.chains();
  const changed = new Map(changes.map(({ key, versions }) => [key, versions]));
  for (const key of world.model.keys()) {
    const all = [...(changed.get(key) ?? []), ...(before.get(key) ?? [])];
    const required = retain(all, seq(world.floor), true);
    expect(changed.has(key) ? [required] : [required, all]).toContainEqual(after.get(key) ?? []);
  }
  for (const key of after.keys()) expect(world.model.has(key)).toBe(true);
}

function checkManifest(world: World): void {
  for (const info of world.manifest.blocks) {
    const block = world.open(info.id);
    const ends = [0, block.count - 1].map((i) => ({ key: block.keyAt(i), seq: block.seqAt(i) }));
    expect(info).toEqual({
      id: block.id,
      first: ends[0],
      last: ends[1],
      count: block.count,
      sizeBytes: block.sizeBytes,
    });
  }
  expect(Manifest.decode(world.manifest.encode()).blocks).toEqual(world.manifest.blocks);
}

/** What is gone from the manifest is `removed`, what came is `added`, and each touched old block was rewritten. */
function checkEdit(before: Manifest, result: FoldResult, touched: ReadonlySet<ByteKey>): void {
  const removed = new Set(result.removed);
  const added = new Set(result.added.map(({ id }) => id));
  const kept = before.blocks.filter(({ id }) => !removed.has(id));
  expect(result.manifest.blocks.filter(({ id }) => !added.has(id))).toEqual(kept);
  expect(result.manifest.blocks.filter(({ id }) => added.has(id))).toEqual(result.added);
  for (const { first, last } of kept) {
    for (const key of touched) expect(first.key <= key && key <= last.key).toBe(false);
  }
}

test("[VG1][VG2] any history of folds answers every read at or above the floor, and keeps just what the rule requires", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(rounds, { minLength: 1, maxLength: 8 }), async (history) => {
      const world = new World();
      for (const round of history) {
        const changes = world.commit(round.writes);
        world.floor += Math.floor((world.head - world.floor) * round.floorShare);
        const touched = new Set(changes.map(({ key }) => key));
        const [chainsBefore, before] = [world.chains(), world.manifest];
        const result = await world.fold(changes, round);
        world.manifest = result.manifest;
        for (const id of result.removed) world.stored.delete(id);
        expect(world.stored.size).toBe(result.manifest.blocks.length);
        checkEdit(before, result, touched);
        checkManifest(world);
        checkContent(world, chainsBefore, changes);
        checkReads(world);
      }
    }),
    { numRuns: 150 },
  );
});
