/** What is done and undone leaves nothing behind: no memory, timer, channel, lock or stored row. */
import { getEventListeners } from "node:events";
import { queryObjects } from "node:v8";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { untilEnded } from "./client/until-ended.ts";
import { collection, createDatabase, type Database, isTidemarkError, openDatabase } from "./index.ts";
import { cycles, expectNoLeak, leakOf, type Resting, toldOf } from "./leaks.test-support.ts";
import { Store } from "./mvcc/store.ts";
import { createMemoryStorage, type MemoryMedium } from "./storage/memory.ts";

vi.setConfig({ testTimeout: 60_000 + cycles * 100 });

const rows = collection<{ id: string; n: number }>()({ key: "id", indexes: { n: "n" } });
type Db = Database<{ rows: typeof rows }>;
const name = "leaks";

let medium: MemoryMedium;
beforeEach(() => {
  medium = createMemoryStorage();
});

/** Of garbage collection a hundred runs are remembered and a hundred records, and a few other things. */
const keptRuns = 205;

/** What is written relaxed, the medium remembers for a while: a crash could take it. */
const optionsOn = (storage: MemoryMedium | "memory") =>
  ({
    name,
    collections: { rows },
    storage,
    worker: false,
    durability: "strict",
    gc: { mode: "manual" },
    cacheMaxBytes: 64 * 1024,
  }) as const;

/** Kinds of the rows of store `meta`, but for those of garbage collection. */
async function metaRows(): Promise<readonly string[]> {
  const storage = await medium.open(name);
  const [found] = await storage.read([{ kind: "keys", store: "meta", range: {} }]);
  await storage.close();
  const names = found!.map(({ key }) => String(key));
  expect(names.filter((row) => row.startsWith("gc/")).length).toBeLessThanOrEqual(keptRuns);
  return names.filter((row) => !row.startsWith("gc/")).map((row) => row.replace(/\/.*/, "/…"));
}

/** Not by `expect`, which remembers what it was asked. */
function forgets(signal: AbortSignal): void {
  if (getEventListeners(signal, "abort").length > 0) throw new Error("somebody still listens to the signal");
}

describe("a handle that is open", () => {
  let db: Db;
  const [one, two] = [{ id: "one", n: 1 }, { id: "two", n: 2 }]; // prettier-ignore

  beforeEach(async () => {
    db = await openDatabase(optionsOn(medium));
    await db.collection("rows").putMany([one, two]);
  });
  afterEach(() => db.close());

  /** Before and after the cycles the same rows are there. */
  const leavesNothing = async (what: string, cycle: (n: number) => Promise<void>, resting?: Resting): Promise<void> => {
    const settle = async (): Promise<void> => {
      await db.collection("rows").put(two);
      await db.gc.run();
    };
    for (const n of [0, 1]) await cycle(n);
    await settle();
    const before = await metaRows();
    const leak = await leakOf(cycle, { settle, ...resting });
    console.log(`  ${what}: ${toldOf(leak)}`);
    expectNoLeak(leak);
    expect(await metaRows()).toEqual(before);
  };

  test("[SS4] live queries that are subscribed to and left", async () => {
    await leavesNothing("live queries", async (n) => {
      const live = db.live((q) => q.collection("rows").where("n").above(0).count());
      let stop = (): void => undefined;
      const told = new Promise((resolve) => (stop = live.subscribe(resolve)));
      if (n % 2 === 0) await told;
      stop();
      if (n % 8 === 0) await db.collection("rows").put({ ...one, n: n + 1 });
    });
  });

  test("[SS4] one live query whose subscribers come and go", async () => {
    const live = db.live((q) => q.collection("rows").count());
    await leavesNothing("subscribers", async () => {
      const stay = live.subscribe(() => undefined);
      live.subscribe({ next: () => undefined, error: () => undefined }).unsubscribe();
      stay();
    });
  });

  test("[SS4] views that are opened and released", async () => {
    await leavesNothing("views", async (n) => {
      const view = await db.readView({ fresh: n % 16 === 0 });
      await view.collection("rows").get("one");
      view.release();
      if (n % 8 === 0) await db.collection("rows").put({ ...two, n });
    });
  });

  test("[SS4] transactions that conflict, and some that are rolled back", async () => {
    let attempts = 0;
    await leavesNothing(
      "transactions",
      async (n) => {
        const increment = (): Promise<unknown> =>
          db.transaction(async (tx) => {
            attempts++;
            await tx.collection("rows").update("one", (r) => ({ ...r, n: r.n + 1 }));
          });
        if (n % 4 === 0) await Promise.all([increment(), increment()]);
        const thrown = new Error("rolled back");
        const rolledBack = db.transaction(async (tx) => {
          await tx.collection("rows").put({ ...two, n });
          throw thrown;
        });
        if ((await rolledBack.catch((e: unknown) => e)) !== thrown) throw new Error("it was not rolled back");
      },
      { restMs: 1100 },
    );
    expect(attempts).toBeGreaterThan(cycles * 0.7); // some ran again
  });

  test("[SS4] feeds that are begun, and aborted or left", async () => {
    const read = async (n: number, consumer: string | undefined, signal: AbortSignal): Promise<void> => {
      for await (const commit of db.changes({ signal, ...(consumer === undefined ? {} : { consumer }) })) {
        await commit.ack();
        if (commit.changes.some(({ after }) => after?.n === n)) break;
      }
    };
    await leavesNothing("feeds", async (n) => {
      const ending = new AbortController();
      const reading = read(n, n % 2 === 0 ? undefined : "reader", ending.signal).catch((e: unknown) => {
        if (e !== ending.signal.reason) throw e;
      });
      if (n % 4 < 2) {
        await db.collection("rows").put({ ...one, n });
        await reading; // it comes to that, and leaves
      } else if (n % 8 < 4) await db.collection("rows").get("one");
      ending.abort();
      await reading;
      forgets(ending.signal);
    });
  });

  test("[SS4] snapshots that are made, read and deleted", async () => {
    await leavesNothing("snapshots", async () => {
      await db.snapshots.create("moment");
      const view = await db.snapshots.view("moment");
      await view.collection("rows").get("one");
      await db.snapshots.delete("moment");
      view.release();
      if ((await db.snapshots.list()).length > 0) throw new Error("it is still there");
    });
  });

  test("[SS4] exports that are cancelled or aborted, and iterations that are left", async () => {
    await leavesNothing("exports", async (n) => {
      const ending = new AbortController();
      const reader = db.export({ signal: ending.signal }).getReader();
      if (n % 2 === 0) await reader.read();
      if (n % 3 === 0) ending.abort();
      await reader.cancel().catch(() => undefined);
      for await (const row of db.collection("rows").where("n").above(-1)) if (row) break;
      forgets(ending.signal);
    });
  });

  test("[SS4] calls that share one signal for long", async () => {
    const { signal } = new AbortController();
    const all = db.collection("rows");
    await leavesNothing("calls under one signal", async () => {
      await Promise.all([all.get("one", { signal }), all.where("n").above(0).count({ signal })]);
      await db.read((view) => view.collection("rows").count(), { signal });
      await db.transaction((tx) => tx.collection("rows").get("one"), { signal });
      forgets(signal);
    });
  });

  test("[SS4] background runs that are begun, and some cancelled; listeners that come and go", async () => {
    await leavesNothing("runs", async (n) => {
      const stop = [db.gc.subscribe(() => undefined), db.on("error", () => undefined)];
      const job = db.gc.start({ dryRun: false });
      job.onProgress(() => undefined);
      if (n % 2 === 0) void job.cancel();
      await job.report.catch((e: unknown) => {
        if (!isTidemarkError(e)) throw e;
      });
      for (const end of stop) end();
    });
  });

  test("[SS4] records that are written, changed and deleted, while upkeep folds them", async () => {
    const all = db.collection("rows");
    const pad = "x".repeat(1000);
    await leavesNothing("writes", async (n) => {
      const some = Array.from({ length: 10 }, (_, i) => ({ id: `row${i}`, n: n + i, pad }));
      await all.putMany(some);
      await all.update("row3", { n: -1 });
      await all.deleteMany(some.map(({ id }) => id));
      if (n % 100 === 99) await db.gc.run();
    });
  });
});

test("[SS4] handles that are opened and closed, on storage in memory that is given, and of this process", async () => {
  const cycle = async (n: number): Promise<void> => {
    const db = createDatabase(optionsOn(n % 2 === 0 ? medium : "memory"));
    await db.collection("rows").put({ id: "one", n });
    if (n % 3 === 0) db.live((q) => q.collection("rows").count()).subscribe(() => undefined);
    if (n % 4 < 2) await db.readView();
    if (n % 8 < 2) void db.changes()[Symbol.asyncIterator]().next().catch(() => undefined); // prettier-ignore
    if (n % 50 > 47) await db.checkpoint();
    await db.close();
  };
  for (const n of [48, 49]) await cycle(n);
  const before = await metaRows();
  const leak = await leakOf(cycle, { restMs: 2200 });
  console.log(`  handles: ${toldOf(leak)}`);
  expectNoLeak(leak);
  expect(await metaRows()).toEqual(before);
});

test("[SS4] a handle that is closed, and kept, keeps nothing of the database in memory", async () => {
  const db = await openDatabase(optionsOn(medium));
  await db.collection("rows").putMany(Array.from({ length: 100 }, (_, n) => ({ id: `row${n}`, n })));
  expect(queryObjects(Store)).toBe(1);
  await db.close();
  await expect.poll(() => queryObjects(Store), { interval: 200, timeout: 3000 }).toBe(0);
  expect(db.name).toBe(name);
});

test("[SS4] what a page asks of a worker that lives on is forgotten once it is answered", async () => {
  const orEnded = untilEnded(new Promise(() => undefined));
  const leak = await leakOf(async (n) => {
    await orEnded(Promise.resolve({ n }));
    await orEnded(Promise.reject(new Error("refused"))).catch(() => undefined);
  });
  expectNoLeak(leak);
});
