// Builds the pages, serves them, and opens them in a real browser on a profile of its own.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, firefox } from "playwright";
import { build, preview } from "vite";
import { chromiumArgs, chromiumLaunch, firefoxLaunch } from "../tools/browser-paths.mjs";

const root = fileURLToPath(new URL(".", import.meta.url));

/** @typedef {import("../tools/browser-paths.mjs").BrowserName} BrowserName */
/**
 * @typedef {object} Served
 * @property {string} browser name and version
 * @property {string} profile the folder in which it stores everything
 * @property {import("playwright").BrowserContext} context
 * @property {(label: string, path?: string) => Promise<import("playwright").Page>} page opens a page under an origin of its own
 */

const titles = { chromium: "Chromium", firefox: "Firefox" };
const launches = {
  chromium: /** @param {string} profile */ (profile) =>
    chromium.launchPersistentContext(profile, {
      ...chromiumLaunch,
      args: [
        ...chromiumArgs,
        "--js-flags=--expose-gc",
        // Memory is measured when it is asked for, not some time later.
        "--enable-blink-features=ForceEagerMeasureMemory",
      ],
    }),
  firefox: /** @param {string} profile */ (profile) => firefox.launchPersistentContext(profile, firefoxLaunch),
};

/**
 * Runs `use` with a browser, and ends it.
 * @typedef {<T>(use: (served: Served) => Promise<T>) => Promise<T>} Launch
 */

/**
 * Each call of the function handed to `use` starts the browser anew, on the same profile.
 * @template T
 * @param {(launch: Launch) => Promise<T>} use
 * @param {BrowserName} [name]
 * @returns {Promise<T>}
 */
export async function withProfile(use, name = "chromium") {
  await build({ root, logLevel: "error" });
  const server = await preview({ root, logLevel: "warn" });
  const port = new URL(server.resolvedUrls?.local[0] ?? server.resolvedUrls?.network[0] ?? "").port;
  // A profile on disk: what Playwright opens otherwise is incognito, where IndexedDB lives in memory.
  const profile = await mkdtemp(path.join(os.tmpdir(), "tidemark-bench-"));
  try {
    return await use(async (inBrowser) => {
      const context = await launches[name](profile);
      try {
        return await inBrowser({
          browser: `${titles[name]} ${context.browser()?.version() ?? ""}`.trim(),
          profile,
          context,
          page: async (label, at = "") => {
            const page = await context.newPage();
            page.on("pageerror", (error) => console.error(error));
            // Each origin has storage files and a renderer process of its own, so nothing one leaves behind slows the next.
            await page.goto(`http://${label}.localhost:${port}/${at}`);
            return page;
          },
        });
      } finally {
        await context.close();
      }
    });
  } finally {
    await server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/**
 * @template T
 * @param {(served: Served) => Promise<T>} use
 * @param {BrowserName} [name]
 * @returns {Promise<T>}
 */
export const withBrowser = (use, name) => withProfile((launch) => launch(use), name);
