import { type BrowserContext, expect, type Page } from "@playwright/test";
import { test } from "./engines.ts";
import { allItems, commitsSoFar, databasesIn, openPage, openTab, openTwoTabs, smallestMemtable } from "./lab.ts";
import { clearsSiteData, openSite, type Site } from "./site.ts";
import { runFirstInWorkers } from "./workers.ts";

declare global {
  var endings: string[];
  var kept: Awaited<ReturnType<typeof lab.db.readView>>;
}

/**
 * Workers whose connections can be taken away: each remembers them, and on the word of channel `lose` aborts what is
 * under way and closes them, as a browser does whose backing store goes.
 */
const losable = (context: BrowserContext): Promise<unknown> =>
  runFirstInWorkers(context, () => {
    const open = new Set<IDBDatabase>();
    const running = new Set<IDBTransaction>();
    // oxlint-disable-next-line typescript/unbound-method -- called with its own `this` below
    const { transaction } = IDBDatabase.prototype;
    IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...args) {
      const tx = transaction.apply(this, args);
      open.add(this);
      running.add(tx);
      tx.addEventListener("complete", () => running.delete(tx));
      tx.addEventListener("abort", () => running.delete(tx));
      return tx;
    };
    new BroadcastChannel("lose").addEventListener("message", () => {
      for (const tx of running) {
        try {
          tx.abort();
        } catch {
          // it commits
        }
      }
      for (const db of open) {
        db.close();
        db.dispatchEvent(new Event("close"));
      }
      open.clear();
    });
  });

const numbersOf = async (page: Page, tab: string): Promise<number[]> =>
  (await allItems(page)).flatMap(({ id, n = -1 }) => (String(id).startsWith(tab) ? [n] : [])).toSorted((a, b) => a - b);

test("[MV9] connections lost again and again under two tabs that commit cost nobody anything", async ({
  browserName,
  context,
}) => {
  test.skip(browserName === "webkit", "WebKit loses word of some of the aborts that this simulates losses by");
  await losable(context);
  const [a, b] = await openTwoTabs(context, smallestMemtable);
  await a.evaluate(async () => {
    await lab.items.put({ id: "x", n: 1 });
    globalThis.kept = await lab.db.readView();
    await lab.items.put({ id: "x", n: 2 });
  });
  const headBefore = await commitsSoFar(b);
  /** So many commits, ten at a time; answers how often somebody heard nothing definite. */
  const commits = (page: Page, tab: string): Promise<number[]> =>
    page.evaluate(async (name) => {
      const unknown: number[] = [];
      for (let n = 0; n < 600; n += 10) {
        await Promise.all(
          Array.from({ length: 10 }, async (_, i) => {
            try {
              await lab.items.put({ id: `${name} ${n + i}`, n: n + i, value: name.repeat(500) });
            } catch (e) {
              if (!tidemark.isTidemarkError(e, "STORAGE_LOST") || e.details["outcome"] !== "unknown") throw e;
              unknown.push(n + i);
            }
          }),
        );
      }
      return unknown;
    }, tab);
  const over = new AbortController();
  const losses = (async () => {
    const page = await openPage(context);
    let times = 0;
    for (; !over.signal.aborted; times++) {
      await page.evaluate(() => new BroadcastChannel("lose").postMessage(0));
      await page.waitForTimeout(60);
    }
    return times;
  })();
  const unknown = { a: new Set<number>(), b: new Set<number>() };
  const told = await Promise.all([commits(a, "a"), commits(b, "b")]);
  [unknown.a, unknown.b] = told.map((list) => new Set(list)) as [Set<number>, Set<number>];
  over.abort();
  console.log(`  connections lost ${await losses} times; outcomes that stayed unknown: ${told.flat().length}`);
  let found = 0;
  for (const tab of ["a", "b"] as const) {
    const there = await numbersOf(b, tab);
    found += there.length;
    expect(there.filter((n) => !unknown[tab].has(n))).toEqual(
      Array.from({ length: 600 }, (_, i) => i).filter((n) => !unknown[tab].has(n)),
    );
  }
  expect(await commitsSoFar(b)).toBe(headBefore + found); // each of them once
  expect(await allItems(a)).toEqual(await allItems(b));
  expect(await a.evaluate(() => kept.collection("items").get("x"))).toMatchObject({ n: 1 });
  expect((await a.evaluate(() => lab.db.verify())).damage).toEqual([]);
});

let site: Site;
test.beforeAll(async () => {
  site = await openSite({ "/clear": clearsSiteData });
});
test.afterAll(() => site.close());

/** Ways in which site data goes away under open tabs. */
const clearings: Readonly<Record<string, (context: BrowserContext, page: Page) => Promise<unknown>>> = {
  "indexedDB.deleteDatabase": (_, page) =>
    page.evaluate(
      () =>
        new Promise<void>((resolve, reject) => {
          const request = indexedDB.deleteDatabase("tidemark/lab");
          request.addEventListener("success", () => resolve());
          request.addEventListener("error", () => reject(request.error ?? new Error("no")));
        }),
    ),
  "a response that clears the site's data": (_, page) => page.evaluate(async () => (await fetch("/clear")).text()),
  "clearing the site's data": async (context, page) => {
    const session = await context.newCDPSession(page);
    await session.send("Storage.clearDataForOrigin", { origin: new URL(page.url()).origin, storageTypes: "indexeddb" });
  },
};

for (const [way, clear] of Object.entries(clearings)) {
  test(`[MV9][TB7] ${way} ends open tabs as deleted, and a new one begins empty`, async ({ browser, browserName }) => {
    test.skip(browserName !== "chromium" && way === "clearing the site's data", "Chromium alone can be told to");
    const context = await browser.newContext({ baseURL: site.origin });
    const [a, b] = await openTwoTabs(context, smallestMemtable);
    for (const page of [a, b]) {
      await page.evaluate(() => {
        globalThis.endings = [];
        lab.db.on("closed", ({ reason }) => endings.push(reason));
      });
    }
    await a.evaluate(() =>
      lab.items.putMany(Array.from({ length: 500 }, (_, n) => ({ id: n, n, value: "v".repeat(500) }))),
    );
    await a.evaluate(() => lab.db.checkpoint());
    const page = await openPage(context);
    await clear(context, page);
    const outcomes = (tab: Page): Promise<string[]> =>
      tab.evaluate(async () => {
        const calls: Promise<unknown>[] = [lab.items.put({ id: 1 }), lab.items.all(), lab.db.checkpoint()];
        const ended = await Promise.allSettled(calls);
        return ended.map((e) =>
          e.status === "fulfilled" ? "ok" : tidemark.isTidemarkError(e.reason) ? e.reason.code : String(e.reason),
        );
      });
    expect((await outcomes(a))[0]).toBe("CLOSED");
    await expect.poll(() => a.evaluate(() => endings)).toEqual(["deleted"]);
    await b.evaluate(() => lab.items.put({ id: 1 }).catch(() => undefined));
    await expect.poll(() => b.evaluate(() => endings)).toEqual(["deleted"]);
    // Nobody makes the database again before somebody opens it.
    expect(await databasesIn(page)).toEqual([]);
    expect(await page.evaluate(() => tidemark.listDatabases())).toEqual([]);
    expect(await databasesIn(page)).toEqual([]);
    const again = await openTab(context);
    expect(await allItems(again)).toEqual([]);
    await again.evaluate(() => lab.items.put({ id: "new" }));
    expect(await allItems(again)).toEqual([{ id: "new" }]);
    await context.close();
  });
}
