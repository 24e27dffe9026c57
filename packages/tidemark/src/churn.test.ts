/**
 * Hours of work of three tabs, in virtual time: they write, change, delete, read, subscribe and open views all the while.
 * Whenever they rest and all is deleted and collected, as much is left as the time before.
 */
import { expect, test, vi } from "vitest";
import { collection, type Database } from "./index.ts";
import { footprintNow } from "./leaks.test-support.ts";
import type { MemoryMedium } from "./storage/memory.ts";
import { World } from "./testing/world.ts";

/** `CHURN_HOURS=6` is the long form. */
const hours = Number(process.env["CHURN_HOURS"] ?? 0.5);
vi.setConfig({ testTimeout: 60_000 + hours * 120_000 });

const name = "churn";
const hourMs = 3_600_000;
const seed = Number(process.env["CHURN_SEED"] ?? 7);
/** How often a tab does something. */
const everyMs = 4000;
const keys = 300;

interface Row {
  readonly id: string;
  readonly n: number;
  readonly pad: string;
}
const rows = collection<Row>()({ key: "id", indexes: { n: "n" } });
type Db = Database<{ rows: typeof rows }>;
const small = { memtableMaxBytes: 64 * 1024, cacheMaxBytes: 64 * 1024 };

/** Ends what a tab began and has not ended. */
type End = () => void;

/** What a tab may do next; what it leaves open ends some steps later. */
const deeds: readonly ((db: Db, next: (below: number) => number) => Promise<End | void>)[] = [
  async (db, next) => {
    const pad = "x".repeat(next(2000));
    const some = Array.from({ length: 1 + next(20) }, () => ({ id: `row${next(keys)}`, n: next(1000), pad }));
    await db.collection("rows").putMany([...new Map(some.map((row) => [row.id, row])).values()]);
  },
  async (db, next) => {
    await db.collection("rows").update(`row${next(keys)}`, (row) => ({ ...row, n: row.n + 1 }));
  },
  async (db, next) => {
    await db.collection("rows").deleteMany(Array.from({ length: 5 }, () => `row${next(keys)}`));
  },
  async (db, next) => {
    const from = next(900);
    await db.collection("rows").where("n").between(from, from + 100).toArray(); // prettier-ignore
  },
  async (db, next) => {
    const from = next(900);
    return db.live((q) => q.collection("rows").where("n").above(from).count()).subscribe(() => undefined);
  },
  async (db, next) => {
    const view = await db.readView({ fresh: next(2) === 0 });
    await view.collection("rows").get(`row${next(keys)}`);
    return () => view.release();
  },
  async (db, next) => {
    await db.transaction(async (tx) => {
      const one = await tx.collection("rows").get(`row${next(keys)}`);
      if (one) await tx.collection("rows").put({ ...one, n: one.n + 1 });
    });
  },
];

/** Works until `untilMs`, then ends what it has begun. */
async function work(world: World, db: Db, untilMs: number): Promise<void> {
  const next = (below: number): number => Math.floor(world.random.next() * below);
  const open: End[] = [];
  while (world.now < untilMs) {
    await world.sleep(next(2 * everyMs));
    const end = await deeds[next(deeds.length)]!(db, next);
    if (end) open.push(end);
    if (open.length > 4) open.shift()!();
  }
  for (const end of open) end();
}

interface Rest {
  readonly storedBytes: number;
  readonly metaRows: number;
  readonly logEntries: number;
  readonly memtableBytes: number;
  readonly heapBytes: number;
  readonly promises: number;
}

/** What is there once all is deleted and collected. */
async function restOf(world: World, tabs: readonly Db[]): Promise<Rest> {
  const [db] = tabs as [Db];
  await db.collection("rows").clear();
  await world.sleep(5000); // all have heard of it
  await db.gc.run();
  await world.sleep(5000);
  const { memtableBytes, logEntries } = await db.storage.metrics();
  expect((await db.verify()).damage).toEqual([]);
  world.hub.posted.length = 0; // it remembers everything that was ever said
  const { heapBytes, promises } = footprintNow();
  return { ...(await storedIn(world.medium)), logEntries, memtableBytes, heapBytes, promises };
}

/** What is stored, but for the last hundred runs and records of garbage collection. */
async function storedIn(medium: MemoryMedium): Promise<Pick<Rest, "storedBytes" | "metaRows">> {
  const storage = await medium.open(name);
  const [found] = await storage.read([{ kind: "range", store: "meta", range: {} }]);
  await storage.close();
  const remembered = found!.filter(({ key }) => String(key).startsWith("gc/"));
  const bytes = remembered.reduce((sum, { key, value }) => sum + 2 * String(key).length + value.length, 0);
  return { storedBytes: medium.usedBytes - bytes, metaRows: found!.length - remembered.length };
}

test(`[SS4] ${hours} h of three tabs, seed ${seed}`, async () => {
  const world = new World({ seed });
  const atRest: Rest[] = [];
  const most = { storedBytes: 0, logEntries: 0, memtableBytes: 0 };
  const story = async (): Promise<void> => {
    const tabs = ["a", "b", "c"].map((tab) => world.tab(tab).createDatabase({ name, collections: { rows }, ...small }));
    const watch = async (untilMs: number): Promise<void> => {
      while (world.now < untilMs) {
        await world.sleep(60_000);
        const { memtableBytes, logEntries } = await tabs[1]!.storage.metrics();
        most.storedBytes = Math.max(most.storedBytes, world.medium.usedBytes);
        most.logEntries = Math.max(most.logEntries, logEntries);
        most.memtableBytes = Math.max(most.memtableBytes, memtableBytes);
      }
    };
    for (let part = 0; part < 4; part++) {
      const untilMs = world.now + (hours * hourMs) / 4;
      await Promise.all([...tabs.map((db) => work(world, db, untilMs)), watch(untilMs)]);
      atRest.push(await restOf(world, tabs));
    }
    await Promise.all(tabs.map((db) => db.close()));
  };
  await world.time.until(story(), (hours + 1) * hourMs);

  console.log(`  at most: ${JSON.stringify(most)}`);
  for (const rest of atRest) console.log(`  at rest: ${JSON.stringify(rest)}`);
  expect(most.storedBytes).toBeLessThan(24 * keys * 2000);
  expect(most.logEntries).toBeLessThan(200);
  expect(most.memtableBytes).toBeLessThan(3 * small.memtableMaxBytes);
  const [, middle, , end] = atRest as [Rest, Rest, Rest, Rest];
  expect(end.storedBytes).toBeLessThan(middle.storedBytes + 16 * 1024); // until a hundred advances of the floor are kept
  expect(end.metaRows).toBeLessThanOrEqual(middle.metaRows);
  expect(end.logEntries).toBeLessThanOrEqual(1); // the floor's own record
  expect(end.promises - middle.promises).toBeLessThan(12);
  expect(end.heapBytes - middle.heapBytes).toBeLessThan(512 * 1024);
});
