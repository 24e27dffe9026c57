/** The demo as a visitor has it: its pages, and what they complain about. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { expect, type FrameLocator, type Locator, type Page, test as base } from "@playwright/test";
import type axe from "axe-core";

export const at = (page: Page | FrameLocator | Locator, name: string): Locator => page.locator(`[data-test="${name}"]`);

/** One of the two tabs at the top of the page. */
export const tabOf = (page: Page, position: 0 | 1): FrameLocator =>
  page.locator("#two-tabs iframe").nth(position).contentFrame();

/** Every page of a test; what they complain about fails the test. */
export const test = base.extend<{ complaints: string[] }>({
  complaints: [
    async ({ context }, use) => {
      const complaints: string[] = [];
      context.on("console", (message) => {
        if (message.type() === "error") complaints.push(message.text());
      });
      context.on("weberror", (error) => complaints.push(String(error.error())));
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});

/** Data that the demo ships. */
export const dataFile = (name: string): Promise<Buffer> =>
  readFile(new URL(`../apps/playground/public/data/${name}`, import.meta.url));

const axeSource = readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core objects to within `what`. */
export async function violations(page: Page, what = "html"): Promise<string[]> {
  await page.evaluate(await axeSource);
  return page.evaluate(async (selector) => {
    const found = await (globalThis as unknown as { axe: typeof axe }).axe.run(selector);
    return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  }, what);
}
