import { describe, expect, test } from "vitest";
import { type Effects, Model } from "./model.ts";
import { mutants } from "./mutants.ts";
import { planOf } from "./plan.ts";
import { planted } from "./planted.ts";
import { present } from "./present.ts";
import { runWorld } from "./run.ts";
import { shrink } from "./shrink.ts";

/** More, and others: `npm run sim -- --seeds 20000 --from 1`. */
const worlds = 320;
const perTest = 40;

describe("a world of tabs, faults and upkeep", () => {
  const from = Array.from({ length: worlds / perTest }, (_, i) => 1 + i * perTest);
  test.each(from)(
    "[MV1][MV2][MV3][MV4][MV5][MV9][MV10][TB1][TB2][TB3][TB4][TB5][VG1][VG3][VG4][GM4][OL1] is as the model says: seeds from %i",
    { timeout: 120_000 },
    async (first) => {
      for (let seed = first; seed < first + perTest; seed++) {
        const { faults } = await runWorld(present, planOf(seed));
        expect({ seed, faults }).toEqual({ seed, faults: [] });
      }
    },
  );

  test("is the same whenever it is played", { timeout: 60_000 }, async () => {
    for (const seed of [3, 11, 47]) {
      const [once, again] = [await runWorld(present, planOf(seed)), await runWorld(present, planOf(seed))];
      expect(again.trace).toEqual(once.trace);
    }
  });
});

describe("[TS] the simulation notices a database that", () => {
  test.each(mutants)("[$rule] $name", { timeout: 120_000 }, async (mutant) => {
    const plan = planOf(mutant.seed);
    expect((await runWorld(await planted(mutant), plan)).faults).not.toEqual([]);
    expect((await runWorld(present, plan)).faults).toEqual([]);
  });

  test("[MV1] commits what it has refused", () => {
    const model = new Model();
    const effects = (): Effects => ({ clears: [], writes: new Map() });
    for (const mark of ["refused", "done"]) model.intend(mark, { what: `what is ${mark}`, version: 1, effects });
    model.refuse("refused");
    const commit = { madeMs: 0, isSystem: false, writes: [] };
    model.committed({ ...commit, seq: 1, tag: "done" });
    expect(model.faults).toEqual([]);
    model.committed({ ...commit, seq: 2, tag: "refused" });
    expect(model.faults).toEqual(["[MV1] commit 2 is what is refused, which was refused"]);
  });

  test("does nothing wrong: then it says nothing, and plans shrink to the steps that matter", async () => {
    const mutant = mutants.find(({ name }) => name === "forgets retention")!;
    const engine = await planted(mutant);
    const fails = async (plan: ReturnType<typeof planOf>): Promise<boolean> =>
      (await runWorld(engine, plan)).faults.length > 0;
    const plan = planOf(mutant.seed);
    const short = await shrink(plan, fails);
    expect(short.steps.length).toBeLessThan(plan.steps.length / 2);
    expect(await fails(short)).toBe(true);
    expect((await runWorld(present, short)).faults).toEqual([]);
  }, 120_000);
});
