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
  warmMs: 300,
  quietMs: 4000,
  openings: 3,
  opened: [1000, 10_000, 100_000],
};

/** @type {Sizes} */
export const quick = {
  records: 4000,
  keys: 2000,
  awaited: 30,
  concurrent: 200,
  hotKeys: 200,
  hotRounds: 10,
  blockingRecords: 2000,
  ycsbRecords: 300,
  ycsbOperations: 20,
  keystrokes: 20,
  liveChanges: 5,
  warmMs: 50,
  quietMs: 300,
  openings: 1,
  opened: [1000],
};

/** Whom a million records are opened by, in the long form; others take too long to store them. */
export const opensMillion = /** @type {readonly string[]} */ (["tidemark", "dexie", "sqlite"]);
