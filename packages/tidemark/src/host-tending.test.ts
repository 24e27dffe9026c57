import { expect, test, vi } from "vitest";
import { expectEverywhere, item, type Item, openPage, type Page, range } from "./host-page.test-support.ts";
import { simulate } from "./testing/world.ts";

vi.setConfig({ testTimeout: 60_000 });

const items = range(0, 3000);
/** In blocks of their own, which stay full. */
const others = range(6000, 7000);
/** A full cycle is due whenever anything is. */
const gc = { generations: { fullEveryHours: 0.001 } };

const blocksOf = async (page: Page): Promise<number> => (await page.metrics()).blocks;
const executions = (page: Page) => page.call<"gc-executions">({ op: "gc-executions" });

/** Every record becomes a small one, and what a snapshot kept is swept block by block: small blocks, side by side. */
async function fragmented(page: Page): Promise<readonly Item[]> {
  for (const all of [items, others]) {
    for (let i = 0; i < all.length; i += 500) await page.put(...all.slice(i, i + 500));
  }
  await page.call<"snapshot-create">({ op: "snapshot-create", name: "before" });
  const small = items.map(({ id, n }) => ({ id, n }));
  await page.put(...small);
  await page.checkpoint();
  const options = { kind: "YOUNG_ONLY", deleteBatchSize: 1 } as const;
  await page.call<"snapshot-delete">({ op: "snapshot-delete", name: "before" });
  await page.call<"gc-run">({ op: "gc-run", job: 1, isBackground: false, options });
  return [...small, ...others];
}

/** Garbage far from there, so that a full cycle begins. */
async function garbage(page: Page): Promise<void> {
  const view = page.newHandle();
  await page.begin(view, "view");
  await page.put(others.at(-1)!);
  await page.checkpoint();
  await page.end(view);
}

test("[GM6][VG4] a full cycle that began by itself leaves small blocks joined, and an idle database at rest", () =>
  simulate(async (world) => {
    const page = await openPage(world, "a", { gc });
    const left = await fragmented(page);
    const blocks = await blocksOf(page);
    await world.sleep(10_000);
    expect(await blocksOf(page)).toBe(blocks); // a run of the young leaves them as they are
    await garbage(page);
    await world.sleep(10_000);
    expect((await executions(page))[0]).toMatchObject({ type: "FULL_GC", status: "COMPLETED" });
    expect(blocks).toBeGreaterThan(30);
    expect(await blocksOf(page)).toBeLessThan(blocks / 2);
    let writes = 0;
    world.medium.onWritten = (batch) => (writes += batch.length);
    await world.sleep(60_000);
    expect(writes).toBe(0);
    expect(page.errors).toEqual([]);
    await expectEverywhere(world, [page], left);
  }));

test("[GM6][VG10] joining takes as many slices as it needs, and goes on while others write", () =>
  simulate(async (world) => {
    const page = await openPage(world, "a", { gc });
    const left = new Map((await fragmented(page)).map((one) => [one.id, one]));
    const blocks = await blocksOf(page);
    page.process.lookMs = 0.2;
    await garbage(page);
    const ended = async () =>
      (await executions(page))[0]!.status === "COMPLETED" && (await executions(page)).length > 1;
    await world.eventually(ended, 10_000, "a full cycle ends");
    const { slices } = (await page.metrics()).slices;
    for (let n = 0; n < 100; n++) {
      const one = item(8000 + n);
      left.set(one.id, one);
      await page.put(one);
    }
    await world.sleep(5_000);
    const after = await page.metrics();
    expect(after.blocks).toBeLessThan(blocks / 2);
    expect(after.slices.slices - slices).toBeGreaterThan(20);
    expect(after.slices.longestMs).toBeLessThan(6);
    await expectEverywhere(world, [page], left.values());
  }));
