/** The page with the inspector, built and served, and a browser beside it. */
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";
import { build, preview } from "vite";
import { chromiumLaunch } from "../../../tools/browser-paths.mjs";

const configFile = fileURLToPath(new URL("vite.config.ts", import.meta.url));

export const open = async () => {
  await build({ configFile, logLevel: "warn" });
  const server = await preview({ configFile, preview: { port: 0, strictPort: false } });
  const browser = await chromium.launch(chromiumLaunch);
  const address = server.httpServer.address();
  if (address === null || typeof address === "string") throw new Error("it listens at no port");
  return {
    browser,
    origin: `http://localhost:${address.port}`,
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
};

/**
 * The page once its database is filled.
 * @param {import("playwright").BrowserContext} context
 * @param {string} url
 */
export const ready = async (context, url) => {
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error("page:", error));
  page.on("console", (message) => message.type() === "error" && console.error("console:", message.text()));
  await page.goto(url);
  await page.waitForSelector("body[data-ready]", { timeout: 120_000 });
  return page;
};
