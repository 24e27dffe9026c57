import { expect, test, vi } from "vitest";
import {
  databaseName,
  expectEverywhere,
  freshItems,
  item,
  type Item,
  keysIn,
  openPage,
  outcome,
} from "./host-page.test-support.ts";
import { simulate } from "./testing/world.ts";

vi.setConfig({ testTimeout: 30_000 });

const large = (i: number, sizeBytes = 150_000): Item => ({
  ...item(i),
  pad: `${i}`.repeat(sizeBytes).slice(0, sizeBytes),
});
/** What a value of that size takes. */
const chunks = 3;

test("[MV11][TB4] a host dies at any storage call of a large write: another sweeps what was not published", async () => {
  let calls = 0;
  for (let at = 1; at <= calls + 1; at++) {
    await simulate(async (world) => {
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      await a.put(large(0));
      a.process.onCall = ({ n, when }) => {
        if (at === 1) calls = n; // the first round counts: nobody dies in it
        else if (when === "before" && n === at - 1) a.process.kill();
      };
      const putting = a.put(large(1));
      putting.catch(() => undefined); // of the dead one nothing is heard
      if (at === 1) {
        await putting;
        return;
      }
      await world.eventually(() => a.process.isFrozen, 1000, "the write goes so far");
      await world.eventually(async () => (await b.metrics()).upkeep, 1000, "b takes over");
      await world.sleep(50);
      const found = await freshItems(b);
      expect(found).toEqual(found.length === 1 ? [large(0)] : [large(0), large(1)]);
      expect(await keysIn(world, "blobs")).toHaveLength(found.length * chunks);
      expect((await b.metrics()).blobBytes).toBeGreaterThan(found.length * 150_000);
      await b.put(large(2));
      await expectEverywhere(world, [b], [...found, large(2)]);
    });
  }
  expect(calls).toBeGreaterThanOrEqual(2);
});

test("[MV11] closing while a large value is written waits for it", () =>
  simulate(async (world) => {
    const a = await openPage(world, "a");
    const putting = a.put(large(1, 1_000_000));
    await world.sleep(1); // it has begun
    const closing = a.close();
    expect(await outcome(putting)).toBe("ok");
    await closing;
    const b = await openPage(world, "b");
    expect((await freshItems(b)).map(({ pad }) => pad?.length)).toEqual([1_000_000]);
  }));

test("[MV8][MV11] a damaged large value is told by its key; verifying and all else go on", () =>
  simulate(async (world) => {
    const a = await openPage(world, "a");
    for (const one of [large(0), large(1), item(2)]) await a.put(one);
    const [key] = await keysIn(world, "blobs");
    world.medium.damage(databaseName, "blobs", key!, 77);
    await expect(a.all()).rejects.toMatchObject({
      code: "CORRUPT",
      details: { what: "value", collection: "items", key: item(0).id },
    });
    expect((await a.get(item(1).id))?.pad === large(1).pad).toBe(true);
    expect(await a.get(item(2).id)).toEqual(item(2));
  }));
