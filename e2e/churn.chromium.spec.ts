/** Three tabs at work at full speed: what memory and storage hold is bounded, and the same whenever all is deleted. */
import { expect, type Page, test } from "@playwright/test";
import { type Footprint, Footprints } from "./footprint.ts";
import { openPage } from "./lab.ts";

/** `CHURN_SECONDS=300` is the long form. */
const seconds = Number(process.env["CHURN_SECONDS"] ?? 4);
const megabyte = 2 ** 20;
const parts = 4;

/** Works for so long, as fast as it can; ends what it has begun. Answers how much it did. */
const work = (page: Page, ms: number): Promise<number> =>
  page.evaluate(async (forMs) => {
    const below = (n: number): number => Math.floor(Math.random() * n);
    const id = (): number => below(500);
    const { db, items } = lab;
    const deeds: readonly (() => Promise<unknown>)[] = [
      () => {
        const value = "x".repeat(below(2000));
        return items.putMany([...new Set([id(), id(), id()])].map((key) => ({ id: key, group: below(50), value })));
      },
      () => items.update(id(), (row) => ({ ...row, n: (row.n ?? 0) + 1 })),
      () => items.deleteMany([id(), id()]),
      () => items.where("group").between(10, 15).toArray(),
      () => db.transaction((tx) => tx.collection("items").upsert(id(), (row) => ({ ...row, id: row?.id ?? id() }))),
    ];
    const open: (() => void)[] = [];
    const until = performance.now() + forMs;
    let done = 0;
    for (; performance.now() < until; done++) {
      await deeds[below(deeds.length)]!().catch((e: unknown) => {
        if (!tidemark.isTidemarkError(e, "KEY_INVALID")) throw e; // another tab's record may be there meanwhile
      });
      if (done % 8 === 0) {
        const group = below(50);
        open.push(
          db.live((q) => q.collection("items").where("group").equals(group).count()).subscribe(() => undefined),
        );
        const view = await db.readView();
        open.push(() => view.release());
      }
      while (open.length > 6) open.shift()!();
    }
    for (const end of open) end();
    return done;
  }, ms);

interface Stored {
  readonly logEntries: number;
  readonly memtableBytes: number;
  readonly storedBytes: number;
}

const stored = (page: Page): Promise<Stored> =>
  page.evaluate(async () => {
    const { logEntries, memtableBytes, logBytes, blockBytes, blobBytes } = await lab.db.storage.metrics();
    return { logEntries, memtableBytes, storedBytes: logBytes + blockBytes + blobBytes };
  });

/** All is deleted and collected, and timers have ended. */
async function rest(pages: readonly [Page, ...Page[]]): Promise<void> {
  await pages[0].evaluate(() => lab.items.clear());
  await pages[0].evaluate(() => lab.db.gc.run());
  await pages[0].waitForTimeout(1100);
  for (const page of pages) expect(await page.evaluate(() => lab.items.count())).toBe(0);
}

test("[SS4] three tabs at work end where they were", async ({ context }) => {
  test.setTimeout(60_000 + seconds * 4000);
  const pages = [await openPage(context), await openPage(context), await openPage(context)] as const;
  const footprints = await Promise.all(pages.map((page) => Footprints.of(page)));
  for (const page of pages) await page.evaluate(() => lab.db.open().then(() => undefined));
  const rests: Footprint[][] = [];
  const most = { logEntries: 0, memtableBytes: 0, storedBytes: 0 };
  let done = 0;
  for (let part = 0; part < parts; part++) {
    done += (await Promise.all(pages.map((page) => work(page, (seconds * 1000) / parts)))).reduce((a, b) => a + b, 0);
    const now = await stored(pages[1]);
    for (const what of ["logEntries", "memtableBytes", "storedBytes"] as const)
      most[what] = Math.max(most[what], now[what]);
    await rest(pages);
    const looks: Footprint[] = [];
    for (const of of footprints) looks.push(await of.look());
    rests.push(looks);
    const inMegabytes = looks.map(
      (l) => `${(l.pageBytes / megabyte).toFixed(2)}/${(l.workerBytes / megabyte).toFixed(2)}`,
    );
    const { storedBytes } = await stored(pages[0]);
    console.log(`  ${done} calls; at rest, page/worker MB: ${inMegabytes.join(", ")}; ${storedBytes} bytes stored`);
  }
  console.log(`  when they worked: ${JSON.stringify(most)}`);
  expect(most.storedBytes).toBeLessThan(16 * megabyte);
  const { logEntries, storedBytes } = await stored(pages[0]);
  expect(logEntries).toBeLessThanOrEqual(1);
  expect(storedBytes).toBeLessThan(64 * 1024);
  for (const [tab, end] of rests[parts - 1]!.entries()) {
    const middle = rests[parts / 2 - 1]![tab]!;
    expect(end.pageBytes - middle.pageBytes).toBeLessThan(megabyte);
    expect(end.workerBytes - middle.workerBytes).toBeLessThan(megabyte);
    expect(end.locks).toEqual(middle.locks);
    expect(end.metaRows.filter((row) => row !== "manifest/…")).toEqual(
      middle.metaRows.filter((row) => row !== "manifest/…"),
    );
    for (const type of ["MessagePort", "AbortSignal", "Promise"] as const) {
      expect(end.page[type] - middle.page[type]).toBeLessThan(50);
      expect(end.worker![type] - middle.worker![type]).toBeLessThan(200);
    }
  }
});
