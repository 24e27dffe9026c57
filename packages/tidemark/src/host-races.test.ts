import { describe, expect, test } from "vitest";
import { item, openPage, outcome, Page } from "./host-page.test-support.ts";
import { simulate } from "./testing/world.ts";

describe("hosts at cross purposes", () => {
  test("[TB2] two hosts that ask for a checkpoint while the upkeep host is frozen both get it", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      const c = await openPage(world, "c");
      await b.put(item(1));
      a.process.freeze();
      const started = world.now;
      await Promise.race([Promise.all([b.checkpoint(), c.checkpoint()]), world.sleep(60_000)]);
      expect(world.now - started).toBeLessThan(10_000);
    }));

  test("[TB6] of two lone hosts that open at once only one goes on", () =>
    simulate(
      async (world) => {
        const opening = ["a", "b"].map((name) => openPage(world, name));
        await Promise.allSettled(opening);
        const outcomes: string[] = [];
        for (const [n, page] of opening.entries()) outcomes.push(await outcome(page.then((p) => p.put(item(n)))));
        expect(outcomes.toSorted()).toEqual(["CLOSED superseded", "ok"]);
      },
      { areLocksShared: false },
    ));

  test("a close while it opens leaves no lock held", () =>
    simulate(async (world) => {
      const a = new Page(world.process("a"));
      const opening = a.tryOpen();
      await world.sleep(1);
      await a.close();
      await opening;
      await world.sleep(100);
      expect(a.process.locks).toEqual([]);
    }));

  test("a checkpoint that close overtakes does not say that it is done", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(item(1));
      const ended = outcome(a.checkpoint());
      await world.sleep(0.1);
      await a.close();
      const b = await openPage(world, "b");
      const { logEntries } = await b.metrics();
      expect([await ended, logEntries]).not.toEqual(["ok", 2]);
    }));
});
