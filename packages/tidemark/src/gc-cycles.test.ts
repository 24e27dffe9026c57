import { describe, expect, test } from "vitest";
import { GcWorld } from "./gc-cycles.test-support.ts";
import { databaseName, del, put, type Change } from "./test-world.test-support.ts";
import type { Step } from "./storage/memory.ts";
import type { Write } from "./storage/contract.ts";

const pad = "x".repeat(100);
const id = (i: number): string => `k${String(i).padStart(4, "0")}`;
const many = (from: number, to: number, n: number, text = pad): Change[] =>
  Array.from({ length: to - from }, (_, i) => put({ id: id(from + i), n, pad: text }));

/** What `work` reads of blocks, by id, and how many batches it commits that write anything. */
async function cost(world: GcWorld, work: () => Promise<unknown>): Promise<{ blocks: number; batches: number }> {
  const { medium } = world.world;
  const blocks = new Set<unknown>();
  let batches = 0;
  const note = (reads: readonly { readonly store: string; readonly key?: unknown }[]): void => {
    for (const { store, key } of reads) if (store === "blocks") blocks.add(key);
  };
  medium.onStep = (step: Step) => {
    if (step.kind === "read") note(step.reads);
    return "go";
  };
  const heard = medium.onWritten!;
  medium.onWritten = (writes: readonly Write[]) => {
    batches++;
    heard(writes);
  };
  await work();
  medium.onStep = undefined;
  medium.onWritten = heard;
  return { blocks: blocks.size, batches };
}

/** Many clean records in several levels. */
async function filled(text = pad): Promise<GcWorld> {
  const world = new GcWorld({ proof: "interval" });
  await world.open();
  for (let i = 0; i < 400; i += 20) {
    await world.write(0, many(i, i + 20, 1, text));
    await world.fold(true, 3);
  }
  // A full cycle that had something to do has written down what kept versions: nothing.
  for (let i = 0; i < 400; i += 50) await world.write(0, [put({ id: id(i), n: 1, pad })]);
  await world.fullRun();
  return world;
}

describe("[VG14] the work of a cycle is proportional to garbage", () => {
  test("it reads about the blocks that hold some, in whichever level, and a second one nothing at all", async () => {
    const world = await filled();
    const { manifest } = world.upkeepTab.database.store;
    expect(manifest.filled.length).toBeGreaterThan(1);
    expect(manifest.blocks).toBeGreaterThan(120);
    for (const i of [7, 200, 390]) await world.write(0, [put({ id: id(i), n: 2, pad }), del(id(i + 1))]);
    const basis = await world.begin();
    const first = await cost(world, () => world.finish(basis));
    expect(first.blocks).toBeGreaterThan(0);
    expect(first.blocks).toBeLessThan(30);
    expect(world.verifier.violations).toEqual([]);
    expect(await cost(world, () => world.finish(basis))).toEqual({ blocks: 0, batches: 0 });
  });

  test("blocks that span dead tables but hold nothing of them are read once", async () => {
    const world = new GcWorld({ proof: "floor", targetBytes: 2000 });
    await world.open();
    await world.write(0, many(0, 10, 1));
    await world.clear(0);
    await world.write(0, [put({ id: "a", n: 1 })]);
    await world.write(0, [put({ id: "b", n: 1 })]);
    await world.fullRun(); // says itself that a second one has nothing to do
  });

  test("[VG4] an idle database writes nothing", async () => {
    const world = await filled();
    const idle = async (): Promise<void> => {
      await world.cycle("FULL_GC");
      await world.cycle("YOUNG_ONLY");
    };
    await idle();
    expect((await cost(world, idle)).batches).toBe(0);
  });
});

describe("a version that was due once and stayed", () => {
  test("[VG1] is found again though its successor lies in a level above", async () => {
    const world = await filled("small");
    const some = many(100, 140, 2);
    await world.write(
      0,
      some.filter((_, i) => i % 2 === 0),
    );
    await world.view(0);
    await world.write(
      0,
      some.filter((_, i) => i % 2 === 1),
    );
    await world.fullRun();
    await world.release(0);
    await world.write(0, [put({ id: id(399), n: 2, pad })]);
    await world.fullRun();
  });

  test("[VG7][VG8] because of a snapshot that came and went between two full cycles is found again", async () => {
    const world = await filled();
    await world.write(0, many(0, 40, 2));
    await world.snapshot(0, "s");
    await world.write(0, many(0, 40, 3));
    await world.fold(true);
    await world.snapshot(0, "s");
    await world.fullRun();
  });

  test("[VG1] because it was among the latest is found again when it is no more, wherever the newer ones lie", async () => {
    const world = new GcWorld({ proof: "floor", retention: { latest: 3 } });
    await world.open();
    for (let n = 0; n < 12; n++) {
      await world.write(0, [put({ id: "a", n, pad: "y".repeat(400) }), put({ id: `b${n}`, n, pad })]);
      await world.fold(true, n % 3);
    }
    await world.fullRun();
    await world.view(0);
    for (let n = 12; n < 15; n++) await world.write(0, [put({ id: "a", n, pad: "y".repeat(400) })]);
    await world.fullRun();
  });

  test("[VG2] as a deletion, since a run of the young looked before what it hid was gone, goes with that", async () => {
    const world = await filled();
    await world.write(0, [del(id(3)), del(id(300))]);
    await world.write(0, [put({ id: id(399), n: 2, pad })]);
    await world.fold(true);
    await world.cycle("YOUNG_ONLY");
    await world.fullRun();
  });

  test("[VG2] as a deletion of an index entry that came again is found", async () => {
    const world = new GcWorld({ proof: "interval" });
    await world.open();
    await world.write(0, [put({ id: "f", n: 1, at: 2, pad: "z".repeat(400) }), ...many(0, 20, 1)]);
    await world.snapshot(0, "s");
    await world.write(0, [del("f")]);
    await world.fold(true, 4);
    await world.fold(true, 4);
    await world.write(0, [put({ id: "f", n: 2, at: 2 })]);
    await world.fullRun();
    await world.check();
  });

  test("[VG1] for a value that an older version might share goes when none does", async () => {
    const world = await filled();
    const large = "v".repeat(33_000);
    await world.write(0, [put({ id: id(3), n: 2, pad: large })]);
    for (let i = 0; i < 20; i++) {
      await world.write(
        0,
        many(i * 20, i * 20 + 3, 3).filter((change) => change.id !== id(3)),
      );
      await world.fold(true, 3);
    }
    await world.snapshot(0, "s");
    await world.write(0, [put({ id: id(3), n: 4, pad: large })]);
    await world.write(0, [put({ id: id(3), n: 5 })]);
    await world.fullRun();
    await world.check();
  });
});

describe("traps", () => {
  test("[VG1] a reader at the floor keeps what is superseded above it", async () => {
    const world = await filled();
    await world.view(0);
    await world.write(0, [put({ id: id(1), n: 2 })]);
    await world.write(0, [put({ id: id(1), n: 3 })]);
    await world.fullRun();
    await world.check();
  });

  test("[VG2] a deletion over a copy that a snapshot keeps in a lower level stays, and goes after it", async () => {
    const world = await filled();
    await world.snapshot(0, "s");
    await world.write(0, [del(id(1)), del(id(250))]);
    for (const kind of ["YOUNG_ONLY", "YOUNG_AND_MIDDLE", "FULL_GC"] as const) {
      await world.fold(true, 1);
      await world.cycle(kind);
      await world.check();
    }
    await world.snapshot(0, "s");
    await world.fullRun();
    await world.check();
  });

  test("[VG3] what is made between two steps of a cycle is not swept by what was marked before", async () => {
    const world = await filled();
    await world.write(
      0,
      many(0, 400, 2).filter((_, i) => i % 9 === 0),
    );
    await world.cycle("FULL_GC", 1);
    await world.write(1, many(0, 60, 3));
    await world.snapshot(1, "s");
    await world.view(1);
    await world.write(1, many(0, 60, 4));
    await world.fold(false, 3);
    await world.cycle("FULL_GC", 2);
    await world.check();
    await world.cycle("FULL_GC");
    await world.check();
    await world.fullRun();
    await world.check();
  });

  test("[VG4][VG5] a cycle that lasts while the catalog it was decided on is collected still knows the retention", async () => {
    const world = new GcWorld({ proof: "interval", retention: { latest: 3 } });
    await world.open();
    for (let n = 0; n < 3; n++) await world.write(0, many(0, 40, n));
    await world.view(0);
    await world.fold(true, 4);
    for (let n = 3; n < 5; n++) await world.write(0, many(0, 40, n));
    await world.fold(true);
    await world.release(0);
    await world.cycle("FULL_GC", 1);
    await world.declare("others");
    await world.write(0, [put({ id: "z", n: 1 })]);
    await world.fold(true);
    await world.cycle("FULL_GC");
    await world.check();
    await world.fullRun();
    await world.check();
  });

  test("[VG4] a tab that dies at its last write of a step leaves the step done or not, and its record with it", async () => {
    const world = await filled();
    await world.write(0, many(100, 160, 2));
    await world.crashing(400, "none", () => world.cycle("FULL_GC"));
    expect(world.world.medium.atRisk(databaseName)).toBeGreaterThanOrEqual(0);
    await world.fullRun();
    await world.check();
  });
});
