// Builds the page, serves it, and opens it in a real Chromium on a profile of its own.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";
import { build, preview } from "vite";
import { chromiumArgs, chromiumLaunch } from "../tools/browser-paths.mjs";

const root = fileURLToPath(new URL(".", import.meta.url));

/**
 * @typedef {object} Served
 * @property {string} browser name and version
 * @property {(label: string) => Promise<import("playwright").Page>} page opens the page under an origin of its own
 */

/**
 * @template T
 * @param {(served: Served) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withChromium(use) {
  await build({ root, logLevel: "warn" });
  const server = await preview({ root, logLevel: "warn" });
  const port = new URL(server.resolvedUrls?.local[0] ?? server.resolvedUrls?.network[0] ?? "").port;
  // A profile on disk: what Playwright opens otherwise is incognito, where IndexedDB lives in memory.
  const profile = await mkdtemp(path.join(os.tmpdir(), "tidemark-bench-"));
  const context = await chromium.launchPersistentContext(profile, {
    ...chromiumLaunch,
    args: [...chromiumArgs, "--js-flags=--expose-gc"],
  });
  try {
    return await use({
      browser: `Chromium ${context.browser()?.version() ?? ""}`.trim(),
      page: async (label) => {
        const page = await context.newPage();
        page.on("pageerror", (error) => console.error(error));
        // Each origin has storage files and a renderer process of its own, so nothing one leaves behind slows the next.
        await page.goto(`http://${label}.localhost:${port}/`);
        return page;
      },
    });
  } finally {
    await context.close();
    await server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
