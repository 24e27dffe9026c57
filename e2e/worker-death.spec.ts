import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { allItems, openPage, openTab, openTwoTabs } from "./lab.ts";
import { keepWorkers } from "./workers.ts";

declare global {
  /** What the database handle told: codes of `error` events, reasons of `closed` ones. */
  var told: string[];
  /** Ends the present worker as a crash does: without a word, its locks become free. */
  var kill: () => void;
  var seen: number[];
  var going: boolean;
}

test.beforeEach(async ({ context }) => {
  await context.addInitScript(keepWorkers, "");
  await context.addInitScript(() => {
    globalThis.kill = () => workers.at(-1)!.terminate();
  });
});

/** Notes from here on what the handle tells. */
const listen = (page: Page): Promise<void> =>
  page.evaluate(() => {
    globalThis.told = [];
    lab.db.on("error", (e) => told.push(`${e.code} ${String(e.details["lost"])}`));
    lab.db.on("closed", (e) => told.push(e.reason));
  });

const openListening = async (context: BrowserContext): Promise<Page> => {
  const page = await openTab(context);
  await listen(page);
  return page;
};

const state = (page: Page): Promise<{ told: string[]; workers: number }> =>
  page.evaluate(() => ({ told, workers: workers.length }));

const once = { told: ["STORAGE_LOST worker"], workers: 2 };

test("[MV12] a worker that dies in idle is started again, and all that was acknowledged is there", async ({
  context,
}) => {
  const page = await openListening(context);
  const tookMs = await page.evaluate(async () => {
    await lab.items.putMany(Array.from({ length: 300 }, (_, i) => ({ id: i, n: i })));
    const startedAt = performance.now();
    kill();
    await lab.items.put({ id: "while dead" }).catch(() => undefined); // nobody may know yet
    await lab.items.put({ id: "after" });
    return performance.now() - startedAt;
  });
  console.log(`  dead, noticed, started and written again in ${tookMs.toFixed(0)} ms`);
  expect((await allItems(page)).filter(({ id }) => id !== "while dead")).toHaveLength(301);
  expect(await state(page)).toEqual(once);
  await page.evaluate(() => lab.db.close());
  expect(await state(page)).toEqual(once);
});

test("[MV12] of calls pending when the worker dies, reads are answered and writes end as unknown at worst", async ({
  context,
}) => {
  const page = await openListening(context);
  await page.evaluate(() =>
    lab.items.putMany(Array.from({ length: 2000 }, (_, i) => ({ id: i, group: i % 7, value: "v".repeat(1000) }))),
  );
  for (const [round, delayMs] of [0, 2, 8, 20, 50].entries()) {
    const { writes, reads, written } = await page.evaluate(
      async ([base, ms]) => {
        // With other options it has a worker of its own, the last one.
        const db = await tidemark.openDatabase({ ...lab.options, cacheMaxBytes: 2 ** 24 + base });
        const items = db.collection("items");
        const write = async (batch: number): Promise<void> => {
          await new Promise((resolve) => setTimeout(resolve, 2 * batch));
          await items.putMany([{ id: base + 2 * batch }, { id: base + 2 * batch + 1 }]);
        };
        const writing = Array.from({ length: 20 }, (_, i) => write(i));
        const reading = [
          items.get(1),
          items.where("group").equals(3).limit(1000).count(),
          items.where().below(2000).toArray(),
          items.has("no"),
          db.storage.metrics().then((m) => m.blocks >= 0),
          db.readView().then((view) => view.seq > 0),
          db.transaction((tx) => tx.collection("items").get(2)),
        ] as const;
        setTimeout(kill, ms);
        const ended = await Promise.allSettled(writing);
        const [one, inGroup, all, has, blocks, view, two] = await Promise.all(reading);
        await db.close();
        return {
          writes: ended.map((e) =>
            e.status === "fulfilled" ? "done" : `${e.reason.code} ${e.reason.details.outcome}`,
          ),
          reads: [one?.id, inGroup, all.length, has, blocks, view, two?.id],
          written: ended.flatMap((e, i) => (e.status === "fulfilled" ? [base + 2 * i, base + 2 * i + 1] : [])),
        };
      },
      [10_000 + 100 * round, delayMs] as const,
    );
    expect(reads).toEqual([1, 286, 2000, false, true, true, 2]);
    for (const outcome of writes) expect(["done", "STORAGE_LOST unknown"]).toContain(outcome);
    const found = (await allItems(page)).flatMap(({ id }) => (Number(id) >= 10_000 + 100 * round ? [id] : []));
    for (const id of written) expect(found).toContain(id);
    const unknown = writes.filter((outcome) => outcome !== "done").length;
    expect(found.length % 2).toBe(0);
    console.log(`  killed after ${delayMs} ms: of 20 writes ${unknown} unknown, ${found.length / 2} found`);
  }
});

test("[MV12] a transaction whose worker dies under its body runs again; one at its commit is done, or unknown", async ({
  context,
}) => {
  const page = await openListening(context);
  const done = await page.evaluate(async () => {
    await lab.items.put({ id: "count", n: 1 });
    const attempts: number[] = [];
    const result = await lab.db.transaction(async (tx) => {
      attempts.push(tx.attempt);
      const items = tx.collection("items");
      const { n = 0 } = (await items.get("count"))!;
      await items.put({ id: "count", n: n + 1 });
      if (tx.attempt === 0) kill();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await items.put({ id: "other" });
      return n + 1;
    });
    const atCommit = lab.db.transaction(async (tx) => {
      await tx.collection("items").put({ id: "committed" });
      if (tx.attempt === 0) queueMicrotask(() => queueMicrotask(() => queueMicrotask(kill)));
    });
    const how = await atCommit.then(
      () => "done",
      (e) => `${e.code} ${e.details.outcome}`,
    );
    return { attempts, result, how, committed: await lab.items.has("committed"), n: (await lab.items.get("count"))?.n };
  });
  console.log(`  killed at its commit: ${done.how}, found ${done.committed}`);
  expect(done).toMatchObject({ attempts: [0, 1], result: 2, n: 2 });
  expect(["done", "STORAGE_LOST unknown"]).toContain(done.how);
  if (done.how === "done") expect(done.committed).toBe(true);
  expect(await state(page)).toEqual({ told: [...once.told, ...once.told], workers: 3 });
});

test("[MV12] live queries go on when the worker dies, and views say that they went with it", async ({ context }) => {
  const [a, b] = await openTwoTabs(context);
  await listen(a);
  await a.evaluate(async () => {
    globalThis.seen = [];
    lab.db.live((q) => q.collection("items").count()).subscribe((n) => seen.push(n));
    await lab.items.put({ id: 1 });
  });
  await expect.poll(() => a.evaluate(() => seen.at(-1))).toBe(1);
  const code = await a.evaluate(async () => {
    const view = await lab.db.readView();
    kill();
    return view
      .collection("items")
      .all()
      .catch((e) => `${e.code} ${e.details.lost}`);
  });
  expect(code).toBe("VIEW_RELEASED worker");
  await b.evaluate(() => lab.items.put({ id: 2 }));
  await expect.poll(() => a.evaluate(() => seen.at(-1))).toBe(2);
  await a.evaluate(() => lab.items.put({ id: 3 }));
  await expect.poll(() => a.evaluate(() => seen.at(-1))).toBe(3);
  expect(await state(a)).toEqual(once);
  // The dead worker's pin and locks are no burden on the others.
  await b.evaluate(() => lab.db.checkpoint());
  expect(await allItems(a)).toEqual(await allItems(b));
});

test("[MV12] a worker that dies while it opens the database is followed by one that does", async ({ context }) => {
  const first = await openTab(context);
  await first.evaluate(() => lab.items.putMany(Array.from({ length: 1000 }, (_, i) => ({ id: i }))));
  await first.close();
  for (const afterMs of [0, 5, 10, 20, 40]) {
    const page = await openPage(context);
    await listen(page);
    const opened = await page.evaluate(async (ms) => {
      const counting = lab.items.count();
      // From when the page waits for the worker's lock: before that nothing tells a dead worker from a slow network.
      const isWatched = async (): Promise<boolean> =>
        (await navigator.locks.query()).pending!.some(({ name }) => name!.startsWith("tidemark-worker/"));
      while (!(await isWatched()));
      await new Promise((resolve) => setTimeout(resolve, ms));
      kill();
      return counting;
    }, afterMs);
    expect(opened).toBe(1000);
    // Late kills can come after the answer: then the death is noticed a moment after that.
    await expect.poll(async () => (await state(page)).workers).toBe(2);
    expect(await page.evaluate(() => lab.items.count())).toBe(1000);
    await page.close();
  }
});

test("[MV12] workers that die one after another end the handle, and another handle works", async ({ context }) => {
  const page = await openListening(context);
  const outcome = await page.evaluate(async () => {
    await lab.items.put({ id: 1 });
    const outcomes: string[] = [];
    for (let i = 0; i < 3; i++) {
      kill();
      outcomes.push(
        await lab.items
          .get(1)
          .then((r) => String(r?.id))
          .catch((e) => `${e.code} ${e.details.reason}`),
      );
    }
    outcomes.push(
      await lab.items
        .put({ id: 2 })
        .catch((e) => `${e.code} ${e.details.reason}`)
        .then(String),
    );
    const again = await tidemark.openDatabase(lab.options);
    outcomes.push(String(await again.collection("items").count()));
    await again.close();
    return outcomes;
  });
  expect(outcome).toEqual(["1", "1", "CLOSED crashed", "CLOSED crashed", "1"]);
  expect(await state(page)).toEqual({ told: [...once.told, ...once.told, "crashed"], workers: 4 });
});

test("[MV12] under a loop of commits with workers dying, nothing acknowledged is lost and nothing is written twice", async ({
  context,
}) => {
  const page = await openListening(context);
  const { acknowledged, unknown, n } = await page.evaluate(async () => {
    await lab.items.put({ id: "count", n: 0 });
    globalThis.going = true;
    let [done, open] = [0, 0];
    const loop = async (): Promise<void> => {
      while (going) {
        try {
          await lab.items.update("count", (r) => ({ ...r, n: r.n! + 1 }));
          done++;
        } catch (e) {
          if (!tidemark.isTidemarkError(e, "STORAGE_LOST") || e.details["outcome"] !== "unknown") throw e;
          open++;
        }
      }
    };
    const loops = Promise.all([loop(), loop(), loop()]);
    for (let i = 0; i < 2; i++) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      kill();
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    going = false;
    await loops;
    return { acknowledged: done, unknown: open, n: (await lab.items.get("count"))!.n! };
  });
  console.log(`  ${acknowledged} acknowledged, ${unknown} unknown, ${n} found`);
  expect(n).toBeGreaterThanOrEqual(acknowledged);
  expect(n).toBeLessThanOrEqual(acknowledged + unknown);
  expect(await state(page)).toEqual({ told: [...once.told, ...once.told], workers: 3 });
});

test("[MV12] a page that is frozen and wakes takes nothing for a death", async ({ browserName, context }) => {
  test.skip(browserName !== "chromium", "Chromium alone lets a page be frozen from outside");
  const page = await openListening(context);
  await page.evaluate(() => lab.items.put({ id: 1 }));
  const session = await context.newCDPSession(page);
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  const other = await openTab(context);
  await other.evaluate(() => lab.items.put({ id: 2 }));
  await session.send("Page.setWebLifecycleState", { state: "active" });
  expect(await allItems(page)).toHaveLength(2);
  expect(await state(page)).toEqual({ told: [], workers: 1 });
});
