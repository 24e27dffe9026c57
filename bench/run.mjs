// Tidemark and its peers side by side, in one run of a real browser:
//
//   npm run bench                            the full run: hours, since some peers take their time
//   npm run bench -- --quick                 small, one round: below two minutes
//   npm run bench -- --only=bulk,put         some works
//   npm run bench -- --peers=idb,dexie       Tidemark beside some peers
//   npm run bench -- --browser=firefox       elsewhere; the peers that run there
//   npm run bench -- --rounds=9              as many rounds as wanted
//   npm run bench -- --long                  also opens a million records, with the peers that can take them
//   npm run bench -- --write                 also puts tables and plots into docs/
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
/** @typedef {import("./report.mjs").Measured} Measured */

const document = new URL("../docs/performance.md", import.meta.url);
const pictures = new URL("../docs/performance/", import.meta.url);
const results = new URL("../node_modules/.cache/tidemark-bench.json", import.meta.url);
const [begin, end] = ["<!-- bench:begin -->", "<!-- bench:end -->"];

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
    write: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
  },
});
const sizes = options.quick ? quick : full;
const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error("--rounds takes a whole number from 1 up");
const { browser } = options;
if (browser !== "chromium" && browser !== "firefox") throw new Error("--browser takes chromium or firefox");
const works = chosen("work", options.only, [...workNames, ...otherNames]);
const peers = /** @type {PeerName[]} */ ([
  ...new Set(["tidemark", ...chosen("peer", options.peers, all, options.quick ? always : all)]),
]);
/** A page that hangs is to end that peer's part, not to be waited for. */
const allowedMs = options.quick ? 60_000 : 30 * 60_000;

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

/** @param {import("./browser.mjs").Served} served @returns {Promise<Omit<Measured, "bundles">>} */
async function compare(served) {
  const { described, jsonBytes } = await describe(served);
  /** @type {import("./report.mjs").Round[]} */
  const measured = [];
  /** @type {import("./report.mjs").Figures[]} */
  const floors = [];
  for (let i = 0; i < rounds; i++) {
    /** @type {Measured["rounds"][number]} */
    const round = {};
    for (const peer of rotated(i)) {
      const since = performance.now();
      const opened = options.long && opensMillion.includes(peer) ? [...sizes.opened, 1_000_000] : sizes.opened;
      const part = { served, peer, origin: `${peer}-${i}`, sizes: { ...sizes, opened } };
      round[peer] = await runPeer(part, /** @type {any} */ (works), { allowedMs, failed });
      console.error(`round ${i + 1} of ${rounds}: ${peer}, ${((performance.now() - since) / 1000).toFixed(1)} s`);
    }
    if (works.includes("floor")) floors.push(await floor(served, `floor-${i}`));
    measured.push(round);
  }
  return {
    at: new Date().toISOString(),
    where: where(served.browser),
    sizes,
    jsonBytes,
    peers: described,
    rounds: measured,
    floors,
  };
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
  return { described, jsonBytes };
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
  const load = `load ${loadBefore.toFixed(1)} before the run and ${(os.loadavg()[0] ?? 0).toFixed(1)} after it`;
  return `${title} headless, ${cpu.length} cores of ${cpu[0]?.model.trim()}, ${os.type()}, ${load}`;
}

/** @param {string} result @param {Measured} measured */
async function write(result, measured) {
  const text = await readFile(document, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/performance.md lacks ${begin} and ${end}`);
  await mkdir(pictures, { recursive: true });
  const drawn = plots(measured);
  for (const { file, svg } of drawn) await writeFile(new URL(file, pictures), svg);
  const shown = drawn.map(({ file, title }) => `![${title}](performance/${file})`).join("\n\n");
  await writeFile(document, `${text.slice(0, from + begin.length)}\n\n${result}\n${shown}\n\n${text.slice(to)}`);
}

const [loadBefore = 0] = os.loadavg();
if (loadBefore > 1) console.error(`This machine is busy (load ${loadBefore.toFixed(1)}): expect wide spreads`);
if (options.profile) {
  console.log(await withBrowser((served) => profile(served, sizes)));
} else {
  const compared = await withBrowser(compare, browser);
  const measured = { ...compared, bundles: works.includes("bundle") ? await bundleSizes(peers) : {} };
  await mkdir(new URL(".", results), { recursive: true });
  await writeFile(results, `${JSON.stringify(measured, undefined, 2)}\n`);
  const result = report(measured);
  console.log(result);
  if (options.write) await write(result, measured);
  if (failures.length > 0) process.exitCode = 1;
}
