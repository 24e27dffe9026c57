/** The inspector as a visitor of the demo finds it. */
import { expect, type Page, test } from "@playwright/test";
import { at, tabOf, violations } from "./demo.ts";
import { openPage } from "./lab.ts";

async function visit(page: Page, address: string): Promise<void> {
  await page.goto(`/${address}`);
  await expect(at(tabOf(page, 0), "draft-text")).toBeEnabled();
}

/** The demo has no button for it, so another tab does it. */
async function createSnapshot(page: Page, name: string): Promise<void> {
  const other = await openPage(page.context());
  await other.evaluate(async (snapshot) => {
    const { collection, createDatabase } = tidemark;
    const collections = { documents: collection<{ id: string }>()({ key: "id" }) };
    const db = createDatabase({ name: "tidemark-demo-typing", collections });
    await db.snapshots.create(snapshot);
    await db.close();
  }, name);
  await other.close();
}

test("shows the typed documents and a snapshot that keeps versions, deletes it, and collects the garbage", async ({
  page,
}) => {
  await visit(page, "#inspect");
  const tab = tabOf(page, 0);
  await at(tab, "draft-text").pressSequentially("Before");
  await expect(at(tab, "draft-commits")).toHaveText("6");
  await createSnapshot(page, "before the rewrite");
  await at(tab, "draft-text").pressSequentially(", after");
  await expect(at(tab, "draft-commits")).toHaveText("13");
  await at(page, "checkpoint").click();
  await expect(at(page, "panel-message")).toContainText("Checkpoint done");

  await at(page, "inspect").press("Enter");
  await expect(at(page, "inspect")).toBeFocused();
  await expect(page.locator("[data-collection=documents] [data-name=Records]")).toHaveText("1");
  await expect(page).toHaveURL(/\/\?inspect=typing\.overview/);
  expect(await violations(page, "#inspect")).toEqual([]);

  await page.getByRole("tab", { name: "Floor" }).click();
  const snapshot = page.locator("[data-kind=snapshot]");
  await expect(snapshot).toContainText("Snapshot “before the rewrite”");
  await expect(snapshot.locator("[data-test=effect]")).toHaveText(/releasing it frees \d+\sbytes/);
  expect(await violations(page, "#inspect")).toEqual([]);
  await at(page, "delete-snapshot").click();
  await expect(at(page, "floor-outcome")).toContainText("was deleted");
  await expect(snapshot).toHaveCount(0);

  await page.getByRole("tab", { name: "GC" }).click();
  await at(page, "run").click();
  await expect(at(page, "result")).toHaveText(/versions? of \d+ went/, { timeout: 10_000 });
  expect(await violations(page, "#inspect")).toEqual([]);
  await expect(page).toHaveURL(/\/\?inspect=typing\.gc/);

  await at(page, "inspect").click();
  await expect(page.locator("tidemark-inspector")).toHaveCount(0);
  await expect(page).toHaveURL(/\/(#\w+)?$/);
});

test("opens on what the address says, and follows the choice of database", async ({ page }) => {
  await visit(page, "?inspect=atlas.floor#inspect");
  const name = page.locator("tidemark-inspector #name");
  await expect(name).toHaveText("tidemark-demo-atlas");
  await expect(page.getByRole("tab", { name: "Floor" })).toHaveAttribute("aria-selected", "true");
  await at(page, "inspect-database").selectOption("Typing");
  await expect(name).toHaveText("tidemark-demo-typing");
  await expect(page).toHaveURL(/\/\?inspect=typing\.floor/);
  await page.reload();
  await expect(name).toHaveText("tidemark-demo-typing");
  await expect(at(page, "inspect-database")).toHaveValue("typing");
});

test("says when it cannot be loaded, and is there after a reload", async ({ page }) => {
  await visit(page, "#inspect");
  const chunk = /\/assets\/inspector-[^/]*\.js$/;
  await page.route(chunk, (route) => route.abort());
  await at(page, "inspect").click();
  const section = page.locator("#inspect");
  await expect(section.getByRole("alert")).toContainText("The inspector could not be loaded.");
  expect(await violations(page, "#inspect")).toEqual([]);
  await page.unroute(chunk);
  await section.getByRole("button", { name: "Reload to try again" }).click();
  await expect(page.locator("tidemark-inspector #name")).toHaveText("tidemark-demo-typing");
});
