/** Whole hosts whose connections are lost, whose databases go away, and whose disks are full. */
import { describe, expect, test, vi } from "vitest";
import { Host } from "./host/host.ts";
import {
  databaseName,
  expectEverywhere,
  expectGone,
  freshItems,
  increment,
  item,
  keysIn,
  openPage,
  outcome,
  type Page,
  range,
} from "./host-page.test-support.ts";
import { simulate, type World } from "./testing/world.ts";
import type { Verdict } from "./storage/memory.ts";

vi.setConfig({ testTimeout: 30_000 });

/** From now on every connection there is is dead, once. */
function loseAll(world: World): void {
  world.medium.crash({ keepRelaxed: "all" });
}

describe("a lost connection", () => {
  test("[MV9] is not noticed: views, transactions, live queries, writes and upkeep go on", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", { cacheMaxBytes: 1 });
      const b = await openPage(world, "b", { cacheMaxBytes: 1 });
      await a.put(...range(0, 50));
      await a.checkpoint();
      const view = a.newHandle();
      await a.begin(view, "view");
      const watched = a.newHandle();
      await a.begin(watched, "live");
      await a.get("k0007", watched);
      await a.call<"watch">({ op: "watch", handle: watched });
      const calls: (() => Promise<unknown>)[] = [
        () => a.put(item(100)),
        () => b.put(item(101)),
        () => increment(a, "k0001"),
        () => b.checkpoint(),
        () => a.verify(),
        () => a.metrics(),
        () => b.delete("k0002"),
      ];
      for (const call of calls) {
        loseAll(world);
        await call();
        loseAll(world);
        expect(await a.all(view)).toEqual(range(0, 50));
      }
      await b.put(item(7, 70));
      await world.sleep(3000);
      expect(a.touched).toContain(watched);
      const expected = new Map([...range(0, 50), item(100), item(101), item(7, 70)].map((i) => [i.id, i]));
      expected.delete("k0002");
      expected.set("k0001", { id: "k0001", n: 2 });
      await expectEverywhere(world, [a, b], expected.values());
      expect([a, b].flatMap((p) => [...p.errors, ...p.endings])).toEqual([]);
    }));

  test.each(["cut", "lost"] as const)(
    "[MV9] (%s) at any storage step of a checkpoint leaves neither a trace nor a block too many",
    async (verdict) => {
      let steps = 0;
      for (let at = 0; at <= steps; at++) {
        await simulate(async (world) => {
          const a = await openPage(world, "a");
          await a.put(...range(0, 300));
          await a.checkpoint();
          for (const one of range(200, 500)) await a.put({ ...one, n: 1 });
          const expected = [...range(0, 200), ...range(200, 500).map((i) => ({ ...i, n: 1 }))];
          let n = 0;
          world.medium.onStep = ({ kind }): Verdict => {
            if (at === 0) steps++; // the first round counts
            if (++n !== at) return "go";
            return kind === "committed" ? "lost" : verdict;
          };
          await a.checkpoint();
          world.medium.onStep = undefined;
          expect(await keysIn(world, "blocks")).toHaveLength((await a.metrics()).blocks);
          expect((await a.metrics()).logEntries).toBe(0);
          await expectEverywhere(world, [a], expected);
          expect(a.errors).toEqual([]);
        });
      }
      expect(steps).toBeGreaterThan(8);
    },
  );

  test("[MV9] at any storage step of a transaction is told as what it was", async () => {
    let steps = 0;
    for (let at = 0; at <= steps; at++) {
      await simulate(async (world) => {
        const a = await openPage(world, "a");
        const b = await openPage(world, "b");
        await a.put({ id: "count", n: 0 });
        let n = 0;
        world.medium.onStep = (): Verdict => {
          if (at === 0) steps++;
          return ++n === at ? "lost" : "go";
        };
        await Promise.all([increment(a, "count"), increment(b, "count")]);
        world.medium.onStep = undefined;
        await expectEverywhere(world, [a, b], [{ id: "count", n: 2 }]);
      });
    }
    expect(steps).toBeGreaterThan(3);
  });

  test("[MV9] that nothing replaces ends calls in seconds, and later ones work again", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(...range(0, 5));
      world.medium.onStep = () => "lost";
      const started = world.now;
      const ended = [a.put(item(9)), a.checkpoint(), a.verify()].map(outcome);
      for (const end of await Promise.all(ended)) expect(end).toBe("STORAGE_LOST");
      expect(world.now - started).toBeLessThan(10_000);
      world.medium.onStep = undefined;
      await a.put(item(5));
      await expectEverywhere(world, [a], range(0, 6));
    }));
});

describe("a database that goes away under its hosts", () => {
  test("[MV9][TB7] (site data cleared) ends them as deleted; a new one begins empty", () =>
    simulate(async (world) => {
      const [a, b] = [await openPage(world, "a"), await openPage(world, "b")];
      await a.put(...range(0, 50));
      await world.medium.remove(databaseName);
      expect(await outcome(a.put(item(1)))).toBe("CLOSED deleted");
      expect(await outcome(freshItems(b))).toBe("CLOSED deleted");
      await world.sleep(100);
      for (const page of [a, b]) {
        expect([page.endings, page.errors]).toEqual([["deleted"], []]);
        expectGone(world, page);
      }
      expect(await world.medium.list()).toEqual([]); // nobody made it again
      const c = await openPage(world, "c");
      expect(await c.all()).toEqual([]);
      await c.put(item(1));
      expect((await c.verify()).damage).toEqual([]);
    }));

  test("[MV9] and is made anew by another is never read by what they remember", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", { cacheMaxBytes: 1 });
      await a.put(...range(0, 100));
      await a.checkpoint();
      const view = a.newHandle();
      await a.begin(view, "view");
      a.process.freeze();
      await world.medium.remove(databaseName);
      const b = await openPage(world, "b");
      await b.put(...range(0, 100).map((i) => ({ ...i, n: -1 })));
      await b.checkpoint(); // its blocks have the ids that a's had
      a.process.thaw();
      const seen = [a.get("k0003", view), a.all(view), a.get("k0003"), a.put(item(3))].map(outcome);
      expect(new Set(await Promise.all(seen))).toEqual(new Set(["CLOSED deleted"]));
      expect(await b.all()).toEqual(range(0, 100).map((i) => ({ ...i, n: -1 })));
      expect((await b.verify()).damage).toEqual([]);
      expect([a.endings, b.endings]).toEqual([["deleted"], []]);
    }));
});

describe("a full disk", () => {
  const many = (from: number, to: number) => range(from, to).map((i) => ({ ...i, pad: "p".repeat(2000) }));

  /** A database of some 2 MB with its reserve, on a disk without any room. */
  async function fullHost(world: World): Promise<Page> {
    const a = await openPage(world, "a");
    for (let i = 0; i < 1000; i += 100) await a.put(...many(i, i + 100));
    await a.checkpoint();
    world.medium.quotaBytes = world.medium.usedBytes;
    return a;
  }

  test("[MV9] the reserve is kept from 1 MB on, whole, and an idle database writes nothing", () =>
    simulate(async (world) => {
      const small = await openPage(world, "a");
      await small.put(...many(0, 50));
      await small.checkpoint();
      expect((await small.metrics()).reserveBytes).toBe(0);
      await small.put(...many(50, 700));
      await small.checkpoint();
      expect((await small.metrics()).reserveBytes).toBe(1 << 20);
      const { commits } = world.medium.stats;
      await world.sleep(60_000);
      expect(world.medium.stats.commits).toBe(commits);
      await small.checkpoint();
      expect(world.medium.stats.commits).toBe(commits);
    }));

  test("[MV9] refuses writes, lets deletes pass beside them, in order; a new tab opens and reads everything", () =>
    simulate(async (world) => {
      const a = await fullHost(world);
      expect(await outcome(a.put(item(5000)))).toBe("QUOTA_EXCEEDED");
      const together = [a.put(item(5000)), a.delete("k0001"), a.put(item(5001)), a.delete("k0002", "k0003")];
      expect(await Promise.all(together.map(outcome))).toEqual(["QUOTA_EXCEEDED", "ok", "QUOTA_EXCEEDED", "ok"]);
      const b = await openPage(world, "b");
      const left = many(0, 1000).filter((i) => !["k0001", "k0002", "k0003"].includes(i.id));
      expect(await b.all()).toEqual(left);
      expect(await a.all()).toEqual(left);
      expect((await b.verify()).damage).toEqual([]);
    }));

  test("[MV9] upkeep folds what was deleted, frees its room, and keeps a reserve again; then writes work", () =>
    simulate(async (world) => {
      const a = await fullHost(world);
      for (let i = 0; i < 900; i += 10) await a.delete(...many(i, i + 10).map((one) => one.id));
      expect((await a.metrics()).reserveBytes).toBeLessThan(1 << 20);
      await world.sleep(5000);
      const { reserveBytes, blockBytes, logEntries } = await a.metrics();
      expect(logEntries).toBe(0);
      expect(blockBytes).toBeLessThan(400_000);
      expect(a.errors).toEqual([]);
      await a.put(...many(2000, 2100));
      await expectEverywhere(world, [a], [...many(900, 1000), ...many(2000, 2100)]);
      expect(reserveBytes).toBe(1 << 20);
    }));

  test("[MV9] tabs that never stop writing neither use up the reserve nor stand in the way of deletes", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", { memtableMaxBytes: 64 * 1024 });
      const b = await openPage(world, "b", { memtableMaxBytes: 64 * 1024 });
      for (let i = 0; i < 1500; i += 100) await a.put(...many(i, i + 100));
      await a.checkpoint();
      world.medium.quotaBytes = world.medium.usedBytes + 500_000;
      const there = new Map(many(0, 1500).map((i) => [i.id, i]));
      const over = new AbortController();
      const writing = [a, b].map(async (page, tab) => {
        for (let i = 10_000 * (tab + 1); !over.signal.aborted; i++) {
          const [one] = many(i, i + 1);
          if ((await outcome(page.put(one!))) === "ok") there.set(one!.id, one!);
          await world.sleep(5);
        }
      });
      await world.sleep(60_000);
      for (const { id } of many(0, 1000)) {
        expect(await outcome(b.delete(id))).toBe("ok");
        there.delete(id);
      }
      over.abort();
      await Promise.all(writing);
      await world.sleep(10_000);
      await a.put(item(9000));
      await expectEverywhere(world, [a, b], [...there.values(), item(9000)]);
      expect((await a.metrics()).reserveBytes).toBe(1 << 20);
    }));

  test("[MV9] a log of any size is folded by parts, each within the reserve", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a", { memtableMaxBytes: 1 << 26 });
      for (let i = 0; i < 600; i += 100) await a.put(...many(i, i + 100));
      await a.checkpoint();
      expect((await a.metrics()).reserveBytes).toBe(1 << 20);
      for (let i = 600; i < 2600; i += 20) await a.put(...many(i, i + 20));
      world.medium.quotaBytes = world.medium.usedBytes;
      const fences = new Set<number>();
      const folding = a.checkpoint();
      for (let folded = false; !folded;) {
        await world.sleep(1);
        const { checkpoint, logEntries } = await a.metrics();
        fences.add(checkpoint);
        folded = logEntries === 0;
      }
      await folding;
      expect(fences.size).toBeGreaterThan(10);
      expect(await keysIn(world, "blocks")).toHaveLength((await a.metrics()).blocks);
      await a.delete("k0001");
      const left = many(0, 2600).filter(({ id }) => id !== "k0001");
      expect(await a.all()).toEqual(left);
      expect(a.errors).toEqual([]);
    }));

  test("[MV9][MV11] clearing passes on it, and so does deleting so much that it is staged; both free room", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      const ids = range(0, 4000).map(({ id }) => id.padEnd(40, "x"));
      for (let i = 0; i < ids.length; i += 100) {
        await a.put(...ids.slice(i, i + 100).map((id, n) => ({ id, n, pad: "p".repeat(500) })));
      }
      await a.checkpoint();
      world.medium.quotaBytes = world.medium.usedBytes;
      const deleting = a.delete(...ids.slice(0, 2000)); // their keys alone are more than one entry takes
      await deleting;
      expect((await a.metrics()).blobBytes).toBeGreaterThan(56 * 1024);
      await a.checkpoint();
      expect((await a.metrics()).blockBytes).toBeLessThan(1_500_000);
      world.medium.quotaBytes = world.medium.usedBytes;
      await a.clear();
      await world.sleep(10_000);
      expect((await a.metrics()).blockBytes).toBeLessThan(10_000);
      await a.put(item(1));
      await expectEverywhere(world, [a], [item(1)]);
      expect(a.errors).toEqual([]);
    }));

  test("[MV9] whole or not, a database on it can be deleted", () =>
    simulate(async (world) => {
      const a = await fullHost(world);
      expect(await outcome(a.delete("k0001"))).toBe("ok");
      const by = world.process("deleter");
      const deleted = await new Host(() => by.environment).deleteDatabase(databaseName, "memory");
      expect(deleted.ok).toBe(true);
      expect(world.medium.usedBytes).toBe(0);
      await world.sleep(100);
      expect(a.endings).toEqual(["deleted"]);
    }));
});
