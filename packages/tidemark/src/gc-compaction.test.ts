import { expect, test } from "vitest";
import { GcWorld } from "./gc-cycles.test-support.ts";
import { del, put } from "./test-world.test-support.ts";
import { compaction, joining } from "./gc/compaction.ts";
import type { Basis, RunKind } from "./gc/journal.ts";
import { nothingDone } from "./gc/strategy.ts";
import { Tenure } from "./gc/tenure.ts";
import { defaultWork } from "./gc/work.ts";
import type { Pace } from "./segments/pace.ts";

const id = (i: number): string => `k${String(i).padStart(4, "0")}`;
const pad = "x".repeat(100);
const options = { ...defaultWork, targetBytes: 2000 };

/** Of 400 records, two of three up to one deleted, and the cycle over them done: blocks of a third of their size. */
async function fragmented(upTo = 400): Promise<GcWorld> {
  const world = new GcWorld({ proof: "interval", targetBytes: options.targetBytes });
  await world.open();
  for (let i = 0; i < 400; i += 50) {
    await world.write(
      0,
      Array.from({ length: 50 }, (_, n) => put({ id: id(i + n), n, at: i, pad })),
    );
  }
  await world.fullRun();
  const gone = Array.from({ length: upTo }, (_, i) => i).filter((i) => i % 3 > 0);
  await world.write(
    0,
    gone.map((i) => del(id(i))),
  );
  await world.fullRun();
  return world;
}

async function compacted(world: GcWorld, kind: RunKind, strategyOf = compaction): Promise<number> {
  const begun = await world.advance();
  const { store } = world.upkeepTab.database;
  const strategy = strategyOf(store);
  const terms = { kind, basis: begun!.basis, config: {}, before: nothingDone, isAsked: true };
  await strategy.plan(begun!.tenure, terms);
  for (let steps = 0; ; steps++) if ((await strategy.step(begun!.tenure, options)) === "over") return steps;
}

test("[GM6] a full run joins small blocks that lie side by side, of records and indexes, and a second has nothing to do", async () => {
  const world = await fragmented();
  const { store } = world.upkeepTab.database;
  const before = store.manifest;
  expect(await compacted(world, "FULL_GC")).toBeGreaterThan(0);
  const after = store.manifest;
  expect(after.blocks).toBeLessThan(before.blocks * 0.6);
  const sizes = after.filled.flatMap((level) => [...level.blocks()].map(({ sizeBytes }) => sizeBytes));
  for (const [i, sizeBytes] of sizes.entries()) {
    expect(sizeBytes).toBeLessThanOrEqual(options.targetBytes);
    if (i > 0) expect(sizeBytes + sizes[i - 1]!).toBeGreaterThan(options.targetBytes / 2);
  }
  expect(after.versions).toBe(before.versions);
  expect(world.verifier.violations).toEqual([]);
  await world.check();
  expect(await compacted(world, "FULL_GC")).toBe(0);
  expect(store.manifest).toBe(after);
});

test("[GM6] a run of the young does not", async () => {
  const world = await fragmented();
  expect(await compacted(world, "YOUNG_AND_MIDDLE")).toBe(0);
});

test("[GM6][VG14] a full cycle that nobody asked for is followed by joining where a page is half empty, and only there", async () => {
  const world = await fragmented();
  const { store } = world.upkeepTab.database;
  const { blocks, versions } = store.manifest;
  expect(await compacted(world, "FULL_GC", joining)).toBeGreaterThan(0);
  expect(store.manifest.blocks).toBeLessThan(blocks * 0.6);
  expect(store.manifest.versions).toBe(versions);
  expect(world.verifier.violations).toEqual([]);
  await world.check();
  const after = store.manifest;
  expect(await compacted(world, "FULL_GC", joining)).toBe(0);
  expect(store.manifest).toBe(after);

  const full = await fragmented(40);
  expect(await compacted(full, "FULL_GC", joining)).toBe(0);
  expect(await compacted(full, "FULL_GC", compaction)).toBeGreaterThan(0);
});

test(
  "[VG5][VG4] slices, and crashes at any step, change nothing of what joining leaves, byte by byte",
  { timeout: 60_000 },
  async () => {
    const prepared = async (): Promise<readonly [GcWorld, Basis]> => {
      const world = await fragmented();
      return [world, (await world.advance())!.basis];
    };
    const joined = async (world: GcWorld, basis: Basis, pace: Pace = options.pace): Promise<void> => {
      const tab = world.upkeepTab;
      if (!tab.tenure || !(await tab.tenure.lasts())) {
        tab.tenure = await Tenure.begin(tab.storage);
        await tab.database.store.reload();
      }
      const strategy = joining(tab.database.store);
      await strategy.plan(tab.tenure, { kind: "FULL_GC", basis });
      const work = { ...options, pace, levels: { ...options.levels, maxStepBytes: 8000 } };
      while ((await strategy.step(tab.tenure, work)) !== "over");
    };

    const [world, basis] = await prepared();
    const { blocks } = world.upkeepTab.database.store.manifest;
    const from = world.world.medium.steps;
    await joined(world, basis);
    const steps = world.world.medium.steps - from;
    expect(world.upkeepTab.database.store.manifest.blocks).toBeLessThan(blocks * 0.6);
    const expected = await world.outcome();

    const [sliced] = await prepared();
    let looks = 0;
    await joined(sliced, basis, {
      isDue: () => ++looks % 2 === 0,
      pause: () => new Promise((resolve) => void setImmediate(resolve)),
    });
    expect(await sliced.outcome()).toEqual(expected);

    for (let dieAt = 1; dieAt <= steps; dieAt++) {
      const [dying, same] = await prepared();
      expect(same).toEqual(basis);
      await dying.crashing(dieAt, dieAt % 2 === 0 ? "all" : "none", () => joined(dying, same));
      await joined(dying, same);
      expect(await dying.outcome()).toEqual(expected);
      await dying.check();
    }
    expect(steps).toBeGreaterThan(10);
  },
);
