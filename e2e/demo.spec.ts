/** The airports and flights of the demo. What it says is compared with the data files it ships. */
import { expect, type Page } from "@playwright/test";
import { at, dataFile, test } from "./demo.ts";

async function visit(page: Page): Promise<Page> {
  await page.goto("/#atlas");
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

  await page.reload();
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

test("the address keeps what was searched for", async ({ page }) => {
  await visit(page);
  await at(page, "airport-state").selectOption("TX");
  await at(page, "airport-by").selectOption("city");
  await at(page, "airport-prefix").fill("Da");
  await at(page, "flight-airport").fill("dfw");
  await at(page, "flight-order").selectOption("date");
  await expect(page).toHaveURL("/?state=TX&by=city&prefix=Da&airport=DFW&order=date#atlas");
  await expect(at(page, "airports-result")).toContainText("found in");
  const [airports, flights] = [
    await at(page, "airports-total").textContent(),
    await at(page, "flights-total").textContent(),
  ];
  await page.reload();
  await expect(at(page, "airports-total")).toHaveText(airports!);
  await expect(at(page, "flights-total")).toHaveText(flights!);
  await expect(at(page, "airport-prefix")).toHaveValue("Da");
  await expect(at(page, "airport-by")).toHaveValue("city");
  await expect(page).toHaveURL("/?state=TX&by=city&prefix=Da&airport=DFW&order=date#atlas");
});

test("deletes everything, and tells the other tab", async ({ page, context }) => {
  await visit(page);
  const other = await visit(await context.newPage());
  await at(page, "delete").click();
  const reloaded = page.waitForEvent("load");
  await at(page, "delete-yes").click();
  await expect(other.locator("#banner")).toContainText("deleted in another tab");
  await reloaded;
  await page.locator("#sections").getByText("Flights").click(); // nothing is imported before it is looked at
  await expect(at(page, "import")).toContainText("Imported 23,376 records", { timeout: 20_000 });
});
