/** Chromium's processes, to be stopped and killed from outside. */
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
