import { expect, test } from "vitest";
import { fixtures, proveFixture } from "./fixture-proof.test-support.ts";
import { restore } from "./fixture.test-support.ts";
import { deleteDatabase, openDatabase } from "./index.ts";
import { indexedDbStorage } from "./storage/indexeddb.ts";

test.each(Object.entries(fixtures))("%s opens from IndexedDB, holds what it held, and goes on", async (_, fixture) => {
  const { name, collections } = fixture;
  await deleteDatabase(name);
  const storage = await indexedDbStorage().open(name);
  await restore(fixture.stores, storage);
  await storage.close();
  await proveFixture(fixture, () => openDatabase({ name, collections }));
  await deleteDatabase(name);
  expect(await indexedDbStorage().list()).not.toContain(name);
});
