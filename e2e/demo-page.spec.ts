/** The demo as a page: how fast it is there, who can use it, where it leads, and without a network. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, type Page } from "@playwright/test";
import { at, clipped, tabOf, test, violations } from "./demo.ts";
import { openSite } from "./site.ts";

const bothTabs = async (page: Page): Promise<void> => {
  for (const position of [0, 1] as const) await expect(at(tabOf(page, position), "draft-text")).toBeEnabled();
};

/** As it lies in the build; a server of today sends it compressed. */
function sizesOf(url: string): { plain: number; zipped: number } {
  const { pathname } = new URL(url);
  const file = readFileSync(
    new URL(`../apps/playground/dist${pathname === "/" ? "/index.html" : pathname}`, import.meta.url),
  );
  return { plain: file.length, zipped: gzipSync(file).length };
}

test("is there fast: two live tabs, and little that has to be loaded for them", async ({ page, browserName }) => {
  const urls = new Set<string>();
  page.on("request", (request) => urls.add(request.url()));
  await page.goto("/");
  await bothTabs(page);
  const readyMs = await page.evaluate(() => performance.now());
  const sizes = [...urls].filter((url) => url.startsWith("http")).map((url) => sizesOf(url.split("?")[0]!));
  const sum = (of: "plain" | "zipped"): number => sizes.reduce((total, size) => total + size[of], 0);
  console.log(
    `  ${browserName}: both tabs are live after ${readyMs.toFixed(0)} ms and ${sizes.length} files: ${(sum("plain") / 1000).toFixed(0)} kB, gzipped ${(sum("zipped") / 1000).toFixed(0)} kB`,
  );
  expect(sum("plain")).toBeLessThan(700_000);
  expect(sum("zipped")).toBeLessThan(230_000);
  expect(readyMs).toBeLessThan(10_000);
  expect([...urls].filter((url) => url.includes("/data/"))).toEqual([]);
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe has nothing to object to, ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    await page.goto("/#atlas");
    await expect(at(page, "import")).toHaveAttribute("data-done", { timeout: 20_000 });
    await expect(page.locator("[data-flight]").first()).toBeVisible();
    await at(page, "own-sample").click();
    await expect(at(page, "own-table")).toBeVisible();
    await at(page, "kill-open").click();
    await at(page, "neighbour-open").click();
    await expect(at(page, "kill")).toBeVisible();
    const found = [...(await violations(page))];
    await page.goto("/tab.html?role=draft");
    await expect(at(page, "draft-text")).toBeEnabled();
    found.push(...(await violations(page)));
    console.log(`  axe, ${colorScheme}: ${found.length} violations`);
    expect(found).toEqual([]);
  });
}

test("nothing is wider than a phone of 360 px", async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 780 });
  await page.goto("/#atlas");
  await expect(page.locator("[data-flight]").first()).toBeVisible({ timeout: 20_000 });
  const sizes = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  expect(sizes[0]).toBe(sizes[1]); // less than 360 where the bar to scroll by takes room
  const outside = await page.evaluate(() =>
    [...document.querySelectorAll("main *")]
      .filter((e) => !e.closest(".scroll, pre, nav") && e.getBoundingClientRect().right > 361)
      .map((e) => e.outerHTML.slice(0, 80)),
  );
  expect(outside).toEqual([]);
});

for (const width of [360, 820, 1280]) {
  test(`no text is cut off at ${width} px`, async ({ page }) => {
    await page.setViewportSize({ width, height: 800 });
    await page.goto("/?pace=watch&inspect=typing#atlas");
    await expect(page.locator("[data-flight]").first()).toBeVisible({ timeout: 20_000 });
    await at(page, "replay-start").click();
    await expect(at(page, "replay-limit")).toContainText("137,154");
    await at(page, "own-sample").click();
    await expect(at(page, "own-table")).toBeVisible();
    await at(page, "neighbour-open").click();
    await expect(at(page, "neighbour-1")).toContainText(/at work|upkeep/);
    expect(await clipped(page)).toEqual([]);
    await at(page, "replay-stop").click();
  });
}

test("its links lead to sections, and a reload leads back to where one was", async ({ page }) => {
  await page.goto("/");
  const links = page.locator("#sections a");
  const ids = await links.evaluateAll((list) => list.map((link) => (link as HTMLAnchorElement).hash));
  expect(ids).toEqual(await page.locator("main > section").evaluateAll((list) => list.map(({ id }) => `#${id}`)));
  await links.filter({ hasText: "Race" }).click();
  await expect(page).toHaveURL("/#race");
  await expect(page.locator("#race-title")).toBeInViewport();
  await page.locator("#neighbours-title").evaluate((title) => title.scrollIntoView({ behavior: "instant" }));
  await expect(page).toHaveURL("/#neighbours");
  await expect(links.filter({ hasText: "More tabs" })).toHaveAttribute("aria-current");
  await page.reload();
  await expect(page.locator("#neighbours-title")).toBeInViewport();
});

test("once visited it opens without a network, and works", async ({ browser }) => {
  const site = await openSite();
  const context = await browser.newContext({ baseURL: site.origin });
  const page = await context.newPage();
  await page.goto("/");
  await bothTabs(page);
  await at(tabOf(page, 0), "draft-text").pressSequentially("Offline");
  await expect(at(tabOf(page, 0), "draft-commits")).toHaveText("7");
  await page.evaluate(() => navigator.serviceWorker.ready);
  await site.close();
  await expect(fetch(site.origin)).rejects.toThrow();

  await page.goto("/?replay=2000#typing");
  await bothTabs(page);
  await expect(at(tabOf(page, 1), "draft-text")).toHaveValue("Offline");
  await at(page, "replay-start").click();
  await expect(at(page, "replay-verdict")).toHaveAttribute("data-equal", "true", { timeout: 20_000 });
  await context.close();
});

test("can be installed", async ({ page, request }) => {
  await page.goto("/");
  const href = await page.locator("link[rel=manifest]").getAttribute("href");
  const manifest = (await (await request.get(href!)).json()) as {
    name: string;
    display: string;
    icons: { src: string; sizes: string; type: string }[];
  };
  expect(manifest).toMatchObject({ name: "Tidemark playground", display: "standalone" });
  for (const { src, sizes, type } of manifest.icons.filter((icon) => icon.type === "image/png")) {
    const image = await (await request.get(`/${src}`)).body();
    expect(type).toBe("image/png");
    // Width and height stand in the header of a PNG.
    expect(`${image.readUInt32BE(16)}x${image.readUInt32BE(20)}`).toBe(sizes);
  }
});

test("nothing moves while it loads", async ({ page, browserName }) => {
  test.skip(browserName !== "chromium", "Chromium alone tells of what moved");
  await page.addInitScript(() => {
    globalThis.moved = 0;
    new PerformanceObserver((list) => {
      for (const { value } of list.getEntries() as (PerformanceEntry & { value: number })[]) globalThis.moved += value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  for (const address of ["/", "/?at=typing#typing", "/?at=hold#hold", "/?at=race#race"]) {
    await page.goto(address);
    await bothTabs(page);
    await page.waitForTimeout(500);
    expect(await page.evaluate(() => moved), address).toBeLessThan(0.01);
  }
});

declare global {
  /** The sum of all layout shifts so far. */
  var moved: number;
}
