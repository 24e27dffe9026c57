/** What the specs on garbage collection share. */
import { type BrowserContext, expect, type Page } from "@playwright/test";
import { type LabOptions, openTab } from "./lab.ts";

declare global {
  var kept: Awaited<ReturnType<typeof lab.db.readView>>;
  /** Of the run that this page asked for: how often it told of its progress, and what became of it. */
  var steps: number;
  var outcome: Promise<unknown>;
}

export const [records, valueBytes] = [200, 1000] as const;
/** So many versions and bytes go with one round of overwriting, less what a record has besides its value. */
export const roundBytes: number = records * valueBytes;

/** One commit that writes every record anew. */
const writeRound = (page: Page, n: number): Promise<void> =>
  page.evaluate(
    async ([count, bytes, round]) => {
      const value = "v".repeat(bytes);
      await lab.items.putMany(Array.from({ length: count }, (_, i) => ({ id: i, n: round, value })));
    },
    [records, valueBytes, n] as const,
  );

export async function writeRounds(page: Page, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await writeRound(page, n);
}

/** Of every record, by the order of their ids. */
export const numbersIn = (page: Page): Promise<(number | undefined)[]> =>
  page.evaluate(async () => (await lab.items.all()).map(({ n }) => n));

export const everyRecordAt = (n: number): number[] => Array<number>(records).fill(n);

/** Opens a view of all that is committed, and keeps it as `kept`. */
export const keepView = (page: Page): Promise<number> =>
  page.evaluate(async () => {
    globalThis.kept = await lab.db.readView({ fresh: true });
    return kept.seq;
  });

export const metrics = (page: Page) => page.evaluate(() => lab.db.storage.metrics());
export const explain = (page: Page) => page.evaluate(() => lab.db.gc.explain());
export const runGc = (page: Page) => page.evaluate(() => lab.db.gc.run());
export const executions = (page: Page) => page.evaluate(() => lab.db.gc.executions());

/** Begins a run of many small steps in the background: see `steps` and `outcome`. */
export const beginRun = (page: Page): Promise<void> =>
  page.evaluate(() => {
    globalThis.steps = 0;
    const progress = (): void => void steps++;
    globalThis.outcome = lab.db.gc.start({ deleteBatchSize: 20, budgetMs: 1, progress }).report.catch(String);
  });

/** The id of the page's own pin. */
export async function pinOf(page: Page): Promise<string> {
  const { holders } = await explain(page);
  return holders.find(({ isSelf }) => isSelf)!.id;
}

/** One after the other, so that the first is the one that does upkeep. */
export async function openThreeTabs(context: BrowserContext, options: LabOptions = {}): Promise<[Page, Page, Page]> {
  return [await openTab(context, options), await openTab(context, options), await openTab(context, options)];
}

export async function expectClean(page: Page): Promise<void> {
  expect((await page.evaluate(() => lab.db.verify())).damage).toEqual([]);
}

/** Rows of a store of the database, past the engine: to see what it does not list. */
export const storedRows = (page: Page, store: string): Promise<number> =>
  page.evaluate(
    (name) =>
      new Promise<number>((resolve, reject) => {
        const opening = indexedDB.open(`tidemark/${lab.db.name}`);
        opening.addEventListener("error", () => reject(opening.error!));
        opening.addEventListener("success", () => {
          const counting = opening.result.transaction(name).objectStore(name).count();
          counting.addEventListener("success", () => {
            opening.result.close();
            resolve(counting.result);
          });
        });
      }),
    store,
  );

export const kilobytes = (bytes: number): string => `${Math.round(bytes / 1024)} KB`;
