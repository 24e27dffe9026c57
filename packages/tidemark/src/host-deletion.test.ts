import { describe, expect, test } from "vitest";
import { Host } from "./host/host.ts";
import { databaseName, type Item, openPage, outcome, Page } from "./host-page.test-support.ts";
import { type Process, simulate, type World } from "./host-world.test-support.ts";
import type { Opened } from "./protocol/messages.ts";

/** How long a deletion waits for others to let go. */
const letGoMs = 1000;
const item = (i: number): Item => ({ id: `k${String(i).padStart(4, "0")}`, n: i, pad: "x".repeat(100) });
const range = (from: number, to: number): Item[] => Array.from({ length: to - from }, (_, i) => item(from + i));

const hostOf = (process: Process): Host => new Host(() => process.environment);

/** Deletes the database from a process of its own; fails when that takes longer than a deletion may. */
async function deleteDatabase(world: World, by = world.process("deleter")): Promise<Opened> {
  const started = world.now;
  const answer = await hostOf(by).deleteDatabase(databaseName, "memory");
  expect(world.now - started).toBeLessThan(letGoMs + 100);
  expect(by.locks).toEqual([]);
  return answer;
}

const listed = async (world: World): Promise<readonly string[]> => {
  const answer = await hostOf(world.process("lister")).listDatabases("memory");
  return answer.ok ? answer.databases.map((d) => d.name) : [answer.error.code];
};

/** What is left once a database is deleted and opened again: nothing, and no alarm. */
async function expectNewAndEmpty(page: Page): Promise<void> {
  expect(await page.all()).toEqual([]);
  expect((await page.put(item(1))).existed).toEqual([false]);
  expect((await page.verify()).damage).toEqual([]);
  expect([page.errors, page.endings]).toEqual([[], []]);
}

describe("deleting a database that hosts have open", () => {
  test("[TB7] ends them with a reason; later calls fail with it; then it is removed physically", () =>
    simulate(async (world) => {
      const pages = [await openPage(world, "a"), await openPage(world, "b")];
      await pages[0]!.put(...range(0, 100));
      expect(await deleteDatabase(world)).toEqual({ ok: true, catalog: undefined });
      expect(await world.medium.list()).toEqual([]);
      for (const page of pages) {
        expect(page.endings).toEqual(["deleted"]);
        expect(page.errors).toEqual([]);
        expect(page.process.locks).toEqual([]);
        expect(world.hub.listeners(page.process)).toBe(0);
        expect(await outcome(page.get("k0001"))).toBe("CLOSED deleted");
        expect(await outcome(page.put(item(1)))).toBe("CLOSED deleted");
        expect(await outcome(page.checkpoint())).toBe("CLOSED deleted");
        await page.close(); // nothing is left to do
      }
      await expectNewAndEmpty(await openPage(world, "c"));
    }));

  test("[TB7] without any message: what they do next ends them", () =>
    simulate(async (world) => {
      world.hub.fate = () => [];
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      const c = await openPage(world, "c");
      await a.put(item(1));
      const watched = c.newHandle();
      await c.begin(watched, "view", 0, true);
      await deleteDatabase(world);
      expect(await outcome(a.put(item(2)))).toBe("CLOSED deleted");
      expect(await outcome(b.begin(b.newHandle(), "view", 0, true))).toBe("CLOSED deleted");
      await world.sleep(2100); // an open view looks by itself
      expect([a, b, c].map((p) => p.endings)).toEqual([["deleted"], ["deleted"], ["deleted"]]);
      await world.sleep(100);
      expect([a, b, c].flatMap((p) => p.process.locks)).toEqual([]);
    }));

  test.each([1, 2, 3, 4, 5, 6])("[TB7] calls in flight end as done or as deleted (seed %i)", (seed) =>
    simulate(
      async (world) => {
        const a = await openPage(world, "a", { memtableMaxBytes: 8 * 1024, cacheMaxBytes: 1 });
        await a.put(...range(0, 500));
        await a.checkpoint();
        const outcomes = new Set<string>();
        const calls: (() => Promise<unknown>)[] = [
          () => a.put(item(1000)),
          () => a.all(),
          () => a.get("k0400"),
          () => a.checkpoint(),
          () => a.verify(),
          () => a.metrics(),
          () =>
            a.transact(async (handle) => {
              await a.get("k0003", handle);
              await a.stage(handle, "put", [item(3)]);
            }),
        ];
        let isOver = false;
        const running = calls.map(async (call) => {
          while (!isOver) outcomes.add(await outcome(call()));
        });
        await world.sleep(world.random.next() * 20);
        await deleteDatabase(world);
        await world.sleep(10);
        isOver = true;
        await Promise.all(running);
        expect([...outcomes].sort()).toEqual(["CLOSED deleted", "ok"]);
        expect([a.endings, a.errors]).toEqual([["deleted"], []]);
        expect(await world.medium.list()).toEqual([]);
      },
      { seed },
    ),
  );

  test.each([1, 2, 3, 4, 5, 6])("[TB7] what they still write does not reach the next database (seed %i)", (seed) =>
    simulate(
      async (world) => {
        world.hub.fate = () => [];
        const a = await openPage(world, "a");
        const writing = (async () => {
          for (let i = 0; ; i++) if ((await outcome(a.put(item(i)))) !== "ok") return i;
        })();
        await world.sleep(5 + world.random.next() * 20);
        const deletion = deleteDatabase(world);
        await world.eventually(async () => (await listed(world)).length === 0, 100, "it is deleted");
        const b = await openPage(world, "b");
        await deletion;
        expect(await writing).toBeGreaterThan(0);
        expect(a.endings).toEqual(["deleted"]);
        await expectNewAndEmpty(b);
      },
      { seed },
    ),
  );

  test("[TB7] is not held up by a frozen host, whose lock keeps the shell; it wakes to find it deleted", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      await a.put(...range(0, 50));
      b.process.freeze();
      expect((await deleteDatabase(world)).ok).toBe(true);
      expect(a.endings).toEqual(["deleted"]);
      expect(await world.medium.list()).toEqual([databaseName]);
      expect(await listed(world)).toEqual([]);
      b.process.thaw();
      await world.sleep(100);
      expect(b.endings).toEqual(["deleted"]);
      expect(b.process.locks).toEqual([]);
      await deleteDatabase(world); // of nothing but the shell
      expect(await world.medium.list()).toEqual([]);
    }));

  test("[TB7] opening again does not wait for a frozen host, and what that had stays gone when it wakes", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(...range(0, 50));
      a.process.freeze();
      await deleteDatabase(world);
      const started = world.now;
      const b = await openPage(world, "b");
      expect(world.now - started).toBeLessThan(100);
      await expectNewAndEmpty(b);
      a.process.thaw();
      expect(await outcome(a.put(item(7)))).toBe("CLOSED deleted");
      await b.put(item(8));
      await world.sleep(50);
      expect(await b.all()).toEqual([item(1), item(8)]);
      expect([b.endings, b.errors]).toEqual([[], []]);
      expect((await b.verify()).damage).toEqual([]);
      expect(await world.medium.list()).toEqual([databaseName]);
    }));

  test("[TB7] a host that opens meanwhile gets a new, empty database, whoever is first", async () => {
    for (let afterMs = 0; afterMs < 8; afterMs += 0.5) {
      await simulate(async (world) => {
        const a = await openPage(world, "a");
        await a.put(...range(0, 20));
        a.process.freeze(); // so that the deletion waits for its lock
        const deletion = deleteDatabase(world);
        await world.sleep(afterMs);
        const b = new Page(world.process("b"));
        const started = world.now;
        const opened = await b.tryOpen();
        expect(world.now - started).toBeLessThan(letGoMs + 100);
        await deletion;
        await world.sleep(50);
        expect(opened.ok).toBe(true);
        if (b.endings.length > 0) return; // it opened the old one, and that was deleted
        await expectNewAndEmpty(b);
      });
    }
  });

  test("[TB7] two deletions at once both succeed", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(item(1));
      const both = [world.process("d"), world.process("e")].map((by) => deleteDatabase(world, by));
      expect((await Promise.all(both)).map((d) => d.ok)).toEqual([true, true]);
      expect(await listed(world)).toEqual([]);
      expect(a.endings).toEqual(["deleted"]);
      await expectNewAndEmpty(await openPage(world, "c"));
    }));

  test("[TB7] a physical removal that fails is reported, holds no lock, and the database begins anew", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(item(1));
      await a.close();
      const { medium } = world;
      const remove = medium.remove.bind(medium);
      medium.remove = () => Promise.reject(new DOMException("busy", "UnknownError"));
      const by = world.process("deleter");
      expect((await deleteDatabase(world, by)).ok).toBe(false);
      expect([by.locks, world.hub.listeners(by)]).toEqual([[], 0]);
      expect(await listed(world)).toEqual([]);
      const b = await openPage(world, "b");
      await expectNewAndEmpty(b);
      await b.close();
      medium.remove = remove;
      await deleteDatabase(world);
      expect(await medium.list()).toEqual([]);
    }));

  test("[TB7] a storage that fails at any step of a deletion is reported, and no lock is held", async () => {
    let calls = 0;
    for (let at = 0; at <= calls; at++) {
      await simulate(async (world) => {
        const a = await openPage(world, "a");
        await a.put(item(1));
        await a.close();
        const by = world.process("deleter");
        by.onCall = ({ n, when }) => {
          if (at === 0) calls = n; // the first round counts
          else if (when === "before" && n === at) throw new DOMException("no", "UnknownError");
        };
        expect((await deleteDatabase(world, by)).ok).toBe(at === 0);
        expect([by.locks, world.hub.listeners(by)]).toEqual([[], 0]);
        const b = await openPage(world, "b");
        const left = await b.all();
        expect(left.length).toBeLessThan(2);
        await b.put(item(1));
        await b.close();
        expect((await deleteDatabase(world)).ok).toBe(true);
        expect(await world.medium.list()).toEqual([]);
      });
    }
    expect(calls).toBeGreaterThan(3);
  });

  test("[TB7] deleting what is not there does nothing", () =>
    simulate(async (world) => {
      expect((await deleteDatabase(world)).ok).toBe(true);
      expect(await world.medium.list()).toEqual([]);
    }));
});

describe("a late word of a deletion", () => {
  const deleted = { type: "deleted" };

  test("[TB3] does not end a host that has opened the next database of that name", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.close();
      world.hub.fate = (message) => ((message as typeof deleted).type === "deleted" ? [5, 500] : [0.3]);
      await deleteDatabase(world);
      const b = await openPage(world, "b");
      world.hub.inject(`tidemark/${databaseName}`, deleted);
      await world.sleep(1000);
      await expectNewAndEmpty(b);
    }));
});
