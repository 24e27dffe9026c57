// Figures of all rounds as a table in markdown.

/** @typedef {Record<string, number>} Figures milliseconds by workload */
/** @typedef {{ idb: Figures, dexie: Figures, tidemark: Figures, floor: Figures }} Round */
/** @typedef {import("./src/measure.ts").Sizes} Sizes */
/** @typedef {{ than: "dexie" | "idb", atMostTimes: number, text: string }} Goal `atMostTimes`: of the peer's time */
/** @typedef {{ title: string, unit: "ms" | "µs", tidemark: string, peers?: string, goal?: Goal }} Row */

/** @param {Sizes} sizes @returns {readonly Row[]} */
const rows = ({ records, keys, awaited, concurrent }) => [
  {
    title: `bulk insert of ${grouped(records)}, one index`,
    unit: "ms",
    tidemark: "bulkInsert",
    peers: "bulkInsert",
    goal: { than: "dexie", atMostTimes: 1 / 10, text: "≥ 10 × Dexie" },
  },
  {
    title: `one awaited put (median of ${awaited})`,
    unit: "µs",
    tidemark: "put",
    peers: "put",
    goal: { than: "idb", atMostTimes: 1.5, text: "≤ 1.5 × idb's time" },
  },
  { title: "… while all is in the memtable", unit: "µs", tidemark: "putUnfolded", peers: "put" },
  { title: `${concurrent} concurrent puts`, unit: "ms", tidemark: "concurrentPuts", peers: "concurrentPuts" },
  { title: "scan of all, from the memtable", unit: "ms", tidemark: "scanUnfolded", peers: "scan" },
  { title: "scan of all, blocks, cold", unit: "ms", tidemark: "scanCold", peers: "scanCold" },
  { title: "scan of all, blocks, warm", unit: "ms", tidemark: "scan", peers: "scan" },
  {
    title: `${grouped(keys)} random keys, from the memtable`,
    unit: "ms",
    tidemark: "getManyUnfolded",
    peers: "getMany",
  },
  { title: `${grouped(keys)} random keys, blocks, cold`, unit: "ms", tidemark: "getManyCold", peers: "getManyCold" },
  { title: `${grouped(keys)} random keys, blocks, warm`, unit: "ms", tidemark: "getMany", peers: "getMany" },
  { title: "one awaited get, from the memtable", unit: "µs", tidemark: "getUnfolded", peers: "get" },
  { title: "one awaited get, blocks, warm", unit: "µs", tidemark: "get", peers: "get" },
  { title: "fold after the insert, in the worker", unit: "ms", tidemark: "fold" },
];

const floorRows = /** @type {const} */ ([
  ["an empty round trip to a worker", "echo"],
  ["a put of 200 bytes in the worker, until it is complete", "putInWorker"],
  ["the same, asked for and answered by `postMessage`", "put"],
  ["a get and an add in one transaction on two stores, in the worker", "appendInWorker"],
  ["the same, asked for and answered by `postMessage`", "append"],
]);

/** @param {readonly Round[]} rounds @param {Sizes} sizes @returns {string} */
export function report(rounds, sizes) {
  const body = rows(sizes).map((row) => cells(row, rounds));
  const head = ["", "idb", "Dexie", "Tidemark", "× Dexie", "× idb", "goal"];
  const floor = floorRows.map(([title, name]) => [title, time(middle(rounds, "floor", name), "µs")]);
  return `${table(head, body)}\n\n${table(["the floor", "median"], floor)}\n`;
}

/** @param {Row} row @param {readonly Round[]} rounds */
function cells({ title, unit, tidemark, peers, goal }, rounds) {
  const own = time(middle(rounds, "tidemark", tidemark), unit);
  if (peers === undefined) return [title, "", "", own, "", "", ""];
  const idb = time(middle(rounds, "idb", peers), unit);
  const dexie = time(middle(rounds, "dexie", peers), unit);
  /** @param {"idb" | "dexie"} peer */
  const times = (peer) => rounds.map((round) => figure(round, peer, peers) / figure(round, "tidemark", tidemark));
  return [title, idb, dexie, own, spread(times("dexie")), spread(times("idb")), goal ? verdict(goal) : ""];

  /** @param {Goal} goal */
  function verdict({ than, atMostTimes, text }) {
    const share = 1 / median(times(than));
    const shown = atMostTimes < 1 ? (1 / share).toFixed(1) : share.toFixed(2);
    return `${text}: ${shown}, ${share <= atMostTimes ? "met" : "missed"}`;
  }
}

/** @param {Round} round @param {keyof Round} peer @param {string} name */
function figure(round, peer, name) {
  const found = round[peer][name];
  if (found === undefined) throw new Error(`${peer} did not report ${name}`);
  return found;
}

/** @param {readonly Round[]} rounds @param {keyof Round} peer @param {string} name */
const middle = (rounds, peer, name) => median(rounds.map((round) => figure(round, peer, name)));

/** @param {readonly number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1] ?? Number.NaN, sorted[sorted.length >> 1] ?? Number.NaN];
  return (low + high) / 2;
}

/** @param {readonly number[]} ratios */
function spread(ratios) {
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  return `**${digits(median(ratios))}** (${digits(least)}–${digits(most)})`;
}

/** @param {number} n */
const digits = (n) => (n < 10 ? n.toFixed(2) : n.toFixed(1));

/** @param {number} ms @param {"ms" | "µs"} unit */
const time = (ms, unit) =>
  unit === "ms" ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${Math.round(ms * 1000)} µs`;

/** @param {number} n */
const grouped = (n) => String(n).replaceAll(/\B(?=(\d{3})+$)/g, " ");

/** @param {readonly string[]} head @param {readonly (readonly string[])[]} body */
function table(head, body) {
  const widths = head.map((_, i) => Math.max(3, ...[head, ...body].map((row) => row[i]?.length ?? 0)));
  /** @param {readonly string[]} row */
  const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
