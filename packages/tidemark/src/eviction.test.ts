import { beforeEach, describe, expect, test } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import { large } from "./large-values.test-support.ts";
import type { Handle } from "./mvcc/handles.ts";
import { holdersIn, pinId, readHolders } from "./mvcc/holders.ts";
import {
  commit,
  del,
  type Item,
  itemOf,
  itemsIn,
  put,
  stage,
  type Tab,
  World,
  write,
} from "./test-world.test-support.ts";

let world: World;
/** Does upkeep, and sees to it that b is evicted. */
let a: Tab;
/** Sleeps. */
let b: Tab;
beforeEach(async () => {
  world = new World({ cacheMaxBytes: 1 });
  [a, b] = [await world.open(), await world.open()];
});

const names = ["k1", "k2", "k3", "k4"];
const items = (n: number): Item[] => names.map((id) => ({ id, n, pad: "p".repeat(200) }));
const head = { tracked: false, isolation: "snapshot", fresh: false, attempt: 0 } as const;
const tracked = { ...head, tracked: true, isolation: "serializable" } as const;
const idsOf = async () => holdersIn(await a.storage.read(readHolders)).map((h) => h.id);
const plainly = (tab: Tab): Promise<Item[]> =>
  tab.database.reading(0, tab.database.schema.epoch, async (view) => itemsIn(view));

/** Everything is written again, b's pin is taken, and what it held back is collected. */
async function evict(id = pinId(b.id)): Promise<void> {
  await write(a, items(2).map(put));
  await world.raise(a);
  await world.advance(a, { evict: new Set([id]), by: "user" });
  for (let i = 0; i < 3; i++) {
    await world.upkeep(a);
    await write(a, [put({ id: "other", n: 10 + i })]);
  }
}

async function folded(n: number): Promise<void> {
  await write(a, items(n).map(put), "strict");
  await world.upkeep(a, [b]);
  await b.database.store.reload();
}

const evicted = (view: Handle) => ({
  code: "READ_VIEW_EVICTED",
  details: { viewSeq: view.seq, floor: expect.any(Number), evictedBy: "user", logSeq: expect.any(Number) },
});

describe("a tab that was evicted while it slept", () => {
  test("[TB5] its views fail, saying where and by whom; it goes on with fresh ones, pinned anew", async () => {
    await folded(1);
    const view = await b.database.begin(1, head);
    await evict();
    const { logSeq, by } = a.database.store.floor.eviction!;
    const failure = await itemsIn(view).catch((e: unknown) => e);
    expect(failure).toMatchObject(evicted(view));
    expect(isTidemarkError(failure) && failure.details).toMatchObject({ evictedBy: by, logSeq });
    await expect(itemOf(view, "k1")).rejects.toMatchObject(evicted(view));
    expect((await plainly(b)).filter((i) => i.n === 2)).toHaveLength(4);
    expect(await idsOf()).toEqual([pinId(a.id), pinId(b.id)]);
    await b.database.end(1);
    const fresh = await b.database.begin(2, head);
    await world.upkeep(a);
    await write(a, names.map(del));
    for (let i = 0; i < 3; i++) await world.upkeep(a, [b]);
    expect((await itemsIn(fresh)).filter((i) => i.n === 2)).toHaveLength(4); // its new pin holds
  });

  test("[TB5] a plain read is repeated by itself", async () => {
    await folded(1);
    await evict();
    expect((await plainly(b)).filter((i) => i.n === 2)).toHaveLength(4);
    expect(b.database.store.head.seq).toBe(a.database.store.head.seq);
  });

  test("[TB5] a transaction's reads fail, what it commits unread is judged, and run again it gets through", async () => {
    await folded(1);
    const tx = await b.database.begin(1, tracked);
    await evict();
    await expect(itemOf(tx, "k1")).rejects.toMatchObject(evicted(tx));
    await expect(stage(b, tx, [del("k1")])).rejects.toMatchObject(evicted(tx));
    await b.database.end(1);
    const again = await b.database.begin(2, { ...tracked, attempt: 1 });
    expect((await itemOf(again, "k1"))?.n).toBe(2);
    await commit(b, 2, [put({ id: "k1", n: 3 })]);
    await a.database.store.follow();
    expect((await plainly(a)).find((i) => i.id === "k1")?.n).toBe(3);
  });

  test("[TB5] values out of line that are gone with an evicted view are not called damaged", async () => {
    await write(a, [put(large("big", 1))], "strict");
    await world.upkeep(a, [b]);
    await b.database.store.reload();
    const view = await b.database.begin(1, head);
    expect(await itemsIn(view)).toMatchObject([{ id: "big", n: 1 }]);
    await write(a, [put(large("big", 2))]);
    await evict();
    await expect(itemsIn(view)).rejects.toMatchObject(evicted(view));
    expect(b.damage).toEqual([]);
  });

  test("[TB5] looks at the floor first when it was asked nothing for more than a second", async () => {
    world = new World({ cacheMaxBytes: 1 << 20 });
    [a, b] = [await world.open(), await world.open()];
    await folded(1);
    const view = await b.database.begin(1, head);
    expect(await itemsIn(view)).toEqual(items(1)); // from here on its blocks are at hand
    await evict();
    expect(await itemsIn(view)).toEqual(items(1));
    world.pass(900);
    expect(await itemsIn(view)).toEqual(items(1));
    world.pass(1100);
    await expect(itemsIn(view)).rejects.toMatchObject(evicted(view));
    await expect(itemsIn(view)).rejects.toMatchObject(evicted(view));
  });

  test.each(["view", "transaction"])(
    "[TB5] a %s that it opens when it wakes is of the state there is",
    async (kind) => {
      await folded(1);
      await evict();
      world.pass(1100);
      const handle = await b.database.begin(1, kind === "view" ? head : tracked);
      expect(handle.seq).toBe(a.database.store.head.seq);
      expect((await itemsIn(handle)).filter((i) => i.n === 2)).toHaveLength(4);
      expect(await idsOf()).toEqual([pinId(a.id), pinId(b.id)]);
    },
  );

  test("[TB5] raising its pin needs the row: it gets another, at the floor or above, and reads the state anew", async () => {
    await folded(1);
    const view = await b.database.begin(1, head);
    await evict();
    await world.raise(b);
    expect(b.database.store.head.seq).toBe(a.database.store.head.seq);
    const pins = holdersIn(await a.storage.read(readHolders));
    expect(pins.find((h) => h.id === pinId(b.id))!.seq).toBeGreaterThanOrEqual(a.database.store.floor.seq);
    await expect(itemsIn(view)).rejects.toMatchObject(evicted(view));
    // A view that was evicted and is still open holds nothing back.
    const before = a.database.store.floor.seq;
    await write(a, items(3).map(put));
    await b.database.store.follow();
    await world.upkeep(a, [b]);
    expect(a.database.store.floor.seq).toBeGreaterThan(before);
    expect(a.database.store.floor.seq).toBeGreaterThan(view.seq);
  });

  test("[TB5] hears of it from the log, and is pinned again before anybody asks", async () => {
    await folded(1);
    await write(a, items(2).map(put));
    await world.advance(a, { evict: new Set([pinId(b.id)]), by: "user" });
    expect(await idsOf()).toEqual([pinId(a.id)]);
    await b.database.store.follow();
    await new Promise((resolve) => setTimeout(resolve));
    expect(await idsOf()).toEqual([pinId(a.id), pinId(b.id)]);
  });

  test("[MV9][TB5] a connection lost meanwhile is no reason for another log: others read on", async () => {
    world = new World({ cacheMaxBytes: 1, reopens: true });
    [a, b] = [await world.open(), await world.open()];
    await folded(1);
    const view = await b.database.begin(1, head);
    await evict();
    const seen = await a.database.begin(1, head);
    const { incarnation } = a.database.store.fence;
    world.medium.crash({ keepRelaxed: "all" });
    await expect(itemsIn(view)).rejects.toMatchObject(evicted(view));
    expect((await itemsIn(seen)).filter((i) => i.n === 2)).toHaveLength(4);
    await a.database.store.reload();
    expect(a.database.store.fence.incarnation).toBe(incarnation);
  });
});

describe("a view on a snapshot", () => {
  const on = (snapshot: string) => ({ ...head, snapshot });

  test("[VG3][MV2] holds what it reads, whatever is written, folded or deleted, also the snapshot", async () => {
    await folded(1);
    const { seq: at } = await a.database.snapshots.create("s");
    await write(a, items(2).map(put));
    const view = await b.database.begin(1, on("s"));
    expect(view.seq).toBe(at);
    await b.database.snapshots.delete("s");
    for (let i = 0; i < 3; i++) {
      await world.upkeep(a, [b]);
      await write(a, [put({ id: "other", n: 10 + i })]);
    }
    expect(a.database.store.floor.seq).toBe(at);
    expect(await itemsIn(view)).toEqual(items(1));
    await b.database.store.reload();
    expect(await itemsIn(view)).toEqual(items(1));
    await expect(b.database.begin(2, on("s"))).rejects.toMatchObject({ code: "NOT_FOUND" });
    await b.database.end(1);
    expect(await idsOf()).toEqual([pinId(a.id), pinId(b.id)]);
    await world.upkeep(a, [b]);
    expect(a.database.store.floor.seq).toBeGreaterThan(at);
  });

  test.each([
    ["that fetches", async () => undefined],
    ["whose state was read anew", async () => b.database.store.reload()],
    ["that heard of it", async () => b.database.store.follow()],
  ])("[TB5] %s finds out that its hold was evicted, though its tab was not", async (_, step) => {
    await folded(1);
    await a.database.snapshots.create("s");
    const view = await b.database.begin(1, on("s"));
    await a.database.snapshots.delete("s");
    await world.raise(b);
    await evict(view.hold!.id);
    for (let i = 0; i < 3; i++) await world.upkeep(a, [b]);
    await step();
    await expect(itemsIn(view)).rejects.toMatchObject(evicted(view));
    await expect(itemOf(view, "k1")).rejects.toMatchObject(evicted(view));
    await b.database.store.follow();
    expect((await plainly(b)).filter((i) => i.n === 2)).toHaveLength(4);
    await b.database.end(1);
  });

  test("[TB5] whose hold is gone is refused even where all that is left is at hand", async () => {
    world = new World({ cacheMaxBytes: 1 << 20 });
    [a, b] = [await world.open(), await world.open()];
    await write(a, [put({ id: "k1", n: 1 })], "strict");
    await a.database.snapshots.create("s");
    await world.upkeep(a, [b]);
    await b.database.store.reload();
    const view = await b.database.begin(1, on("s"));
    await a.database.snapshots.delete("s");
    await write(a, [del("k1")]);
    await world.raise(a);
    await world.raise(b);
    await world.advance(a, { evict: new Set([view.hold!.id]), by: "user" });
    for (let i = 0; i < 4; i++) {
      await write(a, [put({ id: "other", n: 10 + i })]);
      await world.upkeep(a, [b]);
    }
    await b.database.store.reload();
    await plainly(b);
    await expect(itemOf(view, "k1")).rejects.toMatchObject(evicted(view));
  });

  test("[TB5] whose hold is taken between reading the state and looking for it says by whom (found by a seed)", async () => {
    let meanwhile: (() => Promise<unknown>) | undefined;
    const slow = await world.open((storage) => ({
      commit: (batch) => storage.commit(batch),
      close: () => storage.close(),
      read: async (reads) => {
        const [first, second] = reads;
        const isLook = first?.kind === "get" && first.key === "floor" && second?.store === "meta";
        if (isLook) await meanwhile?.();
        return storage.read(reads);
      },
    }));
    await folded(1);
    await a.database.snapshots.create("s");
    const view = await slow.database.begin(1, on("s"));
    meanwhile = () => {
      meanwhile = undefined;
      return world.advance(a, { evict: new Set([view.hold!.id]), by: "user" });
    };
    await slow.database.store.reload();
    await expect(itemsIn(view)).rejects.toMatchObject(evicted(view));
  });

  test("[TB4] goes with its dead tab, by a record in the log", async () => {
    await folded(1);
    const { seq: at } = await a.database.snapshots.create("s");
    await write(a, items(2).map(put));
    await b.database.begin(1, on("s"));
    await a.database.snapshots.delete("s");
    world.pass(1_000_000);
    await world.upkeep(a);
    expect(await idsOf()).toHaveLength(3); // its lock is held
    world.kill(b);
    await world.upkeep(a);
    expect(await idsOf()).toEqual([pinId(a.id)]);
    expect(a.database.store.floor.seq).toBeGreaterThan(at);
  });

  test("[MV10] reads by the schema of its seq", async () => {
    await folded(1);
    await a.database.snapshots.create("s");
    const tx = await a.database.begin(1, tracked);
    await a.database.clear(tx, tx.schema.epoch, "items");
    await commit(a, 1, []);
    for (let i = 0; i < 3; i++) {
      await world.upkeep(a, [b]);
      await write(a, [put({ id: "other", n: 10 + i })]);
    }
    const view = await b.database.begin(1, on("s"));
    expect(await itemsIn(view)).toEqual(items(1));
    expect(await plainly(a)).toEqual([{ id: "other", n: 12 }]);
  });
});
