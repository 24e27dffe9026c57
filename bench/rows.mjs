// The rows of the tables: each figure's title and how it is shown.
import { bytes, grouped, rate, time } from "./tables.mjs";

/** @typedef {import("./measured.mjs").Measured} Measured */
/** @typedef {{ title: string, figure: string, shown: (value: number) => string, more?: true }} Row `more` is better */

/** What is measured in databases of several sizes. */
export const growing = /** @type {const} */ ([
  { call: "open", title: (/** @type {string} */ count) => `cold open of ${count} and a get` },
  { call: "get", title: (/** @type {string} */ count) => `an awaited get among ${count}` },
  { call: "put", title: (/** @type {string} */ count) => `an awaited put among ${count}` },
  { call: "range", title: (/** @type {string} */ count) => `about 100 of ${count} by an index` },
]);
/** Those sizes; not all were measured. @param {Measured["sizes"]} sizes */
export const countsOf = ({ opened }) => [...opened, 1_000_000];

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
  ...growing.flatMap(({ title, call }) =>
    countsOf(sizes).map((count) => ({ title: title(grouped(count)), figure: `${call}${count}`, shown: time })),
  ),
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
  { title: "the browser's estimate with all records", figure: "usageBytes", shown: bytes },
  { title: `files of ${grouped(sizes.records)} records, three indexes`, figure: "fileBytes", shown: bytes },
  { title: "memory of the page, everything read", figure: "pageBytes", shown: bytes },
  { title: "memory of its workers", figure: "workerBytes", shown: bytes },
  { title: "the browser's estimate with as many keys, written once", figure: "hotLiveBytes", shown: bytes },
  { title: "… overwritten, right after", figure: "hotPeakBytes", shown: bytes },
  { title: "… once quiet", figure: "hotBytes", shown: bytes },
  { title: "by its own account: as many keys, written once", figure: "hotStoredLiveBytes", shown: bytes },
  { title: "… overwritten, once quiet", figure: "hotStoredBytes", shown: bytes },
  { title: "memory after hot keys, page and workers", figure: "hotMemoryBytes", shown: bytes },
  { title: "the browser's estimate after the typing session", figure: "typingBytes", shown: bytes },
];
