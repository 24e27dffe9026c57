import { expect, firefox, type Page, test } from "@playwright/test";
import { firefoxLaunch } from "../tools/browser-paths.mjs";
import { allItems, openTwoTabs } from "./lab.ts";

/** What an origin may store at least, however little all of them together may. */
const quotaBytes = 10 * 1024 * 1024;
const limitKilobytes = 12_000;

/** Puts noise until the disk is full; answers how many records there are then. */
const fill = (page: Page): Promise<number> =>
  page.evaluate(async () => {
    for (let n = 0; ; n++) {
      try {
        await lab.items.put({ id: n, n, value: crypto.getRandomValues(new Uint8Array(20_000)) });
      } catch (e) {
        if (!tidemark.isTidemarkError(e, "QUOTA_EXCEEDED")) throw e;
        return n;
      }
    }
  });

const put = (page: Page): Promise<string> =>
  page.evaluate(() =>
    lab.items.put({ id: "after", n: -1, value: crypto.getRandomValues(new Uint8Array(20_000)) }).then(
      () => "written",
      (e: unknown) => String(e),
    ),
  );

test("[MV9] on a full disk everything stays readable in both tabs, deletes work, and then writes do again", async ({
  baseURL,
}) => {
  test.setTimeout(60_000);
  const firefoxUserPrefs = {
    ...firefoxLaunch.firefoxUserPrefs,
    "dom.quotaManager.temporaryStorage.fixedLimit": limitKilobytes,
  };
  const browser = await firefox.launch({ ...firefoxLaunch, firefoxUserPrefs });
  const context = await browser.newContext({ baseURL: baseURL! });
  const [a, b] = await openTwoTabs(context, { memtableMaxBytes: 262_144 });
  expect((await a.evaluate(() => navigator.storage.estimate())).quota).toBe(quotaBytes);
  const count = await fill(a);
  console.log(`  full with ${count} records`);
  expect(count).toBeGreaterThan(50);
  for (const page of [a, b]) {
    expect((await allItems(page)).map(({ n }) => n)).toEqual(Array.from({ length: count }, (_, n) => n));
  }

  await b.evaluate(async () => {
    for (let n = 0; n < 40; n++) await lab.items.delete(n);
  });
  const left = Array.from({ length: count - 40 }, (_, n) => n + 40);
  for (const page of [a, b]) expect((await allItems(page)).map(({ n }) => n)).toEqual(left);
  await a.evaluate(() => lab.db.gc.run());
  await expect.poll(() => put(b), { timeout: 20_000 }).toBe("written");
  await a.reload();
  for (const page of [a, b]) expect((await allItems(page)).map(({ n }) => n)).toEqual([...left, -1]);
  expect((await b.evaluate(() => lab.db.verify())).damage).toEqual([]);
  await browser.close();
});
