// Figures of all rounds as tables in markdown.
import { judged } from "./goals.mjs";
import { middle, middleOf, ratios } from "./measured.mjs";
import { rowsOf } from "./rows.mjs";
import { bytes, digits, spread, table, time } from "./tables.mjs";

/** @typedef {import("./measured.mjs").Measured} Measured */
/** @typedef {import("./src/peers/all.ts").PeerName} PeerName */

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

/** Some may have been of fewer peers. @param {Measured} measured @returns {string} */
function roundsOf({ rounds, peers }) {
  const all = rounds.length === 1 ? "1 round" : `${rounds.length} rounds`;
  const some = rounds.filter((round) => Object.keys(round).length < Object.keys(peers).length).length;
  return some === 0 ? all : `${all}, of which ${some} with some peers and works only`;
}

/** @param {Measured} measured @returns {string} */
export function report(measured) {
  const { where, sizes, jsonBytes, floors } = measured;
  const each = Math.round(jsonBytes / sizes.records);
  const what = `${roundsOf(measured)}; records of ${each} bytes as JSON on average. Medians.`;
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
    ...[sizes[name]?.opening, sizes[name]?.later, sizes[name]?.worker].map((part) =>
      part ? `${digits(part / 1024)} KB` : "–",
    ),
  ]);
  return table(["", "page, at once", "page, as it opens", "page, later or never", "worker and what it loads"], body);
}
