/** The demo as a visitor uses it. What it says is compared with the data files it ships. */
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { expect, type Locator, type Page, test as base } from "@playwright/test";

type Patch = readonly [position: number, deleted: number, inserted: string];

const dataFile = (name: string): Promise<Buffer> =>
  readFile(new URL(`../apps/playground/public/data/${name}`, import.meta.url));

const at = (page: Page, name: string): Locator => page.locator(`[data-test="${name}"]`);

async function visit(page: Page): Promise<Page> {
  await page.goto("/");
  await expect(at(page, "import")).toHaveAttribute("data-done", { timeout: 20_000 });
  return page;
}

/** Changes a cell of a table, which takes pressing it, typing and Enter. */
async function edit(page: Page, cell: string, value: string): Promise<void> {
  await page.bringToFront();
  await page.locator(`[data-cell="${cell}"]`).click();
  await at(page, "cell-field").fill(value);
  await at(page, "cell-field").press("Enter");
}

/** Every page of a test; what they complain about fails the test. */
const test = base.extend<{ complaints: string[] }>({
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

test("imports the data on the first visit only, and finds airports by state and name", async ({ page }) => {
  await visit(page);
  await expect(at(page, "import")).toContainText("Imported 23,376 records");
  await expect(at(page, "count-flights")).toHaveText("20,000");

  const lines = (await dataFile("airports.csv")).toString().split("\n");
  const inTexas = lines.filter((line) => line.includes(",TX,USA,"));
  await at(page, "airport-state").selectOption("TX");
  await expect(at(page, "airports-total")).toHaveText(String(inTexas.length));
  await expect(at(page, "count-airports")).toHaveText(String(inTexas.length));

  await at(page, "airport-prefix").fill("Da");
  const wanted = inTexas.filter((line) => /^[^,]*,"?da/i.test(line)).map((line) => line.slice(0, 3));
  await expect(at(page, "airports-total")).toHaveText(String(wanted.length));
  const found = await at(page, "airports-table")
    .locator("tr[data-iata]")
    .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-iata") ?? ""));
  expect(found.toSorted()).toEqual(wanted.toSorted());

  await visit(page);
  await expect(at(page, "import")).toContainText("Stored here already: 23,376 records");
});

test("lists the flights from an airport by delay", async ({ page }) => {
  await visit(page);
  const flights = JSON.parse((await dataFile("flights-20k.json")).toString()) as { origin: string; delay: number }[];
  const fromDenver = flights.filter((f) => f.origin === "DEN").map((f) => f.delay);
  await at(page, "flight-airport").fill("den");
  await expect(at(page, "flights-total")).toHaveText(String(fromDenver.length));
  const shown = await at(page, "flights-table").locator("[data-cell$='.delay']").allTextContents();
  const worst = fromDenver.toSorted((a, b) => b - a).slice(0, shown.length);
  expect(shown.map(Number)).toEqual(worst);
});

test("shows what another tab changes, and how long it took to get here", async ({ page, context }) => {
  await visit(page);
  const other = await visit(await context.newPage());
  for (const tab of [page, other]) await at(tab, "airport-prefix").fill("Los Angeles");

  await edit(page, "LAX.name", "Los Angeles, City of");
  await expect(other.locator('[data-cell="LAX.name"]')).toHaveText("Los Angeles, City of");
  await expect(at(other, "last-latency")).toHaveText(/^\d[\d.]*\sm?s$/);
  await expect(at(page, "news")).toContainText("Committed in");

  await at(other, "airport-prefix").fill("");
  await at(other, "airport-state").selectOption("CA");
  await expect(at(other, "count-airports")).toHaveText("205");
  await edit(page, "LAX.name", "Los Angeles International");
  await page.locator('[data-cell="LAX.state"]').click();
  await at(page, "cell-field").selectOption("NV");
  await expect(at(other, "count-airports")).toHaveText("204");
  await expect(at(other, "tab-latency")).toHaveText(/\d\sm?s/);
});

test("counts a flight as delayed when its delay is changed", async ({ page }) => {
  await visit(page);
  const flights = JSON.parse((await dataFile("flights-20k.json")).toString()) as { delay: number }[];
  const delayed = flights.filter((f) => f.delay > 60).length;
  await expect(at(page, "count-delayed")).toHaveText(delayed.toLocaleString("en"));
  await at(page, "flight-order").selectOption("punctual");
  await expect(at(page, "flights-table").locator("[data-cell$='.delay']").first()).toHaveText("-59");
  const cell = await at(page, "flights-table").locator("[data-cell$='.delay']").first().getAttribute("data-cell");
  await edit(page, cell ?? "", "61");
  await expect(at(page, "count-delayed")).toHaveText((delayed + 1).toLocaleString("en"));
});

test("commits every keystroke", async ({ page, context }) => {
  await visit(page);
  const text = "Every key is a commit.";
  await at(page, "draft-text").pressSequentially(text);
  await expect(at(page, "draft-commits")).toHaveText(String(text.length));
  await expect(at(page, "draft-last")).toHaveText(/^\d[\d.]*\sms$/);
  const other = await visit(await context.newPage());
  await expect(at(other, "draft-text")).toHaveValue(text);
});

test("replays the recorded session and ends with its text, and little else", async ({ page }) => {
  const session = JSON.parse(gunzipSync(await dataFile("typing-session.json.gzip")).toString()) as {
    startContent: string;
    txns: { patches: Patch[] }[];
  };
  let text = session.startContent;
  let caret = 0;
  for (const [position, deleted, inserted] of session.txns.slice(0, 2000).flatMap((txn) => txn.patches)) {
    text = text.slice(0, position) + inserted + text.slice(position + deleted);
    caret = position + inserted.length;
  }
  await visit(page);
  await at(page, "replay-limit").selectOption("2000");
  await at(page, "replay-pace").selectOption("group");
  await at(page, "replay-start").click();
  await expect(at(page, "replay-verdict")).toHaveAttribute("data-equal", "true", { timeout: 20_000 });
  await expect(at(page, "replay-commits")).toHaveText("2,000");
  await expect(at(page, "replay-verdict")).toContainText(`${text.length.toLocaleString("en")} characters`);
  expect(await at(page, "replay-text").textContent()).toBe(text.slice(Math.max(0, caret - 1400), caret + 700));
  // The checkpoint at the end keeps the newest version of the record and the stored schema, and what a view held that
  // happened to be open just then: a few of the last versions, not a few hundred.
  await expect(at(page, "replay-versions")).toHaveText(/^([2-9]|1\d)$/);
});

test("pauses a replay and stops it", async ({ page }) => {
  await visit(page);
  await at(page, "replay-pace").selectOption("watch");
  await at(page, "replay-start").click();
  await at(page, "replay-pause").click();
  await expect(at(page, "replay-verdict")).toHaveText("Paused.");
  await at(page, "replay-pause").click();
  await expect(at(page, "replay-verdict")).toContainText("Each keystroke");
  await at(page, "replay-stop").click();
  await expect(at(page, "replay-verdict")).toHaveText(/Stopped after \d+ transactions\./);
  await expect(at(page, "replay-start")).toBeEnabled();
});

test("deletes everything, and tells the other tab", async ({ page, context }) => {
  await visit(page);
  const other = await visit(await context.newPage());
  await at(page, "delete").click();
  const reloaded = page.waitForEvent("load");
  await at(page, "delete-yes").click();
  await expect(other.locator("#banner")).toContainText("deleted in another tab");
  await reloaded;
  await expect(at(page, "import")).toContainText("Imported 23,376 records", { timeout: 20_000 });
});
