import { describe, expect, test } from "vitest";
import { collection } from "tidemark";
import { type Tab, World } from "tidemark/testing";
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

const collections = { items: collection<Item>()({ key: "id", indexes }) };
const open = (tab: Tab) => tab.createDatabase({ name: "isolation", collections });

async function inWorld({ steps }: Case, isolation: Isolation, { tabs, collects }: Setting): Promise<Outcome> {
  const world = new World({});
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
  ended: Object.fromEntries(
    Object.entries(ended).map(([who, { answers, failed }]) => [who, failed === undefined ? answers : failed]),
  ),
});

const runsOf = ({ ended }: Outcome): readonly number[] =>
  Object.keys(ended)
    .toSorted()
    .map((who) => ended[who as Name]!.runs);

describe.each(cases)("$anomaly, by $how:", (one) => {
  test("[TS] happens without isolation, and in no serial execution", () => {
    expect(one.occurs(new Seen(withoutIsolation(start, one.steps)))).toBe(true);
    const serial = serialOutcomes(start, one.steps);
    expect(serial.filter((outcome) => one.occurs(new Seen(outcome)))).toEqual([]);
  });

  for (const isolation of levels) {
    const isPossible = isolation === "snapshot" && one.isPossibleUnderSnapshot === true;
    test(`[MV2][MV3] ${isPossible ? "is possible" : "is prevented"} with "${isolation}", in a tab, between tabs, while all is collected`, async () => {
      for (const setting of settings) {
        const outcome = await inWorld(one, isolation, setting);
        const found = { setting, occurs: one.occurs(new Seen(outcome)), runs: runsOf(outcome) };
        expect(found).toEqual({ setting, occurs: isPossible, runs: one.runs[isolation] });
        if (isolation === "snapshot") continue;
        expect(serialOutcomes(start, one.steps).map(comparable)).toContainEqual(comparable(outcome));
      }
    });
  }
});
