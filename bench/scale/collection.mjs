// Old versions that go in the background, while a page works all the time: how fast, and what the page notices of it.
import { attachedWorkers } from "../workers.mjs";
import { Trace } from "./trace.mjs";
import { atLeast, atMost, figure, grouped, megabytes, most, quantile, time, times } from "./report.mjs";
import { origin } from "./rows.mjs";

const goals = { perSecond: 200_000, untilGoneMs: 120_000, beyondIdleMs: 4, p99Ms: 4, p999Ms: 8, space: 1.25 };
const rounds = 100;
const name = "collection";
/** As many samples as the long phase has at least: p99 of a put is to rest on some thousands. */
const idleMs = 10_000;
const patienceMs = 300_000;
/** A trace of all of it would be gigabytes. */
const tracedMs = 5000;

/** @typedef {import("../src/scale/collection.ts").Seen} Seen */

/** @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export async function collecting({ launch, settings }) {
  const records = Math.max(1, Math.round(settings.garbage / rounds));
  const { piled, leastBytes } = await launch((served) => prepared(served, records));
  // In a browser that was started anew: what is told of slices then is about this alone.
  const { idle, busy, gone, left, slices, bytes, trace } = await launch((served) => measured(served, records));
  return [
    figure("versions that go", `${grouped(gone.deleted)} of ${grouped(piled.versions)}, ${megabytes(piled.bytes)}`),
    atMost("until 98 % are gone, by itself", gone.isComplete ? gone.ms : Infinity, goals.untilGoneMs, time),
    figure("… left of them, and of what was written meanwhile", grouped(left - records)),
    figure("… in steps", `${grouped(gone.steps)}, ${grouped(gone.scanned)} versions looked at`),
    atLeast("versions a second of the worker's time", (gone.deleted / slices.totalMs) * 1000, goals.perSecond, grouped),
    figure("… slices", `${grouped(slices.slices)}, ${time(slices.totalMs)} in all; ${sourcesOf(slices)}`),
    atMost("… p99 of a slice", slices.p99Ms, goals.p99Ms, time),
    atMost("… p99.9 of a slice", slices.p999Ms, goals.p999Ms, time),
    figure("… p50 · longest", `${time(slices.p50Ms)} · ${time(slices.longestMs)}`),
    figure("… empty ones: p50 · p99 · p99.9", spread(slices.empty)),
    ...judged("awaited put", idle.puts, busy.puts),
    ...judged("awaited get", idle.gets, busy.gets),
    figure("frames apart, idle: p50 · p99 · most", shown(idle.frames)),
    figure("… during it", shown(busy.frames)),
    atMost("long tasks in the page", busy.longTasks.length, 0, grouped),
    figure("… idle", grouped(idle.longTasks.length)),
    figure(`tasks of the worker, traced for ${time(tracedMs)}: longest`, time(trace.longestMs)),
    figure("… longest slice by then, as reported", time(trace.reportedMs)),
    figure("… in processor time: the longest task", time(trace.longestCpuMs)),
    figure("… … p99 of those from 1 ms up", time(trace.p99CpuMs)),
    atMost("stored afterwards, of the same records written once", bytes / leastBytes, goals.space, times),
  ];
}

/** @param {import("../browser.mjs").Served} served @param {number} records */
async function prepared(served, records) {
  const page = await served.page(origin, "scale.html");
  await page.evaluate((which) => scale.remove(which), name);
  await page.evaluate((which) => scale.openTexts(which), `${name}-once`);
  const leastBytes = await page.evaluate(([n, last]) => scale.writeOnce(n, last), of(records));
  await page.evaluate(() => scale.closeTexts());
  await page.evaluate((which) => scale.remove(which), `${name}-once`);
  await page.evaluate((which) => scale.openTexts(which), name);
  const piled = await page.evaluate(([n, last]) => scale.pileUp(n, last), of(records));
  await page.evaluate(() => scale.closeTexts());
  return { piled, leastBytes };
}

/** @param {number} records @param {number} [second] */
const of = (records, second = rounds) => /** @type {const} */ ([records, second]);

/** @param {import("../browser.mjs").Served} served @param {number} records */
async function measured(served, records) {
  const page = await served.page(origin, "scale.html");
  await page.evaluate((which) => scale.openTexts(which), name);
  await page.evaluate(() => scale.settleTexts());
  await page.evaluate(([n, last]) => scale.beginWork(n, last), of(records));
  await page.waitForTimeout(idleMs);
  const idle = await page.evaluate(() => scale.endWork());
  const before = await page.evaluate(() => scale.textMetrics());
  await page.evaluate(([n, last]) => scale.beginWork(n, last), of(records));
  const tracing = traced(served, page);
  const gone = await page.evaluate(
    ([garbage, ms]) => scale.release(garbage, ms),
    /** @type {const} */ ([records * rounds, patienceMs]),
  );
  const { slices } = await page.evaluate(() => scale.textMetrics());
  const busy = await page.evaluate(() => scale.endWork());
  const trace = await tracing;
  const { versions: left } = await page.evaluate(() => scale.settleTexts());
  const bytes = await page.evaluate(() => scale.textBytes());
  await page.evaluate(([n, last]) => scale.proveTexts(n, last), of(records));
  await page.evaluate(() => scale.closeTexts());
  await page.evaluate((which) => scale.remove(which), name);
  const since = { slices: slices.slices - before.slices.slices, totalMs: slices.totalMs - before.slices.totalMs };
  return { idle, busy, gone, left, bytes, trace, slices: { ...slices, ...since } };
}

/** What the browser says of the worker's tasks, beside what the worker says of its slices. @param {import("../browser.mjs").Served} served @param {import("playwright").Page} page */
async function traced(served, page) {
  const trace = await Trace.begin(served.context);
  await page.waitForTimeout(tracedMs);
  const { slices } = await page.evaluate(() => scale.textMetrics());
  const tasks = await trace.workerTasks();
  const cpuMs = tasks.map((task) => task.cpuMs);
  return {
    tasks: tasks.length,
    longestMs: most(tasks.map(({ ms }) => ms)),
    longestCpuMs: most(cpuMs),
    /** Of those that are long enough to be a slice. */
    p99CpuMs: quantile(
      cpuMs.filter((ms) => ms >= 1),
      0.99,
    ),
    reportedMs: slices.longestMs,
  };
}

/** @param {import("tidemark").Metrics["slices"]} slices */
const sourcesOf = ({ bySource }) =>
  Object.entries(bySource)
    .filter(([, n]) => n > 0)
    .map(([source, n]) => `${grouped(n)} ${source}`)
    .join(", ");
/** @param {{ p50Ms: number, p99Ms: number, p999Ms: number }} empty */
const spread = ({ p50Ms, p99Ms, p999Ms }) => [p50Ms, p99Ms, p999Ms].map(time).join(" · ");
/** @param {readonly number[]} values */
const shown = (values) =>
  [...[0.5, 0.99].map((share) => time(quantile(values, share))), time(most(values))].join(" · ");

/** @param {string} what @param {readonly number[]} idle @param {readonly number[]} busy */
const judged = (what, idle, busy) => [
  figure(`${what}, idle: p50 · p99 · most`, `${shown(idle)} (${grouped(idle.length)})`),
  figure("… during it", `${shown(busy)} (${grouped(busy.length)})`),
  atMost(
    "… p99 beyond the idle one",
    Math.max(0, quantile(busy, 0.99) - quantile(idle, 0.99)),
    goals.beyondIdleMs,
    time,
  ),
];

/** So many of a database's records have an old version, each in a block of its own if there are as many. */
const few = 100;
/** Of each: the block, and what beside it decides the chain. A run folds what the log holds of itself, too. */
const readsAtMost = 2 * few + 10;
const sharedName = "garbage-share";

/** What a cycle reads where there is little to collect. @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export const sharing = ({ launch, settings }) =>
  launch(async (served) => {
    const page = await served.page(origin, "scale.html");
    const workers = await attachedWorkers(await page.context().newCDPSession(page));
    await page.evaluate((which) => scale.remove(which), sharedName);
    await page.evaluate((which) => scale.openTexts(which), sharedName);
    const before = await page.evaluate(([n, old]) => scale.littleGarbage(n, old), of(settings.records, few));
    await page.evaluate(() => scale.closeTexts());
    await page.evaluate((which) => scale.openTexts(which), sharedName); // with nothing in its cache
    await workers().at(-1)?.("Runtime.evaluate", { expression: countReads });
    const { deleted, scanned, ms } = await page.evaluate(() => scale.collectTexts());
    const counted = await workers().at(-1)?.("Runtime.evaluate", { expression: "blocksRead" });
    await page.evaluate(() => scale.closeTexts());
    await page.evaluate((which) => scale.remove(which), sharedName);
    return [
      figure("blocks stored", grouped(before.blocks)),
      figure("old versions in them, and gone", `${grouped(few)}, ${grouped(deleted)} after ${time(ms)}`),
      figure("versions looked at", grouped(scanned)),
      atMost("blocks read", counted?.result?.value ?? NaN, readsAtMost, grouped),
    ];
  });

/** In the worker: counts every block that storage is asked for, one by one or by ranges. */
const countReads = `
  globalThis.blocksRead = 0;
  for (const name of ["get", "getAll", "openCursor"]) {
    const plain = IDBObjectStore.prototype[name];
    IDBObjectStore.prototype[name] = function (...args) {
      const request = plain.apply(this, args);
      if (this.name === "blocks") {
        request.addEventListener("success", () => (blocksRead += name === "getAll" ? request.result.length : 1));
      }
      return request;
    };
  }`;
