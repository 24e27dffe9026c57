import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type BrowserContext, expect, firefox } from "@playwright/test";
import { test } from "./engines.ts";
import { firefoxLaunch } from "../tools/browser-paths.mjs";
import { allItems, openTwoTabs, openTab, smallestMemtable } from "./lab.ts";

/** Two tabs with the same records, of every sort that is stored in its own way, folded and not. */
async function writeInTwoTabs(context: BrowserContext): Promise<void> {
  const [a, b] = await openTwoTabs(context, smallestMemtable);
  await a.evaluate(async () => {
    await lab.items.putMany(
      Array.from({ length: 300 }, (_, n) => ({ id: n, n, group: n % 3, value: "v".repeat(500) })),
    );
    await lab.items.put({ id: 300, n: 300, value: new Blob([new Uint8Array(600_000).fill(7)]) });
    await lab.db.checkpoint();
  });
  await b.evaluate(() => lab.items.put({ id: 301, n: 301, group: 1 }));
  for (const page of [a, b]) {
    expect((await allItems(page)).map(({ n }) => n)).toEqual(Array.from({ length: 302 }, (_, n) => n));
    expect(await page.evaluate(() => lab.items.where("group").equals(1).count())).toBe(101);
    const bytes = await page.evaluate(async () => {
      const { value } = (await lab.items.get(300))!;
      return [...new Uint8Array(await (value as Blob).arrayBuffer())].reduce((sum, byte) => sum + byte, 0);
    });
    expect(bytes).toBe(7 * 600_000);
  }
  await a.close();
  expect(await b.evaluate(async () => (await lab.db.gc.run()).dryRun)).toBe(false);
  expect((await b.evaluate(() => lab.db.verify())).damage).toEqual([]);
}

test("[MV1][TB1] a private context has all of the database to itself, and leaves nothing behind", async ({
  browser,
  baseURL,
}) => {
  const open = (): Promise<BrowserContext> => browser.newContext({ baseURL: baseURL! });
  const [mine, yours] = [await open(), await open()];
  const other = await openTab(yours);
  await other.evaluate(() => lab.items.put({ id: "yours" }));
  await writeInTwoTabs(mine);
  expect(await allItems(other)).toEqual([{ id: "yours" }]);
  await mine.close();
  await other.evaluate(() => lab.items.put({ id: "still yours" }));
  expect(await allItems(other)).toHaveLength(2);
  const next = await open();
  expect(await allItems(await openTab(next))).toEqual([]);
  await next.close();
  await yours.close();
});

test("[MV1][MV6] in Firefox's private browsing the database works, blobs too, until the window is closed", async ({
  browserName,
  baseURL,
}) => {
  test.skip(browserName !== "firefox", "in Chromium every context of a test is private already");
  const profile = mkdtempSync(path.join(tmpdir(), "tidemark-private-"));
  const firefoxUserPrefs = { ...firefoxLaunch.firefoxUserPrefs, "browser.privatebrowsing.autostart": true };
  const start = (): Promise<BrowserContext> =>
    firefox.launchPersistentContext(profile, { ...firefoxLaunch, firefoxUserPrefs, baseURL: baseURL! });
  const first = await start();
  await writeInTwoTabs(first);
  await first.close();
  const second = await start();
  expect(await allItems(await openTab(second))).toEqual([]);
  await second.close();
  rmSync(profile, { recursive: true, force: true });
});
