import { expect, type Page, test } from "@playwright/test";
import { openTab, openTwoTabs } from "./lab.ts";

const commits = 600;
/** So many records the query finds; each commit changes one of them. */
const found = 100;

/** The value below which the given part of the sample lies. */
const percentile = (sample: readonly number[], part: number): number =>
  sample.toSorted((x, y) => x - y)[Math.min(sample.length - 1, Math.floor(sample.length * part))]!;

const shown = (sample: readonly number[]): string =>
  [0.5, 0.99].map((part) => `p${part * 100} ${percentile(sample, part).toFixed(1)} ms`).join(", ");

interface Committed {
  readonly calledAt: number;
  readonly doneAt: number;
}

declare global {
  /** When the live query's result first held this commit, or a later one. */
  var seenAt: number[];
}

const watch = (page: Page): Promise<void> =>
  page.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        globalThis.seenAt = [];
        lab.db
          .live((q) => q.collection("items").where("group").equals(1).toArray())
          .subscribe({
            next: (items) => {
              const at = lab.now();
              const newest = Math.max(...items.map(({ n }) => n ?? -1));
              for (let n = newest; n >= 0 && seenAt[n] === undefined; n--) seenAt[n] = at;
              resolve();
            },
            error: reject,
          });
      }),
  );

const commit = (page: Page): Promise<Committed[]> =>
  page.evaluate(
    async (args) => {
      const times: Committed[] = [];
      for (let n = 0; n < args.commits; n++) {
        const calledAt = lab.now();
        await lab.items.put({ id: `item ${(n * 7) % args.found}`, group: 1, n, value: "x".repeat(100) });
        times.push({ calledAt, doneAt: lab.now() });
        await new Promise((resolve) => setTimeout(resolve, 5 + (n % 7)));
      }
      return times;
    },
    { commits, found },
  );

/** What passed from the call to the callback, and from the commit's end to the callback. */
async function measure(page: Page, watcher: Page): Promise<{ readonly called: number[]; readonly done: number[] }> {
  await page.evaluate(
    (n) => lab.items.putMany(Array.from({ length: n }, (_, i) => ({ id: `item ${i}`, group: 1, n: -1 }))),
    found,
  );
  await watch(watcher);
  const sent = await commit(page);
  await expect.poll(() => watcher.evaluate(() => seenAt.length)).toBe(commits);
  const seenAt = await watcher.evaluate(() => globalThis.seenAt);
  const since = (of: keyof Committed): number[] => sent.map((t, n) => seenAt[n]! - t[of]);
  return { called: since("calledAt"), done: since("doneAt") };
}

test("[TB3] a live query's callback comes within milliseconds of a commit in another tab", async ({ context }) => {
  const [a, b] = await openTwoTabs(context);
  const { called, done } = await measure(a, b);
  console.log(`  another tab's callback: ${shown(called)} after the call, ${shown(done)} after the commit's end`);
  expect(percentile(called, 0.5)).toBeLessThan(50);
  expect(percentile(called, 0.99)).toBeLessThan(500);
});

test("[TB3] a live query's callback comes within milliseconds of a commit in its own tab", async ({ context }) => {
  const page = await openTab(context);
  const { called, done } = await measure(page, page);
  console.log(`  the same tab's callback: ${shown(called)} after the call, ${shown(done)} after the commit's end`);
  expect(percentile(called, 0.5)).toBeLessThan(50);
  expect(percentile(called, 0.99)).toBeLessThan(500);
});

test("[TB3] of 10 000 records one changes: the callback comes soon after what reading them takes, with all others as they were", async ({
  context,
}) => {
  const page = await openTab(context);
  const { reads, callbacks, kept } = await page.evaluate(async () => {
    const records = 10_000;
    const item = (i: number, n: number): Item => ({ id: `item ${i}`, group: i % 100, n, value: "x".repeat(60) });
    type Item = Parameters<typeof lab.items.put>[0];
    await lab.items.putMany(Array.from({ length: records }, (_, i) => item(i, 0)));
    await lab.db.checkpoint();
    let heard: (items: readonly Item[]) => void = () => undefined;
    const next = (): Promise<readonly Item[]> => new Promise((resolve) => (heard = resolve));
    const first = next();
    lab.db.live((q) => q.collection("items").all()).subscribe((items) => heard(items));
    let before = await first;
    const result = { reads: [] as number[], callbacks: [] as number[], kept: [] as number[] };
    for (let i = 0; i < 60; i++) {
      const readAt = lab.now();
      await lab.items.all();
      result.reads.push(lab.now() - readAt);
      const coming = next();
      await lab.items.put(item((i * 37) % records, i + 1));
      const doneAt = lab.now();
      const items = await coming;
      result.callbacks.push(lab.now() - doneAt);
      const old = new Set(before);
      result.kept.push(items.filter((one) => old.has(one)).length);
      before = items;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return result;
  });
  console.log(`  10 000 records: read in ${shown(reads)}; callback ${shown(callbacks)} after the commit's end`);
  expect(new Set(kept)).toEqual(new Set([9999]));
  expect(percentile(callbacks, 0.5)).toBeLessThan(3 * percentile(reads, 0.5));
});
