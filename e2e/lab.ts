/** Opens the playground's lab page: `lab` and `tidemark` in a `page.evaluate` are that page's globals. */
import type { GcSettings, Item } from "../apps/playground/src/lab.ts";
import type { BrowserContext, Page } from "@playwright/test";

export type { Item };

export interface LabOptions {
  readonly db?: string;
  readonly durability?: "relaxed" | "strict";
  /** Small: checkpoints are frequent. */
  readonly memtableMaxBytes?: number;
  readonly gc?: GcSettings;
}

export const smallestMemtable: LabOptions = { memtableMaxBytes: 64 * 1024 };

const addressOf = ({ gc, ...options }: LabOptions): string => {
  const parameters = Object.entries({ ...options, ...(gc ? { gc: JSON.stringify(gc) } : {}) });
  return `/lab.html?${new URLSearchParams(parameters.map(([k, v]) => [k, String(v)])).toString()}`;
};

/** A tab with the lab page; its database is not opened yet. */
export async function openPage(context: BrowserContext, options: LabOptions = {}): Promise<Page> {
  const page = await context.newPage();
  await page.goto(addressOf(options));
  return page;
}

/** A tab with the lab page and its database open. */
export async function openTab(context: BrowserContext, options: LabOptions = {}): Promise<Page> {
  const page = await openPage(context, options);
  await page.evaluate(() => lab.db.open().then(() => undefined));
  return page;
}

/** One after the other, so that the first is the one that does upkeep. */
export async function openTwoTabs(context: BrowserContext, options: LabOptions = {}): Promise<[Page, Page]> {
  return [await openTab(context, options), await openTab(context, options)];
}

/** All records as this tab sees them after looking at the log's head itself. */
export const allItems = (page: Page): Promise<Item[]> =>
  page.evaluate(async () => {
    const view = await lab.db.readView({ fresh: true });
    const all = await view.collection("items").all();
    view.release();
    return all;
  });

/** Commits up to the head, after looking at the log itself. Upkeep's records of the floor do not count. */
export const commitsSoFar = (page: Page): Promise<number> =>
  page.evaluate(async () => {
    const view = await lab.db.readView({ fresh: true });
    view.release();
    const advances = await lab.db.gc.advances();
    if (advances.length === 100) throw new Error("there may have been more advances than are kept");
    return view.seq - advances.filter(({ seq }) => seq <= view.seq).length;
  });

/** IndexedDB's own. WebKit lists one whose making was undone, too, as of version 0. */
export const databasesIn = (page: Page): Promise<unknown[]> =>
  page.evaluate(async () => (await indexedDB.databases()).filter(({ version }) => version !== 0));
