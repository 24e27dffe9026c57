import { afterEach, expect, test } from "vitest";
import { collection, type Database, type LogEntry, openDatabase } from "./index.ts";

const collections = { rows: collection<{ id: string; v: number }>()({ key: "id", indexes: { v: "v" } }) };
let db: Database<typeof collections>;
const open = async (log?: (entry: LogEntry) => void): Promise<Database<typeof collections>> => {
  const name = "diagnostics";
  return openDatabase({ name, collections, storage: "memory", worker: false, ...(log ? { log } : {}) });
};
afterEach(() => db.close());

test("live queries are told while somebody subscribes: how often they ran, and how many results differed", async () => {
  db = await open();
  expect(db.diagnostics()).toEqual({ live: [], reported: [] });
  const rows = db.collection("rows");
  const anyOver = db.live(async (q) => (await q.collection("rows").where("v").above(10).count()) > 0);
  const seen: boolean[] = [];
  const first = anyOver.subscribe((is) => seen.push(is));
  const second = anyOver.subscribe(() => undefined);
  await expect.poll(() => seen).toEqual([false]);
  await rows.put({ id: "a", v: 11 });
  await expect.poll(() => seen).toEqual([false, true]);
  await rows.put({ id: "b", v: 12 }); // runs again, and finds what it found
  await expect.poll(() => db.diagnostics().live[0]).toMatchObject({ runs: 3, isRunning: false });
  await rows.put({ id: "c", v: 1 }); // is not read
  const [told, ...others] = db.diagnostics().live;
  expect(told).toEqual({
    query: expect.stringContaining('q.collection("rows").where("v").above(10)'),
    subscribers: 2,
    runs: 3,
    told: 2,
    isRunning: false,
    lastRunMs: expect.any(Number),
  });
  expect(others).toEqual([]);
  first.unsubscribe();
  expect(db.diagnostics().live).toMatchObject([{ subscribers: 1 }]);
  second.unsubscribe();
  expect(db.diagnostics().live).toEqual([]);
});

test("queries that are subscribed to without `live` are named by their collection", async () => {
  db = await open();
  const subscriptions = [
    db.collection("rows").where("v").above(1).subscribe({}),
    db.collection("rows").where().subscribe({}),
    db.collection("rows").find({ v: 1 }).subscribe({}),
  ];
  const names = () => db.diagnostics().live.map(({ query }) => query);
  expect(names()).toEqual(['rows.where("v")', "rows.where()", "rows.find(…)"]);
  for (const subscription of subscriptions) subscription();
  expect(names()).toEqual([]);
});

test("what was reported stays to be looked at, with and without a listener", async () => {
  const log: string[] = [];
  db = await open(({ code }) => void log.push(code));
  const more = { ...collections, more: collections.rows };
  const other = await openDatabase({
    name: db.name,
    collections: more,
    storage: "memory",
    worker: false,
    log: () => {},
  });
  expect(other.diagnostics().reported).toMatchObject([
    { event: "log", code: "DEFINED_TWICE", message: expect.any(String), at: expect.any(Number) },
  ]);
  await other.close();
  expect([db.diagnostics().reported, log]).toEqual([[], []]);
});
