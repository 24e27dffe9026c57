// The database that most scenarios look at: loaded once in a run, whichever comes first.
import { dice } from "../src/scale/rows.ts";
import { assertSame, Expected } from "./expected.mjs";

/**
 * @typedef {object} Settings
 * @property {number} records
 * @property {number} keystrokes transactions of the typing session
 * @property {number} inFlight of them at once
 * @property {number} samples of awaited calls, of each kind
 * @property {number} garbage versions that are to be collected
 * @property {number} runs of what is measured once per opening
 */
/** @typedef {{ launch: import("../browser.mjs").Launch, settings: Settings }} Bench */

export const origin = "scale";
/** Records to a commit. */
export const chunk = 5000;

/** @param {Settings} settings */
export const nameOf = ({ records }) => `rows-${records}`;

/**
 * A page of the origin with the database open and all records in it.
 * @param {import("../browser.mjs").Served} served @param {Settings} settings
 */
export async function openLoaded(served, settings) {
  const page = await served.page(origin, "scale.html");
  await open(page, nameOf(settings));
  if ((await page.evaluate(() => scale.count())) === settings.records) return page;
  await page.evaluate(async (name) => {
    await scale.close();
    await scale.remove(name);
  }, nameOf(settings));
  await open(page, nameOf(settings));
  await load(page, settings.records, false);
  await page.evaluate(() => scale.settle());
  return page;
}

/** @param {import("playwright").Page} page @param {string} name @param {number} [first] a record to read after it */
export const open = (page, name, first = 0) =>
  page.evaluate(([of, n]) => scale.open(of, n), /** @type {const} */ ([name, first]));

/** @param {import("playwright").Page} page @param {number} records @param {boolean} isAscending */
export const load = (page, records, isAscending) =>
  page.evaluate(
    ([count, ascending, atOnce]) => scale.import(count, ascending, atOnce),
    /** @type {const} */ ([records, isAscending, chunk]),
  );

/** Letters of a code that about a hundred records have in common. @param {number} records */
export const prefixLength = (records) => Math.max(1, Math.round(Math.log(records / 100) / Math.log(16)));
/** So many groups hold about a hundredth of all records. */
export const countedGroups = 10;

/** Queries at random places, each checked against what has to come. */
export class Queries {
  /** @param {Settings} settings @param {number} seed */
  constructor({ records }, seed) {
    this.records = records;
    this.roll = dice(seed);
    this.expected = new Expected(records, prefixLength(records));
  }

  /** Milliseconds of each kind. @param {import("playwright").Page} page */
  async each(page) {
    return {
      get: await this.get(page),
      range: await this.range(page),
      count: await this.count(page),
      startsWith: await this.startsWith(page),
    };
  }

  /** @param {import("playwright").Page} page */
  async get(page) {
    const n = this.roll(this.records);
    const { ms, numbers } = await page.evaluate((of) => scale.get(of), n);
    assertSame(numbers, [n], `record ${n}`);
    return ms;
  }

  /** @param {import("playwright").Page} page */
  async range(page) {
    const from = this.roll(900);
    const { ms, numbers } = await page.evaluate((at) => scale.range(at, 100), from);
    assertSame(numbers, this.expected.range(from, 100), `100 records from group ${from} on`);
    return ms;
  }

  /** @param {import("playwright").Page} page */
  async count(page) {
    const from = this.roll(900);
    const to = from + countedGroups;
    const { ms, count } = await page.evaluate(([a, b]) => scale.countGroups(a, b), /** @type {const} */ ([from, to]));
    assertSame(count, this.expected.countGroups(from, to), `records of groups ${from} to ${to}`);
    return ms;
  }

  /** @param {import("playwright").Page} page */
  async startsWith(page) {
    const letters = prefixLength(this.records);
    const prefix = this.roll(16 ** letters)
      .toString(16)
      .padStart(letters, "0");
    const { ms, numbers } = await page.evaluate((of) => scale.startsWith(of), prefix);
    assertSame(numbers, this.expected.startsWith(prefix), `codes that begin with ${prefix}`);
    return ms;
  }
}
