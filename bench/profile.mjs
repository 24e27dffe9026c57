// Where Tidemark's time goes: CPU profiles of page and worker, taken together while one workload runs.
//
// Per workload: the time by source file and function on each thread (self time), and, where it runs once, what was busy
// when. While neither thread is busy the browser's storage works, or a message travels.
import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { attachedWorkers } from "./workers.mjs";

/** @typedef {import("./src/fixture.ts").Sizes} Sizes */
/** @typedef {import("./workers.mjs").Send} Send */
/** @typedef {{ at: number, us: number, label: string }} Sample `label` is "" where the thread was idle */

const steps = /** @type {const} */ ([
  { unfolded: true },
  { step: "bulkInsert", title: "bulk insert" },
  { step: "bulkInsert", title: "another bulk insert" },
  { step: "scan", title: "scan, memtable, first" },
  { step: "scan", title: "scan, memtable, again" },
  { step: "getMany", title: "random keys, memtable, first" },
  { step: "getMany", title: "random keys, memtable, again" },
  { step: "gets", title: "awaited gets, memtable" },
  { step: "puts", title: "awaited puts, memtable" },
  { step: "puts", title: "awaited puts, memtable, again" },
  { step: "fold", title: "fold" },
  { unfolded: false },
  { step: "scan", title: "scan, blocks, cold" },
  { step: "scan", title: "scan, blocks, warm" },
  { step: "getMany", title: "random keys, blocks, warm" },
  { step: "gets", title: "awaited gets, blocks" },
  { step: "puts", title: "awaited puts, blocks" },
  { step: "concurrentPuts", title: "concurrent puts" },
  { step: "concurrentPuts", title: "concurrent puts, again" },
]);
/** Too many rounds of the same for a timeline. */
const repeated = new Set(["gets", "puts"]);
const shownLabels = 20;

/** @param {import("./browser.mjs").Served} served @param {Sizes} sizes @returns {Promise<string>} */
export async function profile({ page: open }, sizes) {
  const page = await open("profile");
  const session = await page.context().newCDPSession(page);
  const workers = await attachedWorkers(session);
  /** @type {Send} */
  const toPage = (method, params) => session.send(/** @type {any} */ (method), params);
  const parts = [];
  for (const at of steps) {
    if ("unfolded" in at) {
      await page.evaluate((unfolded) => globalThis.bench.openProfiled(unfolded), at.unfolded);
      continue;
    }
    const toWorker = workers().at(-1);
    if (!toWorker) throw new Error("Tidemark's worker did not show up");
    await page.evaluate(([name, of]) => globalThis.bench.prepare(name, of), /** @type {const} */ ([at.step, sizes]));
    await Promise.all([start(toPage), start(toWorker)]);
    const ms = await page.evaluate(() => globalThis.bench.runPrepared());
    const [onPage, inWorker] = await Promise.all([stop(toPage), stop(toWorker)]);
    parts.push(`\n## ${at.title}: ${ms.toFixed(1)} ms`, byLabel("page", onPage), byLabel("worker", inWorker));
    if (!repeated.has(at.step)) parts.push(timeline(onPage, inWorker));
  }
  return parts.join("\n");
}

/** @param {Send} send */
async function start(send) {
  await send("Profiler.enable");
  await send("Profiler.setSamplingInterval", { interval: 100 });
  await send("Profiler.start");
}

/** @param {Send} send @returns {Promise<readonly Sample[]>} */
async function stop(send) {
  const { profile: taken } = await send("Profiler.stop");
  /** @type {Map<number, string>} */
  const labels = new Map();
  for (const { id, callFrame } of taken.nodes) labels.set(id, labelOf(callFrame));
  let at = taken.startTime;
  /** @type {Sample[]} */
  const samples = [];
  for (const [i, node] of taken.samples.entries()) {
    at += taken.timeDeltas[i];
    const us = Math.max(0, taken.timeDeltas[i + 1] ?? 0);
    samples.push({ at, us, label: labels.get(node) ?? "" });
  }
  return samples;
}

/** @param {{ functionName: string, url: string, lineNumber: number, columnNumber: number }} frame */
function labelOf({ functionName, url, lineNumber, columnNumber }) {
  if (functionName === "(idle)" || functionName === "(root)") return "";
  if (functionName === "(program)") return ""; // mostly the profiler's own messages
  if (!url.startsWith("http")) return functionName || "(native)";
  return `${originOf(url, lineNumber, columnNumber)} ${functionName || "(anonymous)"}`;
}

const dist = fileURLToPath(new URL("dist", import.meta.url));
/** @type {Map<string, SourceMap | undefined>} */
const maps = new Map();

/** The source file of a position in what was built, followed through the maps of the packages that were bundled. */
function originOf(/** @type {string} */ url, /** @type {number} */ line, /** @type {number} */ column) {
  let file = path.join(dist, new URL(url).pathname);
  let [row, at] = [line, column];
  for (;;) {
    const entry = mapOf(file)?.findEntry(row, at);
    if (!entry || !("originalSource" in entry)) return shortened(file);
    file = path.resolve(path.dirname(file), entry.originalSource);
    [row, at] = [entry.originalLine, entry.originalColumn];
  }
}

/** @param {string} file */
function mapOf(file) {
  if (!maps.has(file)) maps.set(file, readMap(file));
  return maps.get(file);
}

/** @param {string} file */
function readMap(file) {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${file}.map`, "utf8")));
  } catch {
    return undefined; // written by hand: this is the source
  }
}

/** @param {string} file */
const shortened = (file) => file.replace(/^.*\/(?:tidemark\/src|node_modules|bench)\//, "");

/** @param {string} thread @param {readonly Sample[]} samples */
function byLabel(thread, samples) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const { us, label } of samples) if (label !== "") sums.set(label, (sums.get(label) ?? 0) + us);
  const sorted = [...sums].toSorted((a, b) => b[1] - a[1]);
  const busy = sorted.reduce((sum, [, us]) => sum + us, 0);
  const lines = sorted.slice(0, shownLabels).map(([label, us]) => `  ${(us / 1000).toFixed(1).padStart(7)}  ${label}`);
  return [`${thread} busy ${(busy / 1000).toFixed(1)} ms`, ...lines].join("\n");
}

/** Who was busy when, as stretches of at least a millisecond. */
function timeline(/** @type {readonly Sample[]} */ onPage, /** @type {readonly Sample[]} */ inWorker) {
  const both = [...stretches("page", onPage), ...stretches("worker", inWorker)].toSorted((a, b) => a.from - b.from);
  const zero = both[0]?.from ?? 0;
  /** @param {number} us */
  const ms = (us) => ((us - zero) / 1000).toFixed(1).padStart(7);
  return [
    "when",
    ...both.map(({ thread, from, to, most }) => `  ${ms(from)} to ${ms(to)}  ${thread.padEnd(6)} ${most}`),
  ].join("\n");
}

/** @param {string} thread @param {readonly Sample[]} samples */
function stretches(thread, samples) {
  const gapUs = 1000;
  /** @type {{ thread: string, from: number, to: number, sums: Map<string, number> }[]} */
  const found = [];
  for (const { at, us, label } of samples) {
    if (label === "") continue;
    let last = found.at(-1);
    if (!last || at - last.to > gapUs) found.push((last = { thread, from: at, to: at, sums: new Map() }));
    last.to = at + us;
    const file = label.split(" ")[0] ?? label;
    last.sums.set(file, (last.sums.get(file) ?? 0) + us);
  }
  return found
    .filter(({ from, to }) => to - from >= gapUs)
    .map(({ from, to, sums }) => ({ thread, from, to, most: mostly(sums) }));
}

/** @param {ReadonlyMap<string, number>} sums */
const mostly = (sums) =>
  [...sums]
    .toSorted((a, b) => b[1] - a[1])
    .slice(0, 6)
    .map(([file, us]) => `${file} ${(us / 1000).toFixed(1)}`)
    .join(", ");
