import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import type { Tab } from "tidemark/testing";
import type { Engine } from "../engine.ts";
import { mutants } from "../mutants.ts";
import { planted } from "../planted.ts";
import { present } from "../present.ts";
import { type Case, Seen, start } from "./case.ts";
import { cases } from "./cases.ts";
import { serialOutcomes, withoutIsolation } from "./model.ts";
import { type Db, indexes, type Isolation, Player } from "./player.ts";
import { play } from "./play.ts";
import type { Item, Name, Outcome } from "./script.ts";

interface Setting {
  readonly tabs: 1 | 2;
  /** A checkpoint, and all garbage collected, between every two steps. */
  readonly collects: boolean;
}
const settings: readonly Setting[] = [
  { tabs: 1, collects: false },
  { tabs: 2, collects: false },
  { tabs: 1, collects: true },
  { tabs: 2, collects: true },
];
const levels: readonly Isolation[] = ["serializable", "snapshot"];

async function inWorld(
  { World, collection }: Pick<Engine, "World" | "collection">,
  { steps }: Case,
  isolation: Isolation,
  { tabs, collects }: Setting,
): Promise<Outcome> {
  const world = new World({});
  const collections = { items: collection<Item>()({ key: "id", indexes }) };
  const open = (tab: Tab) => tab.createDatabase({ name: "isolation", collections });
  const story = async (): Promise<Outcome> => {
    const first = open(world.tab("a"));
    const others = open(tabs === 1 ? world.tab("a") : world.tab("b"));
    await first.collection("items").putMany(start);
    await others.open();
    const dbs: Readonly<Record<Name, Db>> = { T1: first, T2: tabs === 1 ? first : others, T3: first };
    return play(steps, {
      part: (who) => new Player(dbs[who], isolation),
      between: async () => {
        if (!collects) return;
        await first.checkpoint();
        await first.gc.run();
      },
      items: async () => {
        const view = await others.readView({ fresh: true });
        return view.collection("items").all();
      },
    });
  };
  return world.time.until(story(), 600_000);
}

/** What is compared with a serial execution: all but how often bodies ran, and what those read that did not commit. */
const comparable = ({ ended, items }: Outcome): unknown => ({
  items,
  ended: Object.fromEntries(Object.entries(ended).map(([who, { answers, failed }]) => [who, failed ?? answers])),
});

const runsOf = ({ ended }: Outcome): readonly number[] =>
  Object.keys(ended)
    .toSorted()
    .map((who) => ended[who as Name]!.runs);

/** What came out otherwise than it has to. */
async function faultsOf(
  engine: Pick<Engine, "World" | "collection">,
  one: Case,
  isolation: Isolation,
): Promise<readonly unknown[]> {
  const isPossible = isolation === "snapshot" && one.isPossibleUnderSnapshot === true;
  const serial = serialOutcomes(start, one.steps);
  const isSerial = (outcome: Outcome): boolean =>
    serial.some((other) => isDeepStrictEqual(comparable(other), comparable(outcome)));
  const faults: unknown[] = [];
  for (const setting of settings) {
    const outcome = await inWorld(engine, one, isolation, setting);
    const occurs = one.occurs(new Seen(outcome));
    const runs = runsOf(outcome);
    const isLevel = occurs === isPossible && (isolation === "snapshot" || isSerial(outcome));
    if (!isLevel || !isDeepStrictEqual(runs, one.runs[isolation])) faults.push({ setting, occurs, runs, outcome });
  }
  return faults;
}

describe.each(cases)("$anomaly, by $how:", (one) => {
  test("[TS] happens without isolation, and in no serial execution", () => {
    expect(one.occurs(new Seen(withoutIsolation(start, one.steps)))).toBe(true);
    const serial = serialOutcomes(start, one.steps);
    expect(serial.filter((outcome) => one.occurs(new Seen(outcome)))).toEqual([]);
  });

  for (const isolation of levels) {
    const isPossible = isolation === "snapshot" && one.isPossibleUnderSnapshot === true;
    test(
      `[MV2][MV3] ${isPossible ? "is possible" : "is prevented"} with "${isolation}", in a tab, between tabs, while all is collected`,
      { timeout: 60_000 },
      async () => {
        expect(await faultsOf(present, one, isolation)).toEqual([]);
      },
    );
  }
});

/** They break isolation. */
const noticed: readonly (readonly [string, Isolation])[] = [
  ["validates keys and not ranges", "serializable"],
  ["validates by the new index keys alone", "serializable"],
  ["lets snapshot transactions overwrite one another", "snapshot"],
  ["looks for the owner of a unique key in memory only", "serializable"],
];

describe("[TS] an anomaly happens in a database that", () => {
  test.each(noticed)(
    "%s",
    async (name, isolation) => {
      const engine = await planted(mutants.find((mutant) => mutant.name === name)!);
      let found: Case | undefined;
      for (const one of cases) {
        if (!found && (await faultsOf(engine, one, isolation)).length > 0) found = one;
      }
      expect(found).toBeDefined();
      console.log(`  ${name}: ${found!.anomaly}, by ${found!.how}`);
    },
    60_000,
  );
});
