import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import type { Isolation } from "../apps/playground/src/isolation.ts";
import type { Recorded } from "../packages/sim/src/serializability/history.ts";
import { Seen, start } from "../packages/sim/src/isolation/case.ts";
import { cases } from "../packages/sim/src/isolation/cases.ts";
import { play } from "../packages/sim/src/isolation/play.ts";
import type { Item, Name, Outcome, Step } from "../packages/sim/src/isolation/script.ts";
import { check } from "../packages/sim/src/serializability/check.ts";

declare global {
  /** Told of what a client did; lives outside the browser. */
  function tellOf(id: string, recorded: Recorded): Promise<void>;
}

async function openPage(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto("/isolation.html");
  return page;
}

/** All items, as this tab sees them after looking at the log's head itself. */
const itemsIn = (page: Page): Promise<Item[]> =>
  page.evaluate(async () => {
    const view = await isolation.items.readView({ fresh: true });
    return view
      .collection("items")
      .all()
      .finally(() => view.release());
  });

/** Folds the log, and collects all garbage that there is; answers how many versions that was. */
const collect = (page: Page): Promise<number> =>
  page.evaluate(async () => {
    await isolation.items.checkpoint();
    return (await isolation.items.gc.run()).deleted;
  });

/** T2 is in a tab of its own. `meanwhile` is done between any two steps, by the tabs in turns. */
async function between(
  [a, b]: readonly [Page, Page],
  steps: readonly Step[],
  level: Isolation,
  meanwhile: (page: Page) => Promise<void>,
): Promise<Outcome> {
  await a.evaluate(async (items) => {
    await isolation.items.collection("items").clear();
    await isolation.items.collection("items").putMany(items);
  }, start);
  await itemsIn(b);
  const pages: Readonly<Record<Name, Page>> = { T1: a, T2: b, T3: a };
  let turns = 0;
  return play(steps, {
    part: (who) => ({
      act: (action) => pages[who].evaluate((args) => isolation.act(...args), [who, level, action] as const),
      end: (how) => pages[who].evaluate((args) => isolation.end(...args), [who, how] as const),
    }),
    between: () => meanwhile(turns++ % 2 === 0 ? a : b),
    items: () => itemsIn(b),
  });
}

const settings = (["serializable", "snapshot"] as const).flatMap((level) =>
  [false, true].map((collects) => ({ level, collects })),
);
for (const { level, collects } of settings) {
  const promise = `is prevented${level === "snapshot" ? ", but for write skew and what follows from it," : ""} with "${level}"`;
  const amid = collects ? ", with all garbage collected between any two steps" : "";
  test(`[MV2][MV3] every anomaly between two tabs ${promise}${amid}`, async ({ context }) => {
    test.setTimeout(90_000);
    const pages = [await openPage(context), await openPage(context)] as const;
    let collected = 0;
    const meanwhile = async (page: Page): Promise<void> => {
      if (collects) collected += await collect(page);
    };
    for (const { anomaly, how, steps, occurs, runs, isPossibleUnderSnapshot = false } of cases) {
      const outcome = await between(pages, steps, level, meanwhile);
      const names = Object.keys(outcome.ended).toSorted() as Name[];
      expect({
        anomaly,
        how,
        occurs: occurs(new Seen(outcome)),
        runs: names.map((who) => outcome.ended[who]?.runs),
      }).toEqual({
        anomaly,
        how,
        occurs: level === "snapshot" && isPossibleUnderSnapshot,
        runs: runs[level],
      });
    }
    if (collects) expect(collected).toBeGreaterThan(cases.length);
  });
}

const tabs = 4;
const keys = 20;
const hammersForMs = 5000;
const kills = 5;
/** Clocks of tabs of one browser are set when they are opened, and then run by themselves. */
const clockErrorMs = 5;

test(`[MV2][MV3][TB1] what ${tabs} tabs did to ${keys} keys, while others died, is strictly serializable`, async ({
  context,
  browserName,
}) => {
  test.setTimeout(90_000);
  const told = new Map<string, Recorded>();
  await context.exposeFunction("tellOf", (id: string, recorded: Recorded) => void told.set(id, recorded));
  let clients = 0;
  const begin = async (): Promise<{ readonly page: Page; readonly failed: Promise<readonly string[] | "died"> }> => {
    const page = await openPage(context);
    const args = [++clients, keys] as const;
    const failed = page.evaluate(([n, of]) => isolation.hammer(n, of, tellOf), args).catch(() => "died" as const);
    return { page, failed };
  };
  const working = [];
  for (let n = 0; n < tabs; n++) working.push(await begin());
  for (let kill = 0; kill < kills; kill++) {
    await new Promise((resolve) => void setTimeout(resolve, hammersForMs / kills));
    const { page, failed } = working.shift()!;
    await end(context, page, browserName === "chromium" && kill % 2 === 0);
    expect(await failed).toBe("died");
    working.push(await begin());
  }
  for (const { page } of working) await page.evaluate(() => isolation.stop());
  for (const { failed } of working) expect(await failed).toEqual([]);

  const history = [...told.values()];
  const count = (outcome: Recorded["outcome"]): number => history.filter((one) => one.outcome === outcome).length;
  const [committed, aborted, unknown] = [count("committed"), count("aborted"), count("unknown")];
  const operations = history.reduce((sum, one) => sum + one.operations.length, 0);
  console.log(`  ${committed} committed, ${aborted} lost or rolled back, ${unknown} unknown; ${operations} operations`);
  // Or nothing much was shown.
  expect(committed).toBeGreaterThan(100);
  expect(aborted).toBeGreaterThan(10);
  expect(check(history, { clockErrorMs })).toEqual([]);
});

/** The tab is gone, with whatever it was about to do. */
async function end(context: BrowserContext, page: Page, crashes: boolean): Promise<void> {
  if (!crashes) return page.close();
  const session = await context.newCDPSession(page);
  const crashed = page.waitForEvent("crash");
  void session.send("Page.crash").catch(() => undefined);
  await crashed;
}
