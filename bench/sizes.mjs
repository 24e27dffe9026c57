// How much of each work there is.

/** @typedef {import("./works.mjs").Sizes} Sizes */

/** @type {Sizes} */
export const full = {
  records: 20_000,
  keys: 2000,
  awaited: 300,
  concurrent: 500,
  hotKeys: 1000,
  hotRounds: 100,
  blockingRecords: 10_000,
  ycsbRecords: 10_000,
  ycsbOperations: 2000,
  keystrokes: 10_000,
  liveChanges: 30,
  opened: [1000, 100_000],
};

/** @type {Sizes} */
export const quick = {
  records: 5000,
  keys: 2000,
  awaited: 60,
  concurrent: 500,
  hotKeys: 200,
  hotRounds: 10,
  blockingRecords: 3000,
  ycsbRecords: 500,
  ycsbOperations: 60,
  keystrokes: 60,
  liveChanges: 8,
  opened: [1000],
};

/** Whom a million records are opened by, in the long form; others take too long to store them. */
export const opensMillion = /** @type {readonly string[]} */ (["tidemark", "dexie", "sqlite"]);
