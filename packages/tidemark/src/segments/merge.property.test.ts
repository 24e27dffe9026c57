import fc from "fast-check";
import { expect, test } from "vitest";
import { byteKey, seq, tableId } from "../base/brand.ts";
import { compareInternal } from "./internal-key.ts";
import { type LevelOptions, maxBytesOf, nextCompaction } from "./levels.ts";
import { levelCount } from "./manifest.ts";
import { MergeWorld, type Write } from "./merge-world.test-support.ts";

interface Round {
  readonly writes: readonly Write[];
  /** Where the floor goes: this share of the way from where it is to the head. */
  readonly floorShare: number;
  /** Whether a snapshot is made before the floor moves, and one of those there are goes. */
  readonly snapshots?: { readonly make: boolean; readonly drop: number } | undefined;
  readonly targetBytes: number;
  readonly maxStoreBytes: number;
  readonly levels: LevelOptions;
  /** So many steps of compaction are tried. */
  readonly steps: number;
  /** This table dies, for good. */
  readonly dies: number | undefined;
  /** Blocks of this level go down though nothing asks for it: from this share of it on, so many. */
  readonly push: { readonly level: number; readonly share: number; readonly blocks: number } | undefined;
  /** A merge first dies at this call, if it comes so far. */
  readonly crashAt: number | undefined;
}

const inTable = (table: number, key: string) => `\0\0\0${String.fromCharCode(table)}${key}`;
const names = [
  "",
  "\0",
  "a",
  "a\0",
  "ab",
  "b",
  "c",
  "long shared prefix 1",
  "long shared prefix 2",
  "\xff",
  "\xff\xff",
];
const keys = [1, 2, 3].flatMap((table) => names.map((name) => inTable(table, name)));
const write: fc.Arbitrary<Write> = fc.record({
  key: fc.oneof(fc.constantFrom(...keys), fc.constantFrom(...keys.slice(11, 15))),
  payloadBytes: fc.option(fc.oneof(fc.nat(30), fc.nat(400)), { nil: undefined, freq: 3 }),
  outside: fc.constantFrom(undefined, undefined, "new", "same"),
});
const share = fc.double({ min: 0, max: 1, noNaN: true });
const round: fc.Arbitrary<Round> = fc.record({
  writes: fc.array(write, { maxLength: 25, size: "max" }),
  floorShare: fc.oneof(fc.constant(0), fc.constant(1), share),
  snapshots: fc.option(fc.record({ make: fc.boolean(), drop: fc.nat(12) }), { nil: undefined }),
  targetBytes: fc.integer({ min: 1, max: 600 }),
  maxStoreBytes: fc.integer({ min: 1, max: 1000 }),
  levels: fc.record({
    minLevelBytes: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 500 })),
    maxStepBytes: fc.integer({ min: 1, max: 1500 }),
  }),
  steps: fc.nat(6),
  dies: fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom(2, 3) }),
  push: fc.option(fc.record({ level: fc.nat(levelCount - 2), share, blocks: fc.integer({ min: 1, max: 4 }) }), {
    nil: undefined,
    freq: 2,
  }),
  crashAt: fc.option(fc.nat(6), { nil: undefined, freq: 2 }),
});

const histories = (maxLength: number) => fc.array(round, { minLength: 1, maxLength, size: "max" });

async function play(world: MergeWorld, given: Round): Promise<void> {
  world.commit(given.writes);
  if (given.snapshots?.make) world.points.add(world.head);
  world.points.delete([...world.points][given.snapshots?.drop ?? -1]!);
  world.floor += Math.floor((world.head - world.floor) * given.floorShare);
  if (given.dies !== undefined) world.dead.add(tableId(given.dies));
  world.sizes = given;
  await world.fold(given.levels, given.crashAt);
  for (let i = 0; i < given.steps; i++) {
    const step = nextCompaction(world.manifest, given.levels);
    if (!step) break;
    await world.sink(step, given.crashAt);
  }
  if (given.push) await world.push(given.push);
}

test(
  "[VG1][VG2] any history of folds and compactions answers every read at or above the floor",
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(histories(8), async (history) => {
        const world = new MergeWorld();
        for (const given of history) await play(world, given);
      }),
      { numRuns: 150 },
    );
  },
);

test(
  "[VG1][VG2] what remains in the lowest level, with the floor at the head and all of it rewritten, is what is there",
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(histories(5), async (history) => {
        const world = new MergeWorld();
        // What only a snapshot kept waits for a sweep once that is gone.
        for (const given of history) await play(world, { ...given, snapshots: undefined });
        world.floor = world.head;
        while (world.manifest.filled.some((level) => level !== world.manifest.levels[levelCount - 1])) {
          const level = world.manifest.levels.findIndex((one) => one.length > 0);
          await world.push({ level, share: 0, blocks: Infinity });
        }
        // All keys are written, so all blocks are rewritten.
        world.commit(keys.map((key) => ({ key, payloadBytes: undefined })));
        world.floor = world.head;
        world.sizes = { targetBytes: 300, maxStoreBytes: 1000 };
        const all = keys.filter((key, i) => i % 2 === 0 && !world.isDead(byteKey(key)));
        world.commit(all.map((key) => ({ key, payloadBytes: 5 })));
        world.floor = world.head;
        await world.fold({ minLevelBytes: 1_000_000, maxStepBytes: 1 }, undefined);
        // Of a dead table there may be blocks that nothing fell into.
        const left = world.content(levelCount - 1).filter(({ key }) => !world.isDead(key));
        expect(left.map(({ key }) => key)).toEqual(all.toSorted());
      }),
      { numRuns: 50 },
    );
  },
);

test("[VG5] the same history gives the same blocks, crashes or not", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(histories(5), async (history) => {
      const [one, other] = [new MergeWorld(), new MergeWorld()];
      for (const given of history) {
        await play(one, { ...given, crashAt: undefined });
        await play(other, given);
      }
      const bytes = (world: MergeWorld) =>
        [...world.manifest.levels].map((level) => [...level.blocks()].map(({ id }) => world.bytesOf(id)));
      expect(bytes(other)).toEqual(bytes(one));
      expect(other.manifest.cursors).toEqual(one.manifest.cursors);
    }),
    { numRuns: 40 },
  );
});

test("compaction comes to rest, with every level within its bounds", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(histories(6), async (history) => {
      const world = new MergeWorld();
      for (const given of history) await play(world, { ...given, steps: 0, crashAt: undefined });
      const { levels } = history.at(-1)!;
      for (let steps = 0; ; steps++) {
        expect(steps).toBeLessThan(1000);
        const step = nextCompaction(world.manifest, levels);
        if (!step) break;
        await world.sink(step, undefined);
      }
      const max = maxBytesOf(world.manifest, levels);
      for (const [i, level] of world.manifest.levels.entries()) expect(level.sizeBytes).toBeLessThanOrEqual(max[i]!);
    }),
    { numRuns: 50 },
  );
});

test(
  "a merge with new versions from memory and from above at once keeps to the same rules",
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(histories(5), async (history) => {
        const world = new MergeWorld();
        for (const given of history) {
          await play(world, { ...given, steps: 1 });
          const before = world.manifest.levels.findIndex((level) => level.length > 0);
          if (before < 0 || before >= levelCount - 1) continue;
          world.commit(given.writes);
          await world.both(before);
          const all = [...world.manifest.levels[before + 1]!.blocks()];
          for (let i = 1; i < all.length; i++) {
            expect(compareInternal(all[i - 1]!.last, all[i]!.first)).toBeLessThan(0);
          }
          expect(world.find(byteKey(keys[0]!), seq(world.head))?.payload).toEqual(world.modelAt(keys[0]!, world.head));
        }
      }),
      { numRuns: 50 },
    );
  },
);
