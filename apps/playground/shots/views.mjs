// What is to be seen of the demo, and how to get there.

/** @typedef {(what?: string) => Promise<void>} Shoot takes a picture of the screen, or of one element */
/** @typedef {import("playwright").Page} Page */
/** @typedef {{ address?: string, show: (page: Page, shoot: Shoot) => Promise<void> }} View */

/** @param {Page} page @param {string} name */
const at = (page, name) => page.locator(`[data-test="${name}"]`);

/** @param {Page} page @param {number} n */
const text = (page, n) => page.frameLocator("#two-tabs iframe").nth(n).locator("[data-test=draft-text]");

/** @type {Record<string, View>} */
export const views = {
  first: {
    show: async (page, shoot) => {
      await text(page, 1).and(page.frameLocator("#two-tabs iframe").nth(1).locator(":enabled")).waitFor();
      await shoot();
      await text(page, 0).pressSequentially("What is typed on the left is on the right before the key is up.", {
        delay: 15,
      });
      await text(page, 1).pressSequentially(" And the other way round.", { delay: 15 });
      await shoot();
    },
  },
  replay: {
    address: "#typing",
    show: async (page, shoot) => {
      await shoot("#typing");
      await at(page, "replay-start").click();
      await page.waitForTimeout(6000);
      await shoot("#typing");
      await at(page, "replay-stop").click();
      await at(page, "replay-scale").selectOption("log");
      await at(page, "replay-limit").selectOption("2000");
      await at(page, "replay-start").click();
      await page.locator("[data-test=replay-verdict][data-equal]").waitFor({ timeout: 30_000 });
      await shoot("#typing");
    },
  },
  kill: {
    address: "#kill",
    show: async (page, shoot) => {
      await shoot("#kill");
      await at(page, "kill-open").click();
      await at(page, "kill").waitFor();
      await page.waitForTimeout(1500);
      await shoot("#kill");
      await at(page, "kill").click();
      await page.locator("[data-test=kill-verdict][data-lost]").waitFor();
      await page.waitForTimeout(2500);
      await shoot("#kill");
    },
  },
  hold: {
    address: "#hold",
    show: async (page, shoot) => {
      await shoot("#hold");
      await at(page, "hold-start").click();
      await page.locator("[data-test=hold-release]:enabled").waitFor({ timeout: 30_000 });
      await page.waitForTimeout(600);
      await shoot("#hold");
      await at(page, "hold-release").click();
      await page.locator("[data-test=hold-verdict]", { hasText: "at most" }).waitFor();
      await page.waitForTimeout(600);
      await shoot("#hold");
    },
  },
  race: {
    address: "#race",
    show: async (page, shoot) => {
      await shoot("#race");
      await at(page, "race-start").click();
      await page.locator("[data-test=race-verdict][data-over]").waitFor({ timeout: 60_000 });
      await page.waitForTimeout(400);
      await shoot("#race");
    },
  },
  atlas: {
    address: "?state=TX&airport=DFW#atlas",
    show: async (page, shoot) => {
      await page.locator("[data-test=import][data-done]").waitFor();
      await page.locator("[data-flight]").first().waitFor();
      await page.waitForTimeout(800);
      await shoot("#atlas");
    },
  },
  stress: {
    address: "#stress",
    show: async (page, shoot) => {
      await shoot("#stress");
      await at(page, "stress-start").click();
      await page.locator("[data-test=stress-verdict]", { hasText: "Written" }).waitFor({ timeout: 60_000 });
      await shoot("#stress");
    },
  },
  full: {
    // Where nothing is stored yet: Chromium remembers for a while how much room there was.
    address: "lab.html",
    show: async (page, shoot) => {
      const session = await page.context().newCDPSession(page);
      const { origin } = new URL(page.url());
      await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 30e6 });
      await page.goto(`${origin}/#stress`);
      await at(page, "stress-size").selectOption("100");
      await at(page, "stress-start").click();
      await page.locator("#stress").getByRole("alert").waitFor({ timeout: 60_000 });
      await shoot("#stress");
    },
  },
  neighbours: {
    address: "#neighbours",
    show: async (page, shoot) => {
      await shoot("#neighbours");
      for (const name of ["1", "2", "3"]) {
        await at(page, "neighbour-open").click();
        await at(page, `neighbour-${name}`)
          .getByText(/at work|upkeep/)
          .waitFor();
      }
      await at(page, "neighbour-2").locator("[data-test=freeze]").click();
      await page.waitForTimeout(3000);
      await shoot("#neighbours");
      await at(page, "neighbour-2").locator("[data-test=evict]").click();
      await page.waitForTimeout(1000);
      await shoot("#neighbours");
    },
  },
  own: {
    address: "#own",
    show: async (page, shoot) => {
      await shoot("#own");
      await at(page, "own-sample").click();
      await at(page, "own-table").waitFor();
      await at(page, "own-search").fill("int'l");
      await page.waitForTimeout(500);
      await shoot("#own");
      const broken = Buffer.from('{"a":1}\n{"a":2}\n{"a":\n');
      await at(page, "own-file").setInputFiles({ name: "broken.ndjson", mimeType: "text/plain", buffer: broken });
      await page.locator("#own").getByRole("alert").waitFor();
      await shoot("#own");
    },
  },
  surface: {
    address: "#surface",
    show: async (page, shoot) => {
      await page.waitForTimeout(2500);
      await shoot("#surface");
    },
  },
  inspector: {
    address: "?inspect=typing.overview#inspect",
    show: async (page, shoot) => {
      await text(page, 0).pressSequentially("A text with some versions.");
      await page.locator("#inspect").scrollIntoViewIfNeeded();
      await page.locator("tidemark-inspector [data-collection]").first().waitFor();
      for (const panel of ["overview", "records", "floor", "gc", "storage", "live"]) {
        await page.locator(`#tab-${panel}`).click();
        await page.waitForTimeout(1200);
        await shoot("#inspect");
      }
    },
  },
};
