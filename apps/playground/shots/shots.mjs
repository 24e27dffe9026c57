// Pictures of the demo's section "Look inside", light, dark and on a phone, to be looked at:
//
//   pnpm --filter @tidemark/playground run shots
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";
import { build, preview } from "vite";
import { chromiumLaunch } from "../../../tools/browser-paths.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = fileURLToPath(new URL("../../../node_modules/.cache/demo-pictures/", import.meta.url));
mkdirSync(folder, { recursive: true });

await build({ root, logLevel: "warn" });
const server = await preview({ root, preview: { port: 0, strictPort: false } });
const address = server.httpServer.address();
if (address === null || typeof address === "string") throw new Error("it listens at no port");
const origin = `http://localhost:${address.port}`;
const chunk = /assets\/inspector-/;
const browser = await chromium.launch(chromiumLaunch);

/** @param {import("playwright").Page} page */
const topOf = (page) =>
  page.locator("#inspect").evaluate((section) => section.getBoundingClientRect().top + globalThis.scrollY);

for (const [kind, colorScheme, width] of /** @type {const} */ ([
  ["light", "light", 1360],
  ["dark", "dark", 1360],
  ["tablet", "light", 820],
  ["phone", "light", 390],
  ["phone-dark", "dark", 390],
])) {
  // As high as the section: for a picture of what is higher than the screen, a touch screen would be one no more.
  const viewport = { width, height: 2600 };
  const context = await browser.newContext({ colorScheme, viewport, hasTouch: width < 900 });
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(`${kind}:`, error));
  await page.goto(origin);
  await page.locator("[data-test=import][data-done]").waitFor();
  await page.locator("[data-test=replay-limit]").selectOption("2000");
  await page.locator("[data-test=replay-pace]").selectOption("group");
  await page.locator("[data-test=replay-start]").click();
  await page.locator("[data-test=replay-verdict][data-equal]").waitFor();
  const section = page.locator("#inspect");
  const top = await topOf(page);

  /** @param {string} state */
  const shoot = async (state) => {
    await section.screenshot({ path: `${folder}${state}-${kind}.png` });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) console.error(`${state}, ${kind}: ${wide} px wider than the screen`);
    const moved = (await topOf(page)) - top;
    if (Math.abs(moved) > 0.5) console.error(`${state}, ${kind}: what is above it moved by ${moved} px`);
  };

  await shoot("closed");
  /** @type {() => void} */
  let answer = () => undefined;
  /** @type {Promise<void>} */
  const isTime = new Promise((resolve) => (answer = resolve));
  await page.route(chunk, (route) => isTime.then(() => route.continue()));
  await page.locator("[data-test=inspect]").click();
  await section.locator(".skeleton").waitFor();
  await shoot("loading");
  answer();
  await page.locator("tidemark-inspector [data-collection]").first().waitFor();
  for (const panel of ["overview", "records", "floor", "gc", "storage", "live"]) {
    await page.locator(`#tab-${panel}`).click();
    if (panel === "gc") await page.locator("[data-test=run]").click();
    await page.waitForTimeout(1500);
    await shoot(panel);
  }
  await page.locator("[data-test=inspect-database]").selectOption("atlas");
  await page.locator("#tab-overview").click();
  await page.locator("[data-collection=flights]").waitFor();
  await shoot("atlas");
  await page.screenshot({ path: `${folder}page-${kind}.png`, fullPage: true });

  const unlucky = await context.newPage();
  await unlucky.route(chunk, (route) => route.abort());
  await unlucky.goto(`${origin}/#inspect=typing`);
  await unlucky.locator("#inspect").getByRole("alert").waitFor();
  await unlucky.locator("#inspect").screenshot({ path: `${folder}failed-${kind}.png` });
  await context.close();
}
await browser.close();
await server.close();
console.log(`see ${folder}`);
