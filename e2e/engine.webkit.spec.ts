/** WebKit beyond the specs that it shares with the others: what these prove in depth, once around. */
import { type BrowserContext, expect, type Page } from "@playwright/test";
import { test } from "./engines.ts";
import { allItems, openPage, openTab as openLab, openTwoTabs, smallestMemtable } from "./lab.ts";
import { acknowledgedBy, commitUntilLeft, seedOfRun, waitsMs } from "./storm.ts";
import { keepWorkers } from "./workers.ts";

declare global {
  var underWay: Promise<unknown>;
  var seen: number[];
  var told: string[];
}

const openTab = (context: BrowserContext): Promise<Page> => openLab(context, smallestMemtable);

const expectClean = async (tab: Page): Promise<void> => {
  expect((await tab.evaluate(() => lab.db.verify())).damage).toEqual([]);
};

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

test("[MV1][MV2][MV6] what is written is read, by key, by index and through an older view, from blocks and after a reload", async ({
  context,
}) => {
  const tab = await openTab(context);
  await tab.evaluate(async () => {
    const records = Array.from({ length: 300 }, (_, n) => ({
      id: n,
      n,
      group: n % 7,
      email: `${n}@example.org`,
      tags: [n % 2 === 1 ? "odd" : "even"],
      value: "v".repeat(300),
    }));
    await lab.items.putMany(records);
    const value = { blob: new Blob(["a blob"]), map: new Map([["n", 12345678901234567890n]]), at: new Date(0) };
    await lab.items.put({ id: "rich", value });
  });
  const read = () =>
    tab.evaluate(async () => {
      const { blob, map, at } = (await lab.items.get("rich"))!.value as {
        blob: Blob;
        map: Map<string, bigint>;
        at: Date;
      };
      return {
        some: (await lab.items.getMany([3, 299, 300])).map((r) => r?.n),
        group: (await lab.items.where("group").between(2, 4).reverse().limit(3).toArray()).map(({ id }) => id),
        odd: await lab.items.where("tags").equals("odd").count(),
        email: (await lab.items.where("email").equals("7@example.org").first())?.id,
        rich: [await blob.text(), String(map.get("n")), at.toISOString()],
      };
    });
  const expected = {
    some: [3, 299, null], // undefined, as JSON has it
    group: [297, 290, 283], // of those with 3, the last
    odd: 150,
    email: 7,
    rich: ["a blob", "12345678901234567890", "1970-01-01T00:00:00.000Z"],
  };
  expect(await read()).toEqual(expected);
  await tab.evaluate(() => lab.db.checkpoint());
  await tab.reload();
  expect(await read()).toEqual(expected);
  const old = await tab.evaluate(async () => {
    const view = await lab.db.readView();
    await lab.items.putMany(Array.from({ length: 300 }, (_, n) => ({ id: n, n: -1 })));
    await lab.db.checkpoint();
    const all = await view.collection("items").where("group").equals(1).toArray();
    view.release();
    return all.map(({ n }) => n);
  });
  expect(old).toEqual(upTo(300).filter((n) => n % 7 === 1));
  expect((await allItems(tab)).slice(0, 300).map(({ n }) => n)).toEqual(Array<number>(300).fill(-1));
  expect(await tab.evaluate(() => lab.items.where("group").count())).toBe(0);
  await expectClean(tab);
});

test("[VG10] where no idle moments are told, timers grant the slices in which the log is folded", async ({
  context,
}) => {
  const tab = await openTab(context);
  expect(await tab.evaluate(() => ["requestIdleCallback" in globalThis, document.visibilityState])).toEqual([
    false,
    "visible",
  ]);
  await tab.evaluate(() => lab.items.putMany(Array.from({ length: 68 }, (_, id) => ({ id, value: "v".repeat(1000) }))));
  const figures = () => tab.evaluate(() => lab.db.storage.metrics());
  await expect.poll(async () => (await figures()).logEntries, { intervals: [200], timeout: 8000 }).toBe(0);
  const { bySource, longestMs } = (await figures()).slices;
  console.log(`  ${bySource.grant} slices were granted, the longest took ${longestMs.toFixed(1)} ms`);
  expect(bySource.grant).toBeGreaterThan(0);
  expect(bySource.headlong).toBe(0);
});

test("[MV3][TB3] two windows count up one record at once: both get through, and see each other's commits", async ({
  context,
}) => {
  const [a, b] = await openTwoTabs(context, smallestMemtable);
  for (const tab of [a, b]) {
    await tab.evaluate(() => {
      globalThis.seen = [];
      lab.db.live(async (q) => (await q.collection("items").get("x"))?.n ?? 0).subscribe((n) => void seen.push(n));
    });
  }
  // Both have read before either writes.
  const conflict = (who: string): void => {
    globalThis.underWay = lab.db.transaction(async (tx) => {
      const items = tx.collection("items");
      const { n = 0 } = (await items.get("x")) ?? {};
      if (tx.attempt === 0) await lab.meet("read", who, 2);
      await items.put({ id: "x", n: n + 1 });
      return tx.attempt;
    });
  };
  await a.evaluate(conflict, "a");
  await b.evaluate(conflict, "b");
  const attempts = new Set([await a.evaluate(() => underWay), await b.evaluate(() => underWay)]);
  expect(attempts).toEqual(new Set([0, 1]));
  const increments = (): void => {
    const one = () => lab.items.update("x", (r) => ({ ...r, n: r.n! + 1 }));
    globalThis.underWay = Promise.all(Array.from({ length: 200 }, one)).then(() => undefined);
  };
  for (const tab of [a, b]) await tab.evaluate(increments);
  for (const tab of [a, b]) await tab.evaluate(() => underWay);
  for (const tab of [a, b]) {
    expect(await allItems(tab)).toEqual([{ id: "x", n: 402 }]);
    await expect.poll(() => tab.evaluate(() => seen.at(-1))).toBe(402);
    const told = await tab.evaluate(() => seen);
    expect(told).toEqual(told.toSorted((x, y) => x - y));
  }
});

/**
 * Not in the middle of a write: of what a page had under way when it was reloaded WebKit may keep a transaction open, and
 * then nobody writes any more (decision 4).
 */
test("[MV1][MV5][TB1] a window reloaded again and again between its commits loses nothing acknowledged; another goes on", async ({
  context,
}) => {
  const [b, a] = [await openTab(context), await openLab(context)];
  for (const [tab, name] of [
    [a, "a"],
    [b, "b"],
  ] as const)
    await tab.evaluate(commitUntilLeft, name);
  for (const ms of waitsMs(seedOfRun(), 8)) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    await a.evaluate(() => left());
    await a.reload();
    await a.evaluate(commitUntilLeft, "a");
  }
  for (const tab of [a, b]) await tab.evaluate(() => left());
  const found = await allItems(b);
  expect(await allItems(a)).toEqual(found);
  for (const name of ["a", "b"]) {
    const numbers = found.flatMap(({ id, n = -1 }) => (String(id).startsWith(name) ? [n] : []));
    const acknowledged = await b.evaluate(acknowledgedBy, name);
    console.log(`  ${name}: ${acknowledged} acknowledged, ${numbers.length} found`);
    expect(numbers.toSorted((x, y) => x - y)).toEqual(upTo(acknowledged));
    expect(acknowledged).toBeGreaterThan(10);
  }
  await expectClean(b);
});

test("[TB1][TB2][TB4][VG1] when the window that does upkeep is closed, another does it, and what the first held is collected", async ({
  context,
}) => {
  const [a, b] = await openTwoTabs(context, smallestMemtable);
  const write = (n: number): Promise<unknown> =>
    lab.items.putMany(Array.from({ length: 200 }, (_, id) => ({ id, n, value: "v".repeat(500) })));
  await a.evaluate(write, 0);
  await a.evaluate(async () => void (await lab.db.readView()));
  for (const n of [1, 2, 3]) await b.evaluate(write, n);
  const held = await b.evaluate(() => lab.db.gc.run());
  expect(held.heldBack).toMatchObject([{ kind: "pin" }]);
  expect((await b.evaluate(() => lab.db.storage.metrics())).upkeep).toBe(false);
  await a.close();
  await expect.poll(() => b.evaluate(async () => (await lab.db.storage.metrics()).upkeep)).toBe(true);
  expect((await b.evaluate(() => lab.db.gc.run())).heldBack).toEqual([]);
  expect((await b.evaluate(() => lab.db.storage.metrics())).versions).toBeLessThan(220);
  expect((await allItems(b)).map(({ n }) => n)).toEqual(Array<number>(200).fill(3));
  await expectClean(b);
});

test("[MV12] a worker that dies is started again: what was acknowledged is there, and live queries go on", async ({
  context,
}) => {
  await context.addInitScript(keepWorkers);
  const tab = await openPage(context);
  await tab.evaluate(async () => {
    globalThis.told = [];
    lab.db.on("error", (e) => told.push(`${e.code} ${String(e.details["lost"])}`));
    globalThis.seen = [];
    lab.db.live((q) => q.collection("items").count()).subscribe((n) => void seen.push(n));
    await lab.items.putMany(Array.from({ length: 300 }, (_, n) => ({ id: n, n })));
    workers.at(-1)!.terminate();
    await lab.items.put({ id: "while dead" }).catch(() => undefined); // nobody may know yet
    await lab.items.put({ id: "after" });
  });
  const ids = (await allItems(tab)).map(({ id }) => id).filter((id) => id !== "while dead");
  expect(ids).toEqual([...upTo(300), "after"]);
  await expect.poll(() => tab.evaluate(() => seen.at(-1))).toBeGreaterThanOrEqual(301);
  expect(await tab.evaluate(() => ({ told, workers: workers.length }))).toEqual({
    told: ["STORAGE_LOST worker"],
    workers: 2,
  });
});
