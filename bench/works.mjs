// One peer's part of one round: its works in a page of its own, then those that take several pages.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { median } from "./tables.mjs";

/** @typedef {import("./src/fixture.ts").Sizes & { opened: readonly number[], openings: number }} Sizes */
/** @typedef {import("./src/timing.ts").Figures} Figures */
/** @typedef {import("./src/peers/all.ts").PeerName} PeerName */
/** @typedef {import("./src/works/all.ts").WorkName} WorkName */
/** @typedef {WorkName | keyof typeof across} AnyWork */
/**
 * @typedef {object} Part
 * @property {import("./browser.mjs").Served} served
 * @property {PeerName} peer
 * @property {string} origin
 * @property {Sizes} sizes
 */

/**
 * In the order in which they run. Each line is a page of its own under an origin of its own, so that what a line stores is
 * all that the browser's estimate counts there.
 * @type {readonly (readonly WorkName[])[]}
 */
const pages = [
  ["bulk", "scan", "keys", "get", "range", "count", "space", "put", "concurrent", "delete"],
  ["hot"],
  ["live", "blocking"],
  ["ycsb"],
  ["typing"],
];

/** What takes more than one page, each under an origin of its own. */
const across = {
  open: opening,
  tabs: hearing,
  files: filling,
};

/** @type {readonly AnyWork[]} */
export const workNames = [...pages.flat(), .../** @type {(keyof typeof across)[]} */ (Object.keys(across))];

/**
 * Figures of the chosen works. What fails or takes too long is told, and has none; so is what the budget leaves no time for.
 * @param {Part} part @param {readonly AnyWork[]} chosen
 * @param {{ budgetMs: number, allowedMs: number, failed: (what: string) => void }} limits
 * @returns {Promise<Figures>}
 */
export async function runPeer(part, chosen, { budgetMs, allowedMs, failed }) {
  /** @type {Figures} */
  const figures = {};
  const until = performance.now() + budgetMs;
  /** @param {string} what @param {() => Promise<Figures>} run */
  const collect = async (what, run) => {
    if (performance.now() > until) return console.error(`${part.peer}, ${what}: left out, since its time is over`);
    try {
      Object.assign(figures, await run());
    } catch (error) {
      failed(`${part.peer}, ${what}: ${String(error)}`);
    }
  };
  for (const [i, works] of pages.entries()) {
    const wanted = works.filter((work) => chosen.includes(work));
    if (wanted.length === 0) continue;
    const origin = `${part.origin}-${i}`;
    const page = await part.served.page(origin);
    for (const work of wanted) {
      await collect(work, () => {
        const run = page.evaluate(
          ([peer, name, sizes]) => globalThis.bench.work(peer, name, sizes),
          /** @type {const} */ ([part.peer, work, part.sizes]),
        );
        return within(allowedMs, run);
      });
    }
    await page.close();
  }
  for (const [name, run] of Object.entries(across)) {
    if (!chosen.includes(/** @type {AnyWork} */ (name))) continue;
    const origin = `${part.origin}-${name}`;
    await collect(name, () => within(allowedMs, run({ ...part, origin })));
  }
  return figures;
}

/**
 * @template T
 * @param {number} ms @param {Promise<T>} work
 * @returns {Promise<T>}
 */
async function within(ms, work) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${ms / 1000} s`)), ms);
  });
  try {
    return await /** @type {Promise<T>} */ (Promise.race([work, late]));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Opening what another page stored: each time in a page, and with a worker, that never saw it; and what single calls cost
 * there, by the number of records.
 * @param {Part} part
 */
async function opening({ served, peer, origin, sizes }) {
  /** @type {Figures} */
  const figures = {};
  for (const count of sizes.opened) {
    const at = `${origin}-${count}`;
    const writer = await served.page(at);
    const last = await writer.evaluate(
      ([name, n]) => globalThis.bench.store(name, "stored", n),
      /** @type {const} */ ([peer, count]),
    );
    await writer.close();
    const each = [];
    for (let i = 0; i < sizes.openings; i++) {
      const reader = await served.page(at);
      const ms = await reader.evaluate(
        ([name, id, n]) => globalThis.bench.openCold(name, "stored", id, n),
        /** @type {const} */ ([peer, last, count]),
      );
      each.push(ms);
      await reader.close();
    }
    figures[`open${count}`] = median(each);
    const reader = await served.page(at);
    const costs = await reader.evaluate(
      ([name, n]) => globalThis.bench.costsAt(name, "stored", n),
      /** @type {const} */ ([peer, count]),
    );
    await reader.close();
    for (const call of /** @type {const} */ (["get", "put", "range"])) figures[`${call}${count}`] = costs[call];
  }
  return figures;
}

/** From a write's call in one tab until a live query of another tells of it. @param {Part} part */
async function hearing({ served, peer, origin, sizes }) {
  const watcher = await served.page(origin);
  const writer = await served.page(origin);
  try {
    const about = await watcher.evaluate((name) => globalThis.bench.about(name), peer);
    if (!about.sharesTabs || !(await watcher.evaluate((name) => globalThis.bench.watch(name), peer))) return {};
    await writer.evaluate((name) => globalThis.bench.join(name), peer);
    const each = [];
    for (let n = 0; n < sizes.liveChanges; n++) {
      const arrival = watcher.evaluate((i) => globalThis.bench.arrived(i), n);
      const since = await writer.evaluate((i) => globalThis.bench.writeWatched(i), n);
      each.push((await arrival) - since);
    }
    return { liveTabs: median(each) };
  } finally {
    await watcher.close();
    await writer.close();
  }
}

/** What the profile's files grow by when all records are stored. @param {Part} part */
async function filling({ served, peer, origin, sizes }) {
  const before = await bytesOf(served.profile);
  const writer = await served.page(origin);
  await writer.evaluate(
    ([name, n]) => globalThis.bench.store(name, "stored", n),
    /** @type {const} */ ([peer, sizes.records]),
  );
  const bytes = (await bytesOf(served.profile)) - before;
  await writer.close();
  return { fileBytes: bytes };
}

/** Where Chromium and Firefox keep what pages store. */
const stores = ["Default/IndexedDB", "Default/File System", "Default/WebStorage", "storage/default"];

/** @param {string} profile */
async function bytesOf(profile) {
  let bytes = 0;
  for (const store of stores) {
    const names = await readdir(path.join(profile, store), { recursive: true }).catch(() => []);
    for (const name of names) {
      const found = await stat(path.join(profile, store, name)).catch(() => undefined);
      if (found?.isFile()) bytes += found.size;
    }
  }
  return bytes;
}
