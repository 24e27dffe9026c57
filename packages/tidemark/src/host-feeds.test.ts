import { deepStrictEqual } from "node:assert/strict";
import { describe, expect, test, vi } from "vitest";
import { seq } from "./base/brand.ts";
import { unpackValues } from "./codec/values.ts";
import { tidyKept } from "./gc/kept-log.ts";
import { Feeds } from "./host/feeds.ts";
import { item, openPage } from "./host-page.test-support.ts";
import { simulate } from "./testing/world.ts";
import type { FeedCursor } from "./protocol/changes.ts";
import type { StoreName } from "./storage/contract.ts";
import { type Item, itemOf, put, type Tab, World, write } from "./test-world.test-support.ts";

vi.setConfig({ testTimeout: 60_000 });

const consumer = "sync";
const feedsOf = ({ database }: Tab): Feeds => new Feeds(database.store, () => undefined);
const begin = (tab: Tab): Promise<FeedCursor> => feedsOf(tab).open({ op: "changes-open", consumer, after: undefined });
const acknowledge = (tab: Tab, position: number): Promise<boolean> =>
  feedsOf(tab).acknowledge({ op: "changes-ack", consumer, position, durability: "strict" });

async function upkeep(world: World, tab: Tab): Promise<void> {
  await world.upkeep(tab);
  if (tab.tenure) await tidyKept(tab.storage, tab.tenure);
}

const keysIn = async ({ storage }: Tab, store: StoreName, to: number): Promise<number> =>
  (await storage.read([{ kind: "keys", store, range: { to } }]))[0]!.length;

describe("what is kept of the log", () => {
  test("[OL1][MV11] goes as it is acknowledged, and the bodies of large commits with it", async () => {
    const world = new World();
    const tab = await world.open();
    await begin(tab);
    const positions: number[] = [];
    for (let round = 0; round < 3; round++) {
      const items = Array.from({ length: 60 }, (_, i) => put({ id: `k${i}`, n: round, pad: "x".repeat(2000) }));
      positions.push((await write(tab, items)).seq);
      await upkeep(world, tab);
    }
    const counts: (readonly number[])[] = [];
    const count = async (): Promise<void> => {
      await tidyKept(tab.storage, tab.tenure!);
      counts.push([await keysIn(tab, "log", -1), await keysIn(tab, "blobs", Infinity)]);
    };
    await count();
    for (const position of positions) {
      expect(await acknowledge(tab, position)).toBe(true);
      await count();
    }
    const [entries, chunks] = [counts.map(([n]) => n!), counts.map(([, n]) => n!)];
    expect(entries).toEqual(entries.toSorted((a, b) => b - a));
    expect(entries[0]).toBeGreaterThanOrEqual(3);
    expect(entries.at(-1)).toBe(0);
    expect(new Set(chunks).size).toBe(4); // each body goes by itself
    expect(chunks.at(-1)).toBe(0);
    expect(await acknowledge(tab, 1)).toBe(false); // it never goes back
    expect((await begin(tab)).position).toBe(positions.at(-1));
  });

  test("[OL1] stays where what comes as an acknowledgement, or a beginning, is none", async () => {
    const world = new World();
    const tab = await world.open();
    await write(tab, [put({ id: "a", n: 1 })]);
    const { position } = await begin(tab);
    const refused = { code: "OPTIONS_INVALID" };
    for (const other of [NaN, -1, 0.5, "1", undefined] as number[])
      await expect(acknowledge(tab, other)).rejects.toMatchObject(refused);
    const beginnings = [
      { consumer: {} as string, after: undefined },
      { consumer, after: NaN },
    ];
    for (const other of beginnings)
      await expect(feedsOf(tab).open({ op: "changes-open", ...other })).rejects.toMatchObject(refused);
    expect((await begin(tab)).position).toBe(position);
  });

  test("[OL1] may be dropped and moved on while a feed looks for its place", async () => {
    const world = new World();
    const tab = await world.open();
    await begin(tab);
    for (let n = 1; n <= 4; n++) await write(tab, [put({ id: "k", n })]);
    await acknowledge(tab, tab.database.store.head.seq - 1);
    await world.upkeep(tab); // which marks what is kept, and leaves it where it is
    const other = await world.open();
    const { storage } = other.database.store;
    const read = storage.read.bind(storage);
    let moved = 0;
    vi.spyOn(storage, "read").mockImplementation(async (reads) => {
      const found = await read(reads);
      const isPlace = reads.some(({ kind, store }) => kind === "keys" && store === "log");
      if (isPlace && moved++ === 0) await tidyKept(tab.storage, tab.tenure!);
      return found;
    });
    const cursor = await begin(other);
    const { commits } = await feedsOf(other).read({
      op: "changes",
      feed: 1,
      consumer,
      cursor,
      collections: undefined,
      maxBytes: 1 << 20,
    });
    expect(commits.map(({ changes }) => changes.length)).toEqual([1]);
    expect(moved).toBe(2);
  });

  test.each(["none", "all", 1] as const)("[MV4][OL1] is whole after a crash at any step, keeping %s", async (keep) => {
    let last = Infinity;
    for (let dieAt = 5; dieAt < last; dieAt += 7) {
      const world = new World();
      await world.untilCrash(dieAt, keep, async ([a]) => {
        await begin(a);
        for (let n = 1; n <= 24; n++) {
          await write(a, [put({ id: "k", n, pad: "x".repeat(100) })]);
          if (n % 4 === 0) await upkeep(world, a);
          if (n === 13) await acknowledge(a, seq(a.database.store.head.seq - 3));
        }
        last = dieAt;
      });
      const tab = await world.open();
      await upkeep(world, tab);
      let cursor = await begin(tab);
      const told: (readonly (number | undefined)[])[] = [];
      const { store } = tab.database;
      const asked = { op: "changes", feed: 1, consumer, collections: undefined, maxBytes: 1000 } as const;
      while (cursor.position < store.head.seq) {
        const answer = await feedsOf(tab).read({ ...asked, cursor });
        const records = unpackValues(answer.values) as (Item | undefined)[];
        for (let i = 0; i < records.length; i += 2) told.push([records[i]?.n, records[i + 1]?.n]);
        ({ cursor } = answer);
      }
      const now = await stateOf(tab);
      const first = told[0]?.[1] ?? 1;
      const expected = told.map((_, i) => [first + i === 1 ? undefined : first + i - 1, first + i]);
      deepStrictEqual(told, expected, `dieAt ${dieAt}`);
      if (told.length > 0) deepStrictEqual(told.at(-1)?.[1], now?.n, `dieAt ${dieAt}`);
    }
    expect(last).toBeLessThan(Infinity);
  });
});

async function stateOf({ database }: Tab): Promise<Item | undefined> {
  const view = await database.begin(999, { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 });
  return itemOf(view, "k");
}

describe("a feed that waits", () => {
  test("[TB3] hears of a commit within the look interval though every message between tabs is lost", () =>
    simulate(async (world) => {
      world.hub.fate = () => [];
      const a = await openPage(world, "a");
      const b = await openPage(world, "b");
      let cursor = await b.call<"changes-open">({ op: "changes-open", consumer: undefined, after: undefined });
      const asked = { op: "changes", feed: 77, consumer: undefined, collections: undefined, maxBytes: 1000 } as const;
      for (let n = 1; n <= 3; n++) {
        const waiting = await b.call<"changes">({ ...asked, cursor });
        expect([waiting.commits, waiting.isHead]).toEqual([[], true]);
        b.events.length = 0;
        await a.put(item(1, n));
        await world.eventually(() => b.touched.includes(77), 2050, "b hears of it");
        const { commits, cursor: next } = await b.call<"changes">({ ...asked, cursor: waiting.cursor });
        expect(commits).toHaveLength(1);
        cursor = next;
      }
    }));
});
