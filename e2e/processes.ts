/** A browser's processes, to be stopped and killed from outside; Chromium's, but for what says otherwise. */
import { readdirSync, readFileSync } from "node:fs";
import type { Browser, BrowserContext, Page } from "@playwright/test";

/** Of each process that runs pages, the processor time it has used. */
async function renderers(browser: Browser): Promise<Map<number, number>> {
  if (browser.browserType().name() === "webkit") return webProcesses();
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return new Map(processInfo.flatMap((p) => (p.type === "renderer" ? [[p.id, p.cpuTime] as const] : [])));
}

/** WebKit's, of all browsers that descend from this process. */
function webProcesses(): Map<number, number> {
  const all = new Map(
    processIds()
      .flatMap((id) => statOf(id) ?? [])
      .map((stat) => [stat.id, stat]),
  );
  const isOurs = (id: number): boolean => id === process.pid || (all.has(id) && isOurs(all.get(id)!.parent));
  const ours = [...all.values()].filter(({ id, name }) => name.startsWith("WebKitWebProces") && isOurs(id));
  return new Map(ours.map(({ id, ticks }) => [id, ticks]));
}

const processIds = (): number[] => readdirSync("/proc").map(Number).filter(Number.isInteger);

/** See proc_pid_stat(5); undefined where it has just ended. */
function statOf(id: number): { id: number; name: string; parent: number; ticks: number } | undefined {
  const [, name, rest] = /^\d+ \((.*)\) (.*)$/s.exec(contentOf(`/proc/${id}/stat`)) ?? [];
  if (name === undefined) return undefined;
  const fields = rest!.split(" ");
  return { id, name, parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
}

/** Of a file in /proc; empty where its process has just ended. */
function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The process of a page and its workers: the one whose processor time grows while the page burns some. */
export async function rendererOf(browser: Browser, page: Page): Promise<number> {
  const before = await renderers(browser);
  await page.evaluate(() => {
    const until = performance.now() + 400;
    while (performance.now() < until);
  });
  const after = await renderers(browser);
  const grown = [...after].map(([id, used]) => ({ id, by: used - (before.get(id) ?? 0) }));
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
  const ids = processIds().toSorted((x, y) => x - y);
  const found = ids.find((id) => commandOf(id).some((word) => word.endsWith(profile)));
  if (found === undefined) throw new Error(`no browser runs on ${profile}`);
  return found;
}

const commandOf = (id: number): string[] => contentOf(`/proc/${id}/cmdline`).split("\0");
