// Tidemark and its peers side by side, in one run of a real browser:
//
//   npm run bench                            the full run: hours, since some peers take their time
//   npm run bench -- --quick                 small, one round, about two minutes: what does not fit in is left out
//   npm run bench -- --quick --minutes=10    … as many minutes as wanted
//   npm run bench -- --only=bulk,put         some works
//   npm run bench -- --peers=idb,dexie       Tidemark beside some peers
//   npm run bench -- --browser=firefox       elsewhere; with --write into a section of its own, without pictures
//   npm run bench -- --rounds=9              as many rounds as wanted
//   npm run bench -- --long                  also opens a million records, with the peers that can take them
//   npm run bench -- --write                 also puts tables and plots into docs/
//   npm run bench -- --again --write         the last run's figures once more, without running
//   npm run bench -- --profile               instead: where Tidemark's time goes, by thread and file
import { mkdir, readFile, writeFile } from "node:fs/promises";
import os from "node:os";
import { parseArgs } from "node:util";
import { withBrowser } from "./browser.mjs";
import { bundleSizes } from "./bundle.mjs";
import { plots } from "./plots.mjs";
import { profile } from "./profile.mjs";
import { report } from "./report.mjs";
import { full, opensMillion, quick } from "./sizes.mjs";
import { runPeer, workNames } from "./works.mjs";

/** @typedef {import("./src/peers/all.ts").PeerName} PeerName */
/** @typedef {import("./measured.mjs").Measured} Measured */

const document = new URL("../docs/performance.md", import.meta.url);
const pictures = new URL("../docs/performance/", import.meta.url);

/** Those with a second form of the same are not in a quick run. @type {readonly PeerName[]} */
const always = ["tidemark", "idb", "dexie", "rxdb", "pouchdb", "level", "sqlite", "pglite", "tinybase"];
/** @type {readonly PeerName[]} */
const all = [...always, "tidemark-memtable", "sqlite-relaxed", "pglite-strict"];
const otherNames = /** @type {const} */ (["floor", "bundle"]);

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    peers: { type: "string" },
    browser: { type: "string", default: "chromium" },
    rounds: { type: "string" },
    long: { type: "boolean", default: false },
    minutes: { type: "string" },
    again: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
  },
});
const sizes = options.quick ? quick : full;
const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error("--rounds takes a whole number from 1 up");
const { browser } = options;
if (browser !== "chromium" && browser !== "firefox") throw new Error("--browser takes chromium or firefox");
/** Each browser has figures of its own, and its place in the page. */
const results = new URL(`../node_modules/.cache/tidemark-bench-${browser}.json`, import.meta.url);
const mark = browser === "chromium" ? "bench" : `bench:${browser}`;
const [begin, end] = [`<!-- ${mark}:begin -->`, `<!-- ${mark}:end -->`];
const works = chosen("work", options.only, [...workNames, ...otherNames]);
const peers = /** @type {PeerName[]} */ ([
  ...new Set(["tidemark", ...chosen("peer", options.peers, all, options.quick ? always : all)]),
]);
const pageWorks = workNames.filter((name) => works.includes(name));
const minutes = Number(options.minutes ?? (options.quick ? 1.8 : Infinity)); // what is left of two is for the build
/** Each peer has the same share of it. */
const budgetMs = (minutes * 60_000) / peers.length / rounds;
/** A page that hangs is to end that work, not to be waited for. */
const allowedMs = Math.min(30 * 60_000, budgetMs);

/**
 * @template {string} T
 * @param {string} what @param {string | undefined} text @param {readonly T[]} known @param {readonly T[]} [otherwise]
 * @returns {T[]}
 */
function chosen(what, text, known, otherwise = known) {
  if (text === undefined) return [...otherwise];
  const names = text.split(",");
  const unknown = names.find((name) => !known.some((each) => each === name));
  if (unknown !== undefined) throw new Error(`There is no ${what} ${unknown}: take some of ${known.join(", ")}`);
  return known.filter((name) => names.includes(name));
}

/** @type {string[]} */
const failures = [];
/** @param {string} what */
function failed(what) {
  failures.push(what);
  console.error(what);
}

/** Figures are saved after each peer, so that a run that is ended leaves some. @param {import("./browser.mjs").Served} served @returns {Promise<Measured>} */
async function compare(served) {
  /** @type {import("./measured.mjs").Round[]} */
  const measured = [];
  /** @type {import("./measured.mjs").Figures[]} */
  const floors = [];
  const about = await describe(served);
  const bundles = works.includes("bundle") ? await bundleSizes(peers) : {};
  const at = new Date().toISOString();
  const result = () => ({ at, where: where(served.browser), sizes, ...about, rounds: measured, floors, bundles });
  for (let i = 0; i < rounds; i++) {
    /** @type {import("./measured.mjs").Round} */
    const round = {};
    measured.push(round);
    if (works.includes("floor")) floors.push(await floor(served, `floor-${i}`));
    for (const peer of rotated(i)) {
      const since = performance.now();
      round[peer] = await runPeer(partOf(served, peer, i), pageWorks, { budgetMs, allowedMs, failed });
      console.error(`round ${i + 1} of ${rounds}: ${peer}, ${((performance.now() - since) / 1000).toFixed(1)} s`);
      await save(result());
    }
  }
  return result();
}

/** @param {import("./browser.mjs").Served} served @param {PeerName} peer @param {number} round */
function partOf(served, peer, round) {
  const opened = options.long && opensMillion.includes(peer) ? [...sizes.opened, 1_000_000] : sizes.opened;
  return { served, peer, origin: `${peer}-${round}`, sizes: { ...sizes, opened } };
}

/** @param {Measured} measured */
async function save(measured) {
  await mkdir(new URL(".", results), { recursive: true });
  await writeFile(results, `${JSON.stringify(measured, undefined, 2)}\n`);
}

/** Each in a page of its own: RxDB brings another version of Dexie, which does not stand the first beside it. @param {import("./browser.mjs").Served} served */
async function describe(served) {
  /** @type {Measured["peers"]} */
  const described = {};
  let jsonBytes = 0;
  for (const peer of peers) {
    const page = await served.page("about");
    described[peer] = await page.evaluate((name) => globalThis.bench.about(name), peer);
    jsonBytes ||= await page.evaluate((n) => globalThis.bench.jsonBytesOf(n), sizes.records);
    await page.close();
  }
  return { peers: described, jsonBytes };
}

/** Whoever goes first finds a quieter or a colder machine: each round another one does. @param {number} round */
function rotated(round) {
  const first = round % peers.length;
  return [...peers.slice(first), ...peers.slice(0, first)];
}

/** @param {import("./browser.mjs").Served} served @param {string} origin */
async function floor(served, origin) {
  const page = await served.page(origin);
  const figures = await page.evaluate((of) => globalThis.bench.floor(of), sizes);
  await page.close();
  return figures;
}

/** @param {string} title */
function where(title) {
  const cpu = os.cpus();
  const loadAfter = os.loadavg()[0] ?? 0;
  const load = `load ${loadBefore.toFixed(1)} before the run and ${loadAfter.toFixed(1)} after it`;
  const busy = loadBefore > 1 ? ": **provisional**, since the machine had other work" : "";
  return `${title} headless, ${cpu.length} cores of ${cpu[0]?.model.trim()}, ${os.type()}, ${load}${busy}`;
}

/** @param {string} result @param {Measured} measured */
async function write(result, measured) {
  const text = await readFile(document, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/performance.md lacks ${begin} and ${end}`);
  await mkdir(pictures, { recursive: true });
  const drawn = browser === "chromium" ? plots(measured) : [];
  for (const { file, svg } of drawn) await writeFile(new URL(file, pictures), svg);
  const shown = drawn.map(({ file, title }) => `![${title}](performance/${file})`).join("\n\n");
  await writeFile(document, `${text.slice(0, from + begin.length)}\n\n${result}\n${shown}\n\n${text.slice(to)}`);
}

const [loadBefore = 0] = os.loadavg();
if (loadBefore > 1) console.error(`This machine is busy (load ${loadBefore.toFixed(1)}): expect wide spreads`);
if (options.profile) {
  console.log(await withBrowser((served) => profile(served, sizes)));
} else {
  const measured = options.again
    ? /** @type {Measured} */ (JSON.parse(await readFile(results, "utf8")))
    : await withBrowser(compare, browser);
  const result = report(measured);
  console.log(result);
  if (options.write) await write(result, measured);
  if (failures.length > 0) process.exitCode = 1;
}
