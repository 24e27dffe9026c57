/** What is done and undone leaves nothing behind, in the page, in its worker, in locks or in what is stored. */
import { expect, type Page, test } from "@playwright/test";
import { type Footprint, Footprints } from "./footprint.ts";
import { openPage, openTab } from "./lab.ts";

/** `LEAK_CYCLES=10000` is the long form; of what takes a worker it does a few hundred. */
const cycles = Number(process.env["LEAK_CYCLES"] ?? 60);
const half = Math.ceil(cycles / 2);
/** Each kind for itself; in short, one after the other. */
const isLong = cycles >= 1000;

/** What V8 learns about code that runs often. */
const strayBytes = 256 * 1024;
/** A cycle that keeps anything keeps at least one small object and who refers to it. */
const leastLeakBytes = 24;
/** What waits at a look may wait at another. */
const strayObjects = 24;

declare global {
  /** Each does something and undoes it. */
  var deeds: Record<string, (n: number) => Promise<void>>;
}

const run = (page: Page, names: readonly string[], from: number, count: number): Promise<void> =>
  page.evaluate(
    async ([all, first, so]) => {
      for (let n = first; n < first + so; n++) for (const name of all) await deeds[name]!(n);
    },
    [names, from, count] as const,
  );

const growth = ({ pageBytes, workerBytes }: Footprint, since: Footprint): { page: number; worker: number } => ({
  page: pageBytes - since.pageBytes,
  worker: workerBytes - since.workerBytes,
});

/** A question of slope: what is there half-way, and in the end. */
function expectNoLeak(what: string, count: number, middle: Footprint, end: Footprint): void {
  const grown = growth(end, middle);
  const each = (bytes: number): string => `${(bytes / count).toFixed(1)} B`;
  const inAll = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MB`;
  console.log(
    `  ${what}, ${count} times more: page ${each(grown.page)} each, ${inAll(end.pageBytes)} in all; worker ${each(grown.worker)} each, ${inAll(end.workerBytes)} in all`,
  );
  const allowed = strayBytes + count * leastLeakBytes;
  expect(grown.page, "bytes in the page").toBeLessThan(allowed);
  expect(grown.worker, "bytes in the worker").toBeLessThan(allowed);
  for (const realm of ["page", "worker"] as const) {
    for (const [type, n] of Object.entries(end[realm] ?? {})) {
      const before = (middle[realm] as Readonly<Record<string, number>>)[type]!;
      expect(n - before, `${type} in the ${realm}`).toBeLessThanOrEqual(strayObjects);
    }
  }
  expect(end.locks).toEqual(middle.locks);
  expect(end.metaRows).toEqual(middle.metaRows);
  expect(end.workers).toBe(middle.workers);
}

const define = (page: Page): Promise<void> =>
  page.evaluate(() => {
    globalThis.deeds = {
      "live queries": async (n) => {
        const live = lab.db.live((q) => q.collection("items").where("group").equals(1).count());
        let stop = (): void => undefined;
        const told = new Promise((resolve) => (stop = live.subscribe(resolve)));
        if (n % 2 === 0) await told;
        stop();
      },
      views: async (n) => {
        const view = await lab.db.readView({ fresh: n % 16 === 0 });
        await view.collection("items").get(1);
        view.release();
      },
      transactions: async (n) => {
        const increment = (): Promise<unknown> =>
          lab.db.transaction((tx) => tx.collection("items").update(1, (r) => ({ ...r, n: (r.n ?? 0) + 1 })));
        if (n % 4 === 0) await Promise.all([increment(), increment()]);
        const rolledBack = lab.db.transaction(async (tx) => {
          await tx.collection("items").put({ id: 2, n });
          throw new Error("rolled back");
        });
        await rolledBack.catch(() => undefined);
      },
      "feeds and exports": async (n) => {
        const ending = new AbortController();
        const next = lab.db.changes({ signal: ending.signal })[Symbol.asyncIterator]().next();
        if (n % 2 === 0) await lab.items.put({ id: 3, n });
        ending.abort();
        await next.catch(() => undefined);
        const reader = lab.db.export().getReader();
        if (n % 2 === 0) await reader.read();
        await reader.cancel();
      },
      snapshots: async () => {
        await lab.db.snapshots.create("moment");
        const view = await lab.db.snapshots.view("moment");
        await view.collection("items").get(1);
        await lab.db.snapshots.delete("moment");
        view.release();
      },
    };
  });

test("[SS4] queries, views, transactions, feeds, exports and snapshots that come and go", async ({ context }) => {
  test.setTimeout(60_000 + cycles * 400);
  const page = await openPage(context, { gc: { mode: "manual" } });
  const footprints = await Footprints.of(page);
  await page.evaluate(() => lab.items.putMany([1, 2, 3].map((id) => ({ id, group: id, n: 0 }))));
  await define(page);
  /** What was committed is folded, and timers that nobody waits for have ended. */
  const look = async (): Promise<Footprint> => {
    await page.evaluate(() => lab.items.put({ id: 1, n: 0 }).then(() => lab.db.gc.run()));
    await page.waitForTimeout(2200);
    return footprints.look();
  };
  await look(); // what that compiles and caches is there, from here on
  const names = await page.evaluate(() => Object.keys(deeds));
  for (const some of isLong ? names.map((name) => [name]) : [names]) {
    await run(page, some, 0, 2 * half);
    const middle = await look();
    await run(page, some, 2 * half, half);
    expectNoLeak(some.join(", "), half, middle, await look());
  }
});

test("[SS4] workers that are started and closed", async ({ context }) => {
  const count = Math.min(100, Math.ceil(cycles / 6));
  test.setTimeout(60_000 + count * 3000);
  const stays = await openTab(context); // or the last to close would leave nothing to compare
  const page = await openPage(context);
  const footprints = await Footprints.of(page);
  await page.evaluate(() => {
    globalThis.deeds = {
      worker: async (n) => {
        const db = await tidemark.openDatabase(lab.options);
        await db.collection("items").put({ id: 1, n });
        db.live((q) => q.collection("items").count()).subscribe(() => undefined);
        await db.close();
      },
    };
  });
  const lookAfter = async (from: number): Promise<Footprint> => {
    await run(page, ["worker"], from, count);
    await expect.poll(() => footprints.workers).toBe(0);
    return footprints.look();
  };
  await lookAfter(0);
  const middle = await lookAfter(count);
  const end = await lookAfter(2 * count);
  expectNoLeak("workers", count, middle, end);
  await stays.close();
});
