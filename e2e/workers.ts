/** The workers that pages start, and what these run before their own code. */
import type { BrowserContext } from "@playwright/test";

declare global {
  /** Those that the page has started, in order. */
  var workers: Worker[];
}

/** Runs in a page, before it starts any. `first`: a script that each of them runs before its own. */
export const keepWorkers = (first = ""): void => {
  const Native = globalThis.Worker;
  const moduleOf = (code: string): string => URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const behindFirst = (url: string | URL): string => {
    const all = [moduleOf(first), new URL(url, location.href).href];
    return moduleOf(all.map((one) => `import ${JSON.stringify(one)};`).join(" "));
  };
  globalThis.workers = [];
  globalThis.Worker = class extends Native {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(first === "" ? url : behindFirst(url), options);
      workers.push(this);
    }
  };
};

/** Before pages are opened. `first` uses nothing from around it. */
export const runFirstInWorkers = (context: BrowserContext, first: () => void): Promise<unknown> =>
  context.addInitScript(keepWorkers, `(${first.toString()})();`);
