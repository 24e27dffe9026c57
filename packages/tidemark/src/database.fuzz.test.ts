import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { fuzzRuns } from "./base/mutations.test-support.ts";
import {
  checkDamaged,
  type Damaged,
  damagedStores,
  forgedStores,
  type Outcome,
} from "./damaged-database.test-support.ts";

vi.setConfig({ testTimeout: 600_000 });

test("[MV8] a database with any rows damaged, lost or swapped tells so and never reads what was not written", async () => {
  const outcomes = new Map<Outcome, number>();
  await fc.assert(
    fc.asyncProperty(damagedStores, async (damaged: Damaged) => {
      const outcome = await checkDamaged(damaged);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }),
    { numRuns: fuzzRuns(18), endOnFailure: true },
  );
  expect(outcomes.size).toBeGreaterThan(1);
});

test("[MV8] a database whose rows are forged, checksums and all, neither hangs nor fails without a code", async () => {
  await fc.assert(
    fc.asyncProperty(forgedStores, async (damaged: Damaged) => {
      await checkDamaged(damaged);
    }),
    { numRuns: fuzzRuns(12), endOnFailure: true },
  );
});
