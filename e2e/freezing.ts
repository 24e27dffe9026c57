/** Tabs that stand still as they are: they hold what they held, and answer nobody. */
import type { Browser, BrowserContext, Page } from "@playwright/test";
import { freeze, rendererOf, wake } from "./processes.ts";
import { runFirstInWorkers } from "./workers.ts";

declare global {
  /** What the page's worker waits on: 1 lets it go on. */
  var word: Int32Array<SharedArrayBuffer>;
}

export interface Frozen {
  /** What it reads and writes from now on waits. */
  readonly freeze: () => Promise<void>;
  readonly wake: () => Promise<void>;
}

/** Before pages are opened: from then on their workers can be told to stand still. */
export const freezable = (context: BrowserContext): Promise<unknown> =>
  runFirstInWorkers(context, () =>
    addEventListener("message", (e: MessageEvent<{ word?: Int32Array<SharedArrayBuffer> }>) => {
      if (!(e.data.word instanceof Int32Array)) return;
      e.stopImmediatePropagation();
      Atomics.wait(e.data.word, 0, 0);
    }),
  );

/**
 * Chromium and WebKit have a process for each tab, which is stopped. In Firefox tabs of one origin share theirs, so the
 * worker alone stands still, and with it all that the tab has of the database.
 */
export async function freezer(browser: Browser, page: Page): Promise<Frozen> {
  if (browser.browserType().name() !== "firefox") {
    const renderer = await rendererOf(browser, page);
    // Looking for it keeps its page busy, and in WebKit with it what its worker had under way in IndexedDB.
    await page.waitForTimeout(200);
    return { freeze: async () => freeze(renderer), wake: async () => wake(renderer) };
  }
  return {
    freeze: () =>
      page.evaluate(() => {
        globalThis.word = new Int32Array(new SharedArrayBuffer(4));
        workers.at(-1)!.postMessage({ word });
      }),
    wake: () =>
      page.evaluate(() => {
        Atomics.store(word, 0, 1);
        Atomics.notify(word, 0);
      }),
  };
}
