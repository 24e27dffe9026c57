// Tidemark with many records, in a real Chromium on a real profile:
//
//   npm run scale                                 everything, with a million records: an hour
//   npm run scale -- --quick                      everything, small: minutes, and proof that the harness works
//   npm run scale -- --only=open,queries          some scenarios
//   npm run scale -- --records=100000 --keystrokes=20000 --in-flight=16 --samples=500 --runs=3 --garbage=100000
//   npm run scale -- --write                      also puts the results into docs/performance.md
//
// Results of scenarios that did not run stay as they were, so that --only and --write go together.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import os from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { withProfile } from "./browser.mjs";
import { amplification } from "./scale/amplification.mjs";
import { collecting, sharing } from "./scale/collection.mjs";
import { importing } from "./scale/import.mjs";
import { interference } from "./scale/interference.mjs";
import { opening } from "./scale/open.mjs";
import { paging } from "./scale/paging.mjs";
import { querying } from "./scale/queries.mjs";
import { grouped, section } from "./scale/report.mjs";
import { manyTabs } from "./scale/tabs.mjs";
import { transferring } from "./scale/transfer.mjs";
import { typing } from "./scale/typing.mjs";

/** @typedef {import("./scale/rows.mjs").Settings} Settings */
/** @typedef {import("./scale/report.mjs").Outcome} Outcome */

const scenarios = {
  import: { title: "A large import", run: importing },
  open: { title: "Opening", run: opening },
  queries: { title: "Queries", run: querying },
  transfer: { title: "Import and export", run: transferring },
  paging: { title: "Reading all of it", run: paging },
  tabs: { title: "Eight tabs", run: manyTabs },
  typing: { title: "A typing session", run: typing },
  interference: { title: "Upkeep and the foreground", run: interference },
  amplification: { title: "Amplification", run: amplification },
  collection: { title: "Collecting garbage", run: collecting },
  "garbage-share": { title: "Little garbage among much", run: sharing },
};
/** @typedef {keyof typeof scenarios} Scenario */

const document = new URL("../docs/performance.md", import.meta.url);
const [begin, end] = ["<!-- scale:begin -->", "<!-- scale:end -->"];
const cache = new URL("../node_modules/.cache/", import.meta.url);
const results = new URL("tidemark-scale.json", cache);

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: Object.keys(scenarios).join(",") },
    quick: { type: "boolean", default: false },
    records: { type: "string" },
    keystrokes: { type: "string" },
    "in-flight": { type: "string", default: "1" },
    samples: { type: "string" },
    runs: { type: "string" },
    garbage: { type: "string" },
    minutes: { type: "string", default: "120" },
    write: { type: "boolean", default: false },
  },
});

/** @param {string} name @param {string} text */
function whole(name, text) {
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < 1) throw new Error(`--${name} takes a whole number from 1 up`);
  return n;
}
const { quick } = options;
/** @type {Settings} */
const settings = {
  records: whole("records", options.records ?? (quick ? "10000" : "1000000")),
  keystrokes: whole("keystrokes", options.keystrokes ?? (quick ? "10000" : "137154")),
  inFlight: whole("in-flight", options["in-flight"]),
  samples: whole("samples", options.samples ?? (quick ? "200" : "2000")),
  garbage: whole("garbage", options.garbage ?? (quick ? "50000" : "1000000")),
  runs: whole("runs", options.runs ?? (quick ? "3" : "9")),
};
const chosen = options.only.split(",").map((name) => {
  if (name in scenarios) return /** @type {Scenario} */ (name);
  throw new Error(`There is no scenario ${name}: take some of ${Object.keys(scenarios).join(", ")}`);
});

/** What a scenario was done with. @param {Scenario} name */
function countOf(name) {
  if (name === "typing") return `${grouped(settings.keystrokes)} transactions`;
  if (name === "collection") return `${grouped(settings.garbage)} versions`;
  return `${grouped(settings.records)} records`;
}

/** @returns {Promise<Partial<Record<Scenario, Outcome>>>} */
async function earlier() {
  const text = await readFile(results, "utf8").catch(() => "{}");
  return JSON.parse(text);
}

/** @param {Partial<Record<Scenario, Outcome>>} outcomes */
async function write(outcomes) {
  const text = await readFile(document, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/performance.md lacks ${begin} and ${end}`);
  const sections = Object.entries(scenarios).flatMap(([name, { title }]) => {
    const outcome = outcomes[/** @type {Scenario} */ (name)];
    return outcome ? [section(title, outcome)] : [];
  });
  await writeFile(document, `${text.slice(0, from + begin.length)}\n\n${sections.join("\n")}\n${text.slice(to)}`);
}

const [loadBefore = 0] = os.loadavg();
if (loadBefore > 1) console.error(`This machine is busy (load ${loadBefore.toFixed(1)}): expect wide spreads`);
const timer = setTimeout(
  () => {
    console.error(`not done after ${options.minutes} minutes`);
    process.exit(1);
  },
  whole("minutes", options.minutes) * 60_000,
);
const cpu = os.cpus();
let outcomes = await earlier();
await mkdir(cache, { recursive: true });
await withProfile(async (launch) => {
  const browser = await launch((served) => Promise.resolve(served.browser));
  const on = `${browser} headless, ${cpu.length} cores of ${cpu[0]?.model.trim()}, ${os.type()}`;
  for (const name of chosen) {
    const { title, run } = scenarios[name];
    console.error(`${title} …`);
    const rows = await run({ launch, settings });
    const outcome = { at: new Date().toISOString(), settings: `${countOf(name)}; ${on}.`, rows };
    outcomes = { ...(await earlier()), [name]: outcome };
    await writeFile(results, `${JSON.stringify(outcomes, undefined, 2)}\n`);
    console.log(section(title, outcome));
  }
});
clearTimeout(timer);
console.error(`All figures as JSON: ${fileURLToPath(results)}`);
if (options.write) await write(outcomes);
const missed = chosen.flatMap((name) => outcomes[name]?.rows.filter(({ met }) => met === false) ?? []);
console.log(missed.length === 0 ? "Every goal was met." : `Missed: ${missed.map(({ what }) => what).join("; ")}`);
