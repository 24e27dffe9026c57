/**
 * The ledger of a whole engine beside what is stored: after any commits, folds, compactions, clearings and crashes of
 * memory, it counts what a look at every version in blocks and memory counts.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ByteKey, type Seq, seq } from "./base/brand.ts";
import { tableOf } from "./codec/record.ts";
import { deadTables, isIn, type Stretch } from "./gc/dead-tables.ts";
import { defaultWork } from "./gc/work.ts";
import { floorIn, readFloor } from "./mvcc/read-floor.ts";
import { systemTable } from "./mvcc/schema.ts";
import { seed } from "./mvcc/ledger-world.test-support.ts";
import { Block } from "./segments/block.ts";
import { readableAt } from "./segments/segments.test-support.ts";
import { type Version, versionBytes } from "./segments/version.ts";
import { get, valueOf } from "./storage/contract.ts";
import { clear, commit, del, put, type Tab, World, write } from "./test-world.test-support.ts";

console.info(`ledger.property.test: LEDGER_SEED=${seed}`);

interface Superseded {
  readonly c: Seq;
  readonly n: Seq;
  readonly bytes: number;
}

/** Every superseded version that is stored or in memory, but for tombstones, table 0 and dead tables. */
async function superseded({ database: { store }, storage }: Tab, dead: readonly Stretch[]): Promise<Superseded[]> {
  const chains = new Map<ByteKey, Version[]>();
  const take = (key: ByteKey, version: Version): void => {
    chains.set(key, [...(chains.get(key) ?? []), version]);
  };
  for (const { key, versions } of store.memtable.changes(store.head.seq).read("" as ByteKey, Infinity)) {
    for (const version of versions) take(key, version);
  }
  for (const { id } of store.manifest.all()) {
    const block = Block.open(id, valueOf((await storage.read([get("blocks", id)]))[0])!);
    for (let i = 0; i < block.count; i++) take(block.keyAt(i), block.versionAt(i));
  }
  return [...chains].flatMap(([key, versions]) => {
    if (tableOf(key) === systemTable || isIn(dead, tableOf(key))) return [];
    const chain = versions.toSorted((a, b) => b.seq - a.seq);
    return chain.flatMap(({ seq: c, payload }, i): Superseded[] => {
      const n = chain[i - 1]?.seq;
      if (n === undefined || payload === undefined) return [];
      return [{ c: payload.length === 0 ? seq(0) : c, n, bytes: versionBytes(key, payload) }];
    });
  });
}

const sum = (all: readonly Superseded[]): { versions: number; bytes: number } => ({
  versions: all.length,
  bytes: all.reduce((n, v) => n + v.bytes, 0),
});

async function check(tab: Tab, dead: readonly Stretch[]): Promise<void> {
  const { ledger, head, fence } = tab.database.store;
  const all = await superseded(tab, dead);
  expect(ledger.isExact).toBe(true);
  expect(ledger.total).toEqual(sum(all));
  expect(ledger.heldBy(fence.seq)).toEqual(sum(all.filter(({ n }) => n > fence.seq)));
  for (const at of [...ledger.told, head.seq]) {
    expect(ledger.heldBy(at), `above ${at}`).toEqual(sum(all.filter(({ n }) => n > at)));
  }
  for (const p of ledger.told) {
    expect(ledger.spanning(p), `spanning ${p}`).toEqual(sum(all.filter(({ c, n }) => c <= p && p < n)));
  }
}

const item = fc.record({
  id: fc.constantFrom("a", "b", "c", "d", "e", "f"),
  at: fc.option(fc.nat(3), { nil: undefined }),
  isGone: fc.boolean(),
  pad: fc.constantFrom(0, 0, 20, 100, 9000),
});
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant("write" as const),
      by: fc.nat(1),
      items: fc.array(item, { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("bulk" as const), by: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("upkeep" as const), isAnswered: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("point" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("unpoint" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("reload" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("clear" as const), by: fc.nat(1) }) },
);

const untracked = { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 } as const;

describe("the ledger of an engine", () => {
  test("[VG13] counts exactly what is stored, in every tab", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: "max" }), fc.boolean(), async (steps, isDeep) => {
        const world = new World(isDeep ? {} : { rewrite: defaultWork });
        const tabs = [await world.open(), await world.open()] as const;
        const [upkeep, other] = tabs;
        let dead: readonly Stretch[] = [];
        const points: { readonly id: number; readonly at: Seq }[] = [];
        let n = 0;
        for (const s of steps) {
          switch (s.op) {
            case "write":
              await write(
                tabs[s.by]!,
                s.items.map(({ id, at, isGone, pad }) =>
                  isGone ? del(id) : put({ id, n: ++n, ...(at === undefined ? {} : { at }), pad: "x".repeat(pad) }),
                ),
              );
              break;
            case "bulk": // more than an entry holds
              await write(
                tabs[s.by]!,
                Array.from({ length: 40 }, (_, i) => put({ id: `bulk${i}`, n: ++n, at: n % 3, pad: "x".repeat(2000) })),
              );
              break;
            case "clear": {
              const tab = tabs[s.by]!;
              const options = { tracked: true, isolation: "serializable", fresh: true, attempt: 0 } as const;
              await clear(tab, await tab.database.begin(1, options));
              await commit(tab, 1, []);
              break;
            }
            case "upkeep": {
              await upkeep.database.store.follow();
              if (!(await world.upkeep(upkeep, s.isAnswered ? [other] : []))) break;
              const { store } = upkeep.database;
              const floor = floorIn((await upkeep.storage.read([readFloor]))[0]).seq;
              dead = await deadTables(store, readableAt(floor), store.fence.seq);
              break;
            }
            case "point": {
              // A view holds the floor as a snapshot would.
              await upkeep.database.store.follow();
              const { seq: at } = await upkeep.database.begin(100 + n++, untracked);
              points.push({ id: 99 + n, at });
              upkeep.database.store.ledger.points(points.map((p) => p.at));
              break;
            }
            case "unpoint": {
              const [gone] = points.splice(0, 1);
              if (gone) await upkeep.database.end(gone.id);
              upkeep.database.store.ledger.points(points.map((p) => p.at));
              break;
            }
            case "reload":
              await other.database.store.reload();
          }
          if (s.op === "upkeep") await check(upkeep, dead);
        }
        for (const tab of tabs) {
          await tab.database.store.reload();
          await check(tab, dead);
        }
      }),
      { seed, numRuns: 80 },
    );
  }, 120_000);
});
