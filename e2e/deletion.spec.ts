import { expect, type Page } from "@playwright/test";
import { test } from "./engines.ts";
import { freezable, freezer } from "./freezing.ts";
import { allItems, databasesIn, openPage, openTab, openTwoTabs, smallestMemtable } from "./lab.ts";
import { wakeAll } from "./processes.ts";

declare global {
  var endings: string[];
}

/** The code that a call ends with, or "done". */
const outcomes = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const calls: Promise<unknown>[] = [lab.items.put({ id: 7, n: -1 }), lab.items.all(), lab.db.checkpoint()];
    const ended = await Promise.allSettled(calls);
    return ended.map((e) =>
      e.status === "fulfilled" ? "done" : tidemark.isTidemarkError(e.reason) ? e.reason.code : String(e.reason),
    );
  });

test.afterEach(wakeAll);

test("[TB7] behind a frozen tab a database is deleted and made anew; it wakes, is told, and harms nothing", async ({
  browser,
  context,
}) => {
  await freezable(context);
  const [a, b] = await openTwoTabs(context, smallestMemtable);
  await a.evaluate(async () => {
    globalThis.endings = [];
    lab.db.on("closed", ({ reason }) => endings.push(reason));
    await lab.items.putMany(Array.from({ length: 500 }, (_, n) => ({ id: n, n, value: "v".repeat(500) })));
    await lab.db.checkpoint();
  });
  const frozen = await freezer(browser, a);
  await frozen.freeze();
  const deletedMs = await b.evaluate(async () => {
    const startedAt = performance.now();
    await tidemark.deleteDatabase(lab.db.name);
    return performance.now() - startedAt;
  });
  expect(await b.evaluate(() => tidemark.listDatabases())).toEqual([]);
  // A page that knows nothing of it, and one that had it open.
  const openedAt = performance.now();
  const c = await openTab(context, smallestMemtable);
  const openedMs = performance.now() - openedAt;
  expect(await allItems(c)).toEqual([]);
  await c.evaluate(() =>
    lab.items.putMany([
      { id: 1, n: 1 },
      { id: 2, n: 2 },
    ]),
  );
  await b.reload();
  await b.evaluate(() => lab.items.put({ id: 3, n: 3 }));
  await c.evaluate(() => lab.db.checkpoint());
  console.log(`  deleted in ${deletedMs.toFixed(0)} ms, opened in a new tab in ${openedMs.toFixed(0)} ms`);
  expect(deletedMs).toBeLessThan(3000);
  expect(openedMs).toBeLessThan(5000);

  await frozen.wake();
  expect((await outcomes(a))[0]).toBe("CLOSED");
  await expect.poll(() => a.evaluate(() => endings)).toEqual(["deleted"]);
  const fresh = [1, 2, 3].map((n) => ({ id: n, n }));
  for (const page of [b, c]) expect(await allItems(page)).toEqual(fresh);
  await a.reload();
  expect(await allItems(a)).toEqual(fresh);
  expect((await a.evaluate(() => lab.db.verify())).damage).toEqual([]);
  await (await openPage(context)).evaluate(() => tidemark.deleteDatabase("lab"));
  for (const page of [a, b, c]) expect((await outcomes(page))[0]).toBe("CLOSED");
  expect(await a.evaluate(() => tidemark.listDatabases())).toEqual([]);
  expect(await databasesIn(a)).toEqual([]);
});
