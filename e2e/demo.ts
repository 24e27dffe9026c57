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

/** Texts of the page that are cut off: by what surrounds them and cannot be scrolled, or by the field that they stand in. */
export const clipped = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const arrowPx = 16;
    const pen = document.createElement("canvas").getContext("2d")!;
    const fields = [...document.querySelectorAll("select")].flatMap((field) => {
      const style = getComputedStyle(field);
      const text = field.selectedOptions[0]?.text ?? "";
      pen.font = style.font;
      const roomPx = field.clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight);
      return field.checkVisibility() && pen.measureText(text).width > roomPx - arrowPx ? [text] : [];
    });
    const frameOf = (element: Element | null): Element | undefined => {
      for (let outer = element; outer; outer = outer.parentElement)
        if (getComputedStyle(outer).overflowX !== "visible") return outer;
      return undefined;
    };
    const isCut = (node: Node): boolean => {
      if (!node.textContent?.trim() || !node.parentElement?.checkVisibility()) return false;
      const frame = frameOf(node.parentElement);
      if (!frame || ["auto", "scroll"].includes(getComputedStyle(frame).overflowX)) return false;
      const range = document.createRange();
      range.selectNodeContents(node);
      const [text, room] = [range.getBoundingClientRect(), frame.getBoundingClientRect()];
      return text.width > 0 && (text.right > room.right + 1 || text.left < room.left - 1);
    };
    const texts: string[] = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) if (isCut(walker.currentNode)) texts.push(walker.currentNode.textContent!);
    return [...fields, ...texts];
  });
