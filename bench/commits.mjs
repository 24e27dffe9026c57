// What a commit costs beside what it cost in another checkout of this repository, built there: both in one process, on
// one thread and in memory, in turns.
//
//   node bench/commits.mjs ../other-checkout [rounds]
import path from "node:path";
import { pathToFileURL } from "node:url";
import { quantile, time } from "./scale/report.mjs";

/** @typedef {{ id: string, group: number, round: number, text: string }} Row */

const [other, rounds = "25"] = process.argv.slice(2);
if (other === undefined) throw new Error("Say where the other checkout is");
const checkouts = { before: other, now: path.dirname(import.meta.dirname) };
/** Writes to a commit, and commits to a round. */
const sizes = /** @type {const} */ ([
  [1, 1000],
  [200, 20],
  [1000, 6],
]);
const warmUps = 5;
const records = 5000;
const filling = "abcdefghijklmnopqrstuvwxyz".repeat(4);

/** @param {number} n @param {number} round @returns {Row} */
const rowOf = (n, round) => ({
  id: `t${String(n).padStart(8, "0")}`,
  group: (n * 7) % 1000,
  round,
  text: filling.slice(n % 16),
});

/** @param {string} checkout */
async function opened(checkout) {
  const file = path.resolve(checkout, "packages/tidemark/dist/index.js");
  /** @type {typeof import("tidemark")} */
  const { collection, createDatabase } = await import(pathToFileURL(file).href);
  const rows = /** @type {typeof collection<Row>} */ (collection)()({ key: "id", indexes: { group: "group" } });
  return createDatabase({ name: checkout, storage: "memory", collections: { rows } }).open();
}

const dbs = { before: await opened(checkouts.before), now: await opened(checkouts.now) };

/** Milliseconds of a commit. @param {keyof typeof dbs} which @param {number} writes @param {number} commits @param {number} round */
async function measured(which, writes, commits, round) {
  const rows = dbs[which].collection("rows");
  const batches = Array.from({ length: commits }, (_, c) =>
    Array.from({ length: writes }, (__, i) => rowOf((c * writes + i) % records, round)),
  );
  const from = performance.now();
  for (const batch of batches) await rows.putMany(batch);
  return (performance.now() - from) / commits;
}

for (const [writes, commits] of sizes) {
  /** @type {Record<keyof typeof dbs, number[]>} */
  const found = { before: [], now: [] };
  for (let round = 0; round < Number(rounds) + warmUps; round++) {
    /** @type {("before" | "now")[]} */
    const order = round % 2 === 0 ? ["before", "now"] : ["now", "before"];
    for (const which of order) {
      const ms = await measured(which, writes, commits, round);
      if (round >= warmUps) found[which].push(ms);
      await dbs[which].checkpoint();
    }
  }
  const ratios = found.now.map((ms, i) => ms / (found.before[i] ?? Number.NaN));
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(ratios, share).toFixed(3));
  const [before, now] = [quantile(found.before, 0.5), quantile(found.now, 0.5)];
  console.log(`${writes} writes: ${time(before)} before, ${time(now)} now; ratio ${middle} (${low} to ${high})`);
}
await Promise.all(Object.values(dbs).map((db) => db.close()));
