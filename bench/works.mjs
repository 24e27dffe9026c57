// One peer's part of one round: its works in a page of its own, then those that take several pages.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";

/** @typedef {import("./src/fixture.ts").Sizes & { opened: readonly number[] }} Sizes */
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

/** In the order in which they run. @type {readonly WorkName[]} */
const inPage = [
  "bulk",
  "scan",
  "keys",
  "get",
  "range",
  "count",
  "space",
  "put",
  "concurrent",
  "delete",
  "hot",
  "live",
  "blocking",
  "ycsb",
  "typing",
];

/** What takes more than one page, each under an origin of its own. */
const across = {
  open: opening,
  tabs: hearing,
  files: filling,
};

/** @type {readonly AnyWork[]} */
export const workNames = [...inPage, .../** @type {(keyof typeof across)[]} */ (Object.keys(across))];

/**
 * Figures of the chosen works. What fails or takes too long is told, and ends what comes after it in its page.
 * @param {Part} part @param {readonly AnyWork[]} chosen @param {{ allowedMs: number, failed: (what: string) => void }} limits
 * @returns {Promise<Figures>}
 */
export async function runPeer(part, chosen, { allowedMs, failed }) {
  /** @type {Figures} */
  const figures = {};
  const page = await part.served.page(part.origin);
  try {
    for (const work of inPage.filter((name) => chosen.includes(name))) {
      const run = page.evaluate(
        ([peer, name, sizes]) => globalThis.bench.work(peer, name, sizes),
        /** @type {const} */ ([part.peer, work, part.sizes]),
      );
      Object.assign(figures, await within(allowedMs, work, run));
    }
    await within(
      allowedMs,
      "closing",
      page.evaluate(() => globalThis.bench.close()),
    );
  } catch (error) {
    failed(`${part.peer}: ${String(error)}`);
  }
  await page.close();
  for (const [name, run] of Object.entries(across)) {
    if (!chosen.includes(/** @type {AnyWork} */ (name))) continue;
    try {
      const origin = `${part.origin}-${name}`;
      Object.assign(figures, await within(allowedMs, name, run({ ...part, origin })));
    } catch (error) {
      failed(`${part.peer}: ${String(error)}`);
    }
  }
  return figures;
}

/**
 * @template T
 * @param {number} ms @param {string} what @param {Promise<T>} work
 * @returns {Promise<T>}
 */
async function within(ms, what, work) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} was not done after ${ms / 1000} s`)), ms);
  });
  try {
    return await /** @type {Promise<T>} */ (Promise.race([work, late]));
  } finally {
    clearTimeout(timer);
  }
}

/** Opening what another page stored: each time in a page, and with a worker, that never saw it. @param {Part} part */
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
    for (let i = 0; i < 3; i++) {
      const reader = await served.page(at);
      const ms = await reader.evaluate(
        ([name, id, n]) => globalThis.bench.openCold(name, "stored", id, n),
        /** @type {const} */ ([peer, last, count]),
      );
      each.push(ms);
      await reader.close();
    }
    figures[`open${count}`] = median(each);
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

/** @param {readonly number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
