import { expect, type Page, test } from "@playwright/test";
import { allItems, openTab, openTwoTabs } from "./lab.ts";

/** Increments the counter so often, all started in one go; answers what failed. */
const increment = (page: Page, times: number): Promise<string[]> =>
  page.evaluate(async (n) => {
    const all = Array.from({ length: n }, () => lab.items.update("counter", (r) => ({ ...r, n: (r.n ?? 0) + 1 })));
    const done = await Promise.allSettled(all);
    return done.flatMap((d) => (d.status === "rejected" ? [String(d.reason)] : []));
  }, times);

test("[MV3] 2000 increments of one key, racing in two tabs, all succeed and none is lost", async ({ context }) => {
  const [a, b] = await openTwoTabs(context);
  await a.evaluate(() => lab.items.put({ id: "counter", n: 0 }));
  const startedAt = performance.now();
  const failures = await Promise.all([increment(a, 1000), increment(b, 1000)]);
  console.log(`  2000 racing increments: ${Math.round(performance.now() - startedAt)} ms`);
  expect(failures).toEqual([[], []]);
  expect(await allItems(a)).toEqual([{ id: "counter", n: 2000 }]);
  expect(await allItems(b)).toEqual([{ id: "counter", n: 2000 }]);
});

test("[MV3] two tabs that change one key one after another, as fast as they can, both get through", async ({
  context,
}) => {
  const [a, b] = await openTwoTabs(context);
  await a.evaluate(() => lab.items.put({ id: "counter", n: 0 }));
  const incrementInTurn = (page: Page): Promise<string[]> =>
    page.evaluate(async () => {
      const failures: string[] = [];
      for (let i = 0; i < 200; i++) {
        await lab.items
          .update("counter", (r) => ({ ...r, n: (r.n ?? 0) + 1 }))
          .catch((e: unknown) => failures.push(String(e)));
      }
      return failures;
    });
  expect(await Promise.all([incrementInTurn(a), incrementInTurn(b)])).toEqual([[], []]);
  expect(await allItems(b)).toEqual([{ id: "counter", n: 400 }]);
});

interface Counted {
  /** `tx.attempt` of each run of the body. */
  readonly attempts: number[];
  /** How many records it saw in the range at last. */
  readonly seen: number;
}

/** Counts group 1, waits until all three have, then writes `item`. */
const countThenPut = (
  page: Page,
  who: string,
  item: object,
  isolation: "serializable" | "snapshot",
): Promise<Counted> =>
  page.evaluate(
    async (args) => {
      const attempts: number[] = [];
      const seen = await lab.db.transaction(
        async (tx) => {
          attempts.push(tx.attempt);
          const items = tx.collection("items");
          const n = await items.where("group").equals(1).count();
          await lab.meet("counted", args.who, 3);
          await items.put(args.item);
          return n;
        },
        { isolation: args.isolation },
      );
      return { attempts, seen };
    },
    { who, item: item as { id: string; group: number }, isolation },
  );

/** Three tabs count group 1, which holds 3 records; two then insert into it, the third moves a record out of it. */
const raceInRange = async (pages: readonly Page[], isolation: "serializable" | "snapshot"): Promise<Counted[]> => {
  await pages[0]!.evaluate(() => lab.items.putMany(["x", "y", "z"].map((id) => ({ id, group: 1 }))));
  const writes = [
    { id: "a", group: 1 },
    { id: "b", group: 1 },
    { id: "x", group: 2 },
  ];
  return Promise.all(pages.map((page, i) => countThenPut(page, `tab ${i}`, writes[i]!, isolation)));
};

/** What the three see when they run one after the other, for each order of theirs. */
const serialCounts = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
].map((order) => {
  const seen: number[] = [];
  let size = 3;
  for (const tab of order) {
    seen[tab] = size;
    size += tab === 2 ? -1 : 1;
  }
  return seen;
});

const groupSizes = async (page: Page): Promise<number[]> => {
  const all = await allItems(page);
  return [1, 2].map((group) => all.filter((item) => item.group === group).length);
};

test("[MV3] of three that counted a range and then change it, one commits at once and the others run again", async ({
  context,
}) => {
  const pages = [...(await openTwoTabs(context)), await openTab(context)];
  const counted = await raceInRange(pages, "serializable");
  expect(counted.filter(({ attempts }) => attempts.length === 1)).toHaveLength(1);
  for (const { attempts } of counted) expect(attempts).toEqual(attempts.map((_, i) => i));
  expect(await groupSizes(pages[0]!)).toEqual([4, 1]);
  expect(await groupSizes(pages[2]!)).toEqual([4, 1]);
  // One after the other, in some order: two add one record to the range, the third takes one out.
  expect(serialCounts).toContainEqual(counted.map((c) => c.seen));
});

test("[MV3] a record that leaves a range conflicts with who counted it", async ({ context }) => {
  const [a, b] = await openTwoTabs(context);
  await a.evaluate(() => lab.items.putMany(["x", "y", "z"].map((id) => ({ id, group: 1 }))));
  const counting = a.evaluate(async () => {
    const seen: number[] = [];
    await lab.db.transaction(async (tx) => {
      const items = tx.collection("items");
      seen.push(await items.where("group").equals(1).count());
      await lab.meet("counted", "a", 2);
      await lab.meet("moved", "a", 2);
      await items.put({ id: "a", group: 1 });
    });
    return seen;
  });
  await b.evaluate(async () => {
    await lab.meet("counted", "b", 2);
    await lab.items.update("x", { group: 2 });
    await lab.meet("moved", "b", 2);
  });
  expect(await counting).toEqual([3, 2]);
  expect(await groupSizes(b)).toEqual([3, 1]);
});

test("[MV3] with isolation 'snapshot' only what is written is validated", async ({ context }) => {
  const pages = [...(await openTwoTabs(context)), await openTab(context)];
  const counted = await raceInRange(pages, "snapshot");
  expect(counted).toEqual(pages.map(() => ({ attempts: [0], seen: 3 })));
  expect(await groupSizes(pages[1]!)).toEqual([4, 1]);
});
