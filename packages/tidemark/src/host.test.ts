import { describe, expect, test, vi } from "vitest";
import { expectGone, type Item, item, keysIn, openPage, outcome, Page, range } from "./host-page.test-support.ts";
import type { Call } from "./testing/process.ts";
import { randomFrom } from "./testing/random.ts";
import { simulate } from "./testing/world.ts";

vi.setConfig({ testTimeout: 30_000 });

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
      const { floor, head } = await b.metrics();
      expect(floor).toBe(head - 1); // the pin has gone, too; what says so is the last commit
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

  test("[TB2] while the upkeep lock falls to it gives that up, too", async () => {
    for (let afterMs = 0; afterMs < 4; afterMs += 0.1) {
      await simulate(async (world) => {
        const a = await openPage(world, "a");
        const b = await openPage(world, "b");
        await world.sleep(5);
        const first = a.close();
        await world.sleep(afterMs);
        await Promise.all([first, b.close()]);
        await world.sleep(10);
        expectGone(world, a);
        expectGone(world, b);
      });
    }
  });

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
  test("reads what is there in the transaction that registers the pin, and the noted version beside it", () =>
    simulate(async (world) => {
      const first = await openPage(world, "first");
      await first.put(...range(0, 5));
      await first.checkpoint();
      await first.put(item(5));
      await first.close();
      const a = new Page(world.process("a"));
      const calls: Call[] = [];
      a.process.onCall = (call: Call) => {
        if (call.when === "before") calls.push(call);
      };
      await a.open();
      a.process.onCall = undefined;
      // The connection, the transaction, the version, and the block that holds the catalog.
      expect(calls.map(({ batch }) => batch !== undefined)).toEqual([false, true, false, false]);
      expect(await a.all()).toEqual(range(0, 6));
    }));

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
        expect(calls).toBeGreaterThan(2);
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
