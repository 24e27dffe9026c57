import { describe, expect, test, vi } from "vitest";
import { expectGone, openPage, Page } from "./host-page.test-support.ts";
import { simulate } from "./testing/world.ts";

vi.setConfig({ testTimeout: 30_000 });

const dayMs = 24 * 60 * 60 * 1000;
const keeping = (mvccVersionRetentionDays: number) => ({ gc: { mvccVersionRetentionDays } });

/** For how many days versions are kept, by the catalog at the log's head. */
async function keptDays(page: Page): Promise<number> {
  const handle = page.newHandle();
  await page.begin(handle, "view", 0, true);
  const { keepForMs = 0 } = await page.call<"catalog">({ op: "catalog", handle });
  await page.end(handle);
  return keepForMs / dayMs;
}

describe("tabs that declare different mvccVersionRetentionDays", () => {
  test("[CN][GM4] the longest of those that are open counts, in whatever order they open", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", keeping(3));
      expect(await keptDays(a)).toBe(3);
      const b = await openPage(world, "b", keeping(7));
      expect(await keptDays(a)).toBe(7);
      const c = await openPage(world, "c", keeping(1));
      await openPage(world, "d");
      expect(await keptDays(c)).toBe(7);
      expect([a.errors, b.errors, c.errors]).toEqual([[], [], []]);
    }));

  test("[CN] one that is declared shorter counts once every tab was opened anew, one after the other", () =>
    simulate(async (world) => {
      const [a, b] = [await openPage(world, "a", keeping(7)), await openPage(world, "b", keeping(7))];
      await a.close();
      expectGone(world, a);
      const a2 = await openPage(world, "a2", keeping(2));
      expect(await keptDays(a2)).toBe(7); // b wants it still
      b.process.kill();
      const b2 = await openPage(world, "b2", keeping(2));
      expect(await keptDays(a2)).toBe(2);
      expect(await keptDays(b2)).toBe(2);
    }));

  test("[CN] one that joins while another lowers it, at whatever moment of that, is not overlooked", async () => {
    let calls = 0;
    for (let at = 1; at <= 2 * calls + 1; at++) {
      const [n, when] = [at >> 1, at % 2 === 0 ? "before" : "after"] as const;
      await simulate(async (world) => {
        await (await openPage(world, "former", keeping(9))).close();
        const lowering = new Page(world.process("lowering"), keeping(3));
        lowering.process.onCall = (call) => {
          if (at === 1) calls = call.n; // the first round counts
          else if (call.n === n && call.when === when) lowering.process.freeze();
        };
        const opening = lowering.open();
        if (at === 1) {
          await opening;
          return expect(await keptDays(lowering)).toBe(3);
        }
        await world.eventually(() => lowering.process.isFrozen, 1000, "the opening goes so far");
        lowering.process.onCall = undefined;
        const joining = await openPage(world, "joining", keeping(9));
        lowering.process.thaw();
        await opening;
        expect(await keptDays(joining)).toBe(9);
      });
    }
    expect(calls).toBeGreaterThan(4);
  });

  test("[CN] a bad value is refused by the worker too", () =>
    simulate(async (world) => {
      const page = new Page(world.process("a"), keeping(100_001));
      expect(await page.tryOpen()).toMatchObject({
        ok: false,
        error: { code: "OPTIONS_INVALID", details: { option: "gc.mvccVersionRetentionDays" } },
      });
      expectGone(world, page);
    }));
});
