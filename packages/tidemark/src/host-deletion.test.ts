import { describe, expect, test, vi } from "vitest";
import { TidemarkError } from "./base/errors.ts";
import { Host } from "./host/host.ts";
import {
  databaseName,
  expectGone,
  freshItems,
  item,
  keysIn,
  openPage,
  outcome,
  Page,
  range,
} from "./host-page.test-support.ts";
import type { Call, Process } from "./testing/process.ts";
import { simulate, type World } from "./testing/world.ts";
import type { Opened } from "./protocol/messages.ts";
import type { Storage } from "./storage/contract.ts";

vi.setConfig({ testTimeout: 30_000 });

/** How long a deletion waits for others to let go. */
const letGoMs = 1000;
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
        expectGone(world, page);
        expect(await outcome(page.get("k0001"))).toBe("CLOSED deleted");
        expect(await outcome(page.put(item(1)))).toBe("CLOSED deleted");
        expect(await outcome(page.checkpoint())).toBe("CLOSED deleted");
        await page.close(); // nothing is left to do
      }
      await expectNewAndEmpty(await openPage(world, "c"));
    }));

  test("[MV12] does not make it anew for a page that had it open before, whether its name is in use again or not", () =>
    simulate(async (world) => {
      const a = new Page(world.process("a"));
      const before = await a.tryOpen();
      await a.put(item(1));
      const database = before.ok ? before.database : undefined;
      expect(database).toEqual(expect.any(Number));
      await a.close();
      const same = await openPage(world, "same", { database: database! });
      expect(await same.get("k0001")).toEqual(item(1));
      await same.close();
      await deleteDatabase(world);
      const refused = { ok: false, error: { code: "CLOSED", details: { reason: "deleted" } } };
      for (const isUsedAgain of [false, true]) {
        if (isUsedAgain) await (await openPage(world, "other")).put(item(2));
        const process = world.process(`late ${isUsedAgain}`);
        expect(await new Page(process, { database: database! }).tryOpen()).toMatchObject(refused);
        expect(process.locks).toEqual([]);
        expect(await listed(world)).toEqual(isUsedAgain ? [databaseName] : []);
      }
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
        const over = new AbortController();
        const running = calls.map(async (call) => {
          while (!over.signal.aborted) outcomes.add(await outcome(call()));
        });
        await world.sleep(1 + world.random.next() * 20); // so long that some call is done
        await deleteDatabase(world);
        await world.sleep(10);
        over.abort();
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

  test("[TB7] a connection that nobody closes any more leaves the shell, and the database is deleted all the same", () =>
    simulate(async (world) => {
      const page = await openPage(world, "a");
      await page.put(...range(0, 10));
      const removing = vi
        .spyOn(world.medium, "remove")
        .mockRejectedValueOnce(new TidemarkError("BUSY", "Something keeps it from being removed", {}));
      expect(await deleteDatabase(world)).toEqual({ ok: true, catalog: undefined });
      expect(removing).toHaveBeenCalledTimes(1);
      expect(await listed(world)).toEqual([]);
      await expectNewAndEmpty(await openPage(world, "b"));
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

  test("[TB7] an append that strays into the next database is no damage to that", () =>
    simulate(async (world) => {
      world.hub.fate = () => [];
      const a = await openPage(world, "a");
      for (const one of range(0, 10)) await a.put(one);
      const freezeAt = (when: Call["when"]): void => {
        a.process.onCall = (call) => {
          if (call.batch && call.when === when) a.process.freeze();
        };
      };
      freezeAt("before");
      const write = outcome(a.put(item(10))); // on its way when the tab freezes
      await world.sleep(5);
      await deleteDatabase(world);
      const b = await openPage(world, "b");
      await b.put(item(1));
      const view = b.newHandle();
      await b.begin(view, "view");
      freezeAt("after");
      a.process.thaw(); // the append takes effect, and nobody takes it back yet
      await world.sleep(5);
      expect(Math.max(...(await keysIn(world, "log")))).toBeGreaterThan(5);
      expect(await freshItems(b)).toEqual([item(1)]);
      expect(await b.get("k0001", view)).toEqual(item(1));
      const c = await openPage(world, "c");
      expect([b.errors, c.errors]).toEqual([[], []]);
      a.process.onCall = undefined;
      a.process.thaw();
      expect(await write).toBe("CLOSED deleted");
      for (const one of range(2, 20)) await b.put(one); // past the seq that strayed
      expect(await freshItems(c)).toEqual(range(1, 20));
      expect([b.errors, c.errors, a.endings]).toEqual([[], [], ["deleted"]]);
    }));

  test("[TB3] a forged or late word of a deletion ends nobody", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(item(1));
      world.hub.inject(`tidemark/${databaseName}`, { type: "deleted" });
      await world.sleep(100);
      expect([a.endings, a.errors]).toEqual([[], []]);
      expect(await a.all()).toEqual([item(1)]);
    }));
});

test("[TB7] an opening that fails is answered once its storage has ended, for the page ends the worker then", () =>
  simulate(async (world) => {
    const { environment } = world.process("a");
    const ended: number[] = [];
    const factory = environment.storage("memory");
    const open = async (name: string): Promise<Storage> => {
      const storage = await factory.open(name);
      const close = async (): Promise<void> => {
        await world.sleep(20);
        ended.push(world.now);
        await storage.close();
      };
      return { read: (reads) => storage.read(reads), commit: (batch) => storage.commit(batch), close };
    };
    const host = new Host(() => ({ ...environment, storage: () => ({ ...factory, open }) }));
    const { request } = new Page(world.process("a"), { database: 1 }); // another one than is there
    const answer = await host.open(request, () => undefined);
    expect(answer).toMatchObject({ ok: false, error: { code: "CLOSED" } });
    expect(ended).toEqual([world.now]);
  }));
