import { describe, expect, test } from "vitest";
import { mutants } from "../mutants.ts";
import { planted } from "../planted.ts";
import { present } from "../present.ts";
import { check } from "../serializability/check.ts";
import { recordWorld } from "./worlds.ts";

/** WORLDS=500 plays more. */
const worlds = Number(process.env["WORLDS"] ?? 12);

test(
  "[MV1][MV2][MV3][MV4][TB1][TB5] what tabs do that are killed, frozen and without power is strictly serializable",
  async () => {
    const all = { transactions: 0, operations: 0, lost: 0, unknown: 0, kills: 0, powerCuts: 0 };
    for (let seed = 1; seed <= worlds; seed++) {
      const { history, failures, kills, powerCuts } = await recordWorld(present, seed);
      expect({ seed, failures, anomalies: check(history) }).toEqual({ seed, failures: [], anomalies: [] });
      all.transactions += history.length;
      all.operations += history.reduce((sum, { operations }) => sum + operations.length, 0);
      all.lost += history.filter(({ outcome }) => outcome === "aborted").length;
      all.unknown += history.filter(({ outcome }) => outcome === "unknown").length;
      all.kills += kills;
      all.powerCuts += powerCuts;
    }
    console.log(`  ${worlds} worlds: ${JSON.stringify(all)}`);
    // Or nothing much was shown.
    expect(all.operations).toBeGreaterThan(1000 * worlds);
    for (const times of [all.lost, all.unknown, all.kills, all.powerCuts]) expect(times).toBeGreaterThan(worlds);
  },
  120_000 + worlds * 10_000,
);

/** They break isolation, or what it rests on. */
const noticed = [
  "validates keys and not ranges",
  "validates by the new index keys alone",
  "judges members of a group without those before them",
  "takes an entry below the fence for appended",
  "acknowledges before storage says that it is done",
  "takes in broadcast entries that do not continue its own",
];

describe("[TS] a history is not serializable of a database that", () => {
  test.each(noticed)(
    "%s",
    async (name) => {
      const engine = await planted(mutants.find((mutant) => mutant.name === name)!);
      const found = new Set<string>();
      for (let seed = 1; seed <= 40 && found.size === 0; seed++) {
        const { history } = await recordWorld(engine, seed);
        for (const { kind } of check(history)) found.add(kind);
      }
      console.log(`  ${name}: ${[...found].join(", ")}`);
      expect(found).not.toEqual(new Set());
    },
    120_000,
  );
});
