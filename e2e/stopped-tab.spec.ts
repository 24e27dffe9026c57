import { expect, type Page } from "@playwright/test";
import { test } from "./engines.ts";
import { allItems, commitsSoFar, openTwoTabs, smallestMemtable } from "./lab.ts";
import { freezable, freezer } from "./freezing.ts";
import { rendererOf, wakeAll } from "./processes.ts";

declare global {
  var kept: Awaited<ReturnType<typeof lab.db.readView>>;
  var openTransaction: Promise<unknown>;
  var goOn: () => void;
  var going: boolean;
}

/** Opens a view, and a transaction that has read `x` and waits for `goOn` before it writes `y`. */
const leaveThingsOpen = (page: Page): Promise<void> =>
  page.evaluate(async () => {
    globalThis.kept = await lab.db.readView();
    const go = new Promise<void>((resolve) => (globalThis.goOn = resolve));
    await new Promise<void>((resolve) => {
      const seen: unknown[] = [];
      globalThis.openTransaction = lab.db
        .transaction(async (tx) => {
          const items = tx.collection("items");
          seen.push((await items.get("x"))?.n);
          resolve();
          await go;
          await items.put({ id: "y", n: seen.length });
        })
        .then(
          () => ({ seen }),
          (e: unknown) => ({ failed: String(e), seen }),
        );
    });
  });

/** 3000 commits that rewrite `x` and 499 more records again and again, until the log before them is trimmed. */
const commitThousands = (page: Page): Promise<{ commitsMs: number; checkpointMs: number }> =>
  page.evaluate(async () => {
    const startedAt = performance.now();
    for (let round = 1; round <= 6; round++) {
      await Promise.all(
        Array.from({ length: 500 }, (_, i) =>
          lab.items.put({ id: i === 0 ? "x" : `b ${i}`, n: round, value: "b".repeat(200) }),
        ),
      );
    }
    const doneAt = performance.now();
    await lab.db.checkpoint();
    return { commitsMs: doneAt - startedAt, checkpointMs: performance.now() - doneAt };
  });

test.afterEach(wakeAll);

test("[TB1][TB2][TB7] a tab that slept through thousands of commits and a trimmed log neither loses nor forks anything", async ({
  browser,
  context,
}) => {
  await freezable(context);
  const [a, b] = await openTwoTabs(context, smallestMemtable);
  await a.evaluate(() => lab.items.putMany([{ id: "x", n: 0 }, { id: "untouched" }]));
  await leaveThingsOpen(a);
  const [headBefore, before] = [await commitsSoFar(b), await allItems(a)];
  const frozen = await freezer(browser, a);

  await frozen.freeze();
  const { commitsMs, checkpointMs } = await commitThousands(b);
  const { checkpoint, logEntries, upkeep } = await b.evaluate(() => lab.db.storage.metrics());
  console.log(
    `  beside a stopped upkeep tab: 3000 commits in ${commitsMs.toFixed(0)} ms, then a checkpoint in ${checkpointMs.toFixed(0)} ms`,
  );
  expect(commitsMs).toBeLessThan(5000);
  expect(logEntries).toBe(0);
  expect(checkpoint).toBe(headBefore + 3000);
  expect(upkeep).toBe(true);
  // All at once on waking: writes, reads at the head, through the old view, and the open transaction.
  const awake = a.evaluate(async () => {
    goOn();
    const writes = Array.from({ length: 50 }, (_, i) => lab.items.put({ id: `a ${i}`, n: i }));
    const [x, old, transaction] = await Promise.all([
      lab.items.get("x"),
      kept.collection("items").all(),
      openTransaction,
      ...writes,
    ]);
    return { x, old, transaction };
  });
  await frozen.wake();
  const { x, old, transaction } = await awake;

  expect(x?.n).toBe(6);
  expect(old).toEqual(before);
  expect(transaction).toEqual({ seen: [0, 6] });
  expect(await commitsSoFar(a)).toBe(headBefore + 3000 + 50 + 1);
  expect(await commitsSoFar(b)).toBe(headBefore + 3000 + 50 + 1);
  const [inA, inB] = [await allItems(a), await allItems(b)];
  expect(inA).toEqual(inB);
  expect(inA).toHaveLength(3 + 499 + 50);
  expect(inA.find(({ id }) => id === "y")?.n).toBe(2);

  // Both go on together.
  await Promise.all(
    [a, b].map((page) =>
      page.evaluate(async () => {
        await Promise.all(
          Array.from({ length: 100 }, () => lab.items.update("x", (r) => ({ ...r, n: (r.n ?? 0) + 1 }))),
        );
      }),
    ),
  );
  for (const page of [a, b]) expect((await allItems(page)).find(({ id }) => id === "x")?.n).toBe(206);
  await a.evaluate(() => lab.db.checkpoint());
  expect(await allItems(a)).toEqual(await allItems(b));
  expect(await commitsSoFar(a)).toBe(headBefore + 3000 + 51 + 200);
});

/** Commits one after the other until told to stop; answers how many, and the times between them. */
const commitLoop = (page: Page, tab: string): Promise<{ count: number; gapsMs: number[] }> =>
  page.evaluate(async (name) => {
    globalThis.going = true;
    const gapsMs: number[] = [];
    for (let last = performance.now(); going;) {
      await lab.items.put({ id: `${name} ${gapsMs.length}`, value: name.repeat(500) });
      const now = performance.now();
      gapsMs.push(now - last);
      last = now;
    }
    return { count: gapsMs.length, gapsMs };
  }, tab);

/**
 * What stops between opening an IndexedDB transaction and committing it holds up every tab, also where a bare
 * IndexedDB does the same. So the times are told, and only what became of the data is judged.
 */
test("[TB1][TB7] a tab stopped again and again in the middle of commits and checkpoints loses nothing", async ({
  browser,
  browserName,
  context,
}) => {
  test.skip(browserName === "firefox", "its tabs of one origin share a process");
  const [a, b] = await openTwoTabs(context, smallestMemtable);
  const renderer = await rendererOf(browser, a);
  const headBefore = await commitsSoFar(a);
  const loops = Promise.all([commitLoop(a, "a"), commitLoop(b, "b")]);
  const [stops, stoppedMs] = [6, 500];
  for (let i = 0; i < stops; i++) {
    await b.waitForTimeout(50 + 31 * i);
    process.kill(renderer, "SIGSTOP");
    await b.waitForTimeout(stoppedMs);
    process.kill(renderer, "SIGCONT");
  }
  await Promise.all([a, b].map((page) => page.evaluate(() => void (globalThis.going = false))));
  const [ofA, ofB] = await loops;
  const stalls = ofB.gapsMs.filter((gap) => gap > stoppedMs * 0.8).length;
  console.log(`  ${ofB.count} commits beside a tab stopped ${stops} times in a commit; held up ${stalls} times`);
  expect(await commitsSoFar(b)).toBe(headBefore + ofA.count + ofB.count);
  expect(await allItems(a)).toEqual(await allItems(b));
  expect(await allItems(a)).toHaveLength(ofA.count + ofB.count);
});
