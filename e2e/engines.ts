/** `test` for specs that run in every engine. Playwright cannot drive a WebKit that is installed; `webdriver.ts` does. */
import { type Browser, test as base } from "@playwright/test";
import { webkitPaths } from "../tools/browser-paths.mjs";
import { WebKitBrowser } from "./webdriver.ts";

const paths = webkitPaths();
const isMissing = "WEBKIT IS MISSING, NOTHING IS TESTED IN IT: see node tools/browsers.mjs";

export const test = base.extend<{ there: void }>({
  there: [
    async ({ browserName }, use, testInfo) => {
      testInfo.skip(browserName === "webkit" && !paths, isMissing);
      await use();
    },
    { auto: true },
  ],
  browser: [
    async ({ playwright, browserName }, use) => {
      const isWebKit = browserName === "webkit";
      // It has what these specs use; what it lacks fails where it is used.
      const webkit = async (): Promise<Browser> => (await WebKitBrowser.launch(paths!)) as unknown as Browser;
      const browser = await (isWebKit ? webkit() : playwright[browserName].launch());
      await use(browser);
      await browser.close();
    },
    { scope: "worker" },
  ],
  context: async ({ browser, baseURL }, use) => {
    const context = await browser.newContext({ baseURL: baseURL! });
    await use(context);
    await context.close();
  },
});
