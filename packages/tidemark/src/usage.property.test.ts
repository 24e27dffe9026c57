import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TableId } from "./base/brand.ts";
import { define } from "./collections/define.ts";
import { buildAll } from "./collections/building.ts";
import { deadTables, isIn, type Stretch } from "./gc/dead-tables.ts";
import { defaultWork } from "./gc/work.ts";
import { seed } from "./mvcc/ledger-world.test-support.ts";
import { floorIn, readFloor } from "./mvcc/read-floor.ts";
import { systemTable } from "./mvcc/schema.ts";
import type { Usage } from "./protocol/metrics.ts";
import { readableAt } from "./segments/segments.test-support.ts";
import { del, put, type Tab, World, write } from "./test-world.test-support.ts";
import { allUsages, clearCollection, countAll, metricsOf, more, sumOfAll, writeNotes } from "./usage.test-support.ts";

console.info(`usage.property.test: LEDGER_SEED=${seed}`);

const id = fc.constantFrom("a", "b", "c", "d", "e", "f");
const item = fc.record({
  id,
  at: fc.option(fc.nat(3), { nil: undefined }),
  isGone: fc.boolean(),
  /** The largest go out of line. */
  pad: fc.constantFrom(0, 0, 20, 100, 500, 40_000),
});
const items = fc.array(item, { minLength: 1, maxLength: 6 });
const by = fc.nat(1);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant("items" as const), by, items }) },
  {
    weight: 6,
    arbitrary: fc.record({ op: fc.constantFrom("notes" as const, "tags" as const), by, items }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("bulk" as const), by }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("upkeep" as const), isAnswered: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant("clear" as const), by, name: fc.constantFrom("items", "notes", "tags") }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("reindex" as const), by }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Played {
  readonly world: World;
  readonly tabs: readonly [Tab, Tab];
  dead: readonly Stretch[] = [];
  #n = 0;

  constructor(world: World, tabs: readonly [Tab, Tab]) {
    this.world = world;
    this.tabs = tabs;
  }

  async play(s: Step): Promise<void> {
    switch (s.op) {
      case "items":
        await write(
          this.tabs[s.by]!,
          s.items.map(({ id: key, at, isGone, pad }) =>
            isGone
              ? del(key)
              : put({ id: key, n: ++this.#n, ...(at === undefined ? {} : { at }), pad: "x".repeat(pad) }),
          ),
        );
        return;
      case "notes":
      case "tags": {
        const byId = new Map<string, (typeof s.items)[number]>(s.items.map((drawn) => [drawn.id, drawn]));
        return writeNotes(this.tabs[s.by]!, s.op, [...byId.keys()], (key) => {
          const { isGone, at = 9, pad } = byId.get(key)!;
          return isGone ? undefined : { id: key, n: at, pad: "y".repeat(pad) };
        });
      }
      case "bulk":
        return writeNotes(
          this.tabs[s.by]!,
          "notes",
          Array.from({ length: 400 }, (_, i) => `bulk${i}`),
          (key) => ({ id: key, n: ++this.#n % 5, pad: "z".repeat(50) }),
        );
      case "clear":
        return clearCollection(this.tabs[s.by]!, s.name);
      case "reindex": {
        const n = { path: this.#n++ % 2 === 0 ? "pad" : "n", unique: false, multi: false };
        const { database } = this.tabs[s.by]!;
        await define(database, { ...more, collections: { notes: { key: "id", indexes: { n } } } });
        return buildAll(database);
      }
      case "upkeep":
        return this.#upkeep(s.isAnswered);
    }
  }

  async #upkeep(isAnswered: boolean): Promise<void> {
    const [upkeep, other] = this.tabs;
    const { store } = upkeep.database;
    await store.follow();
    if (!(await this.world.upkeep(upkeep, isAnswered ? [other] : []))) return;
    const floor = floorIn((await upkeep.storage.read([readFloor]))[0]).seq;
    this.dead = await deadTables(store, readableAt(floor), store.fence.seq);
  }
}

async function check(tab: Tab, dead: readonly Stretch[]): Promise<void> {
  const told = await metricsOf(tab); // whatever its manifest is by now
  expectToAddUp(told);
  await tab.database.store.reload();
  const { collections, cleared, system, isExact } = expectToAddUp(await metricsOf(tab));
  expect(isExact).toBe(true);
  const counted = await countAll(tab, (table) => isIn(dead, table));
  const rest = new Set(counted.keys());
  const expectTable = (table: TableId, usage: Usage): void => {
    rest.delete(table);
    expectUsage(usage, sumOfAll([counted.get(table)]));
  };
  for (const [name, { table, indexes }] of Object.entries(tab.database.schema.catalog.collections)) {
    expectTable(table, collections[name]!.records);
    for (const [index, stored] of Object.entries(indexes)) {
      expectTable(stored.table, collections[name]!.indexes[index]!);
    }
  }
  expectTable(systemTable, system);
  expectUsage(cleared, sumOfAll([...rest].map((table) => counted.get(table))));
}

function expectToAddUp(told: Awaited<ReturnType<typeof metricsOf>>) {
  const sum = sumOfAll(allUsages(told));
  expect([sum.versions, sum.bytes]).toEqual([told.versions, told.blockBytes + told.memtableBytes]);
  const inLevels = (of: "blocks" | "bytes"): number => told.levels.reduce((n, level) => n + level[of], 0);
  expect([inLevels("blocks"), inLevels("bytes")]).toEqual([told.blocks, told.blockBytes]);
  return told;
}

function expectUsage(usage: Usage, { blobBytes, ...counted }: Required<Usage>): void {
  const { blobBytes: told, ...figures } = usage;
  expect(figures).toEqual(counted);
  if (told !== undefined) expect(told).toBe(blobBytes);
}

describe("what metrics say of collections and indexes", () => {
  test("[HM1] is what a look at every stored version counts, and adds up, in every tab", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: "max" }), fc.boolean(), async (steps, isDeep) => {
        const world = new World(isDeep ? {} : { rewrite: defaultWork });
        const tabs = [await world.open(), await world.open()] as const;
        await define(tabs[0].database, more);
        await tabs[1].database.store.follow();
        const played = new Played(world, tabs);
        for (const s of steps) {
          await played.play(s);
          if (s.op === "upkeep") await check(tabs[0], played.dead);
        }
        for (const tab of tabs) await check(tab, played.dead);
      }),
      { seed, numRuns: 60 },
    );
  }, 120_000);
});
