import { describe, expect, test } from "vitest";
import { fixtures, proveFixture } from "./fixture-proof.test-support.ts";
import { restore } from "./fixture.test-support.ts";
import { Life } from "./fixture-tabs.test-support.ts";
import { createMemoryStorage } from "./storage/memory.ts";

describe("a database that an earlier build left behind", () => {
  test("there is one of every storage format", () => {
    expect(Object.keys(fixtures)).toContain("format-1");
  });

  test.each(Object.entries(fixtures))("%s opens, holds what it held, and goes on", async (_, fixture) => {
    const medium = createMemoryStorage();
    const storage = await medium.open(fixture.name);
    await restore(fixture.stores, storage);
    await storage.close();
    const { name, collections } = fixture;
    await proveFixture(fixture, () => new Life(medium).open({ name, collections }));
  });
});
