import { expect, type Page } from "@playwright/test";
import { test } from "./engines.ts";
import { allItems, openTab, smallestMemtable } from "./lab.ts";

declare global {
  /** Every number of records that the live query told. */
  var seen: number[];
}

const [tabs, own, increments] = [8, 60, 25] as const;

/** Beside its own records, all at once, each tab counts up the one that all share. */
const work = (page: Page, tab: number): Promise<void> =>
  page.evaluate(
    async ([name, count, times]) => {
      await lab.meet("ready", String(name), 8);
      const value = "v".repeat(500);
      const puts = async (): Promise<void> => {
        for (let n = 0; n < count; n++) await lab.items.put({ id: `${name} ${n}`, n, group: name, value });
      };
      const counts = Array.from({ length: times }, () =>
        lab.items.upsert("shared", (r) => ({ id: "shared", n: (r?.n ?? 0) + 1 })),
      );
      await Promise.all([puts(), ...counts]);
    },
    [tab, own, increments] as const,
  );

const upkeepOf = (pages: readonly Page[]): Promise<boolean[]> =>
  Promise.all(pages.map((page) => page.evaluate(async () => (await lab.db.storage.metrics()).upkeep)));

test("[MV3][TB1][TB2][TB3] eight tabs write at once: nothing is lost, all see all, one does upkeep and is followed", async ({
  context,
}) => {
  test.setTimeout(60_000);
  const pages: Page[] = [];
  for (let tab = 0; tab < tabs; tab++) pages.push(await openTab(context, smallestMemtable));
  for (const page of pages) {
    await page.evaluate(() => {
      globalThis.seen = [];
      lab.db.live((q) => q.collection("items").count()).subscribe((n) => void seen.push(n));
    });
  }
  const startedAt = performance.now();
  await Promise.all(pages.map(work));
  console.log(
    `  ${tabs * (own + increments)} commits by ${tabs} tabs in ${Math.round(performance.now() - startedAt)} ms`,
  );

  const all = await allItems(pages[0]!);
  expect(all.find(({ id }) => id === "shared")?.n).toBe(tabs * increments);
  for (let tab = 0; tab < tabs; tab++) {
    const numbers = all.flatMap(({ group, n }) => (group === tab ? [n!] : [])).toSorted((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: own }, (_, n) => n));
  }
  for (const page of pages) {
    expect(await allItems(page)).toEqual(all);
    await expect.poll(() => page.evaluate(() => seen.at(-1))).toBe(tabs * own + 1);
    const told = await page.evaluate(() => seen);
    expect(told).toEqual(told.toSorted((a, b) => a - b)); // never backwards
  }

  const upkeep = await upkeepOf(pages);
  expect(upkeep.filter(Boolean)).toHaveLength(1);
  await pages[upkeep.indexOf(true)]!.close();
  const left = pages.filter((page) => !page.isClosed());
  await expect.poll(async () => (await upkeepOf(left)).filter(Boolean).length).toBe(1);
  await left[0]!.evaluate(() => lab.db.checkpoint());
  await left[1]!.evaluate(() => lab.items.put({ id: "after" }));
  for (const page of left) await expect.poll(() => page.evaluate(() => seen.at(-1))).toBe(tabs * own + 2);
  expect((await left[2]!.evaluate(() => lab.db.verify())).damage).toEqual([]);
});
