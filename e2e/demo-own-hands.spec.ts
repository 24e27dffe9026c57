/** What a visitor of the demo may do with it: fill it, open, freeze and kill tabs, bring data. */
import { expect, type Locator, type Page } from "@playwright/test";
import { at, dataFile, test, violations } from "./demo.ts";

const bytesAt = async (page: Page): Promise<number> =>
  Number(await at(page, "stress-bytes").getAttribute("data-bytes"));

test("writes as much as was asked for, and what is emptied is gone", async ({ page }) => {
  await page.goto("/#stress");
  await at(page, "stress-start").click();
  await expect(at(page, "stress-verdict")).toHaveText("Written, and each commit acknowledged.", { timeout: 20_000 });
  await expect(at(page, "stress-written")).toHaveText("25.2\u00a0MB"); // whole commits
  expect(await bytesAt(page)).toBeGreaterThan(25e6);
  await expect(at(page, "stress-frame")).toHaveText(/\d\sm?s/);
  await at(page, "stress-empty").click();
  await expect(at(page, "stress-verdict")).toContainText("Emptied in", { timeout: 10_000 });
  expect(await bytesAt(page)).toBeLessThan(2e6);
});

test("stops writing when it is told to", async ({ page }) => {
  await page.goto("/#stress");
  await at(page, "stress-size").selectOption("2000");
  await at(page, "stress-start").click();
  await expect(at(page, "stress-written")).toHaveText(/[1-9]\d?(\.\d+)?\sMB/);
  await at(page, "stress-stop").click();
  await expect(at(page, "stress-verdict")).toHaveText("Stopped.");
  await expect(at(page, "stress-start")).toBeEnabled();
});

test("says so when the browser gives no more room, and what is there can be emptied", async ({ page, browserName }) => {
  test.skip(browserName !== "chromium", "only here a test can say how much room there is");
  // Before anything is stored: Chromium remembers for a while how much room there was.
  await page.goto("/lab.html");
  const session = await page.context().newCDPSession(page);
  const { origin } = new URL(page.url());
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 30e6 });
  await page.goto("/#stress");
  await at(page, "stress-size").selectOption("100");
  await at(page, "stress-start").click();
  const alert = page.locator("#stress").getByRole("alert");
  await expect(alert).toContainText("The browser gives no more room.", { timeout: 20_000 });
  await expect(alert).toContainText(/[1-9]\d?(\.\d+)?\sMB of it are written and can be read/);
  expect(await violations(page, "#stress")).toEqual([]);
  await alert.getByRole("button", { name: "Empty it" }).click();
  await expect(at(page, "stress-verdict")).toContainText("Emptied in", { timeout: 10_000 });
  await expect(alert).toHaveCount(0);
  expect(await bytesAt(page)).toBeLessThan(2e6);
});

const numberAt = async (place: Locator): Promise<number> => Number((await place.textContent())?.replaceAll(",", ""));

test("a tab that is frozen stops no other; evicted, it holds nothing back; woken, it goes on; killed, it is gone", async ({
  page,
}) => {
  await page.goto("/#neighbours");
  await at(page, "neighbour-open").click();
  await at(page, "neighbour-open").click();
  const [one, two] = [at(page, "neighbour-1"), at(page, "neighbour-2")];
  const commitsOf = (tab: Locator): Locator => at(tab.locator("iframe").contentFrame(), "commits");
  for (const tab of [one, two]) await expect(commitsOf(tab)).toHaveText(/\d\d/);

  await at(one, "freeze").click();
  await expect(one).toContainText("frozen");
  await expect(at(one, "holds")).toHaveText(/holds back \d+(\.\d+)?\s[kM]B, \d\d+ commits behind/);
  const standing = await numberAt(commitsOf(one));
  const going = await numberAt(commitsOf(two));
  await expect.poll(() => numberAt(commitsOf(two))).toBeGreaterThan(going + 20);
  expect(await numberAt(commitsOf(one))).toBeLessThanOrEqual(standing + 1);

  expect(await violations(page, "#neighbours")).toEqual([]);
  await at(one, "evict").click();
  await expect(at(one, "holds")).toHaveText("evicted: it holds nothing back");
  await at(one, "freeze").click();
  await expect.poll(() => numberAt(commitsOf(one))).toBeGreaterThan(standing + 10);
  await expect(one).toContainText(/at work|does the upkeep/);

  await at(one, "kill-neighbour").click();
  await expect(one).toHaveCount(0);
  const left = await numberAt(commitsOf(two));
  await expect.poll(() => numberAt(commitsOf(two))).toBeGreaterThan(left + 10);
});

/** Chooses a file of this name with this content. */
const bring = (page: Page, name: string, text: string): Promise<void> =>
  at(page, "own-file").setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.from(text) });

test("imports what a visitor brings, finds what is in it, and keeps it until it is removed", async ({ page }) => {
  await page.goto("/#own");
  const verdict = at(page, "own-verdict");
  const csv = (await dataFile("airports.csv")).toString();
  await bring(page, "airports.csv", csv);
  const lines = csv.trimEnd().split(/\r?\n/).slice(1);
  await expect(verdict).toContainText(`airports.csv: ${lines.length.toLocaleString("en")} records`);
  await expect(verdict).toContainText("of CSV");
  await at(page, "own-search").fill("denver");
  const inDenver = lines.filter((line) => line.toLowerCase().includes("denver")).length;
  await expect(at(page, "own-count")).toHaveText(String(inDenver));
  await expect(at(page, "own-table").locator("tbody tr")).toHaveCount(inDenver);
  await at(page, "own-search").fill("no such place");
  await expect(page.getByText("No record has that in it.")).toBeVisible();

  await bring(
    page,
    "quakes.geojson",
    JSON.stringify({ type: "FeatureCollection", features: [{ mag: 4.5 }, { mag: 5 }] }),
  );
  await expect(verdict).toContainText("quakes.geojson: 2 records");
  await bring(page, "lines.ndjson", '{"a":1,"b":"x"}\n{"a":2,"c":[3]}\n{"a":3}\n');
  await expect(verdict).toContainText("lines.ndjson: 3 records");
  await expect(at(page, "own-table").locator("th")).toHaveText(["a", "b", "c"]);
  await page.reload();
  await expect(verdict).toContainText("lines.ndjson: 3 records");
  await at(page, "own-forget").click();
  await expect(at(page, "own-table")).toHaveCount(0);
});

test("says what is wrong with a file, and where", async ({ page }) => {
  await page.goto("/#own");
  const alert = page.locator("#own").getByRole("alert");
  await bring(page, "picture.png", "\u0089PNG\r\n\u0000");
  await expect(alert).toContainText("picture.png looks like none of JSON, NDJSON and CSV.");
  await bring(page, "lines.ndjson", '{"a":1}\n{"a":2}\n{"a":\n');
  await expect(alert).toContainText("3");
  expect(await violations(page, "#own")).toEqual([]);
  await alert.getByRole("button").click();
  await expect(alert).toHaveCount(0);
});
