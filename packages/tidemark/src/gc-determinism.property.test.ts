import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { test } from "vitest";
import { GcWorld } from "./gc-cycles.test-support.ts";
import { history, type Operation, perform, type Terms, terms } from "./gc-histories.test-support.ts";
import type { Pace } from "./segments/pace.ts";

/** Pauses as a seed says. */
function sliced(seed: number): Pace {
  let state = seed | 0;
  return {
    isDue: () => (state = Math.imul(state ^ (state >>> 13), 0x5bd1e995) + 1) % 3 === 0,
    pause: () => new Promise((resolve) => void setImmediate(resolve)),
  };
}

async function prepared(given: Terms, operations: readonly Operation[], pace?: Pace): Promise<GcWorld> {
  const world = new GcWorld({ ...given, ...(pace && { pace }) });
  await world.open();
  for (const operation of operations) await perform(world, operation);
  await world.endCycle();
  return world;
}

const quiet = history.map((all) => all.filter(({ op }) => op !== "crash" && op !== "die"));
let crashed = 0;

test(
  "[VG5][VG4] slices, crashes at any step and other tenures change nothing of what a cycle leaves, byte by byte",
  { timeout: 300_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(terms, quiet, fc.integer(), async (given, operations, seed) => {
        const world = await prepared(given, operations);
        const basis = await world.begin();
        const from = world.world.medium.steps;
        await world.finish(basis);
        const steps = world.world.medium.steps - from;
        const expected = await world.outcome();

        const other = await prepared(given, operations, sliced(seed));
        await other.finish(await other.begin());
        deepStrictEqual(await other.outcome(), expected, "in slices");

        for (let dieAt = 1; dieAt <= steps; dieAt += 1 + (Math.abs(seed) % 3)) {
          const dying = await prepared(given, operations);
          const same = await dying.begin();
          deepStrictEqual(same, basis);
          await dying.crashing(dieAt, dieAt % 2 === 0 ? "all" : "none", () => dying.finish(same));
          crashed++;
          await dying.finish(same);
          deepStrictEqual(await dying.outcome(), expected, `died at step ${dieAt} of ${steps}`);
          await dying.check();
        }
      }),
      { numRuns: 25, endOnFailure: true },
    );
    ok(crashed > 40, `${crashed} crashes`);
  },
);
