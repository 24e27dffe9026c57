import { expect, test } from "@playwright/test";
import { allItems, commitsSoFar, openTab, openTwoTabs, smallestMemtable } from "./lab.ts";
import { acknowledgedBy, commitUntilLeft, seedOfRun, waitsMs } from "./storm.ts";

const reloads = 8;

test("[MV1][MV5][TB1] two tabs reloaded again and again amid their commits lose nothing acknowledged; a third goes on", async ({
  context,
}) => {
  const waits = waitsMs(seedOfRun(), reloads);
  const [a, b] = await openTwoTabs(context, smallestMemtable);
  const steady = await openTab(context, smallestMemtable);
  const headBefore = await commitsSoFar(steady);
  for (const [page, name] of [
    [a, "a"],
    [b, "b"],
    [steady, "c"],
  ] as const)
    await page.evaluate(commitUntilLeft, name);
  for (const [i, ms] of waits.entries()) {
    await steady.waitForTimeout(ms);
    const [page, name] = i % 2 === 0 ? ([a, "a"] as const) : ([b, "b"] as const);
    await page.reload();
    await page.evaluate(commitUntilLeft, name);
  }
  await steady.waitForTimeout(300);
  for (const page of [a, b, steady]) await page.evaluate(() => left());

  const found = await allItems(steady);
  for (const page of [a, b]) expect(await allItems(page)).toEqual(found);
  for (const name of ["a", "b", "c"]) {
    const numbers = found
      .flatMap(({ id, n = -1 }) => (String(id).startsWith(name) ? [n] : []))
      .toSorted((x, y) => x - y);
    const acknowledged = await steady.evaluate(acknowledgedBy, name);
    console.log(`  ${name}: ${acknowledged} acknowledged, ${numbers.length} found`);
    expect(numbers).toEqual(numbers.map((_, n) => n)); // nobody counts on from what was not there
    expect(numbers.length).toBeGreaterThanOrEqual(acknowledged);
    expect(numbers.length).toBeLessThanOrEqual(acknowledged + reloads + 1); // one at a time may be without an answer
    expect(acknowledged).toBeGreaterThan(20);
  }
  expect(await commitsSoFar(a)).toBe(headBefore + found.length);
  expect((await b.evaluate(() => lab.db.verify())).damage).toEqual([]);
});
