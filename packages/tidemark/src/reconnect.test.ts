/** A connection that is lost, and with it what was written last, while something is read in several steps. */
import { expect, test } from "vitest";
import { storedBlocks } from "./large-values.test-support.ts";
import { itemsIn, put, type Tab, World, write } from "./test-world.test-support.ts";

async function everything(tab: Tab): Promise<unknown> {
  const view = await tab.database.begin(-7, { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 });
  try {
    return await itemsIn(view);
  } finally {
    await tab.database.end(-7);
  }
}

test("[MV9] entries read before the loss do not count: at any step of a reading", async () => {
  let steps = 0;
  for (let at = 0; at <= steps; at++) {
    const world = new World({ reopens: true });
    const [a, b] = [await world.open(), await world.open()];
    await write(a, [put({ id: "kept", n: 1 })], "strict");
    await b.database.store.follow();
    await world.upkeep(a); // there is a page of the manifest that b has to read
    await write(a, [put({ id: "lost", n: 1 })]);
    let n = 0;
    world.medium.onStep = ({ kind }) => {
      if (kind !== "read") return "go";
      if (at === 0) steps++;
      return ++n === at ? "crash" : "go";
    };
    await b.database.store.reload();
    world.medium.onStep = undefined;
    await write(b, [put({ id: "after", n: 1 })]);
    const there = at === 0 ? ["after", "kept", "lost"] : ["after", "kept"];
    for (const tab of [b, a, await world.open()]) {
      expect(await everything(tab)).toEqual(there.map((id) => ({ id, n: 1 })));
      expect(tab.damage).toEqual([]);
    }
  }
  expect(steps).toBeGreaterThan(1);
});

test("[MV9][VG3] a tab whose pin was lost reads nothing that is no longer held for it", async () => {
  const world = new World({ reopens: true, cacheMaxBytes: 1 });
  const a = await world.open();
  const items = Array.from({ length: 20 }, (_, n) => ({ id: `k${n + 10}`, n, pad: "p".repeat(90) }));
  await write(a, items.map(put), "strict");
  await world.upkeep(a);
  const b = await world.open();
  const view = await b.database.begin(1, { tracked: false, isolation: "snapshot", fresh: false, attempt: 0 });
  expect(await itemsIn(view)).toEqual(items);
  world.medium.crash({ keepRelaxed: "none" });
  await write(
    a,
    items.map((item) => put({ ...item, n: -1 })),
    "strict",
  );
  await world.upkeep(a);
  await expect(itemsIn(view)).rejects.toMatchObject({ code: "READ_VIEW_EVICTED" });
  await b.database.end(1);
  expect(await everything(b)).toEqual(items.map((item) => ({ ...item, n: -1 })));
});

test("[MV9] upkeep whose publishing nobody answered finds it published, installs it and takes nothing back", async () => {
  let strict = 0;
  for (let at = 0; at <= strict; at++) {
    const world = new World({ reopens: true });
    const a = await world.open();
    let n = 0;
    for (let round = 0; round < 6; round++) {
      const items = Array.from({ length: 20 }, (_, i) => ({
        id: `k${(i * 7 + round) % 40}`,
        n: i,
        pad: "p".repeat(90),
      }));
      await write(a, items.map(put));
      world.medium.onStep = (step) => {
        if (step.kind !== "committed" || step.batch.durability !== "strict") return "go";
        if (at === 0) strict++;
        return ++n === at ? "lost" : "go";
      };
      const done = await world.upkeep(a);
      world.medium.onStep = undefined;
      const { store } = a.database;
      expect(done?.fence).toEqual(store.fence);
      expect(store.fence.seq).toBe(store.head.seq);
      const listed = [...store.manifest.all()].map(({ id }) => id as number);
      expect(listed.toSorted((x, y) => x - y)).toEqual(await storedBlocks(a.storage));
    }
    expect(a.tenure?.isDeposed).toBe(false);
    expect(await everything(a)).toHaveLength(40);
    expect(await everything(await world.open())).toEqual(await everything(a));
  }
  expect(strict).toBeGreaterThan(20);
});
