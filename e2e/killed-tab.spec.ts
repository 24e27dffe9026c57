import { expect, type Page, test } from "@playwright/test";
import { allItems, commitsSoFar, openTwoTabs, smallestMemtable } from "./lab.ts";
import { waysToEnd } from "./processes.ts";

declare global {
  /** Told of each acknowledged commit; lives outside the browser. */
  function acknowledged(tab: string, n: number): Promise<void>;
  var going: boolean;
}

interface Loop {
  readonly count: number;
  /** The longest time between two acknowledgements. */
  readonly longestGapMs: number;
}

/** Commits `<tab> 0`, `<tab> 1`, … one after the other, until told to stop. */
const commitLoop = (page: Page, tab: string): Promise<Loop> =>
  page.evaluate(async (name) => {
    globalThis.going = true;
    const value = name.repeat(1000);
    let longestGapMs = 0;
    let count = 0;
    for (let last = performance.now(); going; count++) {
      await lab.items.put({ id: `${name} ${count}`, n: count, value });
      const now = performance.now();
      longestGapMs = Math.max(longestGapMs, now - last);
      last = now;
      void acknowledged(name, count);
    }
    return { count, longestGapMs };
  }, tab);

const metrics = (page: Page) => page.evaluate(() => lab.db.storage.metrics());

for (const [way, prepare] of Object.entries(waysToEnd)) {
  test(`[TB1][TB2] after ${way} in a commit loop nothing acknowledged is lost, the other tab goes on and does upkeep`, async ({
    browser,
    browserName,
    context,
  }) => {
    test.skip(browserName !== "chromium" && way !== "being closed", "Chromium alone lets a single tab be killed");
    const known = { a: -1, b: -1 };
    await context.exposeFunction("acknowledged", (tab: "a" | "b", n: number) => (known[tab] = Math.max(known[tab], n)));
    const [a, b] = await openTwoTabs(context, smallestMemtable);
    const kill = await prepare(browser, context, a);
    const headBefore = await commitsSoFar(b);
    const upkeepBefore = [(await metrics(a)).upkeep, (await metrics(b)).upkeep];
    const [loopOfA, loopOfB] = [commitLoop(a, "a").catch(() => "died"), commitLoop(b, "b")];
    await expect.poll(() => Math.min(known.a, known.b)).toBeGreaterThan(150);

    const ended = Promise.race([a.waitForEvent("crash"), a.waitForEvent("close")]);
    const atKill = known.b;
    kill();
    await ended;
    const checkpointAtKill = (await metrics(b)).checkpoint;
    await expect.poll(() => known.b).toBeGreaterThan(atKill + 300);
    await b.evaluate(() => void (globalThis.going = false));
    const ofB = await loopOfB;
    expect(await loopOfA).toBe("died");
    console.log(
      `  acknowledged ${known.a + 1} before ${way}, ${ofB.count} by the survivor; its longest gap ${ofB.longestGapMs.toFixed(0)} ms`,
    );

    const found = await allItems(b);
    const numbers = (tab: string): number[] =>
      found.flatMap(({ id, n = -1 }) => (String(id).startsWith(tab) ? [n] : [])).toSorted((x, y) => x - y);
    const [ofA, all] = [numbers("a"), numbers("b")];
    expect(ofA).toEqual(ofA.map((_, i) => i));
    expect(ofA.length).toBeGreaterThan(known.a);
    expect(all).toEqual(Array.from({ length: ofB.count }, (_, i) => i));
    expect(await commitsSoFar(b)).toBe(headBefore + ofA.length + ofB.count);
    expect(ofB.longestGapMs).toBeLessThan(1500);

    expect(upkeepBefore).toEqual([true, false]);
    const { upkeep, checkpoint } = await metrics(b);
    expect(upkeep).toBe(true);
    expect(checkpoint).toBeGreaterThan(checkpointAtKill);
  });
}
