// Runs the checks one after another and stops at the first that fails:
//
//   node tools/check.mjs [step...]      a step is a script of the root package.json; without any: all of `everything`
import { spawnSync } from "node:child_process";

// Cheap ones first, so that a slip is told in seconds. The package check and the end-to-end tests need what is built.
const everything = [
  "browsers",
  "typecheck",
  "lint:code",
  "lint:format",
  "lint:layers",
  "lint:dead",
  "unit",
  "build:all",
  "lint:pkg",
  "browser",
  "e2e",
];
// A hanging browser must end as a named failure here, before whoever started us gives up in silence.
const allowedMs = 40 * 60_000;

const startedAt = performance.now();
/** @param {number} since */
const secondsSince = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** @param {string} step */
const passes = (step) => {
  const { status, error } = spawnSync("pnpm", ["run", step], {
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32", // pnpm is a .cmd file there
    timeout: Math.max(1, Math.round(allowedMs - (performance.now() - startedAt))),
  });
  if (error) console.error(`${step}: ${error.message}`);
  return status === 0;
};

const steps = process.argv.length > 2 ? process.argv.slice(2) : everything;
/** @type {string[]} */
const report = [];
let failed = 0;
for (const step of steps) {
  const since = performance.now();
  console.log(`\n=== ${step}`);
  failed = passes(step) ? 0 : 1;
  report.push(`${failed ? "FAILED" : "ok    "} ${step} (${secondsSince(since)})`);
  if (failed) break;
}

console.log(`\n${report.join("\n")}\nin ${secondsSince(startedAt)}`);
if (failed) console.log(`To repeat only this step: node tools/run.mjs ${steps[report.length - 1]}`);
console.log(`${report.length - failed} passed, ${failed} failed`);
process.exitCode = failed;
