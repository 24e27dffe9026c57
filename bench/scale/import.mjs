// A large import, and what it takes: records a second, and the heaps of page and worker all the way to the first queries.
import { HeapWatch } from "./heap.mjs";
import { workerCpuMs } from "./processes.mjs";
import { assertSame } from "./expected.mjs";
import { atMost, figure, grouped, megabytes, most, time } from "./report.mjs";
import { chunk, load, nameOf, open, origin, Queries } from "./rows.mjs";

const goals = { worker: 64 * 2 ** 20, page: 16 * 2 ** 20 };
const queried = 40;

/** @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export const importing = ({ launch, settings }) =>
  launch(async (served) => {
    const ascending = await imported(served, settings, true);
    await ascending.page.evaluate(async (name) => {
      await scale.close();
      await scale.remove(name);
    }, nameOf(settings));
    await ascending.page.close();

    const { page, watch, phase, rows, madePeak } = await imported(served, settings, false);
    /** @type {import("./heap.mjs").Phase[]} */
    const phases = [phase];
    const settled = await watch.during("checkpoint and compaction, until quiet", () =>
      page.evaluate(() => scale.settle()),
    );
    phases.push(settled);
    const queries = new Queries(settings, 1);
    phases.push(
      await watch.during("points, ranges and counts", async () => {
        for (let i = 0; i < queried; i++) await queries.each(page);
      }),
    );
    const scanned = await watch.during("a scan of all, 5 000 at a time", () =>
      page.evaluate((records) => scale.scan(records, 5000), settings.records),
    );
    phases.push(scanned);
    await proveIndexes(page, queries);
    await page.close();
    return [
      ...rows,
      ...ascending.rows,
      figure("checkpoint after it", time(settled.result.checkpointMs)),
      figure("… and until the background is quiet", time(settled.result.busyMs)),
      figure("scan of all", time(scanned.result.ms)),
      figure("page's heap when it only makes the records, garbage included", megabytes(madePeak)),
      ...phases.flatMap(heapRows),
      atMost("worker's heap at most", most(phases.map((p) => p.held.worker)), goals.worker, megabytes),
      atMost("… garbage included", most(phases.map((p) => p.peak.worker)), goals.worker, megabytes),
      atMost("page's heap at most", most(phases.map((p) => p.held.page)), goals.page, megabytes),
      atMost("… garbage included", most(phases.map((p) => p.peak.page)), goals.page, megabytes),
    ];
  });

/** @param {import("../browser.mjs").Served} served @param {import("./rows.mjs").Settings} settings @param {boolean} isAscending */
async function imported(served, settings, isAscending) {
  const { records } = settings;
  const page = await served.page(origin, "scale.html");
  const name = nameOf(settings);
  await page.evaluate((of) => scale.remove(of), name);
  const watch = await HeapWatch.of(page);
  const made = await watch.during("", () =>
    page.evaluate(([count, atOnce]) => scale.make(count, atOnce), /** @type {const} */ ([records, chunk])),
  );
  await open(page, name);
  const cpuBefore = (await workerCpuMs(served.context)) ?? Number.NaN;
  const title = `import, keys ${isAscending ? "ascending" : "at random"}`;
  const phase = await watch.during(title, () => load(page, records, isAscending));
  const cpuMs = ((await workerCpuMs(served.context)) ?? Number.NaN) - cpuBefore;
  assertSame(await page.evaluate(() => scale.count()), records, "records after the import");
  const { ms, longestMs } = phase.result;
  const rows = [
    figure(`${title}: records a second`, grouped((records / ms) * 1000)),
    figure(`… the longest of its commits of ${grouped(chunk)}`, time(longestMs)),
    figure("… the worker's own time for 1 000 records", Number.isNaN(cpuMs) ? "–" : time((cpuMs / records) * 1000)),
  ];
  return { page, watch, phase, rows, madePeak: made.peak.page };
}

/** Every record is in both indexes, once. @param {import("playwright").Page} page @param {Queries} queries */
async function proveIndexes(page, queries) {
  const all = await page.evaluate(() => scale.countGroups(0, 1000));
  assertSame(all.count, queries.records, "records by their groups");
  let coded = 0;
  for (let digit = 0; digit < 16; digit++) {
    coded += await page.evaluate((prefix) => scale.countCodes(prefix), digit.toString(16));
  }
  assertSame(coded, queries.records, "records by their codes");
}

/** @param {import("./heap.mjs").Phase} phase */
const heapRows = ({ phase, peak, held }) => [
  figure(`heaps, ${phase}: held`, `worker ${megabytes(held.worker)}, page ${megabytes(held.page)}`),
  figure("… at most, garbage included", `worker ${megabytes(peak.worker)}, page ${megabytes(peak.page)}`),
];
