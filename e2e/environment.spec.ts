import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { allItems, openPage, openTab } from "./lab.ts";
import { runFirstInWorkers } from "./workers.ts";

/** Pages without Web Locks, and workers too. */
async function withoutLocks(context: BrowserContext): Promise<void> {
  const removeLocks = (): void => void Reflect.deleteProperty(Object.getPrototypeOf(navigator) as object, "locks");
  await context.addInitScript(removeLocks);
  await runFirstInWorkers(context, removeLocks);
}

interface Opened {
  readonly code: string;
  readonly message: string;
  readonly details: unknown;
}

/** How opening ended. */
const opening = (page: Page): Promise<Opened> =>
  page.evaluate(async () => {
    try {
      await lab.db.open();
      return { code: "opened", message: "", details: {} };
    } catch (e) {
      if (!tidemark.isTidemarkError(e)) throw e;
      return { code: e.code, message: e.message, details: e.details };
    }
  });

test("[TB6] without Web Locks one tab works, and a second is refused until the first has gone", async ({ context }) => {
  await withoutLocks(context);
  const a = await openPage(context);
  expect(await a.evaluate(() => "locks" in navigator)).toBe(false);
  expect(await opening(a)).toMatchObject({ code: "opened" });
  await a.evaluate(async () => {
    await lab.items.putMany([
      { id: 1, group: 1 },
      { id: 2, group: 1 },
    ]);
    await Promise.all([1, 2, 3].map((n) => lab.items.update(1, (r) => ({ ...r, n: (r.n ?? 0) + n }))));
    await lab.db.checkpoint();
    await lab.items.delete(2);
  });
  const kept = [{ id: 1, group: 1, n: 6 }];
  expect(await allItems(a)).toEqual(kept);

  const b = await openPage(context);
  const refused = await opening(b);
  expect(refused).toMatchObject({ code: "ENVIRONMENT", details: { missing: "navigator.locks" } });
  expect(refused.message).toContain("Web Locks");
  expect(await allItems(a)).toEqual(kept);

  await a.close();
  await expect.poll(async () => (await opening(b)).code).toBe("opened");
  expect(await allItems(b)).toEqual(kept);
});

test("a worker that does not load ends in ENVIRONMENT, and nothing hangs", async ({ context }) => {
  const page = await openTab(context);
  const outcomes = await page.evaluate(async () => {
    const withWorker = (worker: () => Worker): Promise<unknown>[] => {
      const db = tidemark.createDatabase({ ...lab.options, name: "elsewhere", worker });
      const items = db.collection("items");
      return [
        db.open(),
        items.put({ id: 1 }),
        items.count(),
        db.transaction((tx) => tx.collection("items").get(1)),
        tidemark.listDatabases({ worker }),
        tidemark.deleteDatabase("never", { worker }),
      ];
    };
    const broken = URL.createObjectURL(new Blob(["throw new Error('broken on load')"], { type: "text/javascript" }));
    const said: Record<string, string[]> = {};
    for (const [name, url] of Object.entries({ missing: "/nope.js", broken })) {
      const ended = await Promise.allSettled(withWorker(() => new Worker(url)));
      said[name] = ended.map((e) =>
        e.status === "rejected" && tidemark.isTidemarkError(e.reason)
          ? `${e.reason.code} ${e.reason.message}`
          : e.status,
      );
    }
    return said;
  });
  expect(Object.keys(outcomes)).toEqual(["missing", "broken"]);
  for (const said of Object.values(outcomes)) {
    expect(said).toHaveLength(6);
    for (const outcome of said) expect(outcome).toMatch(/^ENVIRONMENT .*worker option/);
  }
  expect(outcomes["broken"]![0]).toContain("broken on load");
});

test("where the package's own worker does not load, ENVIRONMENT names its address", async ({ context }) => {
  const asked: string[] = [];
  await context.route("**/*worker*.js", async (route) => {
    asked.push(route.request().url());
    await route.fulfill({ status: 404, body: "" });
  });
  const page = await openPage(context);
  const { code, message, details } = await opening(page);
  expect(code).toBe("ENVIRONMENT");
  expect(asked).not.toEqual([]);
  expect(message).toContain(asked[0]!);
  expect(details).toMatchObject({ url: asked[0] });
  // Loading may be tried again.
  await context.unrouteAll();
  expect(await opening(page)).toMatchObject({ code: "opened" });
});
