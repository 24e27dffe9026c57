import { describe, expect, test } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import { type Item, openPage, outcome, Page, databaseName } from "./host-page.test-support.ts";
import { type Call, type Process, randomFrom, simulate, type World } from "./host-world.test-support.ts";
import { readPins } from "./mvcc/pins.ts";

const small = { memtableMaxBytes: 8 * 1024 };
/** Upkeep counts as stuck after this long; it takes one look before and one after. */
const stuckMs = 2000;
const lookMs = 2000;
const channelName = `tidemark/${databaseName}`;
const item = (i: number, n = i): Item => ({ id: `k${String(i).padStart(4, "0")}`, n, pad: "x".repeat(100) });
const range = (from: number, to: number): Item[] => Array.from({ length: to - from }, (_, i) => item(from + i));

/** One record a commit. */
async function putEach(page: Page, items: readonly Item[]): Promise<void> {
  for (const one of items) await page.put(one);
}

async function pinnedTabs(world: World): Promise<number> {
  const storage = await world.medium.open(databaseName);
  const [pins] = await storage.read([readPins]);
  storage.close();
  return pins!.length;
}

const sorted = (items: Iterable<Item>): Item[] => [...items].sort((a, b) => (a.id < b.id ? -1 : 1));

/** All pages, and one that opens now, see exactly these items, and nothing is damaged. */
async function expectEverywhere(world: World, pages: readonly Page[], items: Iterable<Item>): Promise<void> {
  const fresh = await openPage(world, "auditor");
  const expected = sorted(items);
  for (const page of [...pages, fresh]) {
    const handle = page.newHandle();
    await page.begin(handle, "view", 0, true);
    expect(await page.all(handle)).toEqual(expected);
    await page.end(handle);
  }
  expect((await fresh.verify()).damage).toEqual([]);
  await fresh.close();
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
    }));

  test("[TB2] frozen at any storage call of a fold, its upkeep writes abort when it goes on", async () => {
    let calls = 0;
    for (let at = 1; at <= 2 * calls + 1; at++) {
      const [n, when] = [at >> 1, at % 2 === 0 ? "before" : "after"] as const;
      await simulate(async (world) => {
        const a = await openPage(world, "a", small);
        const b = await openPage(world, "b", small);
        await putEach(a, range(0, 30));
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

describe("messages between hosts", () => {
  test("[TB3] every message is lost: a live query hears of a commit within the look interval, again and again", () =>
    simulate(async (world) => {
      world.hub.fate = () => [];
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      for (let n = 1; n <= 3; n++) {
        const handle = await b.watch("k0001");
        await a.put(item(1, n));
        const started = world.now;
        await world.eventually(() => b.touched.includes(handle), lookMs + 50, "b hears of it");
        expect(world.now - started).toBeGreaterThan(0);
        expect((await b.get("k0001"))?.n).toBe(n);
      }
    }));

  test("[TB3] no message is lost: a live query hears of a commit within milliseconds", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      const handle = await b.watch("k0001");
      await a.put(item(2)); // not what it reads
      await world.sleep(5);
      expect(b.touched).toEqual([]);
      await a.put(item(1));
      await world.sleep(5);
      expect(b.touched).toEqual([handle]);
    }));

  test("[TB3] every message is lost: a fresh view and every commit look at the log itself", () =>
    simulate(async (world) => {
      world.hub.fate = () => [];
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      await a.put(item(1));
      const handle = b.newHandle();
      await b.begin(handle, "view", 0, true);
      expect(await b.get("k0001", handle)).toEqual(item(1));
      await a.put(item(2));
      expect(await outcome(b.write("add", [item(2)]))).toBe("CONSTRAINT");
      expect((await b.delete("k0001")).existed).toEqual([true]);
      await expectEverywhere(world, [a, b], [item(2)]);
    }));

  test.each([1, 2, 3])("[TB3] duplicated, late and reordered messages corrupt nothing (seed %i)", (seed) =>
    simulate(
      async (world) => {
        const chance = randomFrom(seed);
        world.hub.fate = () => Array.from({ length: Math.floor(chance() * 4) }, () => chance() * 40);
        const pages = [
          await openPage(world, "a", small),
          await openPage(world, "b", small),
          await openPage(world, "c", small),
        ];
        const done = await Promise.all(pages.map((page, i) => busy(page, 60, randomFrom(seed * 10 + i))));
        const total = done.reduce((sum, n) => sum + n, 0);
        const fresh = await openPage(world, "d");
        expect((await fresh.all()).reduce((sum, { n }) => sum + n, 0)).toBe(total);
        await expectEverywhere(world, [...pages, fresh], await fresh.all());
        expect(pages.flatMap((p) => [...p.errors, ...p.endings])).toEqual([]);
      },
      { seed },
    ),
  );

  test("[TB3] garbage, damaged entries and entries of another database corrupt nothing", () =>
    simulate(async (world) => {
      const other = await openPage(world, "x", { name: "other" });
      const witness = await openPage(world, "y", { name: "other" });
      const chance = randomFrom(7);
      const pages = [await openPage(world, "a", small), await openPage(world, "b", small)];
      await world.sleep(5);
      await Promise.all([other.put(item(900)), pages[0]!.put(item(0, 0)), pages[1]!.put(item(1, 0))]);
      const foreign = world.hub.posted.filter((p) => p.name === "tidemark/other").map((p) => p.message);
      expect(foreign.some(isCommit)).toBe(true);
      let isOver = false;
      const noise = (async () => {
        while (!isOver) {
          world.hub.inject(channelName, nonsense(world, foreign, chance));
          await world.sleep(chance() * 2);
        }
      })();
      const done = await Promise.all(pages.map((page, i) => busy(page, 60, randomFrom(i))));
      isOver = true;
      await noise;
      const fresh = await openPage(world, "d");
      expect((await fresh.all()).reduce((sum, { n }) => sum + n, 0)).toBe(done[0]! + done[1]!);
      await expectEverywhere(world, [...pages, fresh], await fresh.all());
      expect(pages.flatMap((p) => [...p.errors, ...p.endings])).toEqual([]);
      expect(await witness.get("k0900")).toEqual(item(900));
    }));
});

/** Increments random keys, and looks that its views never go backwards. Answers how often it incremented. */
async function busy(page: Page, rounds: number, chance: () => number): Promise<number> {
  let seen = 0;
  for (let i = 0; i < rounds; i++) {
    await increment(page, `k${Math.floor(chance() * 5)}`);
    const handle = page.newHandle();
    const { seq } = await page.begin(handle, "view");
    expect(seq).toBeGreaterThanOrEqual(seen);
    seen = seq;
    await page.end(handle);
  }
  return rounds;
}

const increment = (page: Page, id: string): Promise<number> =>
  page.transact(async (handle) => {
    const n = (await page.get(id, handle))?.n ?? 0;
    await page.stage(handle, "put", [{ id, n: n + 1 }]);
  });

const isCommit = (message: unknown): boolean => (message as { type?: unknown }).type === "commit";

/** Something that nobody should have sent. */
function nonsense(world: World, foreign: readonly unknown[], chance: () => number): unknown {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(chance() * from.length)]!;
  const known = world.hub.posted.filter((p) => p.name === channelName).map((p) => p.message);
  const commits = known.filter(isCommit) as { bytes: Uint8Array }[];
  switch (Math.floor(chance() * 6)) {
    case 0:
      return pick([null, 1, "commit", [], {}, { type: 3 }, { type: "nothing" }, new Map()]);
    case 1:
      return pick<unknown>([
        { type: "commit", bytes: "bytes" },
        { type: "commit", bytes: [1, 2] },
        { type: "commit", bytes: new ArrayBuffer(8) },
        { type: "commit" },
        { type: "raised", tab: 5 },
        { type: "raised" },
        { type: "raised", tab: "nobody" },
      ]);
    case 2:
      return pick(["checkpoint", "wanted", "raise", "courtesy", "joined", "present", "ping", "pong"].map(plainMessage));
    case 3:
      return pick(foreign);
    case 4:
      return { type: "commit", bytes: Uint8Array.from({ length: Math.floor(chance() * 200) }, () => chance() * 256) };
    default: {
      const bytes = pick(commits).bytes.slice();
      bytes[Math.floor(chance() * bytes.length)]! ^= 1 << Math.floor(chance() * 8);
      return { type: "commit", bytes: chance() < 0.3 ? bytes.subarray(0, chance() * bytes.length) : bytes };
    }
  }
}

const plainMessage = (type: string): unknown => ({ type });

describe("transactions of several hosts", () => {
  test.each([
    { hosts: 2, seed: 1 },
    { hosts: 2, seed: 2 },
    { hosts: 3, seed: 3 },
    { hosts: 3, seed: 4 },
  ])("[MV3] $hosts hosts increment one key 200 times each (seed $seed)", ({ hosts, seed }) =>
    simulate(
      async (world) => {
        const pages: Page[] = [];
        for (let i = 0; i < hosts; i++) pages.push(await openPage(world, `h${i}`, { memtableMaxBytes: 32 * 1024 }));
        await Promise.all(
          pages.map(async (page) => {
            for (let i = 0; i < 200; i++) await increment(page, "counter");
          }),
        );
        await expectEverywhere(world, pages, [{ id: "counter", n: 200 * hosts }]);
      },
      { seed },
    ),
  );
});

describe("without shared locks", () => {
  const lone = { areLocksShared: false };

  test("[TB6] a second host is refused while the first answers, and the first works on", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(item(1));
      const b = new Page(world.process("b"));
      const opened = await b.tryOpen();
      expect(opened.ok ? "ok" : opened.error.code).toBe("ENVIRONMENT");
      expect(b.process.locks).toEqual([]);
      await a.put(item(2));
      expect(a.endings).toEqual([]);
      await a.close();
      await b.open();
      expect(await b.all()).toEqual([item(1), item(2)]);
    }, lone));

  test("[TB6] the first is silent: the second opens, and the first one's next commit ends it", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(item(1));
      a.process.freeze();
      const b = await openPage(world, "b");
      await b.put(item(2));
      a.process.thaw();
      expect(await outcome(a.put(item(3)))).toBe("CLOSED superseded");
      expect(a.endings).toEqual(["superseded"]);
      expect(await outcome(a.get("k0001"))).toBe("CLOSED superseded");
      await b.put(item(4));
      await world.sleep(100);
      expect(a.process.locks).toEqual([]);
      expect(await b.all()).toEqual([item(1), item(2), item(4)]);
      expect((await b.verify()).damage).toEqual([]);
    }, lone));

  test.each([1, 2, 3, 4])("[TB6] commits acknowledged while another opens unheard are in it (seed %i)", (seed) =>
    simulate(
      async (world) => {
        world.hub.fate = () => [];
        const a = await openPage(world, "a");
        const acknowledged: Item[] = [];
        const writing = (async () => {
          for (let i = 0; ; i++) {
            try {
              await a.put(item(i));
            } catch (e) {
              return isTidemarkError(e, "CLOSED") ? e.details["reason"] : e;
            }
            acknowledged.push(item(i));
          }
        })();
        const b = await openPage(world, "b");
        expect(await writing).toBe("superseded");
        expect(a.endings).toEqual(["superseded"]);
        expect(acknowledged.length).toBeGreaterThan(20);
        await b.put(item(9000));
        const there = await b.all();
        // Its last write was never answered: it may be there, and nothing after it.
        expect(there.filter((i) => i.n !== 9000 && i.n !== acknowledged.length)).toEqual(acknowledged);
        expect(b.errors).toEqual([]);
      },
      { ...lone, seed },
    ),
  );
});
