import { describe, expect, test, vi } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import {
  databaseName,
  expectEverywhere,
  increment,
  item,
  type Item,
  openPage,
  outcome,
  Page,
  range,
} from "./host-page.test-support.ts";
import { randomFrom } from "./testing/random.ts";
import { simulate, type World } from "./testing/world.ts";

vi.setConfig({ testTimeout: 30_000 });

const small = { memtableMaxBytes: 8 * 1024 };
const lookMs = 2000;
const channelName = `tidemark/${databaseName}`;

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
      const again = await b.watch("k0001");
      await a.put({ ...item(1), pad: "x".repeat(100_000) }); // too large to come with the message
      await world.sleep(5);
      expect(b.touched).toEqual([handle, again]);
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

  test("[TB3] an intact entry of another database does not apply, though it has the next seq", () =>
    simulate(async (world) => {
      const [a, other, witness] = [
        await openPage(world, "a"),
        await openPage(world, "x", { name: "other" }),
        await openPage(world, "y", { name: "other" }),
      ];
      await world.sleep(5);
      const { seq } = await other.put(item(1));
      const entry = world.hub.posted.find((p) => p.name === "tidemark/other" && isCommit(p.message));
      world.hub.inject(channelName, entry!.message);
      await world.sleep(5);
      expect((await a.metrics()).head).toBe(seq - 1);
      expect(await a.all()).toEqual([]);
      expect(await a.put(item(2))).toEqual({ seq, existed: [false] });
      expect(await witness.all()).toEqual([item(1)]); // where it belongs it did
      await expectEverywhere(world, [a], [item(2)]);
    }));

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
      const over = new AbortController();
      const noise = (async () => {
        while (!over.signal.aborted) {
          world.hub.inject(channelName, nonsense(world, foreign, chance));
          await world.sleep(chance() * 2);
        }
      })();
      const done = await Promise.all(pages.map((page, i) => busy(page, 60, randomFrom(i))));
      over.abort();
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

describe("a frozen host", () => {
  test("[TB1] at any storage call of a commit: others go on, and it goes on where they are", async () => {
    let calls = 0;
    for (let at = 1; at <= 2 * calls + 1; at++) {
      const [n, when] = [at >> 1, at % 2 === 0 ? "before" : "after"] as const;
      await simulate(async (world) => {
        const b = await openPage(world, "b");
        const a = await openPage(world, "a");
        await a.put(item(0));
        a.process.onCall = (call) => {
          if (at === 1) calls = call.n; // the first round counts
          else if (call.n === n && call.when === when) a.process.freeze();
        };
        const write = a.put(item(1), item(2));
        if (at === 1) {
          await write;
          return;
        }
        await world.eventually(() => a.process.isFrozen, 1000, "the commit goes so far");
        a.process.onCall = undefined;
        const started = world.now;
        await b.put(item(3));
        await b.put(item(4));
        expect(world.now - started).toBeLessThan(10);
        await b.checkpoint(); // its entry may be folded before it hears that it was appended
        await b.put(item(5));
        a.process.thaw();
        expect((await write).existed).toEqual([false, false]);
        await a.put(item(6));
        expect([a.errors, b.errors, a.endings]).toEqual([[], [], []]);
        await expectEverywhere(world, [a, b], range(0, 7));
      });
    }
    expect(calls).toBeGreaterThan(0);
  });

  test("[MV2] keeps its view while others rewrite everything it sees, again and again", () =>
    simulate(async (world) => {
      const b = await openPage(world, "b", small);
      const a = await openPage(world, "a", { ...small, cacheMaxBytes: 1 });
      await b.put(...range(0, 100));
      await b.checkpoint();
      const view = a.newHandle();
      await a.begin(view, "view", 0, true);
      a.process.freeze();
      for (let round = 1; round <= 3; round++) {
        await b.put(...range(0, 50).map((i) => item(i.n, round * 1000)));
        await b.delete(...range(50, 100).map((i) => i.id));
        await b.checkpoint();
      }
      a.process.thaw();
      expect(await a.all(view)).toEqual(range(0, 100));
      const { versions } = await b.metrics();
      await a.end(view);
      await b.put(item(0, 1));
      await b.checkpoint();
      expect((await b.metrics()).versions).toBeLessThan(versions); // nobody holds them any more
      expect([a.errors, b.errors]).toEqual([[], []]);
    }));

  test("[TB5] holds back so many commits, is evicted, and goes on when it wakes, without a reload", () =>
    simulate(async (world) => {
      const gc = { debtMaxBytes: Infinity, debtMaxCommits: 100 };
      const b = await openPage(world, "b", { ...small, gc });
      const a = await openPage(world, "a", { ...small, cacheMaxBytes: 1 });
      await b.put(...range(0, 20));
      await b.checkpoint();
      const [view, writing] = [a.newHandle(), a.newHandle()];
      await a.begin(view, "view", 0, true);
      const before = await a.begin(writing, "transaction", 0, true);
      await a.get(item(3).id, writing);
      const watched = await a.watch(item(0).id);
      a.process.freeze();
      for (let n = 1; n <= 150; n++) await b.put(item(n % 20, 1000 + n));
      const { floor } = await b.metrics();
      expect(floor).toBeLessThanOrEqual(before.seq); // it may hold back as many as that
      await b.checkpoint();
      await b.put(item(19, 5000));
      await b.checkpoint();
      expect((await b.metrics()).floor).toBeGreaterThan(before.seq);
      a.process.thaw();
      for (const handle of [view, writing]) {
        const failure = await a.get(item(7).id, handle).catch((e: unknown) => e);
        expect(failure).toMatchObject({
          code: "READ_VIEW_EVICTED",
          details: { viewSeq: before.seq, evictedBy: "upkeep" },
        });
        await a.end(handle);
      }
      expect((await a.all()).map((i) => i.n)).toEqual((await b.all()).map((i) => i.n));
      await world.eventually(() => a.touched.includes(watched), lookMs + 50, "the live query hears");
      await a.transact(async (handle) => {
        const found = await a.get(item(7).id, handle);
        await a.stage(handle, "put", [{ ...found!, n: found!.n + 1 }]);
      });
      expect((await b.all()).length).toBe(20);
      expect([a.errors, b.errors, a.endings]).toEqual([[], [], []]);
    }));

  test("[TB5] learns who had it evicted, also where that was not the tab that does upkeep", () =>
    simulate(async (world) => {
      const b = await openPage(world, "b", small);
      const a = await openPage(world, "a", { ...small, cacheMaxBytes: 1 });
      const c = await openPage(world, "c", small);
      await b.put(...range(0, 20));
      await b.checkpoint();
      const view = a.newHandle();
      const { seq } = await a.begin(view, "view", 0, true);
      const { holders } = await a.call<"gc-explain">({ op: "gc-explain" });
      const pin = holders.find(({ isSelf }) => isSelf)!.id;
      a.process.freeze();
      await b.put(item(0, 1000));
      await b.checkpoint(); // the others raise their pins
      await c.call<"gc-evict">({ op: "gc-evict", holder: pin });
      const self = (await c.call<"gc-explain">({ op: "gc-explain" })).holders.find(({ isSelf }) => isSelf)!;
      a.process.thaw();
      await expect(a.get(item(7).id, view)).rejects.toMatchObject({
        code: "READ_VIEW_EVICTED",
        details: { viewSeq: seq, evictedBy: self.owner },
      });
      expect([a.errors, b.errors, c.errors]).toEqual([[], [], []]);
    }));

  test("[TB1] that holds the turn to retry slows others' retries a little and stops none", () =>
    simulate(async (world) => {
      const pages = [await openPage(world, "a"), await openPage(world, "b"), await openPage(world, "c")];
      const [a, ...others] = pages;
      const over = new AbortController();
      const contending = pages.slice(0, 2).map(async (page) => {
        for (; !over.signal.aborted; await increment(page, "x"));
      });
      const holdsTurn = (): boolean => a!.process.locks.some((name) => name.endsWith("/retry"));
      await world.eventually(holdsTurn, 5000, "a retries");
      a!.process.freeze();
      over.abort();
      await contending[1];
      const started = world.now;
      await Promise.all(
        others.map(async (page) => {
          for (let i = 0; i < 50; i++) await increment(page, "y");
        }),
      );
      expect(world.now - started).toBeLessThan(2000);
      a!.process.thaw();
      await contending[0];
      expect((await others[0]!.get("y"))?.n).toBe(100);
    }));
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
