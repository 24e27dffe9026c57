import { describe, expect, test } from "vitest";
import { isTidemarkError, type TidemarkError } from "./base/errors.ts";
import { databaseName, type Item, openPage, outcome, Page } from "./host-page.test-support.ts";
import { type Call, randomFrom, simulate, type World } from "./host-world.test-support.ts";
import type { KeyReport } from "./protocol/messages.ts";
import type { StoreName } from "./storage/contract.ts";

const item = (i: number, n = i): Item => ({ id: `k${String(i).padStart(4, "0")}`, n, pad: "x".repeat(300) });
const range = (from: number, to: number): Item[] => Array.from({ length: to - from }, (_, i) => item(from + i));

async function keysIn(world: World, store: StoreName): Promise<number[]> {
  const storage = await world.medium.open(databaseName);
  const [found] = await storage.read([{ kind: "keys", store, range: {} }]);
  storage.close();
  return found!.map((e) => e.key as number);
}

/** The failure a call ends with. */
const failure = (call: Promise<unknown>): Promise<TidemarkError> =>
  call.then(
    () => expect.unreachable("it succeeds"),
    (e: unknown) => (isTidemarkError(e) ? e : Promise.reject(e as Error)),
  );

/** Nothing of a host is left in the way of others. */
function expectGone(world: World, page: Page): void {
  expect(page.process.locks).toEqual([]);
  expect(world.hub.listeners(page.process)).toBe(0);
}

describe("closing", () => {
  test("waits for the writes under way, and gives up every lock", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      const writes = range(0, 30).map((i) => a.put(i));
      await world.sleep(0.1); // they are on their way
      const [closed, ...outcomes] = await Promise.all([outcome(a.close()), ...writes.map(outcome)]);
      expect(closed).toBe("ok");
      expect(new Set(outcomes)).toEqual(new Set(["ok"]));
      expectGone(world, a);
      expect(await outcome(a.get("k0001"))).toBe("CLOSED closed");
      expect(a.endings).toEqual([]); // the page knows
      const b = await openPage(world, "b");
      expect(await b.all()).toEqual(range(0, 30));
      await b.checkpoint();
      expect((await b.metrics()).floor).toBe((await b.metrics()).head); // the pin has gone, too
    }));

  test("twice, and many times at once, resolves", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      const write = outcome(a.put(item(1)));
      await world.sleep(0.1);
      await Promise.all([a.close(), a.close(), a.close()]);
      await a.close();
      expect(await write).toBe("ok");
      expectGone(world, a);
      expect(await (await openPage(world, "b")).all()).toEqual([item(1)]);
    }));

  test("before it was ever opened resolves", () =>
    simulate(async (world) => {
      const a = new Page(world.process("a"));
      await a.close();
      expectGone(world, a);
    }));

  test("waits for a fold under way, and nothing of that is lost", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", { memtableMaxBytes: 2048 });
      for (const one of range(0, 20)) await a.put(one);
      await a.close();
      expectGone(world, a);
      const b = await openPage(world, "b");
      expect(await b.all()).toEqual(range(0, 20));
      expect((await b.verify()).damage).toEqual([]);
    }));

  test("gives up every lock although the fold under way fails at any of its storage calls", async () => {
    let calls = 0;
    for (let at = 0; at <= calls; at++) {
      await simulate(async (world) => {
        const a = await openPage(world, "a");
        await a.put(...range(0, 20));
        a.process.onCall = ({ n, when }) => {
          if (at === 0) calls = n; // the first round counts
          else if (n >= at && when === "before") throw new DOMException("no", "UnknownError");
        };
        const folded = outcome(a.checkpoint());
        await world.sleep(1.5); // it is under way
        await a.close();
        await folded;
        expectGone(world, a);
        a.process.onCall = undefined;
        const b = await openPage(world, "b");
        expect(await b.all()).toEqual(range(0, 20));
        await b.checkpoint();
        expect((await b.verify()).damage).toEqual([]);
        expect(await keysIn(world, "blocks")).toHaveLength((await b.metrics()).blocks);
      });
    }
    console.log(calls);
    expect(calls).toBeGreaterThan(4);
  });

  test("gives up every lock although the storage is lost meanwhile", async () => {
    for (let steps = 1; steps < 12; steps++) {
      await simulate(async (world) => {
        const a = await openPage(world, "a");
        await a.write("put", range(0, 5), "strict");
        let left = steps;
        world.medium.onStep = () => (--left === 0 ? "lost" : "go");
        const calls = [outcome(a.put(item(6))), outcome(a.checkpoint()), outcome(a.put(item(7)))];
        await world.sleep(0.1);
        await a.close();
        for (const ended of await Promise.all(calls)) expect(ended).toMatch(/^(ok|STORAGE_LOST|CLOSED.*)$/u);
        expectGone(world, a);
        world.medium.onStep = undefined;
        const b = await openPage(world, "b");
        expect((await b.all()).slice(0, 5)).toEqual(range(0, 5));
        expect((await b.verify()).damage).toEqual([]);
      });
    }
  });
});

describe("opening", () => {
  test.each(["before", "after"] as const)(
    "where storage fails at any step (%s it takes effect) holds no lock, and can be tried again",
    async (when) => {
      for (const isThere of [false, true]) {
        let calls = 0;
        for (let at = 0; at <= calls; at++) {
          await simulate(async (world) => {
            if (isThere) {
              const first = await openPage(world, "first");
              await first.put(...range(0, 5));
              await first.close();
            }
            const a = new Page(world.process("a"));
            a.process.onCall = (call: Call) => {
              if (at === 0) calls = call.n; // the first round counts
              else if (call.n === at && call.when === when) throw new DOMException("no", "UnknownError");
            };
            const opened = await a.tryOpen();
            a.process.onCall = undefined;
            expect(opened.ok).toBe(at === 0);
            if (at === 0) return;
            expectGone(world, a);
            await a.open();
            expect(await a.all()).toEqual(isThere ? range(0, 5) : []);
            await a.put(item(9));
            expect([a.errors, a.endings]).toEqual([[], []]);
            await a.checkpoint();
            expect((await a.metrics()).logEntries).toBe(0); // upkeep is its own
            await a.close();
            expectGone(world, a);
          });
        }
        expect(calls).toBeGreaterThan(3);
      }
    },
  );

  test("where the page is of another build is refused before anything is touched", () =>
    simulate(async (world) => {
      const a = new Page(world.process("a"));
      const opened = await a.host.open({ ...a.request, protocol: 99 }, () => undefined);
      expect(opened.ok ? "ok" : opened.error.code).toBe("ENVIRONMENT");
      expectGone(world, a);
      expect(await world.medium.list()).toEqual([]);
    }));
});

describe("a full disk", () => {
  test("[MV9] refuses a commit and writes nothing; reads go on; later checkpoints free what they replace", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", { cacheMaxBytes: 1 });
      const b = await openPage(world, "b", { cacheMaxBytes: 1 });
      for (const one of range(0, 50)) await a.put(one);
      await a.checkpoint();
      for (const one of range(50, 100)) await a.put(one);
      await world.sleep(5);
      const { medium } = world;
      const before = medium.usedBytes;
      const { head } = await a.metrics();
      medium.quotaBytes = before;
      expect(await outcome(a.put(item(100)))).toBe("QUOTA_EXCEEDED");
      expect(await outcome(b.transact((handle) => b.stage(handle, "put", [item(3, 33)]).then(() => undefined)))).toBe(
        "QUOTA_EXCEEDED",
      );
      expect(medium.usedBytes).toBe(before);
      expect((await a.metrics()).head).toBe(head);
      for (const page of [a, b]) expect(await page.all()).toEqual(range(0, 100));

      // Room for the blocks that a checkpoint stages, and not for what publishes them: they are taken away again.
      expect(await outcome(a.checkpoint())).toBe("QUOTA_EXCEEDED");
      expect(await keysIn(world, "blocks")).toHaveLength((await a.metrics()).blocks);
      expect(medium.usedBytes).toBe(before);
      for (const page of [a, b]) expect(await page.all()).toEqual(range(0, 100));

      medium.quotaBytes = before + 64 * 1024;
      await a.put(item(100));
      await a.checkpoint();
      expect(await keysIn(world, "log")).toEqual([0]); // the fence alone
      expect(await keysIn(world, "blocks")).toHaveLength((await a.metrics()).blocks);
      for (const page of [a, b]) {
        const handle = page.newHandle();
        await page.begin(handle, "view", 0, true);
        expect(await page.all(handle)).toEqual(range(0, 101));
      }
      expect((await b.verify()).damage).toEqual([]);
    }));

  test("[MV9] fills up between any two writes of a checkpoint: its blocks are taken away again", async () => {
    let commits = 0;
    for (let at = 0; at <= commits; at++) {
      await simulate(async (world) => {
        const a = await openPage(world, "a");
        for (const one of range(0, 400)) await a.put(one);
        let n = 0;
        world.medium.onStep = (step) => {
          if (step.kind !== "commit") return "go";
          if (at === 0) commits++;
          return ++n === at ? "quota" : "go";
        };
        const ended = await outcome(a.checkpoint());
        world.medium.onStep = undefined;
        if (at === 0) return expect(ended).toBe("ok");
        expect(await keysIn(world, "blocks")).toHaveLength((await a.metrics()).blocks);
        expect(await a.all()).toEqual(range(0, 400));
        await a.checkpoint();
        expect((await a.metrics()).logEntries).toBe(0);
        expect((await a.verify()).damage).toEqual([]);
      });
    }
    expect(commits).toBeGreaterThan(3);
  });
});

const collectionKey = (report: KeyReport | undefined): unknown => report?.key;

describe("damage", () => {
  /** Many blocks, read by a host that has none of them in its cache. */
  async function folded(world: World): Promise<{ page: Page; blocks: number[] }> {
    const writer = await openPage(world, "writer");
    await writer.put(...range(0, 1000));
    await writer.checkpoint();
    await writer.close();
    const page = await openPage(world, "a", { cacheMaxBytes: 1 });
    return { page, blocks: await keysIn(world, "blocks") };
  }

  test("[MV8] none: verify counts what is there", () =>
    simulate(async (world) => {
      const { page, blocks } = await folded(world);
      await page.put(item(1, 5));
      await page.put(item(2, 5));
      expect(blocks.length).toBeGreaterThan(4);
      expect(await page.verify()).toEqual({ blocks: blocks.length, entries: 2, damage: [] });
    }));

  test("[MV8] any flipped bit of a block is found by verify, which names the collection and the keys", () =>
    simulate(async (world) => {
      const { page, blocks } = await folded(world);
      const storage = await world.medium.open(databaseName);
      const chance = randomFrom(5);
      for (let round = 0; round < 60; round++) {
        const id = blocks[Math.floor(chance() * blocks.length)]!;
        const [found] = await storage.read([{ kind: "get", store: "blocks", key: id }]);
        const size = found![0]!.value.length;
        const at = round < 12 ? round : Math.floor(chance() * size);
        const bit = Math.floor(chance() * 8);
        world.medium.damage(databaseName, "blocks", id, at, bit);
        const { damage, blocks: intact } = await page.verify();
        expect([intact, damage.length], `byte ${at}, bit ${bit}`).toEqual([blocks.length - 1, 1]);
        expect(damage[0]).toMatchObject({ what: "block", from: { collection: expect.any(String) as string } });
        world.medium.damage(databaseName, "blocks", id, at, bit); // as it was
      }
      expect((await page.verify()).damage).toEqual([]);
    }));

  test("[MV8] reads of a damaged block say which keys it covers; all other keys are readable and writable", () =>
    simulate(async (world) => {
      const { page, blocks } = await folded(world);
      const [one] = blocks.slice(2);
      world.medium.damage(databaseName, "blocks", one!, 200);
      const [hurt] = (await page.verify()).damage;
      expect(hurt).toMatchObject({ what: "block", from: { collection: "items" }, to: { collection: "items" } });
      const [from, to] = [collectionKey(hurt!.from) as string, collectionKey(hurt!.to) as string];
      expect(from < to).toBe(true);
      const [lost, whole] = [
        range(0, 1000).filter((i) => i.id >= from && i.id <= to),
        range(0, 1000).filter((i) => i.id < from || i.id > to),
      ];
      expect(lost.length).toBeGreaterThan(10);
      expect(whole.length).toBeGreaterThan(500);
      for (const { id } of [lost[0]!, lost.at(-1)!]) {
        expect(await failure(page.get(id))).toMatchObject({
          code: "CORRUPT",
          details: { what: "block", from: { collection: "items", key: from }, to: { collection: "items", key: to } },
        });
      }
      expect(await failure(page.all())).toMatchObject({ code: "CORRUPT", details: { from: { key: from } } });
      for (const i of [whole[0]!, whole.at(-1)!]) expect(await page.get(i.id)).toEqual(i);
      const before = await page.scan({ from: page.allKeys.from, to: page.keyOf(from) });
      expect(before).toEqual(whole.filter((i) => i.id < from));
      const after = await page.scan({ from: page.keyOf(`${to}~`), to: page.allKeys.to });
      expect(after).toEqual(whole.filter((i) => i.id > to));

      // Writes sent together: what needs the damaged block fails alone.
      const ended = await Promise.all([page.put(item(1, 7)), page.put(item(2000)), page.put(lost[3]!)].map(outcome));
      expect(ended).toEqual(["ok", "ok", "CORRUPT"]);
      await page.checkpoint();
      expect((await page.metrics()).logEntries).toBe(0);
      expect([await page.get("k0001"), await page.get("k2000")]).toEqual([item(1, 7), item(2000)]);
      expect((await page.verify()).damage).toMatchObject([{ from: { key: from }, to: { key: to } }]);
      expect(page.endings).toEqual([]);
    }));

  test("[MV8] a damaged end of the log is told when the database opens; the rest works", () =>
    simulate(async (world) => {
      const writer = await openPage(world, "writer");
      await writer.put(...range(0, 10));
      await writer.checkpoint();
      for (const one of range(10, 20)) await writer.put(one);
      await writer.close();
      const log = await keysIn(world, "log");
      world.medium.damage(databaseName, "log", log.at(-2)!, 30);
      const a = await openPage(world, "a");
      expect(a.errors).toEqual(["CORRUPT"]);
      expect(await a.all()).toEqual(range(0, 18)); // a prefix of the commit order
      await a.put(item(18, 500));
      expect((await a.verify()).damage).toEqual([]);
      await a.checkpoint();
      const b = await openPage(world, "b");
      expect(b.errors).toEqual([]); // it was struck for good
      expect(await b.all()).toEqual([...range(0, 18), item(18, 500)]);
    }));

  test("[MV8] a host that has the log in memory when another strikes its end goes on with what is left", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      for (const one of range(0, 10)) await a.put(one);
      const view = a.newHandle();
      await a.begin(view, "view");
      world.medium.damage(databaseName, "log", (await keysIn(world, "log")).at(-1)!, 30);
      expect((await a.verify()).damage).toMatchObject([{ what: "log" }]);
      const b = await openPage(world, "b");
      expect(b.errors).toEqual(["CORRUPT"]);
      await b.put(item(50));
      await a.put(item(60));
      expect(await outcome(a.get("k0009", view))).toBe("STORAGE_LOST"); // its seq is another commit's now
      const expected = [...range(0, 9), item(50), item(60)];
      expect(await a.all()).toEqual(expected);
      const fresh = b.newHandle();
      await b.begin(fresh, "view", 0, true);
      expect(await b.all(fresh)).toEqual(expected);
      expect((await a.verify()).damage).toEqual([]);
    }));
});

describe("a multi index", () => {
  const names = ["a", "b", "c", "d", "e"];
  const tagged = (count: number, chance: () => number): Item[] =>
    Array.from({ length: count }, (_, i) => ({
      id: `t${String(i).padStart(2, "0")}`,
      n: i,
      tags: names.filter(() => chance() < 0.4).reverse(),
    }));

  /** Each item at the first of its entries that the query meets. */
  function expected(items: readonly Item[], from: string, to: string, reverse: boolean): Item[] {
    const met = items.flatMap((i) => {
      const within = (i.tags ?? []).filter((t) => t >= from && t <= to).toSorted();
      const first = reverse ? within.at(-1) : within[0];
      return first === undefined ? [] : [{ at: `${first} ${i.id}`, i }];
    });
    const inOrder = met.toSorted((x, y) => (x.at < y.at ? -1 : 1)).map(({ i }) => i);
    return reverse ? inOrder.reverse() : inOrder;
  }

  test("a record with two tags in the range is answered and counted once", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      const both: Item = { id: "one", n: 1, tags: ["x", "y"] };
      await a.put(both);
      for (const reverse of [false, true]) {
        for (const maxBytes of [1, 1 << 16]) expect(await a.byTags("x", "y", { reverse, maxBytes })).toEqual([both]);
      }
      expect(await a.byTags("y", "y")).toEqual([both]);
      expect([await a.countByTags("x", "y"), await a.countByTags("x", "x"), await a.countByTags("z", "z")]).toEqual([
        1, 1, 0,
      ]);
    }));

  test.each([1, 2, 3])("any range, either way, in answers of any size gives each record once (seed %i)", (seed) =>
    simulate(async (world) => {
      const chance = randomFrom(seed);
      const a = await openPage(world, "a");
      const items = tagged(30, chance);
      await a.put(...items.slice(0, 20));
      await a.checkpoint();
      await a.put(...items.slice(20));
      for (const [i, from] of names.entries()) {
        for (const to of names.slice(i)) {
          for (const reverse of [false, true]) {
            const all = expected(items, from, to, reverse);
            for (const maxBytes of [1, 90, 1 << 16]) {
              expect(await a.byTags(from, to, { reverse, maxBytes })).toEqual(all);
              const limit = 1 + Math.floor(chance() * 12);
              expect(await a.byTags(from, to, { reverse, maxBytes, limit })).toEqual(all.slice(0, limit));
            }
          }
          expect(await a.countByTags(from, to)).toBe(expected(items, from, to, false).length);
        }
      }
    }),
  );

  test("a scan in parts stays at one state, and a transaction sees its own tags", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      const items = tagged(20, randomFrom(9));
      await a.put(...items);
      const view = a.newHandle();
      await a.begin(view, "view");
      const scanning = a.byTags("a", "e", { maxBytes: 1 });
      await world.sleep(0.5); // it is under way
      const changed = items.map((i) => ({ ...i, tags: ["c", "a"] }));
      await a.put(...changed);
      const first = expected(items, "a", "e", false);
      expect(await scanning).toEqual(first);
      expect(await a.byTags("a", "e", { handle: view })).toEqual(first);
      expect(await a.byTags("b", "e")).toEqual(changed);

      const mine: Item = { id: "mine", n: 0, tags: ["b", "d", "a"] };
      await a.transact(async (handle) => {
        await a.stage(handle, "put", [mine]);
        await a.stage(handle, "delete", [items[0]!]);
        const own = [...changed.slice(1), mine];
        for (const reverse of [false, true]) {
          const query = { handle, reverse, maxBytes: 1 };
          expect(await a.byTags("a", "d", query)).toEqual(expected(own, "a", "d", reverse));
        }
        expect(await a.countByTags("a", "d", handle)).toBe(own.length);
      });
      expect(await a.byTags("d", "d")).toEqual([mine]);
    }));
});
