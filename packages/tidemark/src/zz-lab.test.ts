import { describe, expect, test } from "vitest";
import { Host } from "./host/host.ts";
import { databaseName, type Item, openPage, outcome, Page } from "./host-page.test-support.ts";
import { simulate } from "./host-world.test-support.ts";

const item = (i: number, n = i): Item => ({ id: `k${String(i).padStart(4, "0")}`, n, pad: "x".repeat(100) });
const range = (from: number, to: number): Item[] => Array.from({ length: to - from }, (_, i) => item(from + i));
const small = { memtableMaxBytes: 8 * 1024 };
const increment = (page: Page, id: string): Promise<number> =>
  page.transact(async (handle) => {
    const n = (await page.get(id, handle))?.n ?? 0;
    await page.stage(handle, "put", [{ id, n: n + 1 }]);
  });

describe("bugs", () => {
  test("B1 [TB2] a host that ends while the upkeep lock falls to it keeps the lock for ever", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      await world.sleep(5);
      await a.close();
      await world.sleep(0.2);
      await b.close();
      await world.sleep(1000);
      expect(b.process.locks).toEqual([]);
    }));

  test("B2 [TB3] a late or repeated word of a deletion ends a host that has opened the next database", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.close();
      world.hub.fate = (m) => ((m as { type: string }).type === "deleted" ? [50] : [0.3]);
      const c = await openPage(world, "c");
      await new Host(() => world.process("deleter").environment).deleteDatabase(databaseName, "memory");
      void c;
      const b = await openPage(world, "b");
      await b.put(item(1));
      await world.sleep(100);
      expect(b.endings).toEqual([]);
    }));

  test("B2b natural race, no delay: opened after the drop", async () => {
    const bad: number[] = [];
    for (let afterMs = 0; afterMs < 8; afterMs += 0.1) await simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(item(1));
      const deleter = world.process("deleter");
      let droppedAt: number | undefined;
      deleter.onCall = ({ batch, when }) => {
        if (batch && when === "after") droppedAt ??= world.now;
      };
      const deletion = new Host(() => deleter.environment).deleteDatabase(databaseName, "memory");
      await world.sleep(afterMs);
      const b = new Page(world.process("b"));
      const startedAt = world.now;
      const opened = await b.tryOpen();
      await deletion;
      await world.sleep(50);
      if (opened.ok && droppedAt !== undefined && startedAt > droppedAt && b.endings.length > 0) bad.push(afterMs);
    });
    expect(bad).toEqual([]);
  });

  test("B3 [TB7] a stray append of a host whose database was deleted alarms the next database", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      for (const one of range(0, 10)) await a.put(one);
      a.process.onCall = ({ batch, when }) => {
        if (batch && when === "before") a.process.freeze();
      };
      const write = outcome(a.put(item(10))); // on its way when the tab freezes
      await world.sleep(5);
      await new Host(() => world.process("deleter").environment).deleteDatabase(databaseName, "memory");
      const b = await openPage(world, "b");
      await b.put(item(1));
      const view = b.newHandle();
      await b.begin(view, "view");
      a.process.onCall = ({ batch, when }) => {
        if (batch && when === "after") a.process.freeze();
      };
      a.process.thaw(); // the append takes effect, in another database
      await world.sleep(5);
      { const st = await world.medium.open(databaseName); const [k] = await st.read([{ kind: "keys", store: "log", range: {} }]); console.log("LOG", k!.map((e) => e.key), a.process.isFrozen, a.endings); }
      await b.begin(b.newHandle(), "view", 0, true); // b looks at the log
      expect(b.errors).toEqual([]);
      expect(await outcome(b.get("k0001", view))).toBe("ok");
      a.process.onCall = undefined;
      a.process.thaw();
      expect(await write).toBe("CLOSED deleted");
    }));

  test("B4 [TB2] two hosts that ask for a checkpoint take the lock from each other for ever", () =>
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

  test("B5 close during open", () =>
    simulate(async (world) => {
      const a = new Page(world.process("a"));
      const opening = a.tryOpen();
      await world.sleep(1);
      await a.close();
      await opening;
      await world.sleep(100);
      expect(a.process.locks).toEqual([]);
    }));

  test("B6 [TB1] a frozen host holding the retry token", () =>
    simulate(async (world) => {
      const pages = [await openPage(world, "a"), await openPage(world, "b"), await openPage(world, "c")];
      const [a, b, c] = pages as [Page, Page, Page];
      let over = false;
      const noise = Promise.all([a, b].map(async (p) => { while (!over) await increment(p, "c").catch(() => undefined); }));
      await world.eventually(() => a.process.locks.some((l) => l.endsWith("/retry")), 5000, "token");
      a.process.freeze();
      over = true;
      await world.sleep(1000);
      const started = world.now;
      await Promise.all([b, c].map(async (p) => { for (let i = 0; i < 100; i++) await increment(p, "d"); }));
      console.log("200 increments ms", world.now - started);
      a.process.thaw();
      await noise;
      expect(world.now - started).toBeLessThan(2000);
    }));

  test("B7 a checkpoint that close overtakes says it is done", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(item(1));
      const done = outcome(a.checkpoint());
      await world.sleep(0.1);
      await a.close();
      const d = await done;
      const b = await openPage(world, "b");
      console.log("B7", d, (await b.metrics()).logEntries);
    }));

  test("B8 [MV9] full disk: deletes", () =>
    simulate(async (world) => {
      const a = await openPage(world, "a");
      await a.put(...range(0, 10));
      world.medium.quotaBytes = world.medium.usedBytes;
      expect(await outcome(a.delete("k0001"))).toBe("ok");
    }));

  test("B9 [MV3] every message is lost", () =>
    simulate(async (world) => {
      world.hub.fate = () => [];
      const pages = [await openPage(world, "a"), await openPage(world, "b")];
      await Promise.all(pages.map(async (p) => { for (let i = 0; i < 200; i++) await increment(p, "c"); }));
    }));
  test("B10 [MV3] slow body", () =>
    simulate(async (world) => {
      const [a, b] = [await openPage(world, "a"), await openPage(world, "b")];
      let over = false;
      const noise = (async () => { while (!over) await increment(b, "c"); })();
      try {
      await a.transact(async (h) => { const n = (await a.get("c", h))?.n ?? 0; await world.sleep(30); await a.stage(h, "put", [{ id: "c", n: n + 1 }]); });
      } finally { over = true; await noise; }
    }));
  test("B11 lone both at once", async () => {
    for (let seed = 1; seed < 10; seed++) await simulate(async (world) => {
      const [a, b] = await Promise.all([openPage(world, "a"), openPage(world, "b")]);
      const o = [await outcome(a.put(item(1))), await outcome(b.put(item(2))), await outcome(a.put(item(3))), await outcome(b.put(item(4)))];
      expect(o.slice().sort()).toEqual(["CLOSED superseded", "CLOSED superseded", "ok", "ok"]);
      await world.sleep(50);
      expect([...a.endings, ...b.endings]).toEqual(["superseded"]);
    }, { areLocksShared: false, seed });
  });
  test("B12 lone: silent first, other calls", () =>
    simulate(async (world) => {
      for (const op of ["checkpoint", "transact", "fresh", "get", "verify", "clear", "metrics"]) {
        const a = await openPage(world, "a", { name: op });
        await a.put(item(1));
        a.process.freeze();
        const b = await openPage(world, "b", { name: op });
        await b.put(item(2));
        a.process.thaw();
        const r = await outcome(
          op === "checkpoint" ? a.checkpoint() : op === "transact" ? increment(a, "c") : op === "fresh" ? a.begin(a.newHandle(), "view", 0, true)
          : op === "get" ? a.get("k0001") : op === "verify" ? a.verify() : op === "metrics" ? a.metrics() : increment(a, "c"));
        await world.sleep(2500);
        console.log(op, r, a.endings, b.errors, b.endings);
        expect(await b.all()).toEqual([item(1), item(2)]);
      }
    }, { areLocksShared: false }));
});
