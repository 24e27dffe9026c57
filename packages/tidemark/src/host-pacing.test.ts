/** Whole hosts whose pages grant slices, or do not. */
import { describe, expect, test } from "vitest";
import { openPage, type Page, range } from "./host-page.test-support.ts";
import { simulate, type World } from "./testing/world.ts";
import type { OfferAnswer, PageOffer } from "./protocol/messages.ts";

const memtableMaxBytes = 8 * 1024;
const visible = { memtableMaxBytes, page: "visible" } as const;
const slice: PageOffer = { type: "slice", budgetMs: 4, leftMs: 50 };

/** What the page was told of waiting work. */
const told = (page: Page): boolean[] => page.events.flatMap((e) => (e.type === "work" ? [e.waits] : []));
const waits = (page: Page): boolean => told(page).at(-1) ?? false;
const bySource = async (page: Page) => (await page.metrics()).slices.bySource;

/** As an idle page does. */
async function grantAll(world: World, page: Page): Promise<OfferAnswer[]> {
  const answers: OfferAnswer[] = [];
  while (waits(page)) {
    answers.push(await page.host.grant(slice));
    await world.sleep(10);
  }
  return answers;
}

/** What the upkeep of a tab does as it begins; then nothing waits. */
async function settle(world: World, page: Page): Promise<void> {
  await world.sleep(50);
  await grantAll(world, page);
}

describe("a host whose page grants slices", () => {
  test("[VG10] tells it when work waits and when none does, and folds by its grants alone", () =>
    simulate(async (world) => {
      const page = await openPage(world, "a", visible);
      await settle(world, page);
      const before = told(page).length;
      page.process.lookMs = 5; // a slice is over at its first look
      await page.put(...range(0, 30));
      expect((await page.metrics()).logEntries).toBe(2); // the schema, and these
      await world.sleep(60);
      expect(told(page).slice(before)).toEqual([true]);
      expect((await page.metrics()).logEntries).toBe(3); // and the floor that the fold will go by
      const answers = await grantAll(world, page);
      expect((await page.metrics()).logEntries).toBe(0);
      expect(answers.some(({ usedMs }) => usedMs !== undefined)).toBe(true);
      expect(waits(page)).toBe(false);
      expect(await bySource(page)).toMatchObject({ busy: 0, assist: 0, timer: 0, headlong: 0 });
      expect(await page.host.grant(slice)).toEqual({});
      const after = told(page).length;
      await world.sleep(10_000);
      expect(told(page)).toHaveLength(after);
    }));

  test("[VG10] lets nobody wait for idle moments who waits for a checkpoint, or closes", () =>
    simulate(async (world) => {
      const page = await openPage(world, "a", visible);
      await page.put(...range(0, 30));
      await world.sleep(20); // a fold waits to be granted
      const from = world.now;
      await page.checkpoint();
      expect((await page.metrics()).logEntries).toBe(0);
      expect(world.now - from).toBeLessThan(100);
      await page.put(...range(0, 30));
      await world.sleep(20);
      const closing = world.now;
      await page.close();
      expect(world.now - closing).toBeLessThan(100);
    }));

  test("[VG10] goes on by itself when the page is hidden, also in the middle of a fold", () =>
    simulate(async (world) => {
      const page = await openPage(world, "a", visible);
      await settle(world, page);
      page.process.lookMs = 5; // a slice is over at its first look
      await page.put(...range(0, 30));
      await world.sleep(20);
      await page.host.grant({ type: "slice", budgetMs: 0.5, leftMs: 50 });
      await page.host.grant({ type: "page", state: "hidden" });
      await world.eventually(async () => (await page.metrics()).logEntries === 0, 1000, "it folds");
      expect((await bySource(page)).timer).toBeGreaterThan(0);
    }));

  test("[VG10] whose page never answers again still folds", () =>
    simulate(async (world) => {
      const page = await openPage(world, "a", visible);
      await page.put(...range(0, 30));
      await world.eventually(async () => (await page.metrics()).logEntries === 0, 5000, "it folds");
      expect((await bySource(page)).grant).toBe(0);
    }));

  test("[TB2][VG11] that waits for idle moments is not taken for frozen by a tab that writes", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", visible);
      const b = await openPage(world, "b", { memtableMaxBytes });
      for (const page of [a, b]) page.process.lookMs = 0.05;
      for (let i = 0; i < 300; i++) {
        await b.put(...range(i, i + 1));
        await world.sleep(20);
      }
      expect([(await a.metrics()).upkeep, (await b.metrics()).upkeep]).toEqual([true, false]);
      expect((await b.metrics()).memtableBytes).toBeLessThan(4 * memtableMaxBytes);
      expect([a.errors, b.errors]).toEqual([[], []]);
    }));

  test("[VG11] what came during a fold, and is enough for another, is folded without a further commit", () =>
    simulate(async (world) => {
      const page = await openPage(world, "a", visible);
      await settle(world, page);
      page.process.lookMs = 5;
      await page.put(...range(0, 30));
      await world.sleep(20);
      expect((await page.host.grant(slice)).usedMs).toBeDefined(); // the fold is under way
      await page.put(...range(30, 60));
      expect((await page.metrics()).logEntries).toBe(4); // the schema, the floor, and two of ours
      await world.sleep(20);
      await grantAll(world, page);
      expect((await page.metrics()).logEntries).toBe(0);
    }));

  test("[VG10] believes no page that is none, and no offer that is none", () =>
    simulate(async (world) => {
      for (const bad of [
        { page: "prerender" },
        { gc: { budgetMs: 0 } },
        { gc: { budgetMs: 51 } },
        { gc: { budgetMs: "4" } },
      ]) {
        const opening = openPage(world, "a", bad as object);
        await expect(opening).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
      }
      const page = await openPage(world, "b", visible);
      const offer = { type: "slice", budgetMs: 1e9, leftMs: 1e9 } as const;
      await expect(page.host.grant(offer)).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
      const budget = await openPage(world, "c", { gc: { budgetMs: 2 } });
      budget.process.lookMs = 0.1;
      await budget.put(...range(0, 30));
      await budget.checkpoint();
      expect((await budget.metrics()).slices.longestMs).toBeLessThan(4);
    }));
});
