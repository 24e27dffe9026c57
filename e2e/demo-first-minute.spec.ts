/** What the demo shows first. What it says is compared with the data that it ships, or with what it stores. */
import { gunzipSync } from "node:zlib";
import { expect, type Page } from "@playwright/test";
import { at, dataFile, tabOf, test, violations } from "./demo.ts";

type Patch = readonly [position: number, deleted: number, inserted: string];

async function loadSession(): Promise<{ startContent: string; txns: { patches: Patch[] }[] }> {
  return JSON.parse(gunzipSync(await dataFile("typing-session.json.gzip")).toString());
}

/** As the demo writes it. */
const megabytes = (text: string | null): number => {
  const [, number, unit] = /([\d.]+)\s(B|kB|MB|GB)/.exec(text ?? "") ?? [];
  return (Number(number) * { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[unit as "B"]) / 1e6;
};

test("what is typed in one tab is in the other, with how long it took", async ({ page }) => {
  await page.goto("/");
  const [left, right] = [tabOf(page, 0), tabOf(page, 1)];
  await expect(at(right, "draft-text")).toBeEnabled();
  const text = "Every key is a commit.";
  await at(left, "draft-text").pressSequentially(text);
  await expect(at(left, "draft-commits")).toHaveText(String(text.length));
  await expect(at(left, "draft-last")).toHaveText(/^\d[\d.]*\sms$/);
  await expect(at(left, "draft-arrival")).toHaveText("–");
  await expect(at(right, "draft-text")).toHaveValue(text);
  await expect(at(right, "draft-arrival")).toHaveText(/^\d[\d.]*\sms$/);
  await at(right, "draft-text").press("End");
  await at(right, "draft-text").pressSequentially(" Here, too.");
  await expect(at(left, "draft-text")).toHaveValue(`${text} Here, too.`);
  await page.reload();
  await expect(at(tabOf(page, 0), "draft-text")).toHaveValue(`${text} Here, too.`);
});

test("replays the recorded session and ends with its text, and little else", async ({ page }) => {
  const session = await loadSession();
  let text = session.startContent;
  let caret = 0;
  let naive = 0;
  for (const { patches } of session.txns.slice(0, 2000)) {
    for (const [position, deleted, inserted] of patches) {
      text = text.slice(0, position) + inserted + text.slice(position + deleted);
      caret = position + inserted.length;
    }
    naive += Buffer.byteLength(text);
  }
  await page.goto("/#typing");
  await at(page, "replay-limit").selectOption("2000");
  await at(page, "replay-start").click();
  await expect(at(page, "replay-verdict")).toHaveAttribute("data-equal", "true", { timeout: 20_000 });
  await expect(at(page, "replay-commits")).toHaveText("2,000");
  await expect(at(page, "replay-verdict")).toContainText(`${text.length.toLocaleString("en")} characters`);
  expect(await at(page, "replay-text").textContent()).toBe(text.slice(Math.max(0, caret - 1400), caret + 700));
  expect(megabytes(await at(page, "replay-naive").textContent())).toBeCloseTo(naive / 1e6, 1);
  expect(megabytes(await at(page, "replay-held").textContent())).toBeLessThan(1);
  // The checkpoint at the end keeps the newest version of the record and the stored schema, and what a view held that
  // happened to be open just then: a few dozen of the last versions at most, not two thousand.
  expect(Number(await at(page, "replay-versions").textContent())).toBeLessThan(200);
  expect(await violations(page, "#typing")).toEqual([]);
});

test("says beforehand what keeping every version takes, pauses a replay and stops it", async ({ page }) => {
  const { startContent, txns } = await loadSession();
  let { length } = startContent;
  let bytes = 0;
  for (const { patches } of txns) {
    for (const [, deleted, inserted] of patches) length += inserted.length - deleted;
    bytes += length;
  }
  await page.goto("/?pace=watch#typing");
  await at(page, "replay-start").click();
  await expect(at(page, "replay-limit")).toContainText(`All ${txns.length.toLocaleString("en")} edits`);
  await expect(at(page, "replay-expected")).toHaveText(`of ${(bytes / 1e9).toFixed(2)}\u00a0GB in the end`);
  await at(page, "replay-pause").click();
  await expect(at(page, "replay-verdict")).toHaveText("Paused.");
  await at(page, "replay-pause").click();
  await expect(at(page, "replay-verdict")).toContainText("Each keystroke");
  await at(page, "replay-stop").click();
  await expect(at(page, "replay-verdict")).toHaveText(/Stopped after \d+ transactions\./);
  await expect(at(page, "replay-start")).toBeEnabled();
});

/** What lies in the database of the tabs that write, as another tab of the browser reads it. */
const writesOf = (page: Page, tab: string): Promise<number[]> =>
  page.evaluate(async (name) => {
    const { collection, createDatabase } = tidemark;
    const writes = collection<{ tab: string; n: number }>()({ key: ["tab", "n"] });
    const db = createDatabase({ name: "tidemark-demo-tabs", collections: { writes } });
    const found = await db.collection("writes").where().startsWith([name]).primaryKeys();
    await db.close();
    return found.map(([, n]) => n);
  }, tab);

test("a tab that is killed while it writes has lost nothing that it was told is stored", async ({ page, context }) => {
  await page.goto("/#kill");
  await at(page, "kill-open").click();
  await at(page, "kill").click({ trial: true });
  const a = at(page, "kill-A").locator("iframe").contentFrame();
  await expect(at(a, "acknowledged")).toHaveText(/[1-9]\d\d/);
  await at(page, "kill").click();
  await expect(at(page, "kill-verdict")).toHaveAttribute("data-lost", "0");
  await expect(at(page, "kill-A")).toContainText("Killed.");
  await expect(at(page, "kill-verdict")).toContainText("Tab B wrote");
  const [told, found] = await Promise.all(
    ["kill-told", "kill-found"].map(async (name) => Number((await at(page, name).textContent())?.replaceAll(",", ""))),
  );
  expect(told).toBeGreaterThan(100);
  expect(found).toBeGreaterThanOrEqual(told!);
  expect(await violations(page, "#kill")).toEqual([]);
  const lab = await context.newPage();
  await lab.goto("/lab.html");
  expect(await writesOf(lab, "A")).toEqual(Array.from({ length: found! }, (_, n) => n));
});

for (const [kind, who] of [
  ["view", "This tab"],
  ["snapshot", "The snapshot “before the edits”"],
] as const) {
  test(`a ${kind} that is held is blamed for what it holds back, and frees it`, async ({ page }) => {
    await page.goto("/#hold");
    await at(page, "hold-kind").selectOption(kind);
    await at(page, "hold-start").click();
    await expect(at(page, "hold-release")).toBeEnabled({ timeout: 20_000 });
    const bytes = async (): Promise<number> => Number(await at(page, "hold-bytes").getAttribute("data-bytes"));
    await expect.poll(bytes).toBeGreaterThan(35e6);
    const line = at(page, "blame").locator("li", { hasText: who });
    await expect(line).toContainText(/holds back 3\d\.\d\sMB: 1,\d+ commits behind; releasing it frees/);
    expect(await violations(page, "#hold")).toEqual([]);
    await at(page, "hold-release").click();
    await expect(at(page, "hold-verdict")).toContainText("Released and collected in", { timeout: 10_000 });
    expect(await bytes()).toBeLessThan(1e6);
    await expect(at(page, "blame")).toHaveText("Nobody holds anything back.");
    expect(await violations(page, "#hold")).toEqual([]);
  });
}

test("races Dexie with the code that it shows, and both give the same answers", async ({ page }) => {
  const requests: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  await page.goto("/#race");
  for (const [who, call] of [
    ["Tidemark", "flights.putMany(all)"],
    ["Dexie", "flights.bulkPut([...all])"],
  ] as const) {
    await expect(page.getByRole("region", { name: `Code of ${who}` })).toContainText(call);
  }
  const isOfTheRace = (url: string): boolean => url.includes("/assets/race-");
  expect(requests.filter(isOfTheRace)).toEqual([]);
  await at(page, "race-start").click();
  await expect(at(page, "race-verdict")).toContainText("Both gave the same answers.", { timeout: 25_000 });
  expect(requests.filter(isOfTheRace)).toHaveLength(1);
  for (const work of ["insert", "put", "together", "get", "range"]) {
    const row = page.locator(`[data-work=${work}]`);
    for (const who of ["tidemark", "dexie"]) await expect(row.locator(`[data-who=${who}]`)).toHaveText(/\d\sm?s/);
    await expect(at(row, "faster")).toHaveText(/(Tidemark|Dexie), \d+(\.\d)?×|even/);
  }
  expect(await violations(page, "#race")).toEqual([]);
  expect(await page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name))).not.toContain(
    "tidemark-demo-race-dexie",
  );
});
