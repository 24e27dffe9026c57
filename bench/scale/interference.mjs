// What upkeep costs an awaited put or get: sampled with nothing else to do and while upkeep runs, in turns. A sample
// counts as taken during upkeep only if it began between the start of a checkpoint and the last change seen in the stores.
import { atMost, figure, grouped, quantile, time } from "./report.mjs";
import { nameOf, open, openLoaded, origin } from "./rows.mjs";

const goalMs = 4;
/** Records written anew before each checkpoint: nearly what fills the memtable. */
const updates = 8000;
const idleMs = 1500;
const maxRounds = 200;

/** @typedef {import("../src/scale/page.ts").Samples} Samples */

/** @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export async function interference({ launch, settings }) {
  const own = await launch((served) => measured(served, settings, true));
  const others = await launch((served) => measured(served, settings, false));
  return [...own, ...others];
}

/**
 * @param {import("../browser.mjs").Served} served @param {import("./rows.mjs").Settings} settings
 * @param {boolean} isOwn upkeep runs in the worker of the tab that is measured
 */
async function measured(served, settings, isOwn) {
  const { records, samples: wanted } = settings;
  const upkeep = await openLoaded(served, settings); // the first tab does it
  const page = isOwn ? upkeep : await served.page(origin, "scale.html");
  if (!isOwn) await open(page, nameOf(settings));
  await upkeep.evaluate(() => scale.settle());
  /** @type {Record<"idle" | "busy", { puts: number[], gets: number[] }>} */
  const found = { idle: { puts: [], gets: [] }, busy: { puts: [], gets: [] } };
  let [upkeepMs, checkpoints, rounds] = [0, 0, 0];
  /** @param {() => Promise<unknown>} work @returns {Promise<Samples>} */
  const sampledDuring = async (work) => {
    await page.evaluate((count) => scale.sample(count), records);
    await work();
    return page.evaluate(() => scale.samples());
  };
  while (rounds++ < maxRounds && Math.min(found.idle.puts.length, found.busy.puts.length) < wanted) {
    const quiet = await sampledDuring(() => page.waitForTimeout(idleMs));
    for (const [, ms] of quiet.puts) found.idle.puts.push(ms);
    for (const [, ms] of quiet.gets) found.idle.gets.push(ms);
    /** @type {import("../src/scale/page.ts").Upkept[]} */
    const ran = [];
    const busy = await sampledDuring(async () => {
      const seed = rounds;
      const upkept = await upkeep.evaluate(
        ([count, some, of]) => scale.upkeep(count, some, of),
        /** @type {const} */ ([records, updates, seed]),
      );
      if (!upkept.wasHere) throw new Error("Another tab did the upkeep");
      if (upkept.after.checkpoint <= upkept.before.checkpoint) throw new Error("There was no checkpoint");
      ran.push(upkept);
    });
    for (const { from, to } of ran) {
      /** @param {readonly [at: number, ms: number]} sample */
      const isInside = ([at]) => at >= from && at <= to;
      for (const [, ms] of busy.puts.filter(isInside)) found.busy.puts.push(ms);
      for (const [, ms] of busy.gets.filter(isInside)) found.busy.gets.push(ms);
      upkeepMs += to - from;
      checkpoints++;
    }
    await upkeep.evaluate(() => scale.settle());
  }
  await upkeep.evaluate((count) => scale.scan(count, 5000), records);
  const where = isOwn ? "in its own worker" : "in another tab";
  const enough = Math.min(found.busy.puts.length, found.idle.puts.length) >= wanted;
  return [
    figure(
      `upkeep ${where}`,
      `${grouped(checkpoints)} times, ${time(upkeepMs)}; ${grouped(found.busy.puts.length)} samples during it${enough ? "" : ", too few"}`,
    ),
    ...judged(`awaited put, upkeep ${where}`, found.idle.puts, found.busy.puts),
    ...judged(`awaited get, upkeep ${where}`, found.idle.gets, found.busy.gets),
  ];
}

/** @param {string} what @param {readonly number[]} idle @param {readonly number[]} busy */
function judged(what, idle, busy) {
  /** @param {readonly number[]} of */
  const shown = (of) => [0.5, 0.99, 1].map((share) => time(quantile(of, share))).join(" · ");
  return [
    figure(`${what}: p50 · p99 · most, idle`, shown(idle)),
    figure("… during it", shown(busy)),
    atMost("… p99 beyond the idle one", Math.max(0, quantile(busy, 0.99) - quantile(idle, 0.99)), goalMs, time),
  ];
}
