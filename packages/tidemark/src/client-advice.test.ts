import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { collection, type Database, type LogEntry, openDatabase } from "./index.ts";

const collections = { notes: collection<{ id: string }>()({ key: "id" }) };
const options = (log: LogEntry[], name: string) =>
  ({ name, collections, storage: "memory", worker: false, log: (entry: LogEntry) => void log.push(entry) }) as const;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

test("a read view that is forgotten is logged, and released; one that is read by is neither", async () => {
  const log: LogEntry[] = [];
  const db = await openDatabase(options(log, "leaks"));
  await db.collection("notes").put({ id: "a" });
  const kept = (await db.readView()).collection("notes");
  const leak = async (of: Database<typeof collections>): Promise<number> => (await of.readView()).seq;
  const seq = await leak(db);
  (await db.readView()).release();
  await expect
    .poll(() => {
      collectGarbage();
      return log;
    })
    .toEqual([
      { level: "warn", code: "VIEW_LEAKED", message: expect.stringContaining(`seq ${seq}`), details: { seq } },
    ]);
  await db.collection("notes").put({ id: "b" });
  expect(await kept.count()).toBe(1);
  await db.close();
});

test("two definitions of one database in a realm are logged", async () => {
  const log: LogEntry[] = [];
  const first = await openDatabase(options(log, "twice"));
  const same = await openDatabase(options(log, "twice"));
  expect(log).toEqual([]);
  const other = await openDatabase({
    ...options(log, "twice"),
    collections: { ...collections, more: collection<{ id: string }>()({ key: "id" }) },
  });
  expect(log).toMatchObject([{ code: "DEFINED_TWICE", details: { database: "twice" } }]);
  await Promise.all([first.close(), same.close(), other.close()]);
  await (await openDatabase(options(log, "twice"))).close();
  expect(log).toHaveLength(1);
});
