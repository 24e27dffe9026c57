import { expect, type Page, test } from "@playwright/test";
import { allItems, openTab, openTwoTabs, smallestMemtable } from "./lab.ts";

const records = 400;

/** Everything the view in `globalThis` sees, read in several ways. */
const readAll = (page: Page): Promise<unknown> =>
  page.evaluate(async () => {
    const items = kept.collection("items");
    return {
      seq: kept.seq,
      all: await items.all(),
      backwards: await items.where("group").between(2, 5).reverse().limit(30).toArray(),
      counts: await Promise.all([0, 1, 2, 3, 6, 100].map((group) => items.where("group").equals(group).count())),
      some: await items.getMany(["item 7", "item 399", "item 400", "new 3"]),
    };
  });

declare global {
  var kept: Awaited<ReturnType<typeof lab.db.readView>>;
}

/** Rewrites every record, moves all to other groups, deletes some, adds others, and folds all of that into blocks. */
const rewrite = (page: Page, round: number): Promise<void> =>
  page.evaluate(
    async (args) => {
      const filler = `${args.round} `.repeat(100);
      const ids = Array.from({ length: args.records }, (_, i) => i);
      await lab.items.putMany(
        ids.map((i) => ({ id: `item ${i}`, group: 100 + (i % 3), n: args.round, value: filler + i })),
      );
      await lab.items.deleteMany(ids.filter((i) => i % 5 === args.round % 5).map((i) => `item ${i}`));
      await lab.items.put({ id: `new ${args.round}`, group: 2, n: args.round });
      await lab.db.checkpoint();
    },
    { round, records },
  );

test("[MV2] a read view stays as it was while another tab rewrites everything and checkpoints fold it", async ({
  context,
}) => {
  const [a, b] = await openTwoTabs(context, smallestMemtable);
  await a.evaluate(async (n) => {
    const filler = "x".repeat(200);
    await lab.items.putMany(
      Array.from({ length: n }, (_, i) => ({ id: `item ${i}`, group: i % 7, n: 0, value: filler + i })),
    );
    globalThis.kept = await lab.db.readView();
  }, records);
  const before = await readAll(a);
  for (let round = 1; round <= 5; round++) {
    const [, meanwhile] = await Promise.all([rewrite(b, round), readAll(a)]);
    expect(meanwhile).toEqual(before);
    expect(await readAll(a)).toEqual(before);
  }
  const { seq, checkpoint } = await a.evaluate(async () => {
    const metrics = await lab.db.storage.metrics();
    return { seq: kept.seq, checkpoint: metrics.checkpoint };
  });
  expect(checkpoint).toBeGreaterThan(seq);
  expect(await allItems(a)).toEqual(await allItems(b));
  expect(await allItems(a)).toHaveLength(records - records / 5 + 5);
});

/** The value below which the given part of the sample lies. */
const percentile = (sample: readonly number[], part: number): number =>
  sample.toSorted((x, y) => x - y)[Math.min(sample.length - 1, Math.floor(sample.length * part))]!;

test("[TB3] a live query fires on the commits of another tab within milliseconds", async ({ context }) => {
  const [a, b] = await openTwoTabs(context);
  const commits = 50;
  const seeing = b.evaluate(async (n) => {
    const seenAt: number[] = [];
    let ready: () => void = () => undefined;
    const first = new Promise<void>((resolve) => (ready = resolve));
    await new Promise<void>((resolve, reject) => {
      lab.db
        .live((q) => q.collection("items").where("group").equals(1).toArray())
        .subscribe({
          next: (items) => {
            seenAt[items.length] ??= lab.now();
            ready();
            if (items.length === n) resolve();
          },
          error: reject,
        });
      void first.then(() => lab.meet("watching", "b", 2));
    });
    return seenAt;
  }, commits);
  const sent = await a.evaluate(async (n) => {
    await lab.meet("watching", "a", 2);
    const times: { calledAt: number; doneAt: number }[] = [];
    for (let i = 0; i < n; i++) {
      const calledAt = lab.now();
      await lab.items.put({ id: i, group: 1 });
      times.push({ calledAt, doneAt: lab.now() });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return times;
  }, commits);
  const seenAt = await seeing;
  const since = (of: "calledAt" | "doneAt"): number[] => sent.map((t, i) => (seenAt[i + 1] ?? Infinity) - t[of]);
  const [total, after] = [since("calledAt"), since("doneAt")];
  const shown = (sample: readonly number[]): string =>
    `p50 ${percentile(sample, 0.5).toFixed(1)} ms, p99 ${percentile(sample, 0.99).toFixed(1)} ms`;
  console.log(`  seen by the other tab's live query: ${shown(total)} after the call, ${shown(after)} after its end`);
  expect(percentile(total, 0.5)).toBeLessThan(100);
  expect(percentile(total, 0.99)).toBeLessThan(1000);
});

test("deleteDatabase ends the handles of every tab; what is opened after it is empty", async ({ context }) => {
  const [a, b] = await openTwoTabs(context);
  await a.evaluate(() => lab.items.putMany([{ id: 1 }, { id: 2 }]));
  const list = (): Promise<unknown> => a.evaluate(() => tidemark.listDatabases());
  expect(await list()).toEqual([{ name: "lab", version: 1 }]);

  const goingOn = b.evaluate(async () => {
    const told = new Promise((resolve) => lab.db.on("closed", resolve));
    await lab.meet("committing", "b", 2);
    for (let n = 0; ; n++) {
      try {
        await lab.items.put({ id: "busy", n });
      } catch (e) {
        const { code, details } = e as InstanceType<typeof tidemark.TidemarkError>;
        return { told: await told, code, details };
      }
    }
  });
  const own = await a.evaluate(async () => {
    const told = new Promise((resolve) => lab.db.on("closed", resolve));
    await lab.meet("committing", "a", 2);
    const calledAt = lab.now();
    await tidemark.deleteDatabase("lab");
    return { ms: lab.now() - calledAt, told: await told };
  });
  const deleted = { reason: "deleted" };
  expect(own.told).toEqual(deleted);
  expect(await goingOn).toEqual({ told: deleted, code: "CLOSED", details: deleted });
  expect(own.ms).toBeLessThan(3000);
  expect(await list()).toEqual([]);

  const reopened = (page: Page): Promise<unknown> =>
    page.evaluate(async () => {
      const db = await tidemark.openDatabase({ ...lab.options, version: 3 });
      const found = await db.collection("items").all();
      await db.collection("items").add({ id: lab.now() });
      return found;
    });
  expect(await reopened(b)).toEqual([]);
  expect(await reopened(a)).toHaveLength(1);
  expect(await list()).toEqual([{ name: "lab", version: 3 }]);
  expect(await allItems(await openTab(context, { db: "lab2" }))).toEqual([]);
  expect(await list()).toEqual([
    { name: "lab", version: 3 },
    { name: "lab2", version: 1 },
  ]);
});
