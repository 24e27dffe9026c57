import { expect, test } from "vitest";
import { GcWorld } from "./gc-cycles.test-support.ts";
import { del, put } from "./test-world.test-support.ts";
import { compaction } from "./gc/compaction.ts";
import type { RunKind } from "./gc/journal.ts";
import { nothingDone } from "./gc/strategy.ts";
import { defaultWork } from "./gc/work.ts";

const id = (i: number): string => `k${String(i).padStart(4, "0")}`;
const pad = "x".repeat(100);
const options = { ...defaultWork, targetBytes: 2000 };

/** Of 400 records, two of three deleted, and the cycle over them done: blocks of a third of their size. */
async function fragmented(): Promise<GcWorld> {
  const world = new GcWorld({ proof: "interval", targetBytes: options.targetBytes });
  await world.open();
  for (let i = 0; i < 400; i += 50) {
    await world.write(
      0,
      Array.from({ length: 50 }, (_, n) => put({ id: id(i + n), n, at: i, pad })),
    );
  }
  await world.fullRun();
  const gone = Array.from({ length: 400 }, (_, i) => i).filter((i) => i % 3 > 0);
  await world.write(
    0,
    gone.map((i) => del(id(i))),
  );
  await world.fullRun();
  return world;
}

async function compacted(world: GcWorld, kind: RunKind): Promise<number> {
  const begun = await world.advance();
  const { store } = world.upkeepTab.database;
  const strategy = compaction(store);
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
