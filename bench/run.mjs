// Tidemark and its peers side by side, in one run of a real Chromium:
//
//   npm run bench                    the full run, some minutes
//   npm run bench -- --quick         fewer rounds, below a minute
//   npm run bench -- --rounds=9      as many rounds as wanted
//   npm run bench -- --write         also puts the result into docs/performance.md
//   npm run bench -- --profile       instead: where Tidemark's time goes, by thread and file
import { readFile, writeFile } from "node:fs/promises";
import os from "node:os";
import { parseArgs } from "node:util";
import { withChromium } from "./browser.mjs";
import { profile } from "./profile.mjs";
import { report } from "./report.mjs";

const document = new URL("../docs/performance.md", import.meta.url);
const [begin, end] = ["<!-- bench:begin -->", "<!-- bench:end -->"];
// A browser that hangs is to end the run, not to be waited for.
const allowedMs = 8 * 60_000;

/** @type {import("./report.mjs").Sizes} */
const sizes = { records: 20_000, keys: 2000, awaited: 300, concurrent: 500 };

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    write: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
  },
});
const rounds = Number(options.rounds ?? (options.quick ? 2 : 9));
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error("--rounds takes a whole number from 1 up");

/** @param {import("./browser.mjs").Served} served */
async function compare({ browser, page: open }) {
  /** @type {import("./report.mjs").Round[]} */
  const measured = [];
  for (let i = 0; i < rounds; i++) {
    const round = { idb: {}, dexie: {}, tidemark: {}, floor: {} };
    for (const subject of rotated(i)) {
      const page = await open(`${subject}-${i}`);
      round[subject] = await page.evaluate(
        ([name, of]) => globalThis.bench.run(name, of),
        /** @type {const} */ ([subject, sizes]),
      );
      await page.close();
    }
    measured.push(round);
    console.error(`round ${i + 1} of ${rounds}`);
  }
  const bytes = Math.round(measured[0]?.floor["jsonBytes"] ?? 0);
  const cpu = os.cpus();
  const where = `${browser} headless, ${cpu.length} cores of ${cpu[0]?.model.trim()}, ${os.type()}, load ${loadBefore.toFixed(1)} before the run; Dexie ${await versionOf("dexie")}, idb ${await versionOf("idb")}.`;
  const what = `${rounds} rounds; records of ${bytes} bytes as JSON on average. Medians, and in brackets the least and the most of the rounds.`;
  return `${where}\n${what}\n\n${report(measured, sizes)}`;
}

/** Whoever goes first finds a quieter or a colder machine: each round another one does. @param {number} round */
function rotated(round) {
  const peers = /** @type {const} */ (["tidemark", "idb", "dexie"]);
  const first = round % peers.length;
  return /** @type {const} */ ([...peers.slice(first), ...peers.slice(0, first), "floor"]);
}

/** @param {string} name */
async function versionOf(name) {
  const { dependencies } = JSON.parse(await readFile(new URL("package.json", import.meta.url), "utf8"));
  return dependencies[name];
}

/** @param {string} result */
async function write(result) {
  const text = await readFile(document, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/performance.md lacks ${begin} and ${end}`);
  await writeFile(document, `${text.slice(0, from + begin.length)}\n\n${result}\n${text.slice(to)}`);
}

const [loadBefore = 0] = os.loadavg();
if (loadBefore > 1) console.error(`This machine is busy (load ${loadBefore.toFixed(1)}): expect wide spreads`);
const timer = setTimeout(() => {
  console.error(`not done after ${allowedMs / 60_000} minutes`);
  process.exit(1);
}, allowedMs);
const result = await withChromium((served) => (options.profile ? profile(served, sizes) : compare(served)));
clearTimeout(timer);
console.log(result);
if (options.write && !options.profile) await write(result);
