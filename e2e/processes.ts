/** A browser's processes, to be stopped and killed from outside; all but the last are Chromium's. */
import { readdirSync, readFileSync } from "node:fs";
import type { Browser, BrowserContext, CDPSession, Page } from "@playwright/test";

const renderers = async (session: CDPSession): Promise<Map<number, number>> => {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return new Map(processInfo.flatMap((p) => (p.type === "renderer" ? [[p.id, p.cpuTime] as const] : [])));
};

/** The process of a page and its workers: the one whose processor time grows while the page burns some. */
export async function rendererOf(browser: Browser, page: Page): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  const before = await renderers(session);
  await page.evaluate(() => {
    const until = performance.now() + 400;
    while (performance.now() < until);
  });
  const after = await renderers(session);
  await session.detach();
  const grown = [...after].map(([id, seconds]) => ({ id, by: seconds - (before.get(id) ?? 0) }));
  return grown.reduce((x, y) => (y.by > x.by ? y : x)).id;
}

export async function browserProcessOf(context: BrowserContext): Promise<number> {
  const session = await context.browser()!.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return processInfo.find((p) => p.type === "browser")!.id;
}

const frozen = new Set<number>();

/** Stops a process as it is: it holds what it held, and answers nobody. */
export function freeze(id: number): void {
  process.kill(id, "SIGSTOP");
  frozen.add(id);
}

export function wake(id: number): void {
  if (frozen.delete(id)) process.kill(id, "SIGCONT");
}

/** For after a test that failed: a browser does not close while one of its processes stands still. */
export function wakeAll(): void {
  for (const one of frozen) wake(one);
}

/** Ways to end a tab that give it no chance to clean up; each answers what does it. */
export const waysToEnd: Readonly<
  Record<string, (browser: Browser, context: BrowserContext, page: Page) => Promise<() => void>>
> = {
  "being closed": async (_browser, _context, page) => () => void page.close(),
  "a SIGKILL of its renderer": async (browser, _context, page) => {
    const renderer = await rendererOf(browser, page);
    return () => process.kill(renderer, "SIGKILL");
  },
  "a crash": async (_browser, context, page) => {
    const session = await context.newCDPSession(page);
    return () => void session.send("Page.crash").catch(() => undefined);
  },
};

/** The first of the processes of whichever browser has this profile. */
export function browserProcessOn(profile: string): number {
  const ids = readdirSync("/proc")
    .map(Number)
    .filter(Number.isInteger)
    .toSorted((x, y) => x - y);
  const found = ids.find((id) => commandOf(id).some((word) => word.endsWith(profile)));
  if (found === undefined) throw new Error(`no browser runs on ${profile}`);
  return found;
}

function commandOf(id: number): string[] {
  try {
    return readFileSync(`/proc/${id}/cmdline`, "utf8").split("\0");
  } catch {
    return []; // it has just ended
  }
}
