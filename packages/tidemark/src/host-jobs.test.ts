import { describe, expect, test, vi } from "vitest";
import { openPage, range } from "./host-page.test-support.ts";
import { simulate } from "./host-world.test-support.ts";
import type { GcRunOptions } from "./protocol/gc.ts";
import { storeNames } from "./storage/contract.ts";

vi.setConfig({ testTimeout: 30_000 });

describe("what a page asks of garbage collection", () => {
  const bad: readonly (readonly [string, unknown, string])[] = [
    ["kind", "OLD_ONLY", `"YOUNG_ONLY", "YOUNG_AND_MIDDLE" or "FULL_GC"; it is "OLD_ONLY"`],
    ["kind", "toString", `"YOUNG_ONLY", "YOUNG_AND_MIDDLE" or "FULL_GC"`],
    ["dryRun", "no", "true or false"],
    ["useSnapshot", 1, "true or false"],
    ["deleteBatchSize", 0, "a whole number from 1 to 1000000"],
    ["deleteBatchSize", 1_000_001, "a whole number from 1 to 1000000"],
    ["budgetMs", Number.NaN, "a number from 1 to 50"],
    ["dryrun", true, "no option 'dryrun'"],
  ];
  test.each(bad)("[GM2] a run with %s %j is refused by the worker too, and nothing is changed", (option, value, why) =>
    simulate(async (world) => {
      const page = await openPage(world, "a", { gc: { mode: "manual" } });
      await page.put(...range(0, 5));
      await page.put(...range(0, 5));
      const storage = await world.medium.open(page.request.name);
      const stored = () => storage.read(storeNames.map((store) => ({ kind: "range", store, range: {} })));
      const before = await stored();
      const options = { [option]: value } as GcRunOptions;
      const run = page.call<"gc-run">({ op: "gc-run", job: 1, isBackground: false, options });
      await expect(run).rejects.toMatchObject({
        code: "OPTIONS_INVALID",
        message: expect.stringContaining(why),
        details: { option },
      });
      expect(await stored()).toEqual(before);
    }),
  );
});
