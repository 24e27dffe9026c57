import { ok } from "node:assert/strict";
import fc from "fast-check";
import { test } from "vitest";
import { coverage, type Coverage, GcWorld } from "./gc-cycles.test-support.ts";
import { history, type Operation, perform, type Terms, terms } from "./gc-histories.test-support.ts";

const total = coverage();
const count = (seen: Coverage): void => {
  for (const key of Object.keys(total) as (keyof Coverage)[]) total[key] += seen[key];
};

async function play(given: Terms, all: readonly Operation[]) {
  const world = new GcWorld(given);
  await world.open();
  for (const one of all) {
    await perform(world, one);
    await world.check();
  }
  await world.fullRun();
  await world.check();
  world.seen.removed += world.verifier.stats.removed;
  count(world.seen);
}

test(
  "[VG1][VG2][VG3][VG4][VG7][VG8] after a full run there is what somebody may read, and nothing else",
  { timeout: 300_000 },
  async () => {
    const numRuns = 150;
    await fc.assert(fc.asyncProperty(terms, history, play), { numRuns });
    for (const [what, times] of Object.entries(total)) ok(times >= numRuns / 20, `${what} came ${times} times`);
  },
);
