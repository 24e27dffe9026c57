import { describe, expect, test, vi } from "vitest";
import { isTidemarkError, type TidemarkError } from "./base/errors.ts";
import {
  databaseName,
  freshItems,
  item,
  keysIn,
  openPage,
  outcome,
  type Page,
  range,
} from "./host-page.test-support.ts";
import { randomFrom } from "./testing/random.ts";
import { simulate, type World } from "./testing/world.ts";
import type { KeyReport } from "./protocol/messages.ts";

vi.setConfig({ testTimeout: 30_000 });

/** The failure a call ends with. */
const failure = (call: Promise<unknown>): Promise<TidemarkError> =>
  call.then(
    () => expect.unreachable("it succeeds"),
    (e: unknown) => (isTidemarkError(e) ? e : Promise.reject(e as Error)),
  );

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

      // A checkpoint needs room before it gives any back; without, it leaves everything as it was.
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
        expect(await freshItems(page)).toEqual(range(0, 101));
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

  test("[MV8][TB2] upkeep that cannot be taken over, for the schema's block is damaged, says so to who waits for it", () =>
    simulate(async (world) => {
      const writer = await openPage(world, "a");
      const asker = await openPage(world, "b");
      world.hub.fate = () => []; // nobody hears of anybody
      await writer.put(...range(0, 200));
      asker.process.freeze();
      await writer.checkpoint(); // and the other one is behind it
      writer.process.freeze();
      for (const id of await keysIn(world, "blocks")) world.medium.damage(databaseName, "blocks", id, 200);
      asker.process.thaw();
      const run = asker.call<"gc-run">({ op: "gc-run", job: 1, isBackground: false, options: {} });
      const hangs = world.sleep(30_000).then(() => "hangs");
      expect(await Promise.race([failure(run), hangs])).toMatchObject({ code: "CORRUPT" });
    }));

  test("[MV8][MV11] a damaged block of what was cleared is reported as such; nothing else is hurt", () =>
    simulate(async (world) => {
      const page = await openPage(world, "a", { cacheMaxBytes: 1 });
      await page.write("put", range(0, 1000));
      const view = page.newHandle();
      await page.begin(view, "view");
      await page.clear();
      await page.put(item(1));
      await page.checkpoint();
      const blocks = await keysIn(world, "blocks");
      world.medium.damage(databaseName, "blocks", blocks[2]!, 200);
      const gone = { collection: "$cleared", key: undefined };
      expect((await page.verify()).damage).toMatchObject([{ what: "block", from: gone, to: gone }]);
      expect(await page.all()).toEqual([item(1)]);
      expect(await failure(page.all(view))).toMatchObject({ code: "CORRUPT", details: { from: gone, to: gone } });
    }));

  test("[MV8] a database that lost its fence is not made anew over what is left of it", () =>
    simulate(async (world) => {
      const writer = await openPage(world, "writer");
      await writer.put(...range(0, 10));
      await writer.checkpoint();
      await writer.close();
      const storage = await world.medium.open(databaseName);
      await storage.commit({ durability: "strict", writes: [{ kind: "delete", store: "log", key: 0 }] });
      const before = world.medium.usedBytes;
      expect(await failure(openPage(world, "a"))).toMatchObject({ code: "CORRUPT", details: { what: "fence" } });
      expect(world.medium.usedBytes).toBe(before);
    }));

  test("[MV8] a damaged row, or another's in its place, is found by verify, which names it", () =>
    simulate(async (world) => {
      const { page } = await folded(world);
      const rows = (await keysIn(world, "meta")).map(String).filter((key) => !/^(manifest|format)/.test(key));
      expect(rows.length).toBeGreaterThan(4);
      for (const key of rows) {
        world.medium.damage(databaseName, "meta", key, 12);
        const why = expect.stringContaining(`'${key}'`) as string;
        expect((await page.verify()).damage).toEqual([{ what: "row", why }]);
        world.medium.damage(databaseName, "meta", key, 12);
      }
      expect((await page.verify()).damage).toEqual([]);
    }));

  test("[MV8] where upkeep cannot begin, whoever waits for it hears why; reads and writes go on", () =>
    simulate(async (world) => {
      const writer = await openPage(world, "writer");
      await writer.put(...range(0, 10));
      await writer.checkpoint();
      await writer.close();
      world.medium.damage(databaseName, "meta", "upkeep", 12);
      const a = await openPage(world, "a");
      await a.put(item(20));
      expect(await outcome(a.checkpoint())).toBe("CORRUPT");
      expect(a.errors).toEqual(["CORRUPT"]);
      expect(await a.all()).toEqual([...range(0, 10), item(20)]);
      await a.close();
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

  test("[MV8] damage that a host meets while it follows the log is told, and struck", () =>
    simulate(async (world) => {
      world.hub.fate = () => [];
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      for (const one of range(0, 5)) await a.put(one);
      await a.close();
      world.medium.damage(databaseName, "log", (await keysIn(world, "log")).at(-1)!, 30);
      expect(await freshItems(b)).toEqual(range(0, 4));
      expect(b.errors).toEqual(["CORRUPT"]);
      await b.put(item(9));
      expect((await b.verify()).damage).toEqual([]);
      expect(await freshItems(b)).toEqual([...range(0, 4), item(9)]);
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
      expect(await freshItems(b)).toEqual(expected);
      expect((await a.verify()).damage).toEqual([]);
    }));
});
