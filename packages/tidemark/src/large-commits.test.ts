import { deepStrictEqual } from "node:assert/strict";
import { beforeEach, describe, expect, test } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import { defaultWork } from "./gc/work.ts";
import {
  type Between,
  contents,
  interposed,
  isAppend,
  isInside,
  isStaging,
  puts,
  readsBlobs,
  records,
} from "./large-commits.test-support.ts";
import { bodies, chunkKeys, faults, large, largestCall, stagedRows, sweep } from "./large-values.test-support.ts";
import { verify } from "./mvcc/verify.ts";
import {
  add,
  clear,
  commit,
  databaseName,
  del,
  type Item,
  itemOf,
  itemsAt,
  itemsIn,
  put,
  stage,
  type Tab,
  World,
  write,
} from "./test-world.test-support.ts";
import { decodeEntry } from "./wal/entry.ts";

const maxMovedBytes = 260 * 1024;

let world: World;
/** Tab a, between whose storage calls anything may happen. */
let a: Tab;
let b: Tab;
const between: Between = {};
beforeEach(async () => {
  quiet();
  world = new World({
    rewrite: { ...defaultWork, targetBytes: 8000, maxStoreBytes: 30_000 },
    connect: (storage, id) => (id === "tab1" ? interposed(storage, between) : storage),
  });
  a = await world.open();
  b = await world.open();
});

function quiet(): void {
  between.before = undefined;
  between.after = undefined;
}

const view = (of: Tab, handle: number, fresh = true) =>
  of.database.begin(handle, { tracked: false, isolation: "snapshot", fresh, attempt: 0 });
const transaction = (of: Tab, handle: number) =>
  of.database.begin(handle, { tracked: true, isolation: "serializable", fresh: true, attempt: 0 });

const byId = (x: Item, y: Item) => (x.id < y.id ? -1 : 1);
/** What is there after these, one after the other. */
function after(...all: readonly (readonly Item[])[]): Item[] {
  return [...new Map(all.flat().map((i) => [i.id, i])).values()].toSorted(byId);
}

async function expectEverywhere(expected: readonly Item[], tabs: readonly Tab[] = [a, b]): Promise<void> {
  for (const tab of tabs) await tab.database.idle();
  await new Promise((resolve) => setTimeout(resolve));
  const auditor = await world.open();
  for (const tab of [...tabs, auditor]) deepStrictEqual(await contents(tab), expected);
  deepStrictEqual(await faults(auditor), []);
  world.kill(auditor);
}

describe("a large commit", () => {
  test("[MV11] of 4 MB is committed, followed, recovered and folded in small transactions, and its row is small", async () => {
    const all = records(1, 11_000);
    const most = await largestCall(world, async () => {
      await write(a, all.map(put), "strict");
      await b.database.store.follow();
    });
    expect(most).toBeLessThan(maxMovedBytes);
    const [row] = (await a.storage.read([{ kind: "range", store: "log", range: { from: 2 } }]))[0]!;
    expect(row!.value.length).toBeLessThan(200);
    expect(a.database.store.log.sizeBytes).toBeGreaterThan(4_000_000);
    expect(await largestCall(world, () => world.open())).toBeLessThan(maxMovedBytes);
    expect(await largestCall(world, () => world.upkeep(b))).toBeLessThan(maxMovedBytes);
    expect(await chunkKeys(a.storage)).toEqual([]);
    await expectEverywhere([...all]);
  });

  test("[MV11] is staged only where it has to be: small ones cost one storage call", async () => {
    const { commits } = world.medium.stats;
    await write(a, puts(1, 100));
    expect(world.medium.stats.commits - commits).toBe(1);
    expect(await bodies(a.storage)).toEqual([]);
    await write(a, puts(2, 200));
    expect(await bodies(a.storage)).toHaveLength(1);
  });

  test("[MV1] is seen whole or not at all by who is told nothing, only the row, or reads the tail", async () => {
    await write(a, puts(1));
    await b.database.store.follow();
    const old = await view(b, 1);
    await write(a, puts(2, 400));
    await write(a, [put({ id: "z", n: 3 })]);
    deepStrictEqual(await itemsIn(await view(b, 2, false)), [...records(1)]);
    const [, second, third] = a.sent.slice(-3).map((bytes) => decodeEntry(bytes));
    expect(second!.isWhole).toBe(false);
    expect(b.database.store.apply(second!)).toBe(false);
    expect(b.database.store.apply(third!)).toBe(false);
    deepStrictEqual(await itemsIn(await view(b, 3, false)), [...records(1)]);
    await b.database.store.follow();
    expect(b.database.store.apply(second!)).toBe(true);
    deepStrictEqual(await itemsIn(await view(b, 4, false)), [...records(2, 400), { id: "z", n: 3 }]);
    deepStrictEqual(await itemsIn(old), [...records(1)]);
  });

  test("[MV1][MV2] is seen whole or not at all between any two storage calls of its tab", async () => {
    await write(a, puts(1));
    const old = await view(b, 1);
    const seen = new Set<string>();
    const look = async () => {
      const newcomer = await world.open();
      for (const tab of [b, newcomer]) {
        const items = await contents(tab);
        deepStrictEqual(items, [...records(items[0]!.n, items.length)]);
        seen.add(`${items[0]!.n}: ${items.length}`);
      }
      world.kill(newcomer);
    };
    between.before = look;
    between.after = look;
    await write(a, puts(2, 1500), "strict");
    quiet();
    await look();
    expect([...seen]).toEqual(["1: 300", "2: 1500"]);
    deepStrictEqual(await itemsIn(old), [...records(1)]);
  });

  test("[MV1] next to small ones of the same tab is in the order of the calls", async () => {
    const done = await Promise.all([
      write(a, [put({ id: "r00001", n: 7 })]),
      write(a, puts(2)),
      write(a, [put({ id: "r00000", n: 8 })]),
      write(a, [del("r00002")]),
      write(a, puts(3, 300, 200)),
      write(a, [add({ id: "s", n: 9 })]),
    ]);
    expect(done.map((d) => d.seq)).toEqual(done.map((_, i) => done[0].seq + i));
    expect(done[1].existed.filter((e) => e)).toHaveLength(1);
    expect(done[4].existed.filter((e) => e)).toHaveLength(100);
    const left = after(records(2), [{ id: "r00000", n: 8 }], records(3, 300, 200), [{ id: "s", n: 9 }]);
    await expectEverywhere(left.filter(({ id }) => id !== "r00002"));
  });

  test("[MV11] that is refused, or whose adds meet taken keys, leaves nothing behind", async () => {
    await write(b, [put({ id: "r00150", n: 1 }), put({ id: "z", n: 1, slug: "s" })]);
    const refused = await write(a, records(2).map(add)).catch((e: unknown) => e);
    expect(refused).toMatchObject({ code: "CONSTRAINT", details: { failures: [{ position: 150 }] } });
    await expect(write(a, [...puts(2), put({ id: "y", n: 2, slug: "s" })])).rejects.toMatchObject({
      code: "CONSTRAINT",
    });
    await itemsIn(await transaction(a, 1));
    await write(b, [put({ id: "zz", n: 1 })]);
    await expect(commit(a, 1, puts(3))).rejects.toMatchObject({ code: "CONFLICT" });
    await expectEverywhere([
      { id: "r00150", n: 1 },
      { id: "z", n: 1, slug: "s" },
      { id: "zz", n: 1 },
    ]);
    expect(await chunkKeys(a.storage)).toEqual([]);
  });

  test("[MV9][MV11] that the disk has no room for leaves nothing behind", async () => {
    await write(a, puts(1));
    const before = await chunkKeys(a.storage);
    world.medium.quotaBytes = world.medium.usedBytes + 500_000;
    await expect(write(a, puts(2, 4000))).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    expect(await chunkKeys(a.storage)).toEqual(before);
    await expectEverywhere([...records(1)], []);
  });

  test("[MV11] holds large values, and index entries of those it replaces", async () => {
    const values = [large("v1", 1), large("v2", 2, 300_000)];
    const indexed = records(1).map((i, n): Item => ({ ...i, at: n % 7, slug: `s${n}` }));
    await write(a, [...indexed, ...values].map(put));
    await expectEverywhere(after(indexed, values));
    await write(b, [...puts(2), put(large("v1", 3))], "strict");
    const now = after(records(2), [large("v1", 3), values[1]!]);
    await expectEverywhere(now);
    deepStrictEqual(await itemsAt(await view(a, 5), 0, 9), []);
    await world.upkeep(a, [b]);
    await expectEverywhere(now);
    expect(await bodies(a.storage)).toEqual([]);
  });

  test("[MV11] is gone with a clearing, and follows one", async () => {
    await write(a, puts(1));
    await clear(b, await transaction(b, 1));
    await commit(b, 1, puts(2, 200, 50));
    await expectEverywhere([...records(2, 200, 50)]);
    await clear(a, await transaction(a, 1));
    await commit(a, 1, []);
    await write(b, puts(3, 400));
    await expectEverywhere([...records(3, 400)]);
    await world.upkeep(b, [a]);
    await expectEverywhere([...records(3, 400)]);
    expect(await chunkKeys(a.storage)).toEqual([]);
  });
});

describe("a large commit that loses its position", () => {
  const rivals: readonly (readonly [string, (n: number) => readonly Item[]])[] = [
    ["a small one of its keys", (n) => records(100 + n, 1, 7)],
    ["a small one of another key", (n) => [{ id: "z", n: 100 + n }]],
    ["a large one of its keys", (n) => records(100 + n, 350, 20)],
    ["a large one of other keys", (n) => records(100 + n, 300, 1000)],
  ];
  for (const [what, rival] of rivals) {
    for (const times of [1, 2, 3, 4, 6]) {
      test(`[MV3][MV11] ${times} times to ${what}, gets through`, async () => {
        const before = records(1, 5, 5);
        await write(a, before.map(put));
        let n = 0;
        let inside = 0;
        const rivalled: Item[][] = [];
        between.before = async (call) => {
          if (!isAppend(call)) return;
          if (isInside(call)) inside++;
          if (n >= times) return;
          const items = rival(n++);
          rivalled.push([...items]);
          await write(b, items.map(put));
        };
        const done = await write(a, puts(2), "strict");
        expect(inside > 0).toBe(times >= 3);
        const there = after(before, ...rivalled);
        expect(done.existed).toEqual(records(2).map(({ id }) => there.some((i) => i.id === id)));
        await expectEverywhere(after(there, records(2)));
      });
    }
  }

  test.each([0, 1, 3])("[MV3][MV11] after %i lost races is refused where an add's key was taken", async (lost) => {
    let n = 0;
    between.before = async (call) => {
      if (isAppend(call) && n <= lost) await write(b, [put({ id: n++ === lost ? "r00100" : "z", n })]);
    };
    await expect(write(a, records(2).map(add))).rejects.toMatchObject({ code: "CONSTRAINT" });
    quiet();
    await expectEverywhere([{ id: "r00100", n: lost + 1 }, ...(lost > 0 ? [{ id: "z", n: lost }] : [])]);
    expect(await chunkKeys(a.storage)).toEqual([]);
  });

  test.each([0, 1, 3])("[MV3][MV11] after %i lost races is refused where a slug was taken", async (lost) => {
    let n = 0;
    between.before = async (call) => {
      if (isAppend(call) && n <= lost) await write(b, [put({ id: "z", n, ...(n++ === lost ? { slug: "s" } : {}) })]);
    };
    await expect(write(a, [...puts(2), put({ id: "y", n: 2, slug: "s" })])).rejects.toMatchObject({
      code: "CONSTRAINT",
      details: { constraint: "unique" },
    });
    quiet();
    await expectEverywhere([{ id: "z", n: lost, slug: "s" }]);
    expect(await chunkKeys(a.storage)).toEqual([]);
  });

  test.each([0, 1, 3])(
    "[MV3][MV11] after %i lost races is in conflict where what it read has changed",
    async (lost) => {
      await write(a, [put({ id: "z", n: 1 })]);
      const tx = await transaction(a, 1);
      await itemOf(tx, "z");
      await stage(a, tx, puts(2));
      let n = 0;
      between.before = async (call) => {
        if (isAppend(call) && n <= lost) await write(b, [put({ id: n++ === lost ? "z" : "y", n })]);
      };
      await expect(commit(a, 1, [])).rejects.toMatchObject({ code: "CONFLICT" });
      quiet();
      expect(await chunkKeys(a.storage)).toEqual([]);
      expect(await stagedRows(a.storage)).toEqual([]);
    },
  );

  test.each([0, 1, 3, 5])("[MV3] after %i lost races has right index entries for what it replaced", async (lost) => {
    await write(
      a,
      records(1).map((i, n) => put({ ...i, at: n % 5 })),
    );
    let n = 0;
    between.before = async (call) => {
      if (isAppend(call) && n < lost) await write(b, [put({ id: "r00003", n: 50 + n++, at: 6 + n, slug: `s${n}` })]);
    };
    await write(a, puts(2));
    quiet();
    deepStrictEqual(await itemsAt(await view(b, 1), 0, 99), []);
    await write(b, [put({ id: "q", n: 1, slug: `s${lost}` })]); // free again
    await expectEverywhere([{ id: "q", n: 1, slug: `s${lost}` }, ...records(2)]);
  });

  test("[MV1][MV11] in a group whose members another tab makes superfluous, shrinks with them", async () => {
    const named = (n: number, i: number): Item => ({ id: `k${1000 + i}`, n, slug: `${i}-`.repeat(100) });
    const items = Array.from({ length: 300 }, (_, i) => named(1, i));
    for (const left of [250, 40, 0]) {
      await write(a, items.map(put));
      await write(a, [put({ id: "warm", n: 0 })]);
      await b.database.store.follow();
      let once = true;
      between.before = async (call) => {
        // The deletes, one call each, are gathered behind this one and staged as one group.
        if (!isStaging(call) || !once) return;
        once = false;
        await write(
          b,
          items.slice(left).map(({ id }) => del(id)),
        );
      };
      const done = await Promise.all(
        [put({ id: "warm", n: 1 }), ...items.map(({ id }) => del(id))].map((c) => write(a, [c])),
      );
      quiet();
      expect(once).toBe(false);
      expect(done.slice(1).map((d) => d.existed[0])).toEqual(items.map((_, i) => i < left));
      await expectEverywhere([{ id: "warm", n: 1 }]);
    }
    await world.upkeep(a, [b]);
    expect(await chunkKeys(a.storage)).toEqual([]);
  });

  test.each([0, 7])(
    "[MV3][MV11] hears of what came first while it is staged: it does not lose for that",
    async (from) => {
      let appends = 0;
      between.before = async (call) => {
        if (isAppend(call)) appends++;
        if (!isStaging(call) || b.sent.length > 0) return;
        await write(b, [put({ id: from === 0 ? "z" : "r00007", n: 1 })]);
        for (const bytes of b.sent) a.database.store.apply(decodeEntry(bytes));
      };
      const done = await write(a, puts(2));
      quiet();
      expect(appends).toBe(1);
      expect(done.existed.filter((e) => e)).toHaveLength(from === 0 ? 0 : 1);
      await expectEverywhere(after(records(2), from === 0 ? [{ id: "z", n: 1 }] : []));
    },
  );

  test("[MV11] and whose body is swept, though its tab lives, commits nothing and says so", async () => {
    const sweeper = () => sweep(world, b.storage);
    for (const lost of [0, 3]) {
      let n = 0;
      world.live.delete(a.id);
      between.before = async (call) => {
        if (!isAppend(call)) return;
        if (n++ < lost) await write(b, [put({ id: "z", n })]);
        else await sweeper();
      };
      await expect(write(a, puts(2), "strict")).rejects.toMatchObject({
        code: "STORAGE_LOST",
        details: { outcome: "none" },
      });
      quiet();
      world.live.add(a.id);
      await expectEverywhere(lost > 0 ? [{ id: "z", n: lost }] : []);
    }
    await write(a, puts(3));
    await expectEverywhere(after([{ id: "z", n: 3 }], records(3)));
  });
});

describe("upkeep in the middle of large commits", () => {
  test("[MV5] a checkpoint that takes the bodies while a tab reads them: it reloads, and is right", async () => {
    const open = world.open.bind(world);
    for (let at = 0, reads = Infinity; at < reads; at++) {
      await write(b, puts(10 + at, 1200));
      await write(b, [put({ id: "z", n: at })]);
      let n = 0;
      between.before = async (call) => {
        if (readsBlobs(call) && n++ === at) await world.upkeep(b);
      };
      await a.database.store.follow();
      quiet();
      reads = n;
      deepStrictEqual(
        await itemsIn(await view(a, 100 + at, false)),
        after(records(10 + at, 1200), [{ id: "z", n: at }]),
      );
      expect(await faults(await open())).toEqual([]);
      expect(a.damage).toEqual([]);
    }
    expect(await bodies(a.storage)).toEqual([]);
  });

  test("[MV5] a checkpoint that takes the bodies while a tab joins: it is right", async () => {
    for (let at = 0, reads = Infinity; at < reads; at++) {
      await write(b, puts(10 + at, 1200));
      let n = 0;
      const late: Between = {
        before: async (call) => {
          if (readsBlobs(call) && n++ === at) await world.upkeep(b);
        },
      };
      const joined = await joining(late);
      reads = n;
      deepStrictEqual(await contents(joined), [...records(10 + at, 1200)]);
      expect(joined.damage).toEqual([]);
      expect(joined.database.store.fence.incarnation).toBe(0);
    }
  });

  test("[MV11][TB2] at any storage call of it, changes nothing, and leaves nothing", async () => {
    let last = -1;
    for (let at = 0, calls = Infinity; at < calls; at++) {
      await write(b, puts(1));
      let n = 0;
      between.before = async () => {
        if (n++ !== at) return;
        await write(b, [put({ id: "z", n: (last = at) })]);
        await world.upkeep(b);
        await sweep(world, b.storage);
      };
      const done = await write(a, puts(10 + at, 700), "strict");
      quiet();
      calls = n;
      expect(done.existed.filter((e) => e).length).toBeGreaterThanOrEqual(300);
      await expectEverywhere(after(records(10 + at, 700), [{ id: "z", n: last }]));
    }
  });

  test("[MV11][TB3] a tab that sleeps through checkpoints with a body staged: its append is void, and made again", async () => {
    let isFrozen = true;
    between.before = async (call) => {
      if (!isAppend(call) || !isFrozen) return;
      isFrozen = false;
      for (let n = 1; n <= 3; n++) {
        await write(b, puts(n, 300, 100));
        await world.upkeep(b);
      }
    };
    const done = await write(a, puts(9), "strict");
    expect(done.existed).toEqual(records(9).map((_, i) => i >= 100));
    await expectEverywhere(after(records(3, 300, 100), records(9)));
    expect(await bodies(a.storage)).toHaveLength(1);
    await world.upkeep(a, [b]);
    expect(await chunkKeys(a.storage)).toEqual([]);
  });

  test("[MV11][TB4] a tab that dies with a body staged: it is swept, and a body in the log is not", async () => {
    await write(a, puts(1));
    let once = true;
    between.before = async (call) => {
      if (!isAppend(call) || !once) return;
      once = false;
      expect(await chunkKeys(b.storage)).toHaveLength(2 + 3);
      world.kill(a);
    };
    await expect(write(a, puts(2, 400))).rejects.toSatisfy((e) => isTidemarkError(e));
    expect(await sweep(world, b.storage)).toBe(1);
    expect(await sweep(world, b.storage)).toBe(0);
    await expectEverywhere([...records(1)], [b]);
  });
});

/** A tab that joins, with something between its storage calls. */
async function joining(late: Between): Promise<Tab> {
  Object.assign(between, late);
  try {
    return await world.open((storage) => interposed(storage, between));
  } finally {
    quiet();
  }
}

describe("damage of a large commit in the log", () => {
  const flip = (key: number) => world.medium.damage(databaseName, "blobs", key, 500);
  const remove = async (key: number) => {
    await b.storage.commit({ durability: "strict", writes: [{ kind: "delete", store: "blobs", key }] });
  };
  for (const [how, hurt] of [
    ["flipped", flip],
    ["gone", remove],
  ] as const) {
    test.each([0, 1, 2])(
      `[MV4][MV8] chunk %i ${how}: it and what follows is struck and told, what was before stays`,
      async (nth) => {
        await write(a, puts(1), "strict");
        await write(a, [put({ id: "z", n: 1 })], "strict");
        await write(a, puts(2, 400), "strict");
        const { seq: head } = a.database.store.head;
        await write(a, [put({ id: "z", n: 2 })], "strict");
        await write(a, puts(3, 200), "strict");
        const [, second] = await bodies(a.storage);
        const chunks = (await chunkKeys(a.storage)).filter((key) => key >= second!.id);
        await hurt(chunks[nth]!);
        const { incarnation } = a.database.store.fence;

        const c = await world.open();
        expect(c.damage).toMatchObject([{ code: "CORRUPT" }]);
        expect(c.database.store.head.seq).toBe(head - 1);
        expect(c.database.store.fence.incarnation).toBe(incarnation + 1);
        deepStrictEqual(await contents(c), after(records(1), [{ id: "z", n: 1 }]));
        // Tab a knows better, but what it knows is struck: it folds what is left, and goes on from that.
        await world.upkeep(a, [b, c]);
        deepStrictEqual(await contents(a), after(records(1), [{ id: "z", n: 1 }]));
        await write(a, puts(4, 310, 5));
        await write(c, [put({ id: "y", n: 5 })]);
        await expectEverywhere(
          after(records(1), records(4, 310, 5), [
            { id: "z", n: 1 },
            { id: "y", n: 5 },
          ]),
          [a, b, c],
        );
        for (const tab of [a, b, c]) expect((await verify(tab.database.store)).damage).toEqual([]);
        await c.database.store.reload(); // tab a has folded
        await world.upkeep(c, [a, b]);
        expect(await chunkKeys(c.storage)).toEqual([]);
      },
    );
  }

  test("[MV8] is told by verify, which changes nothing; a tab that has it in memory saves it by folding", async () => {
    await write(a, puts(1));
    await write(a, puts(2, 400));
    const [, second] = await bodies(a.storage);
    const key = (await chunkKeys(a.storage)).find((k) => k >= second!.id);
    flip(key!);
    for (let again = 0; again < 2; again++) {
      const { damage } = await verify(a.database.store);
      expect(damage).toMatchObject([{ what: "log" }]);
    }
    expect(a.damage).toEqual([]);
    await world.upkeep(a, [b]);
    expect((await verify(a.database.store)).damage).toEqual([]);
    await expectEverywhere([...records(2, 400)]);
  });

  test("[MV8] verify while a checkpoint takes the bodies finds none missing", async () => {
    for (let at = 0, reads = Infinity; at < reads; at++) {
      await write(b, puts(at, 400));
      await a.database.store.follow();
      let n = 0;
      between.before = async () => {
        if (n++ === at) await world.upkeep(b);
      };
      expect((await verify(a.database.store)).damage).toEqual([]);
      quiet();
      reads = n;
    }
    expect(a.damage).toEqual([]);
  });

  test("[MV4][MV8] that one tab strikes while another reads: what has taken its place is not struck", async () => {
    for (let at = 0, calls = Infinity; at < calls; at++) {
      await b.database.store.follow();
      await world.upkeep(b);
      const before = await contents(a);
      await write(b, puts(at, 400));
      const last = (await bodies(b.storage)).at(-1)!;
      const key = (await chunkKeys(b.storage)).find((k) => k >= last.id);
      flip(key!);
      let n = 0;
      const seenBy: Tab[] = [];
      between.before = async () => {
        if (n++ !== at) return;
        const c = await world.open();
        await write(c, puts(500 + at), "strict");
        seenBy.push(c);
      };
      await a.database.store.follow();
      quiet();
      calls = n;
      const items = await contents(await world.open());
      deepStrictEqual(items, seenBy.length > 0 ? after(before, records(500 + at)) : before);
    }
  });
});
