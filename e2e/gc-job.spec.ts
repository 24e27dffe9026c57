import { expect, type Page, test } from "@playwright/test";
import { everyRecordAt, executions, expectClean, keepView, metrics, numbersIn, records, writeRounds } from "./gc.ts";
import { openTwoTabs } from "./lab.ts";

declare global {
  var job: ReturnType<typeof lab.db.gc.start>;
  var progress: { readonly steps: number; readonly deleted: number; readonly phase: string }[];
  /** Durations of the page's long tasks, in ms. */
  var longTasks: number[];
  var idleCallbacks: number;
}

const rounds = 10;

/** Counts the page's idle callbacks and long tasks from here on. */
const observe = (page: Page): Promise<void> =>
  page.evaluate(() => {
    globalThis.longTasks = [];
    globalThis.idleCallbacks = 0;
    const ask = requestIdleCallback.bind(globalThis);
    globalThis.requestIdleCallback = (use, options) =>
      ask((deadline) => {
        idleCallbacks++;
        use(deadline);
      }, options);
    if (!PerformanceObserver.supportedEntryTypes.includes("longtask")) return;
    new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({
      entryTypes: ["longtask"],
    });
  });

const beginJob = (page: Page): Promise<void> =>
  page.evaluate(() => {
    globalThis.progress = [];
    globalThis.job = lab.db.gc.start({ deleteBatchSize: 20, progress: (p) => void progress.push(p) });
  });

const stepsOf = (page: Page): Promise<number> => page.evaluate(() => progress.length);
/** A few more than there are. */
const goesOn = async (page: Page): Promise<void> => {
  const from = await stepsOf(page);
  await expect.poll(() => stepsOf(page), { intervals: [5] }).toBeGreaterThan(from + 2);
};

test("[VG10][GM3] a run in the background tells of its progress, pauses, goes on, is cancelled, and never holds the page up", async ({
  context,
}) => {
  const [a, b] = await openTwoTabs(context, { gc: { mode: "manual" } });
  await writeRounds(a, 0, 0);
  await keepView(b);
  await writeRounds(a, 1, rounds);
  await a.evaluate(() => lab.db.checkpoint());
  await b.evaluate(() => kept.release());
  await observe(a);
  const before = await metrics(a);
  expect(before.versions).toBeGreaterThanOrEqual((rounds + 1) * records);

  await beginJob(a);
  await goesOn(a);
  await a.evaluate(() => job.pause());
  await a.waitForTimeout(100); // the step that was under way
  const paused = await stepsOf(a);
  // Whoever works meanwhile does so as ever.
  const took = await a.evaluate(async () => {
    const from = performance.now();
    for (let n = 0; n < 20; n++) await lab.items.put({ id: 0, n: 10, value: n });
    return performance.now() - from;
  });
  await a.waitForTimeout(400);
  expect(await stepsOf(a)).toBe(paused);
  expect((await executions(a))[0]!.status).toBe("RUNNING");

  await a.evaluate(() => job.resume());
  await goesOn(a);
  await a.evaluate(() => job.cancel());
  const report = await a.evaluate(() => job.report);
  const told = await a.evaluate(() => progress);
  expect(told.at(-1)!.phase).toBe("done");
  expect(report.deleted).toBe(told.at(-1)!.deleted);
  expect(report.deleted).toBeGreaterThan(0);
  expect(report.deleted).toBeLessThan(rounds * records);
  expect(told.map(({ steps }) => steps)).toEqual(told.map(({ steps }) => steps).toSorted((x, y) => x - y));
  expect((await executions(a))[0]).toMatchObject({ id: report.cycleId, status: "CANCELLED", swept: report.deleted });
  expect((await metrics(a)).versions).toBeGreaterThan(2 * records);

  await beginJob(a);
  const rest = await a.evaluate(() => job.report);
  expect(report.deleted + rest.deleted).toBeGreaterThanOrEqual(rounds * records);
  const after = await metrics(a);
  const [long, idle] = await a.evaluate(() => [longTasks, idleCallbacks] as const);
  const { bySource, p99Ms, longestMs } = after.slices;
  console.log(
    `  ${rest.slices} slices, p99 ${p99Ms.toFixed(1)} ms, the longest ${longestMs.toFixed(1)} ms; ${JSON.stringify(bySource)}; ${idle} idle callbacks; 20 commits beside it in ${took.toFixed(0)} ms; long tasks: ${long.join()}`,
  );
  expect(after.versions).toBeLessThan(records + 10);
  expect(long).toEqual([]);
  expect(idle).toBeGreaterThan(0);
  const granted = bySource.grant - before.slices.bySource.grant;
  expect(granted).toBeGreaterThan(rest.slices / 2);
  expect((await executions(a)).map(({ status }) => status)).toEqual(["COMPLETED", "CANCELLED"]);
  expect(await numbersIn(a)).toEqual(everyRecordAt(rounds));
  await expectClean(a);
});
