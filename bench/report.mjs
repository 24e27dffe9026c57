// Figures of all rounds as tables in markdown.
import { judged } from "./goals.mjs";
import { bytes, digits, grouped, median, rate, spread, table, time } from "./tables.mjs";

/** @typedef {import("./src/timing.ts").Figures} Figures */
/** @typedef {import("./src/peers/all.ts").PeerName} PeerName */
/** @typedef {Partial<Record<PeerName, Figures>>} Round */
/**
 * @typedef {object} Measured
 * @property {string} at
 * @property {string} where
 * @property {import("./works.mjs").Sizes} sizes
 * @property {number} jsonBytes of all records
 * @property {Partial<Record<PeerName, { title: string, answer: string, isStored: boolean }>>} peers
 * @property {readonly Round[]} rounds
 * @property {readonly Figures[]} floors
 * @property {Partial<Record<PeerName, import("./bundle.mjs").Bundle>>} bundles
 */
/** @typedef {{ title: string, figure: string, shown: (value: number) => string, more?: true }} Row `more` is better */

/** @param {Measured["sizes"]} sizes @returns {readonly Row[]} */
export const rowsOf = (sizes) => [
  { title: `bulk insert of ${grouped(sizes.records)}, one index`, figure: "bulkOne", shown: time },
  { title: "… three indexes", figure: "bulkThree", shown: time },
  { title: "fold after it, in the worker", figure: "fold", shown: time },
  { title: "an awaited put, new record", figure: "put", shown: time },
  { title: `${sizes.concurrent} concurrent puts`, figure: "concurrentPuts", shown: time },
  { title: "scan of all, cold", figure: "scanCold", shown: time },
  { title: "… warm", figure: "scan", shown: time },
  { title: `${grouped(sizes.keys)} random keys, cold`, figure: "keysCold", shown: time },
  { title: "… warm", figure: "keys", shown: time },
  { title: "an awaited get", figure: "get", shown: time },
  { title: "a tenth of all by an index, in order", figure: "range", shown: time },
  { title: "count of all", figure: "count", shown: time },
  { title: "count of one value of an index", figure: "countIndex", shown: time },
  { title: `${grouped(sizes.hotKeys)} keys overwritten ${sizes.hotRounds} times`, figure: "hotUpdates", shown: time },
  { title: "delete of every second record", figure: "deleteHalf", shown: time },
  { title: "live query, same tab", figure: "live", shown: time },
  { title: "live query, other tab", figure: "liveTabs", shown: time },
  ...[...sizes.opened, 1_000_000].map((count) => ({
    title: `cold open of ${grouped(count)} and a get`,
    figure: `open${count}`,
    shown: time,
  })),
  { title: "page blocked per 10 000 inserts", figure: "blocked", shown: time },
  { title: "… longest", figure: "blockedLongest", shown: time },
  { title: "… in long tasks, as the browser tells", figure: "longTasks", shown: time },
  ...["A", "B", "C", "D", "E", "F"].map((name) => ({
    title: `YCSB ${name}, operations a second`,
    figure: `ycsb${name}`,
    shown: rate,
    more: /** @type {const} */ (true),
  })),
  { title: "a keystroke of the typing session", figure: "typing", shown: time },
  { title: "the browser's estimate after all works on all records", figure: "usageBytes", shown: bytes },
  { title: `files of ${grouped(sizes.records)} records, three indexes`, figure: "fileBytes", shown: bytes },
  { title: "memory of the page, everything read", figure: "pageBytes", shown: bytes },
  { title: "memory of its workers", figure: "workerBytes", shown: bytes },
  { title: "estimate grown by as many keys, written once", figure: "hotLiveBytes", shown: bytes },
  { title: "… by hot keys, right after", figure: "hotPeakBytes", shown: bytes },
  { title: "… once quiet", figure: "hotBytes", shown: bytes },
  { title: "memory after hot keys, page and workers", figure: "hotMemoryBytes", shown: bytes },
  { title: "estimate grown by the typing session", figure: "typingBytes", shown: bytes },
];

const floorRows = /** @type {const} */ ([
  ["an empty round trip to a worker", "echo"],
  ["a put of 200 bytes in the worker, until it is complete", "putInWorker"],
  ["the same, asked for and answered by `postMessage`", "put"],
  ["a get and an add in one transaction on two stores, in the worker", "appendInWorker"],
  ["the same, asked for and answered by `postMessage`", "append"],
  ["a packed bulk insert of as many records, without index or order", "packed"],
  ["… records to bytes, on the page", "packedEncode"],
  ["… messages there and back", "packedMessage"],
  ["… cut into pieces, in the worker", "packedWorker"],
  ["… stored by IndexedDB", "packedStore"],
]);

/** @param {Measured} measured @returns {string} */
export function report(measured) {
  const { where, sizes, jsonBytes, rounds, floors } = measured;
  const each = Math.round(jsonBytes / sizes.records);
  const what = `${rounds.length} ${rounds.length === 1 ? "round" : "rounds"}; records of ${each} bytes as JSON on average. Medians.`;
  const floor = floorRows.map(([title, name]) => [title, time(middle(floors, name))]);
  return [
    `${measured.at.slice(0, 10)}. ${where}.\n${what}`,
    "**Goals**, as ratios within each round, with their extremes:",
    table(["", "goal", "measured", ""], judged(measured)),
    "**What was measured**:",
    absolute(measured),
    "**How many times as fast Tidemark is**, within a round (least–most):",
    relative(measured),
    ...(floors.length > 0 ? ["**The floor**, in the same harness:", table(["", "median"], floor)] : []),
    ...(Object.keys(measured.bundles).length > 0 ? ["**What is shipped**, brotli:", bundles(measured)] : []),
    "**What an answer to a write means**:",
    table(
      ["", ""],
      Object.values(measured.peers).map(({ title, answer }) => [title, answer]),
    ),
    "",
  ].join("\n\n");
}

/** @param {readonly Figures[]} all @param {string} figure */
const middle = (all, figure) => median(all.map((figures) => figures[figure]).filter((value) => value !== undefined));

/** @param {readonly Round[]} rounds @param {PeerName} peer @param {string} figure */
export const middleOf = (rounds, peer, figure) =>
  middle(
    rounds.map((round) => round[peer] ?? {}),
    figure,
  );

/**
 * How many times as fast Tidemark is, in each round in which both were measured.
 * @param {readonly Round[]} rounds @param {PeerName} peer @param {string} figure @param {boolean} [more]
 */
export const ratios = (rounds, peer, figure, more = false) =>
  rounds.flatMap((round) => {
    const [own, other] = [round.tidemark?.[figure], round[peer]?.[figure]];
    return own === undefined || other === undefined ? [] : more ? own / other : other / own;
  });

/** @param {Measured} measured */
const namesOf = ({ peers }) => /** @type {PeerName[]} */ (Object.keys(peers));

/** Rows that anybody has a figure for. @param {Measured} measured */
const present = (measured) =>
  rowsOf(measured.sizes).filter(({ figure }) =>
    measured.rounds.some((round) => Object.values(round).some((figures) => figure in figures)),
  );

/** @param {Measured} measured */
function absolute(measured) {
  const names = namesOf(measured);
  const body = present(measured).map(({ title, figure, shown }) => [
    title,
    ...names.map((name) => {
      const value = middleOf(measured.rounds, name, figure);
      return Number.isNaN(value) ? "–" : shown(value);
    }),
  ]);
  return table(["", ...names.map((name) => measured.peers[name]?.title ?? name)], body);
}

/** @param {Measured} measured */
function relative(measured) {
  const names = namesOf(measured).filter((name) => !name.startsWith("tidemark"));
  const body = present(measured)
    .filter(({ figure }) => names.some((name) => ratios(measured.rounds, name, figure).length > 0))
    .filter(({ shown }) => shown !== bytes)
    .map(({ title, figure, more }) => [
      title,
      ...names.map((name) => spread(ratios(measured.rounds, name, figure, more))),
    ]);
  return table(["", ...names.map((name) => measured.peers[name]?.title ?? name)], body);
}

/** @param {Measured} measured */
function bundles({ bundles: sizes, peers }) {
  const body = /** @type {PeerName[]} */ (Object.keys(sizes)).map((name) => [
    peers[name]?.title ?? name,
    `${digits((sizes[name]?.page ?? 0) / 1024)} KB`,
    sizes[name]?.worker ? `${digits(sizes[name].worker / 1024)} KB` : "–",
  ]);
  return table(["", "page", "worker and what it loads"], body);
}
