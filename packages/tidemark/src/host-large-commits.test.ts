import { expect, test, vi } from "vitest";
import { expectEverywhere, item, keysIn, openPage, outcome, range } from "./host-page.test-support.ts";
import { simulate } from "./testing/world.ts";

vi.setConfig({ testTimeout: 30_000 });

test("[MV5][MV11] fresh hosts find large commits that the log still holds, and fold them", () =>
  simulate(async (world) => {
    const a = await openPage(world, "a");
    const b = await openPage(world, "b");
    await a.put(...range(0, 400));
    await b.put(item(399, 7), ...range(500, 900));
    await expectEverywhere(world, [a, b], [...range(0, 399), item(399, 7), ...range(500, 900)]);
    a.process.kill();
    b.process.kill();
    expect(await keysIn(world, "blobs")).not.toEqual([]);
    const c = await openPage(world, "c");
    await c.put(item(1, 8));
    const left = [item(0), item(1, 8), ...range(2, 399), item(399, 7), ...range(500, 900)];
    await expectEverywhere(world, [c], left);
    await c.checkpoint();
    expect(await keysIn(world, "blobs")).toEqual([]);
    await expectEverywhere(world, [c], left);
  }));

test("[MV1][MV11][TB4] a host dies at any storage call of a large commit: it is whole or not there, and nothing is left", async () => {
  let calls = 0;
  for (let at = 1; at <= calls + 1; at++) {
    await simulate(async (world) => {
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      a.process.onCall = ({ n, when }) => {
        if (at === 1) calls = n; // the first round counts: nobody dies in it
        else if (when === "before" && n === at - 1) a.process.kill();
      };
      const putting = outcome(a.put(...range(0, 1200)));
      if (at === 1) {
        expect(await putting).toBe("ok");
        return;
      }
      await world.eventually(() => a.process.isFrozen, 1000, "the commit goes so far");
      await world.eventually(async () => (await b.metrics()).upkeep, 1000, "b takes over");
      await world.sleep(50);
      const found = (await b.all()).length;
      expect([0, 1200]).toContain(found);
      await b.put(item(2000));
      await expectEverywhere(world, [b], [...range(0, found), item(2000)]);
      await b.checkpoint();
      expect(await keysIn(world, "blobs")).toEqual([]);
    });
  }
  expect(calls).toBeGreaterThanOrEqual(3);
});
