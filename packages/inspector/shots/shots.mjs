// Pictures of every panel, light, dark and on a phone, to be looked at:
//
//   pnpm --filter @tidemark/inspector run shots [records] [panel…]
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { open, ready } from "./site.mjs";

const [records = "3000", ...asked] = process.argv.slice(2);
const panels = asked.length > 0 ? asked : ["overview", "records", "floor", "gc", "storage", "live"];
const folder = fileURLToPath(new URL("../../../node_modules/.cache/inspector-pictures/", import.meta.url));
mkdirSync(folder, { recursive: true });

/** @type {Record<string, (page: import("playwright").Page) => Promise<unknown>>} */
const prepare = {
  records: async (page) => {
    await page.getByLabel("Key, or what").fill("order-0000003");
    await page.getByRole("button", { name: "Go to it" }).click();
    await page.locator(".version").first().waitFor();
    await page.getByRole("button", { name: "Ask for proofs" }).click();
    await page.getByText(/A dry run lists/).waitFor();
  },
  floor: async (page) => {
    await page.getByRole("button", { name: "Explain" }).first().click();
    await page.getByRole("button", { name: "Evict…" }).first().click();
    await page.locator("#panel-floor .uplot canvas").waitFor();
  },
  gc: async (page) => {
    await page.evaluate(() => /** @type {any} */ (globalThis).db.snapshots.delete("before the stocktaking"));
    await page.getByRole("button", { name: "List proofs" }).click();
    await page.locator("[data-test=proof-table]").waitFor();
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.locator("[data-test=result]").waitFor({ timeout: 60_000 });
    await page.waitForTimeout(1500);
  },
  storage: (page) => page.locator("#panel-storage .uplot canvas").waitFor(),
};

/** States that a filled database does not show by itself. @type {Record<string, (page: import("playwright").Page) => Promise<unknown>>} */
const states = {
  proofs: async (page) => {
    await page.evaluate(() => /** @type {any} */ (globalThis).db.snapshots.delete("monday"));
    await page.locator("#tab-gc").click();
    await page.getByRole("button", { name: "List proofs" }).click();
    await page.locator("[data-test=proof-table]").waitFor();
  },
  paused: async (page) => {
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.waitForTimeout(1500);
  },
  end: async (page) => {
    await page.locator("#tab-records").click();
    await page.locator(".records").focus();
    await page.keyboard.press("End");
    await page.locator(".version").first().waitFor();
    await page.mouse.wheel(0, 0);
    await page.locator(".records").evaluate((list) => list.scrollTo(0, list.scrollHeight / 2));
    await page.waitForTimeout(3000);
  },
  closed: async (page) => {
    await page.locator("#tab-overview").click();
    await page.evaluate(() => /** @type {any} */ (globalThis).db.close());
    await page.getByText("The database is closed.").waitFor();
  },
  empty: (page) => page.locator("tidemark-inspector").evaluate((e) => Object.assign(e, { database: undefined })),
};

const site = await open();
for (const [kind, colorScheme, width] of /** @type {const} */ ([
  ["light", "light", 1120],
  ["dark", "dark", 1120],
  ["phone", "light", 390],
  ["narrow", "dark", 360],
])) {
  const context = await site.browser.newContext({
    colorScheme,
    viewport: { width, height: 900 },
    deviceScaleFactor: 1,
  });
  const page = await ready(context, `${site.origin}/?records=${records}`);
  await page.getByRole("tablist").waitFor();
  for (const panel of panels) {
    await page.locator(`#tab-${panel}`).click();
    await page.waitForTimeout(2500);
    await prepare[panel]?.(page);
    await page.screenshot({ path: `${folder}${panel}-${kind}.png`, fullPage: true });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) console.error(`${panel}, ${kind}: ${wide} px wider than the screen`);
  }
  for (const [name, show] of Object.entries(asked.length === 0 ? states : {})) {
    await show(page);
    await page.screenshot({ path: `${folder}state-${name}-${kind}.png`, fullPage: true });
  }
  await context.close();
}
await site.close();
console.log(`see ${folder}`);
