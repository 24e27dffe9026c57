/** What docs/recipes.md advises, done; where it takes a browser and a bundler, see recipes.browser.test.ts. */
import { isTidemarkError, openDatabase } from "tidemark";
import { createMemoryStorage } from "tidemark/testing";
import { afterEach, expect, test, vi } from "vitest";
import { collections, followDeployments } from "./recipes/deploying.ts";
import { throughFaults, twoTabs } from "./recipes/faults.ts";
import { db as hot } from "./recipes/hot-replacement.ts";
import { db as ofNext } from "./recipes/next.ts";
import { freshDatabase } from "./recipes/testing.ts";
import config from "./recipes/vite.config.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

test("Vite 6 and 7 are told to leave the package as it is", () => {
  expect(config.optimizeDeps.exclude).toEqual(["tidemark"]);
});

test("a module that makes a database is imported on a server, and asks for a browser on its first use", async () => {
  expect(ofNext.name).toBe("app");
  const e: unknown = await ofNext
    .collection("notes")
    .all()
    .catch((error: unknown) => error);
  expect(isTidemarkError(e, "ENVIRONMENT")).toBe(true);
});

test("each database of a test is its own", async () => {
  const [a, b] = await Promise.all([freshDatabase(), freshDatabase()]);
  await a.collection("notes").put({ id: "a", text: "here" });
  expect([await a.collection("notes").count(), await b.collection("notes").count()]).toEqual([1, 0]);
  await Promise.all([a.close(), b.close()]);
});

test("storage in memory fills up, breaks and loses what was at risk", async () => {
  const codes: string[] = [];
  const left = await throughFaults((code) => codes.push(code));
  expect(codes).toEqual(["QUOTA_EXCEEDED", "broken"]);
  expect(left.map(({ id }) => id)).toEqual(["1", "3"]);
});

test("two tabs in one process: one is frozen and wakes, the other is killed", async () => {
  const seen = await twoTabs();
  expect(seen).toContain("1");
  expect(seen.filter((ids) => ids.startsWith("1,2")).length).toBeGreaterThan(0);
});

test("a module that replaces itself is one that makes a database, where nothing replaces it", async () => {
  expect(hot.name).toBe("app");
  await hot.close();
});

test("[MV10] an old tab offers a reload when a newer program migrated the data, and when a service worker took over", async () => {
  const reload = vi.fn<() => void>();
  const serviceWorker = new EventTarget();
  vi.stubGlobal("location", { reload });
  vi.stubGlobal("navigator", { serviceWorker });
  const storage = createMemoryStorage();
  const old = await openDatabase({ name: "app", collections, storage });
  const banners: string[] = [];
  followDeployments(old, (text, whenClicked) => {
    banners.push(text);
    whenClicked();
  });
  const migrations = { 2: async (): Promise<void> => undefined };
  const now = await openDatabase({ name: "app", collections, storage, version: 2, migrations });
  await expect.poll(() => banners).toEqual(["There is a new version"]);
  expect(reload).toHaveBeenCalledTimes(1);
  await expect(old.collection("notes").put({ id: "a", text: "" })).rejects.toMatchObject({ code: "SCHEMA_OUTDATED" });
  serviceWorker.dispatchEvent(new Event("controllerchange"));
  expect(reload).toHaveBeenCalledTimes(2);
  await Promise.all([old.close(), now.close()]);
});

test("changes go to one's own backend, and data is asked to stay", async () => {
  const db = await freshDatabase();
  const feed = db.changes({ consumer: "push" })[Symbol.asyncIterator]();
  const told = feed.next();
  await db.collection("notes").put({ id: "a", text: "sent" });
  expect(await told).toMatchObject({ value: { changes: [{ key: "a" }] } });
  await feed.return?.();
  expect(await db.storage.persist()).toBe(false); // nobody to ask, in Node
  await db.close();
});
