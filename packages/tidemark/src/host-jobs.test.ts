import { describe, expect, test, vi } from "vitest";
import { TidemarkError } from "./base/errors.ts";
import { cycleIn, type CycleState, readCycle } from "./gc/cycle.ts";
import { databaseName, item, openPage, type Page, pagesWithGarbage, range } from "./host-page.test-support.ts";
import type { Call, Process } from "./testing/process.ts";
import { simulate, type World } from "./testing/world.ts";
import type { GcRunOptions } from "./protocol/gc.ts";
import { storeNames } from "./storage/contract.ts";

vi.setConfig({ testTimeout: 30_000 });

const upkeepLock = `tidemark/${databaseName}/upkeep`;

describe("what a page asks of garbage collection", () => {
  const bad: readonly (readonly [string, unknown, string])[] = [
    ["kind", "OLD_ONLY", `"YOUNG_ONLY", "YOUNG_AND_MIDDLE" or "FULL_GC"; it is "OLD_ONLY"`],
    ["kind", "toString", `"YOUNG_ONLY", "YOUNG_AND_MIDDLE" or "FULL_GC"`],
    ["dryRun", "no", "true or false"],
    ["useSnapshot", 1, "true or false"],
    ["deleteBatchSize", 0, "a whole number from 1 to 1000000"],
    ["deleteBatchSize", 1_000_001, "a whole number from 1 to 1000000"],
    ["budgetMs", Number.NaN, "a number from 1 to 50"],
    ["dryrun", true, "no option 'dryrun'"],
  ];
  test.each(bad)("[GM2] a run with %s %j is refused by the worker too, and nothing is changed", (option, value, why) =>
    simulate(async (world) => {
      const page = await openPage(world, "a", { gc: { mode: "manual" } });
      await page.put(...range(0, 5));
      await page.put(...range(0, 5));
      const storage = await world.medium.open(page.request.name);
      const stored = () => storage.read(storeNames.map((store) => ({ kind: "range", store, range: {} })));
      const before = await stored();
      const options = { [option]: value } as GcRunOptions;
      const run = page.call<"gc-run">({ op: "gc-run", job: 1, isBackground: false, options });
      await expect(run).rejects.toMatchObject({
        code: "OPTIONS_INVALID",
        message: expect.stringContaining(why),
        details: { option },
      });
      expect(await stored()).toEqual(before);
    }),
  );
});

const executionsOf = (page: Page) => page.call<"gc-executions">({ op: "gc-executions" });
const steer = (page: Page, job: number, what: "pause" | "resume" | "cancel") =>
  page.call<"gc-steer">({ op: "gc-steer", job, what });

describe("a run that ends before its cycle began", () => {
  const kind = "YOUNG_AND_MIDDLE";
  const run = (page: Page) =>
    page.call<"gc-run">({ op: "gc-run", job: 1, isBackground: true, options: { kind, deleteBatchSize: 7 } });
  const execution = { id: 1, type: kind, scanned: 0, swept: 0, config: { kind, deleteBatchSize: 7 } };
  /** Of the run, told to its page. */
  const told = ({ events }: Page) =>
    events.flatMap((e) => (e.type === "gc" && e.event.type === "ended" ? [e.event] : []));

  test.each(["itself", "another"] as const)("[GM3] cancelled, asked by %s, is an execution all the same", (asker) =>
    simulate(async (world) => {
      const [a, b] = [await openPage(world, "a"), await openPage(world, "b")];
      await a.put(...range(0, 5));
      const page = asker === "itself" ? a : b;
      const done = run(page);
      await steer(page, 1, "pause");
      await world.sleep(100);
      await steer(page, 1, "cancel");
      expect(await done).toMatchObject({ cycleId: 1, deleted: 0, dryRun: false });
      const [only, ...others] = await executionsOf(b);
      expect(only).toMatchObject({ ...execution, status: "CANCELLED", error: expect.stringContaining("cancelled") });
      expect(only!.completed! - only!.started).toBeGreaterThan(90);
      expect(others).toEqual([]);
      await world.sleep(10);
      expect(told(page)).toEqual([{ type: "ended", execution: only }]);
      expect(await run(page)).toMatchObject({ cycleId: 2 });
    }),
  );

  test("[GM3] with a failure is an execution all the same, and says why", () =>
    simulate(async (world) => {
      const page = await openPage(world, "a");
      await page.put(...range(0, 5));
      let failures = 0;
      page.process.onCall = ({ batch }) => {
        if (batch && failures++ === 0) throw new TidemarkError("INTERNAL", "a broken disk");
      };
      await expect(run(page)).rejects.toThrow("a broken disk");
      const status = "FAILED";
      expect(await executionsOf(page)).toMatchObject([
        { ...execution, status, error: expect.stringContaining("a broken disk") },
      ]);
      expect(await run(page)).toMatchObject({ cycleId: 2 });
    }));

  test("[GM3] says why it failed even where that cannot be written down", () =>
    simulate(async (world) => {
      const page = await openPage(world, "a");
      await page.put(...range(0, 5));
      let failures = 0;
      page.process.onCall = ({ batch }) => {
        if (batch) throw new TidemarkError("INTERNAL", `a disk broken for the time ${++failures}`);
      };
      await expect(run(page)).rejects.toThrow("a disk broken for the time 1");
      page.process.onCall = undefined;
      expect(await executionsOf(page)).toEqual([]);
    }));
});

describe("a run that is steered", () => {
  const gcs = [{ mode: "manual" }, {}] as const;
  const items = range(0, 400);
  const swept = 6 * 400;
  const begin = (page: Page) =>
    page.call<"gc-run">({ op: "gc-run", job: 1, isBackground: true, options: { deleteBatchSize: 1 } });
  const last = async (page: Page) => (await executionsOf(page))[0]!;

  async function goesOn(world: World, page: Page): Promise<void> {
    const from = page.events.length;
    const isTold = () => page.events.slice(from).some((e) => e.type === "gc" && e.job === 1);
    await world.eventually(isTold, 5000, "it goes on");
  }

  /** As stored. */
  async function cycle(world: World): Promise<CycleState | undefined> {
    const storage = await world.medium.open(databaseName);
    const [row] = await storage.read([readCycle]);
    await storage.close();
    return cycleIn(row);
  }

  /** After the step that is under way. */
  async function paused(world: World, page: Page): Promise<CycleState> {
    await steer(page, 1, "pause");
    await world.sleep(50);
    return (await cycle(world))!;
  }

  /** Nothing is done for so long, whatever is committed and folded. */
  async function expectStill(world: World, page: Page, { id, steps }: CycleState): Promise<void> {
    for (const until = world.now + 20_000; world.now < until; await world.sleep(500)) {
      expect(await cycle(world)).toMatchObject({ id, steps });
      await page.put(item(900));
      await page.checkpoint();
    }
  }

  async function expectDone(world: World, page: Page, run: Promise<{ cycleId: number }>, id: number): Promise<void> {
    const { cycleId } = await run;
    const all = await executionsOf(page);
    expect(all.map(({ status }) => status)).toEqual(all.map(() => "COMPLETED"));
    expect(all.find((one) => one.id === id)).toMatchObject({ swept });
    expect(all.map((one) => one.id)).toContain(cycleId);
  }

  test.each(gcs)("[VG10] paused in the middle of its cycle, it waits, whatever else upkeep does (%j)", (gc) =>
    simulate(async (world) => {
      const [a, b] = await pagesWithGarbage(world, gc, items);
      const run = begin(a);
      await goesOn(world, a);
      const before = await paused(world, a);
      await expectStill(world, a, before);
      await steer(a, 1, "resume");
      await expectDone(world, b, run, before.id);
      expect([a.errors, b.errors]).toEqual([[], []]);
    }),
  );

  test.each(gcs)(
    "[TB2][VG10] paused, its host dies: it is still paused in the next one, until it is resumed (%j)",
    (gc) =>
      simulate(async (world) => {
        const [a, b, c] = await pagesWithGarbage(world, gc, items);
        const run = begin(c);
        await goesOn(world, c);
        for (const what of ["pause", "resume"] as const) await steer(c, 1, what);
        const before = await paused(world, c);
        a.process.kill();
        await expectStill(world, b, before);
        await steer(c, 1, "resume");
        await expectDone(world, b, run, before.id);
        expect([b.errors, c.errors]).toEqual([[], []]);
      }),
  );

  test("[TB2][VG10] paused before its cycle began, its host dies: none begins until it is resumed", () =>
    simulate(async (world) => {
      const [a, b, c] = await pagesWithGarbage(world, { mode: "manual" }, items);
      const run = begin(c);
      await steer(c, 1, "pause");
      await world.sleep(50);
      a.process.kill();
      await world.sleep(10_000);
      expect(await executionsOf(b)).toEqual([]);
      await steer(c, 1, "resume");
      await expectDone(world, b, run, 1);
    }));

  test("[TB2][VG10] paused by a tab that loses upkeep, and lives: it is still paused where upkeep is now", () =>
    simulate(async (world) => {
      const [a, b] = await pagesWithGarbage(world, { mode: "manual" }, items);
      const run = begin(a);
      await goesOn(world, a);
      const before = await paused(world, a);
      const thief = await world.process("thief").environment.locks.request(upkeepLock, { steal: true });
      thief!.release();
      await world.eventually(async () => (await b.metrics()).upkeep, 100, "b does upkeep");
      await expectStill(world, b, before);
      await steer(a, 1, "resume");
      await expectDone(world, b, run, before.id);
      expect([a.errors, b.errors]).toEqual([[], []]);
    }));

  test.each(gcs)("[TB2][GM3] cancelled as its host dies, it is still cancelled by the next one (%j)", (gc) =>
    simulate(async (world) => {
      const [a, b, c] = await pagesWithGarbage(world, gc, items);
      const run = begin(c);
      await goesOn(world, c);
      a.process.kill();
      const { id, versions: gone } = (await cycle(world))!;
      await steer(c, 1, "cancel");
      expect(await run).toMatchObject({ cycleId: id, deleted: gone });
      expect((await executionsOf(b)).find((one) => one.id === id)).toMatchObject({ status: "CANCELLED", swept: gone });
      expect(gone).toBeLessThan(swept);
    }),
  );

  test("[TB2] cancelled where no message comes through, it is cancelled all the same", () =>
    simulate(async (world) => {
      const [a, b, c] = await pagesWithGarbage(world, { mode: "manual" }, items);
      const run = begin(c);
      await goesOn(world, c);
      const { id } = await paused(world, c);
      world.hub.fate = (message) => (/^(job-steer|upkeep)$/.test((message as { type: string }).type) ? [] : [0.3]);
      a.process.kill();
      await steer(c, 1, "cancel");
      expect(await run).toMatchObject({ cycleId: id });
      expect(await last(b)).toMatchObject({ id, status: "CANCELLED" });
    }));

  test("[VG10] paused by a tab that dies, it ends as if that had been closed, and holds nobody up", () =>
    simulate(async (world) => {
      const [a, b, c] = await pagesWithGarbage(world, { mode: "manual" }, items);
      void begin(c);
      await goesOn(world, c);
      const { id } = await paused(world, c);
      c.process.kill();
      await world.sleep(1000);
      expect(await last(b)).toMatchObject({ id, status: "CANCELLED" });
      const run = begin(b);
      await goesOn(world, b);
      await run;
      expect([a.errors, b.errors]).toEqual([[], []]);
    }));

  test("[TB2][TB1] its host dies and its asker sleeps: upkeep goes on with its cycle after a while", () =>
    simulate(async (world) => {
      const [a, b, c] = await pagesWithGarbage(world, { mode: "manual" }, items);
      void begin(c);
      await goesOn(world, c);
      const { id } = await last(b);
      c.process.freeze();
      a.process.kill();
      await world.sleep(8000);
      expect(await last(b)).toMatchObject({ id, status: "COMPLETED", swept });
    }));

  test("[VG10] its host is closed while it is paused: it is still paused in the next one", () =>
    simulate(async (world) => {
      const [a, b, c] = await pagesWithGarbage(world, { mode: "manual" }, items);
      const run = begin(c);
      await goesOn(world, c);
      const before = await paused(world, c);
      await a.close();
      await expectStill(world, b, before);
      await steer(c, 1, "resume");
      await expectDone(world, b, run, before.id);
    }));
});

describe("an eviction", () => {
  const evict = (page: Page, holder: string) => page.call<"gc-evict">({ op: "gc-evict", holder });
  const refused = { code: "NOT_FOUND" };
  const pinOf = async (page: Page): Promise<string> =>
    (await page.call<"gc-explain">({ op: "gc-explain" })).holders.find(({ isSelf }) => isSelf)!.id;
  const evictions = async (page: Page): Promise<readonly (readonly string[])[]> =>
    (await page.call<"gc-advances">({ op: "gc-advances" })).flatMap(({ evicted }) =>
      evicted.length > 0 ? [evicted] : [],
    );

  /** `a` does upkeep, `b` sleeps on a view, `c` asks. */
  async function opened(world: World): Promise<readonly [a: Page, b: Page, c: Page, pin: string]> {
    const [a, b] = [await openPage(world, "a"), await openPage(world, "b")];
    const c = await openPage(world, "c");
    await a.put(...range(0, 5));
    await b.begin(b.newHandle(), "view", 0, true);
    const pin = await pinOf(b);
    b.process.freeze();
    await a.put(item(0, 100));
    return [a, b, c, pin];
  }

  /** The upkeep host dies, and with it the answer that it was about to give. */
  function dyingWithItsAnswer(world: World, { process }: Page, then: () => void = () => undefined): void {
    const missed = new Set<Process>();
    world.hub.fate = (message, to) => {
      if (!/^job-(done|failed)$/.test((message as { type: string }).type) || missed.has(to)) return [0.3];
      if (missed.size === 0) {
        process.kill();
        then();
      }
      missed.add(to);
      return [];
    };
  }

  test("[TB5][TB2] whose answer died with the upkeep host was done, and is known to be", () =>
    simulate(async (world) => {
      const [a, b, c, pin] = await opened(world);
      dyingWithItsAnswer(world, a);
      await evict(c, pin);
      expect(a.process.locks).toEqual([]);
      expect(await evictions(c)).toEqual([[pin]]);
      await expect(evict(c, pin)).rejects.toMatchObject(refused); // asked again, it finds nobody
      b.process.thaw();
      expect(await b.get(item(0).id)).toEqual(item(0, 100));
    }));

  test("[TB5] whose answer was lost is not done twice, to a tab that is back meanwhile", () =>
    simulate(async (world) => {
      const [a, b, c, pin] = await opened(world);
      dyingWithItsAnswer(world, a, () => b.process.thaw());
      const evicted = evict(c, pin);
      await world.eventually(() => a.process.locks.length === 0, 1000, "it was done");
      expect(await b.get(item(0).id)).toEqual(item(0, 100));
      const view = b.newHandle();
      await b.begin(view, "view", 0, true);
      await evicted;
      expect(await evictions(c)).toEqual([[pin]]);
      expect(await b.get(item(0).id, view)).toEqual(item(0, 100));
    }));

  test("[TB5] that another tab had done, or that was of before, is none of this one's", () =>
    simulate(async (world) => {
      const [a, , c, pin] = await opened(world);
      await evict(a, pin);
      await expect(evict(c, pin)).rejects.toMatchObject(refused);
      await expect(evict(a, pin)).rejects.toMatchObject(refused);
      dyingWithItsAnswer(world, a);
      await expect(evict(c, "pin/nobody")).rejects.toMatchObject(refused);
    }));
});

describe("upkeep whose epoch a woken tab took", () => {
  /** `a` was given the lock and fell asleep as it began; `b` took the lock over, and then `a` woke up and began. */
  async function deposed(world: World): Promise<readonly [Page, Page]> {
    const [a, b] = [await openPage(world, "a"), await openPage(world, "b")];
    await world.sleep(100);
    const thief = world.process("thief");
    const lock = await thief.environment.locks.request(upkeepLock, { steal: true });
    await world.sleep(10); // a stands for it again, behind b
    const isBeginning = (call: Call): boolean =>
      call.when === "before" && call.batch?.stores?.join() === "meta" && call.batch.durability === "strict";
    b.process.onCall = (call) => {
      if (isBeginning(call)) b.process.freeze();
    };
    lock!.release();
    await world.eventually(() => b.process.isFrozen, 1000, "b begins");
    await a.put(item(1));
    await a.checkpoint(); // which takes upkeep over
    b.process.onCall = undefined;
    b.process.thaw();
    await world.sleep(100);
    return [a, b];
  }

  test("[TB2] runs are done all the same, whoever asks", () =>
    simulate(async (world) => {
      const [a, b] = await deposed(world);
      for (const [job, page] of [a, b].entries()) {
        const run = page.call<"gc-run">({ op: "gc-run", job, isBackground: false, options: {} });
        expect(await Promise.race([run, world.sleep(20_000).then(() => "hangs")])).toMatchObject({ dryRun: false });
      }
    }));

  test("[TB2][TB5] so are evictions", () =>
    simulate(async (world) => {
      const [a, b] = await deposed(world);
      await a.begin(a.newHandle(), "view");
      const { holders } = await a.call<"gc-explain">({ op: "gc-explain" });
      const { id } = holders.find(({ kind, seq }) => kind === "pin" && seq > 0)!;
      const evicted = b.call<"gc-evict">({ op: "gc-evict", holder: id });
      expect(await Promise.race([evicted, world.sleep(20_000).then(() => "hangs")])).toBeUndefined();
    }));
});

test("[VG13][TB5] a tab that was evicted, and hears of nobody, still explains a floor that is not above the head", () =>
  simulate(async (world) => {
    const [a, b] = [await openPage(world, "a"), await openPage(world, "b")];
    world.hub.fate = () => [];
    await a.put(...range(0, 5));
    await a.put(...range(0, 5));
    const { holders } = await a.call<"gc-explain">({ op: "gc-explain" });
    for (const { id, kind, isSelf } of holders)
      if (kind === "pin" && !isSelf) await a.call<"gc-evict">({ op: "gc-evict", holder: id });
    await a.call<"gc-run">({ op: "gc-run", job: 1, isBackground: false, options: {} });
    const { floor, head } = await b.call<"gc-explain">({ op: "gc-explain" });
    expect(floor).toBeGreaterThan(0);
    expect(head).toBeGreaterThanOrEqual(floor);
  }));

test("[VG12] proofs are given though upkeep moves on at any moment of looking for them", async () => {
  const ends = new Set<string>();
  for (let at = 1; at <= 8; at++) {
    await simulate(async (world) => {
      const a = await openPage(world, "a", { gc: { mode: "manual" } });
      await a.put(...range(0, 300));
      const view = a.newHandle();
      await a.begin(view, "view");
      await a.put(...range(0, 300));
      await a.checkpoint();
      const b = await openPage(world, "b", { cacheMaxBytes: 1 });
      await a.end(view);
      await a.put(item(1));
      b.process.onCall = ({ n, when }) => {
        if (n === at && when === "before") b.process.freeze();
      };
      const proofs = b.call<"gc-proofs">({ op: "gc-proofs", limit: 10_000, after: undefined });
      await world.sleep(50);
      ends.add(b.process.isFrozen ? "frozen meanwhile" : "done before");
      await a.call<"gc-run">({ op: "gc-run", job: 1, isBackground: false, options: {} });
      b.process.thaw();
      expect((await proofs).proofs.length).toBeLessThan(700);
    });
  }
  expect(ends.has("frozen meanwhile")).toBe(true);
});
