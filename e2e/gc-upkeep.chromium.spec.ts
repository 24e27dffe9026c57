import { type Browser, expect, type Page, test } from "@playwright/test";
import {
  beginRun,
  executions,
  expectClean,
  keepView,
  kilobytes,
  metrics,
  openThreeTabs,
  pinOf,
  records,
  runGc,
  storedRows,
  valueBytes,
  writeRounds,
} from "./gc.ts";
import { allItems } from "./lab.ts";
import { freeze, rendererOf, wake, wakeAll } from "./processes.ts";

declare global {
  var going: boolean;
}

test.afterEach(wakeAll);

/**
 * Stops a tab between two of its storage transactions. What stops within one holds up every tab, whatever it is; a
 * browser that freezes a tab sees to it that it has none.
 */
async function freezeBetweenTransactions(renderer: number, other: Page): Promise<void> {
  for (;;) {
    freeze(renderer);
    const isFree = await other.evaluate(async () => {
      const written = lab.db.collection("others").put({ id: "probe", n: 0 });
      const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 500));
      return Promise.race([written.then(() => true), late]);
    });
    if (isFree) return;
    wake(renderer);
    await other.waitForTimeout(13);
  }
}

const memtableMaxBytes = 256 * 1024;
/** Of each of two tabs. */
const manyCommits = 5000;

interface Loop {
  readonly ms: number;
  readonly maxLogBytes: number;
}

/** So many commits, each of which overwrites one of the records; the last of each is known. */
const commitMany = (page: Page, tab: string, count: number): Promise<Loop> =>
  page.evaluate(
    async ([name, total, ids, bytes]) => {
      const value = name.repeat(bytes);
      const from = performance.now();
      let maxLogBytes = 0;
      for (let n = 0; n < total; n += 100) {
        const some = Array.from({ length: 100 }, (_, i) => n + i);
        await Promise.all(some.map((m) => lab.items.put({ id: `${name} ${m % ids}`, n: m, value })));
        maxLogBytes = Math.max(maxLogBytes, (await lab.db.storage.metrics()).logBytes);
      }
      return { ms: performance.now() - from, maxLogBytes };
    },
    [tab, count, records, valueBytes] as const,
  );

/** What both tabs' loops leave behind. */
const afterLoops = (count: number): Map<string, number> =>
  new Map(
    ["b", "c"].flatMap((tab) =>
      Array.from({ length: records }, (_, i) => [`${tab} ${i}`, count - records + i] as const),
    ),
  );

/** What the upkeep tab is doing when it is stopped. */
const moments: Readonly<Record<string, (browser: Browser, tabs: readonly [Page, Page, Page]) => Promise<number>>> = {
  "before a fold that is due is done": async (browser, [a, b]) => {
    const renderer = await rendererOf(browser, a);
    await a.evaluate(() => {
      globalThis.going = true;
      void (async () => {
        for (let n = 0; going; n++) await lab.items.put({ id: `a ${n % 20}`, n, value: "a".repeat(10_000) });
      })();
    });
    for (;;) {
      await freezeBetweenTransactions(renderer, b);
      if ((await metrics(b)).logBytes > memtableMaxBytes) break;
      wake(renderer);
      await b.waitForTimeout(7);
    }
    return renderer;
  },
  "in the middle of a cycle": async (browser, [a, b]) => {
    const renderer = await rendererOf(browser, a);
    await keepView(a);
    await writeRounds(a, 1, 6);
    await a.evaluate(() => lab.db.checkpoint());
    await a.evaluate(() => kept.release());
    await beginRun(a);
    await expect.poll(() => a.evaluate(() => steps), { intervals: [5] }).toBeGreaterThan(1);
    await freezeBetweenTransactions(renderer, b);
    return renderer;
  },
};

for (const [moment, stopAt] of Object.entries(moments)) {
  test(`[TB1][TB2] an upkeep tab that is frozen ${moment} is relieved, and does no harm when it wakes`, async ({
    browser,
    context,
  }) => {
    const tabs = await openThreeTabs(context, { memtableMaxBytes, gc: { mode: "manual" } });
    const [a, b, c] = tabs;
    await writeRounds(a, 0, 0);
    expect(await Promise.all(tabs.map(async (tab) => (await metrics(tab)).upkeep))).toEqual([true, false, false]);
    const pin = await pinOf(a);
    const renderer = await stopAt(browser, tabs);
    const isInCycle = moment === "in the middle of a cycle";
    if (isInCycle) expect((await executions(b))[0]!.status).toBe("RUNNING");

    const count = isInCycle ? manyCommits : manyCommits / 5;
    const loops = await Promise.all([commitMany(b, "b", count), commitMany(c, "c", count)]);
    const maxLogBytes = Math.max(...loops.map((loop) => loop.maxLogBytes));
    const perSecond = (2 * count * 1000) / Math.max(...loops.map(({ ms }) => ms));
    const report = await runGc(c);
    const { durationMs, heldBack } = report;
    console.log(
      `  ${perSecond.toFixed(0)} commits a second, at most ${kilobytes(maxLogBytes)} of log; a run took ${durationMs.toFixed(0)} ms`,
    );
    expect(maxLogBytes).toBeLessThan(10 * memtableMaxBytes);
    expect(heldBack.map(({ id }) => id)).toContain(pin); // it is frozen, and nobody evicted it
    // The cycle that it had begun went on elsewhere, under its own number.
    expect((await executions(c)).map(({ id, status }) => [id, status])).toEqual(
      (isInCycle ? [report.cycleId, report.cycleId - 1] : [report.cycleId]).map((id) => [id, "COMPLETED"]),
    );
    expect((await metrics(b)).upkeep).not.toBe((await metrics(c)).upkeep);

    wake(renderer);
    await expect.poll(() => metrics(a).then(({ upkeep }) => upkeep)).toBe(false);
    await a.evaluate(() => void (globalThis.going = false));
    if (isInCycle) {
      expect(await a.evaluate(() => outcome)).toMatchObject({ dryRun: false });
      for (const { status } of await executions(a)) expect(status).toBe("COMPLETED");
    }
    const expected = afterLoops(count);
    for (const tab of tabs) {
      const found = (await allItems(tab)).filter(({ id }) => expected.has(String(id)));
      expect(new Map(found.map(({ id, n }) => [String(id), n]))).toEqual(expected);
    }
    // Every tab takes part, one does upkeep, and nothing is stored that is not listed.
    for (const [i, tab] of tabs.entries()) await tab.evaluate((n) => lab.items.put({ id: `late ${n}` }), i);
    await runGc(a);
    for (const tab of tabs)
      expect((await allItems(tab)).filter(({ id }) => String(id).startsWith("late"))).toHaveLength(3);
    const { blocks, versions } = await metrics(c);
    expect(await storedRows(c, "blocks")).toBe(blocks);
    expect(versions).toBeLessThan((await allItems(c)).length + 10);
    await expectClean(a);
  });
}
