import { describe, expect, test, vi } from "vitest";
import {
  databaseName,
  expectEverywhere,
  freshItems,
  item,
  type Item,
  openPage,
  type Page,
  pagesWithGarbage,
  pinnedTabs,
  range,
} from "./host-page.test-support.ts";
import { simulate } from "./testing/world.ts";

vi.setConfig({ testTimeout: 30_000 });

const small = { memtableMaxBytes: 8 * 1024 };
/** Upkeep counts as stuck after this long; it takes one look before and one after. */
const stuckMs = 2000;
const upkeepLock = `tidemark/${databaseName}/upkeep`;

/** One record a commit. */
async function putEach(page: Page, items: readonly Item[]): Promise<void> {
  for (const one of items) await page.put(one);
}

describe("upkeep", () => {
  test("[TB2] goes to another host at once when the upkeep host dies", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", small);
      const b = await openPage(world, "b", small);
      await world.sleep(10);
      expect([(await a.metrics()).upkeep, (await b.metrics()).upkeep]).toEqual([true, false]);
      await putEach(a, range(0, 40));
      a.process.kill();
      await world.sleep(10);
      expect((await b.metrics()).upkeep).toBe(true);
      await putEach(b, range(40, 200));
      await b.checkpoint();
      const { logEntries, checkpoint, head, floor } = await b.metrics();
      expect(logEntries).toBe(0);
      expect(checkpoint).toBe(head);
      // The dead one's pin holds nothing back: its lock is free.
      expect(floor).toBeGreaterThan(0);
      expect(await pinnedTabs(world)).toBe(1);
      await expectEverywhere(world, [b], range(0, 200));
    }));

  test("[VG13][TB2] everybody is told whose upkeep is, also while a former one sleeps", () =>
    simulate(async (world) => {
      const [a, b] = [await openPage(world, "a", small), await openPage(world, "b", small)];
      const explain = (page: Page) => page.call<"gc-explain">({ op: "gc-explain" });
      const tabOf = async (page: Page) => (await explain(page)).holders.find(({ isSelf }) => isSelf)?.owner;
      const [tabA, tabB] = [await tabOf(a), await tabOf(b)];
      expect(tabA).not.toBe(tabB);
      expect([(await explain(a)).upkeep, (await explain(b)).upkeep]).toEqual([tabA, tabA]);
      a.process.freeze();
      await putEach(b, range(0, 200));
      await world.eventually(async () => (await b.metrics()).upkeep, 2 * stuckMs + 1000, "it is passed over");
      expect((await explain(b)).upkeep).toBe(tabB);
      a.process.thaw();
      await world.sleep(200);
      expect((await explain(a)).upkeep).toBe(tabB);
      b.process.kill();
      await world.sleep(10);
      expect((await explain(a)).upkeep).toBe(tabA);
      await a.close();
      await world.sleep(10);
      expect([...(await world.process("c").environment.locks.held())]).toEqual([]);
    }));

  test.each(["itself", "another"] as const)(
    "[TB2][VG10] dies in the middle of a cycle that %s asked for: it goes on at its cursor elsewhere, with nobody committing",
    (asker) =>
      simulate(async (world) => {
        const items = range(0, 400);
        const [a, b, c] = await pagesWithGarbage(world, { mode: "manual" }, items);
        const by = asker === "itself" ? a : c;
        const options = { deleteBatchSize: 1 };
        const run = by.call<"gc-run">({ op: "gc-run", job: 1, isBackground: true, options }).catch(() => undefined);
        const executions = () => b.call<"gc-executions">({ op: "gc-executions" });
        await world.eventually(() => by.events.some((e) => e.type === "gc" && e.job === 1), 5000, "it has begun");
        a.process.kill();
        const [begun] = await executions();
        expect(begun!.status).toBe("RUNNING");
        expect(begun!.swept).toBeLessThan(6 * 400);
        await world.sleep(5000);
        const ended = await executions();
        expect(ended.map(({ status }) => status)).toEqual(ended.map(() => "COMPLETED"));
        expect(ended.at(-1)).toMatchObject({ id: begun!.id, started: begun!.started, swept: 6 * 400 });
        if (asker === "another") expect(await run).toMatchObject({ cycleId: begun!.id + 1 });
        await expectEverywhere(
          world,
          [b, c],
          items.map((one) => ({ ...one, n: 6 })),
        );
      }),
  );

  test("[TB2] the upkeep host dies at any storage call of a fold: another finishes it, nothing is lost", async () => {
    let calls = 0;
    for (let at = 1; at <= calls + 1; at++) {
      await simulate(async (world) => {
        const a = await openPage(world, "a");
        const b = await openPage(world, "b");
        await putEach(a, range(0, 30));
        await b.put(item(30));
        a.process.onCall = ({ n, when }) => {
          if (at === 1) calls = n; // the first round counts: nobody dies in it
          else if (when === "before" && n === at - 1) a.process.kill();
        };
        const folded = a.checkpoint();
        if (at === 1) await folded;
        else await world.eventually(() => a.process.locks.length === 0, 1000, "the fold goes so far");
        a.process.onCall = undefined;
        await b.put(item(31));
        await b.checkpoint();
        expect((await b.metrics()).logEntries).toBe(0);
        await expectEverywhere(world, [b], range(0, 32));
      });
    }
    expect(calls).toBeGreaterThan(4);
  });

  test("[TB2] a frozen upkeep host with a backlog is passed over in bounded time, and the log stays bounded", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", small);
      const b = await openPage(world, "b", small);
      await putEach(a, range(0, 10));
      a.process.freeze();
      const started = world.now;
      let tookOverMs: number | undefined;
      let written = 10;
      const steadyLog: number[] = [];
      while (world.now < started + 20_000) {
        await b.put(item(written++));
        await world.sleep(20);
        const { upkeep, logBytes } = await b.metrics();
        if (upkeep) tookOverMs ??= world.now - started;
        if (tookOverMs !== undefined && world.now > started + 2 * stuckMs + 2000) steadyLog.push(logBytes);
      }
      expect(tookOverMs).toBeDefined();
      expect(tookOverMs).toBeLessThan(2 * stuckMs + 1000);
      expect(steadyLog.length).toBeGreaterThan(100);
      expect(Math.max(...steadyLog)).toBeLessThan(4 * small.memtableMaxBytes);
      a.process.thaw();
      await world.sleep(1000);
      await a.put(item(written++));
      expect([(await a.metrics()).upkeep, (await b.metrics()).upkeep]).toEqual([false, true]);
      expect([a.errors, b.errors, a.endings, b.endings]).toEqual([[], [], [], []]);
      await expectEverywhere(world, [a, b], range(0, written));
      b.process.kill();
      await world.sleep(10);
      expect((await a.metrics()).upkeep).toBe(true); // it had stood in line again
    }));

  test("[TB2] frozen at any storage call of a fold, its upkeep writes abort when it goes on", async () => {
    let calls = 0;
    for (let at = 1; at <= 2 * calls + 1; at++) {
      const [n, when] = [at >> 1, at % 2 === 0 ? "before" : "after"] as const;
      await simulate(async (world) => {
        const a = await openPage(world, "a", small);
        const b = await openPage(world, "b", small);
        await putEach(a, range(0, 20));
        await a.checkpoint(); // whatever fold that was under way: the one below is whole
        await putEach(a, range(20, 30));
        a.process.onCall = (call) => {
          if (at === 1) calls = call.n;
          else if (call.n === n && call.when === when) a.process.freeze();
        };
        const folded = a.checkpoint();
        if (at === 1) return folded;
        await world.eventually(() => a.process.isFrozen, 1000, "the fold goes so far");
        a.process.onCall = undefined;
        await putEach(b, range(30, 200)); // a backlog
        await world.eventually(async () => (await b.metrics()).upkeep, 2 * stuckMs + 1000, "b takes over");
        await b.checkpoint();
        expect((await b.metrics()).logEntries).toBe(0);
        await putEach(b, range(200, 210));
        a.process.thaw();
        await folded;
        await a.put(item(210));
        await b.put(item(211));
        await world.sleep(100);
        expect([(await a.metrics()).upkeep, (await b.metrics()).upkeep]).toEqual([false, true]);
        await b.checkpoint();
        expect([a.errors, b.errors, a.endings, b.endings]).toEqual([[], [], [], []]);
        await expectEverywhere(world, [a, b], range(0, 212));
      });
    }
    expect(calls).toBeGreaterThan(4);
  });

  test("[TB2] woken at any point of a fold while its successor sleeps, it publishes nothing", async () => {
    let calls = 0;
    for (let at = 1; at <= 2 * calls + 1; at++) {
      const [n, when] = [at >> 1, at % 2 === 0 ? "before" : "after"] as const;
      await simulate(async (world) => {
        const a = await openPage(world, "a");
        const b = await openPage(world, "b");
        const c = await openPage(world, "c", { cacheMaxBytes: 1 });
        await putEach(a, range(0, 30));
        a.process.onCall = (call) => {
          if (at === 1) calls = call.n; // the first round counts
          else if (call.n === n && call.when === when) a.process.freeze();
        };
        const folded = a.checkpoint();
        if (at === 1) return folded;
        await world.eventually(() => a.process.isFrozen, 1000, "the fold goes so far");
        const successors = b.checkpoint();
        let since = 0;
        b.process.onCall = (call) => {
          // Its tenure has begun, and has swept what it found unpublished.
          if (call.when === "before" && b.process.locks.includes(upkeepLock) && ++since === 2) b.process.freeze();
        };
        await Promise.race([successors, world.eventually(() => b.process.isFrozen, 6000, "b takes over")]);
        a.process.onCall = undefined;
        b.process.onCall = undefined;
        a.process.thaw();
        await world.sleep(500);
        expect(await freshItems(c)).toEqual(range(0, 30));
        expect((await c.verify()).damage).toEqual([]);
        b.process.thaw();
        await Promise.all([folded, successors]);
        expect([a.errors, b.errors, c.errors]).toEqual([[], [], []]);
        await expectEverywhere(world, [a, b, c], range(0, 30));
      });
    }
    expect(calls).toBeGreaterThan(4);
  });

  test("[TB2] a lock that falls to a frozen host is taken from it, too", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", small);
      const b = await openPage(world, "b", small);
      const c = await openPage(world, "c", small);
      b.process.freeze();
      a.process.kill(); // the next in line for the lock sleeps
      await putEach(c, range(0, 200));
      await world.eventually(async () => (await c.metrics()).upkeep, 2 * stuckMs + 1000, "c takes over");
      await c.checkpoint();
      expect((await c.metrics()).logEntries).toBe(0);
      b.process.thaw();
      await b.put(item(200));
      await world.sleep(100);
      await c.checkpoint();
      expect([b.errors, c.errors]).toEqual([[], []]);
      await expectEverywhere(world, [b, c], range(0, 201));
    }));

  test("[TB2] whoever took over freezes in its turn, and the woken first one takes over again", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", small);
      const b = await openPage(world, "b", small);
      let written = 0;
      const frozenAndPassedOver = async (sleeper: Page, other: Page): Promise<void> => {
        sleeper.process.freeze();
        await putEach(other, range(written, written + 150));
        written += 150;
        await world.eventually(async () => (await other.metrics()).upkeep, 2 * stuckMs + 1000, "it is passed over");
        await other.checkpoint();
        sleeper.process.thaw();
        await world.sleep(200);
        expect((await sleeper.metrics()).upkeep).toBe(false);
      };
      await frozenAndPassedOver(a, b);
      await frozenAndPassedOver(b, a);
      await frozenAndPassedOver(a, b);
      expect([a.errors, b.errors]).toEqual([[], []]);
      await expectEverywhere(world, [a, b], range(0, written));
    }));
});
