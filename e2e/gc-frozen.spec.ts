import { type Browser, expect, type Page } from "@playwright/test";
import { test } from "./engines.ts";
import {
  everyRecordAt,
  expectClean,
  explain,
  keepView,
  kilobytes,
  metrics,
  numbersIn,
  openThreeTabs,
  pinOf,
  records,
  runGc,
  writeRounds,
} from "./gc.ts";
import { type LabOptions, smallestMemtable } from "./lab.ts";
import { freezable, type Frozen, freezer } from "./freezing.ts";
import { wakeAll } from "./processes.ts";

declare global {
  var seen: number[];
  var openTransaction: Promise<unknown>;
  var goOn: () => void;
}

/** Beside the view `kept`: a live query on record 0, and a transaction that has read it and waits for `goOn`. */
const leaveThingsOpen = (page: Page): Promise<void> =>
  page.evaluate(async () => {
    globalThis.seen = [];
    lab.db.live(async (q) => (await q.collection("items").get(0))?.n ?? -1).subscribe((n) => void seen.push(n));
    const go = new Promise<void>((resolve) => (globalThis.goOn = resolve));
    const reads: unknown[] = [];
    await new Promise<void>((resolve) => {
      globalThis.openTransaction = lab.db
        .transaction(async (tx) => {
          const items = tx.collection("items");
          reads.push((await items.get(0))?.n);
          resolve();
          await go;
          reads.push(...new Set((await items.where().below(1000).toArray()).map(({ n }) => n)));
          await items.put({ id: "by transaction", n: 1 });
        })
        .then(
          () => reads,
          (e: unknown) => String(e),
        );
    });
  });

/** All at once as it wakes: the view that is no more, and everything that goes on without it. */
const whatItSaysAwake = (page: Page) =>
  page.evaluate(async () => {
    goOn();
    const told = (e: unknown) => (tidemark.isTidemarkError(e) ? { code: e.code, details: e.details } : String(e));
    const old = Promise.all(
      [0, 1, 150].map(async (id) => {
        const answers: unknown[] = [];
        for (let i = 0; i < 5; i++)
          answers.push(
            await kept
              .collection("items")
              .get(id)
              .then((x) => x?.n, told),
          );
        return answers;
      }),
    );
    const plain = lab.items.all();
    const written = lab.items.put({ id: "by itself", n: 1 });
    const transaction = await openTransaction;
    await written;
    const view = await lab.db.readView();
    const anew = await view.collection("items").count();
    view.release();
    return { old: await old, plain: (await plain).map(({ n }) => n), transaction, anew };
  });

interface Stopped {
  readonly seq: number;
  readonly pin: string;
  readonly wake: Frozen["wake"];
}

/** The second of three tabs is stopped while it reads and writes. */
const stopAmidReading = async (browser: Browser, [a, b]: readonly [Page, Page, Page]): Promise<Stopped> => {
  await writeRounds(a, 0, 0);
  await runGc(a);
  const { freeze, wake } = await freezer(browser, b);
  const [seq, pin] = [await keepView(b), await pinOf(b)];
  await leaveThingsOpen(b);
  await freeze();
  return { seq, pin, wake };
};

/** It has been evicted; now it wakes. */
const expectItGoesOn = async (
  b: Page,
  { seq, wake }: Stopped,
  eviction: { readonly evictedBy: string; readonly logSeq: number },
  n: number,
): Promise<void> => {
  const awake = whatItSaysAwake(b);
  await wake();
  const { old, plain, transaction, anew } = await awake;
  const evicted = {
    code: "READ_VIEW_EVICTED",
    details: { viewSeq: seq, floor: expect.any(Number) as unknown, ...eviction },
  };
  for (const answers of old) {
    // Right as of then until the tab has looked, which the first read makes it do; an error ever after.
    const rightOnes = answers.filter((answer) => answer === 0).length;
    expect(answers).toEqual([
      ...Array<number>(rightOnes).fill(0),
      ...Array.from({ length: 5 - rightOnes }, () => evicted),
    ]);
    expect(rightOnes).toBeLessThan(3);
  }
  expect(plain.slice(0, records)).toEqual(everyRecordAt(n));
  expect(transaction).toEqual([0, n, n]); // its body was run again, all of it at the head
  expect(anew).toBe(records + 2);
  await expect.poll(() => b.evaluate(() => seen.at(-1))).toBe(n);
  const told = await b.evaluate(() => seen);
  expect(told).toEqual([...new Set(told)].toSorted((x, y) => x - y)); // never backwards
  // And it takes part as before.
  await writeRounds(b, n + 1, n + 1);
  await expect.poll(() => b.evaluate(() => seen.at(-1))).toBe(n + 1);
};

const rounds = 5;

test.afterEach(wakeAll);

test("[TB5][VG13] a frozen tab that is evicted holds nothing back, and goes on when it wakes", async ({
  browser,
  context,
}) => {
  await freezable(context);
  const [a, b, c] = await openThreeTabs(context);
  const stopped = await stopAmidReading(browser, [a, b, c]);
  await writeRounds(a, 1, rounds);
  const report = await runGc(c);
  expect(report).toMatchObject({ deleted: 0, heldBack: [{ id: stopped.pin, kind: "pin" }] });
  const [first] = (await explain(c)).holders;
  expect(first!.id).toBe(stopped.pin);
  expect(first!.seq).toBeLessThanOrEqual(stopped.seq); // it was not asked to raise its pin since it opened the view
  const full = await metrics(a);

  // Not the tab that does upkeep.
  await c.evaluate((id) => lab.db.gc.evict(id), stopped.pin);
  const done = await runGc(c);
  const after = await metrics(a);
  console.log(`  ${kilobytes(full.blockBytes)} in blocks before, ${kilobytes(after.blockBytes)} after`);
  expect(after.floor).toBeGreaterThan(stopped.seq);
  expect(after.versions).toBeLessThan(records + 10);
  expect(after.blockBytes).toBeLessThan(full.blockBytes / rounds);
  expect(done.heldBack).toEqual([]);
  const evictedBy = (await pinOf(c)).replace("pin/", "");
  const advance = (await c.evaluate(() => lab.db.gc.advances())).find(({ evicted }) => evicted.length > 0)!;
  expect(advance).toMatchObject({ evicted: [stopped.pin], by: evictedBy });

  await expectItGoesOn(b, stopped, { evictedBy, logSeq: advance.seq }, rounds);
  expect((await explain(b)).holders.filter(({ isSelf }) => isSelf)).toHaveLength(1);
  await expect.poll(async () => (await numbersIn(a)).slice(0, records)).toEqual(everyRecordAt(rounds + 1));
  await expectClean(a);
});

test("[TB5] a frozen tab that holds back more commits than it may is evicted without being told to", async ({
  browser,
  context,
}) => {
  await freezable(context);
  const limited: LabOptions = { ...smallestMemtable, gc: { debtMaxCommits: 200 } };
  const [a, b, c] = await openThreeTabs(context, limited);
  const stopped = await stopAmidReading(browser, [a, b, c]);
  const isHeld = async (): Promise<boolean> => (await explain(a)).holders.some(({ id }) => id === stopped.pin);
  const inSmallCommits = (n: number, from: number, to: number): Promise<void> =>
    a.evaluate(
      async ([round, first, end]) => {
        const value = "v".repeat(1000);
        for (let i = first; i < end; i++) await lab.items.put({ id: i, n: round, value });
      },
      [n, from, to] as const,
    );
  await inSmallCommits(1, 0, 150);
  await a.evaluate(() => lab.db.checkpoint());
  expect(await isHeld()).toBe(true);
  await inSmallCommits(1, 150, records);
  await inSmallCommits(2, 0, records);
  await expect.poll(isHeld).toBe(false);
  const advance = (await a.evaluate(() => lab.db.gc.advances())).find(({ evicted }) => evicted.length > 0)!;
  expect(advance).toMatchObject({ evicted: [stopped.pin], by: "upkeep" });
  console.log(`  evicted ${advance.seq - stopped.seq} commits behind`);
  await expect.poll(async () => (await metrics(a)).versions, { timeout: 8000 }).toBeLessThan(2 * records);
  await expectItGoesOn(b, stopped, { evictedBy: "upkeep", logSeq: advance.seq }, 2);
  await expectClean(a);
});
