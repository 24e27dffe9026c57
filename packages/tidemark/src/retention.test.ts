import { afterEach, describe, expect, test, vi } from "vitest";
import { collection, createDatabase, type Database, type GcSettings, RetentionPolicy } from "./index.ts";
import { ownWorker } from "./own-worker.test-support.ts";

interface Note {
  id: string;
  n: number;
}
const kept = collection<Note>()({ key: "id", retention: RetentionPolicy.keepLatestN(3) });
const plain = collection<Note>()({ key: "id" });
let count = 0;
const open: { close(): Promise<void> }[] = [];
const make = (
  name = `retention${count++}`,
  notes = kept,
  gc: GcSettings = {},
): Database<{ notes: typeof kept; plain: typeof plain }> => {
  const db = createDatabase({
    name,
    collections: { notes, plain },
    storage: "memory",
    worker: false,
    gc,
    ...ownWorker(open.length),
  });
  open.push(db);
  return db;
};
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(open.splice(0).map((db) => db.close()));
});
type Db = ReturnType<typeof make>;
const numbers = async (db: Db, name: "notes" | "plain"): Promise<readonly (number | undefined)[]> =>
  (await db.collection(name).history("a")).map(({ value }) => value?.n);
const writeAndFold = async (db: Db, ...all: readonly (number | "delete")[]): Promise<void> => {
  for (const n of all) {
    for (const name of ["notes", "plain"] as const) {
      if (n === "delete") await db.collection(name).delete("a");
      else await db.collection(name).put({ id: "a", n });
    }
  }
  await db.checkpoint();
};

describe("retention", () => {
  test("[GM4] keeps the newest versions of each record, deletions counted; nothing else is kept", async () => {
    const db = make();
    await writeAndFold(db, 1, 2, 3, 4, 5);
    expect(await numbers(db, "notes")).toEqual([5, 4, 3]);
    expect(await numbers(db, "plain")).toEqual([5]);
    await writeAndFold(db, 6, "delete");
    expect(await numbers(db, "notes")).toEqual([undefined, 6, 5]);
    expect(await numbers(db, "plain")).toEqual([undefined]); // until the floor has passed the deletion
    expect(await db.collection("notes").get("a")).toBeUndefined();
  });

  test("[GM4] that is declared anew counts from then on; undeclared, the stored one stays", async () => {
    const name = `retention${count++}`;
    const first = make(name);
    await writeAndFold(first, 1, 2, 3, 4);
    await first.close();
    const silent = make(name, plain);
    await writeAndFold(silent, 5);
    expect(await numbers(silent, "notes")).toEqual([5, 4, 3]);
    await silent.close();
    const db = make(name, collection<Note>()({ key: "id", retention: RetentionPolicy.union() }));
    expect(await numbers(db, "notes")).toEqual([5, 4, 3]);
    await writeAndFold(db, 6);
    expect(await numbers(db, "notes")).toEqual([6]);
  });

  test.each([5, null, {}, { retention: { latest: 5 } }])("[GM4] %j is none, and refused by name", (retention) => {
    const notes = { ...plain, retention } as unknown as typeof kept;
    expect(() => make("unused", notes)).toThrow(
      expect.objectContaining({
        code: "OPTIONS_INVALID",
        details: { option: "collections.notes.retention" },
        message: expect.stringContaining("RetentionPolicy.keepLatestN(5)"),
      }),
    );
  });
});

describe("gc.mvccVersionRetentionDays", () => {
  const days = (mvccVersionRetentionDays: number): GcSettings => ({ mvccVersionRetentionDays });

  test("[CN][GM4] keeps of every collection what was superseded since, besides what its own retention keeps", async () => {
    const db = make(undefined, kept, days(7));
    await writeAndFold(db, 1, 2, 3, 4, 5);
    await db.gc.run();
    for (const name of ["notes", "plain"] as const) expect(await numbers(db, name)).toEqual([5, 4, 3, 2, 1]);
  });

  test("[CN][VG6] what was superseded longer ago goes, but for what a collection's own retention keeps", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 0, 1, 10, 15) });
    const db = make(undefined, kept, days(1));
    await writeAndFold(db, 1, 2, 3, 4);
    vi.setSystemTime(Date.UTC(2026, 0, 2, 10, 59)); // judged as of the full hour, at which it was not yet a day
    await writeAndFold(db, 5);
    expect(await numbers(db, "plain")).toEqual([5, 4, 3, 2, 1]);
    vi.setSystemTime(Date.UTC(2026, 0, 2, 11, 1));
    await writeAndFold(db, 6);
    expect(await numbers(db, "notes")).toEqual([6, 5, 4]);
    expect(await numbers(db, "plain")).toEqual([6, 5, 4]);
  });

  test("[CN] is stored: left out it stays, declared shorter that counts, and 0 ends it", async () => {
    const name = `retention${count++}`;
    const first = make(name, kept, days(7));
    await writeAndFold(first, 1, 2, 3, 4);
    await first.close();
    const silent = make(name);
    await writeAndFold(silent, 5);
    await silent.gc.run();
    expect(await numbers(silent, "plain")).toEqual([5, 4, 3, 2, 1]);
    await silent.close();
    const db = make(name, kept, days(0));
    await writeAndFold(db, 6);
    await db.gc.run();
    expect(await numbers(db, "plain")).toEqual([6]);
    expect(await numbers(db, "notes")).toEqual([6, 5, 4]);
  });

  test.each([-1, 100_001, Number.NaN, "7"])("[CN] %j is refused by name and range", (value) => {
    expect(() => make("unused", kept, days(value as number))).toThrow(
      expect.objectContaining({
        code: "OPTIONS_INVALID",
        details: { option: "gc.mvccVersionRetentionDays" },
        message: expect.stringContaining("a number of days from 0 to 100000"),
      }),
    );
  });
});
