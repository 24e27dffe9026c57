/** Tabs that stand still as they are: they hold what they held, and answer nobody. */
import type { Browser, BrowserContext, Page } from "@playwright/test";
import { freeze, rendererOf, wake } from "./processes.ts";

declare global {
  /** The page's worker, and the word it waits on: 1 lets it go on. */
  var engine: Worker;
  var word: Int32Array<SharedArrayBuffer>;
}

export interface Frozen {
  /** What it reads and writes from now on waits. */
  readonly freeze: () => Promise<void>;
  readonly wake: () => Promise<void>;
}

/** Before pages are opened: their workers are given a script that obeys, before they load their own. */
export const freezable = (context: BrowserContext): Promise<unknown> =>
  context.addInitScript(() => {
    const Native = globalThis.Worker;
    const moduleOf = (code: string): string => URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const obey = (): void =>
      addEventListener("message", (e: MessageEvent<{ word?: Int32Array<SharedArrayBuffer> }>) => {
        if (!(e.data.word instanceof Int32Array)) return;
        e.stopImmediatePropagation();
        Atomics.wait(e.data.word, 0, 0);
      });
    globalThis.Worker = class extends Native {
      constructor(url: string | URL, options?: WorkerOptions) {
        const first = moduleOf(`(${obey.toString()})();`);
        const own = new URL(url, location.href).href;
        super(moduleOf(`import ${JSON.stringify(first)}; import ${JSON.stringify(own)};`), options);
        globalThis.engine = this;
      }
    };
  });

/**
 * Chromium has a process for each tab, and stops it. In Firefox tabs of one origin share theirs, so the worker alone
 * stands still, and with it all that the tab has of the database.
 */
export async function freezer(browser: Browser, page: Page): Promise<Frozen> {
  if (browser.browserType().name() === "chromium") {
    const renderer = await rendererOf(browser, page);
    return { freeze: async () => freeze(renderer), wake: async () => wake(renderer) };
  }
  return {
    freeze: () =>
      page.evaluate(() => {
        globalThis.word = new Int32Array(new SharedArrayBuffer(4));
        engine.postMessage({ word });
      }),
    wake: () =>
      page.evaluate(() => {
        Atomics.store(word, 0, 1);
        Atomics.notify(word, 0);
      }),
  };
}
