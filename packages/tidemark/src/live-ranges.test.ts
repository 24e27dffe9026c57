import "fake-indexeddb/auto";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { collection, createDatabase, type Database, deleteDatabase, type Live, type View } from "./index.ts";
import { ownWorker } from "./own-worker.test-support.ts";

interface Row {
  readonly id: string;
  readonly group: number;
  readonly tags?: readonly string[];
  readonly text?: string;
}
const collections = {
  rows: collection<Row>()({ key: "id", indexes: { group: "group", tags: { path: "tags", multi: true } } }),
  others: collection<{ id: string }>()({ key: "id" }),
};
type Db = Database<typeof collections>;
type Q = View<typeof collections>;

vi.setConfig({ testTimeout: 30_000, expect: { poll: { interval: 2, timeout: 8000 } } });

const name = "live-ranges";
const open: Db[] = [];
function tab(): Db {
  const db = createDatabase({ name, collections, worker: false, ...ownWorker(open.length) });
  open.push(db);
  return db;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((db) => db.close()));
  vi.unstubAllGlobals();
  await deleteDatabase(name, { worker: false });
});

/** A live query with a count of its runs; resolves with its first result. */
async function watch<T>(
  db: Db,
  query: (q: Q) => Promise<T>,
): Promise<{ readonly seen: T[]; readonly runs: () => number; readonly live: Live<T> }> {
  let runs = 0;
  const seen: T[] = [];
  const live = db.live((q) => {
    runs++;
    return query(q);
  });
  live.subscribe((value) => seen.push(value));
  await expect.poll(() => seen.length).toBe(1);
  return { seen, runs: () => runs, live };
}

/** Whatever came of commits made before has been heard: a commit that is watched comes through after them. */
async function settled(writer: Db, reader: Db): Promise<void> {
  const mark = crypto.randomUUID();
  const heard = await watch(reader, (q) => q.collection("others").has(mark));
  await writer.collection("others").put({ id: mark });
  await expect.poll(() => heard.seen).toEqual([false, true]);
  await new Promise((resolve) => setTimeout(resolve, 5));
}

const initial: Row[] = [
  { id: "a", group: 1, tags: ["x"] },
  { id: "b", group: 2 },
  { id: "c", group: 3, tags: ["x", "y"] },
  { id: "d", group: 4 },
  { id: "e", group: 5 },
];

const queries: Record<string, (q: Q) => Promise<unknown>> = {
  get: (q) => q.collection("rows").get("b"),
  "get of nothing": (q) => q.collection("rows").get("none"),
  has: (q) => q.collection("rows").has("b"),
  "a key range": (q) => q.collection("rows").where().between("b", "d").toArray(),
  "an index range": (q) => q.collection("rows").where("group").between(2, 4).toArray(),
  "an empty index range": (q) => q.collection("rows").where("group").equals(9).toArray(),
  "a count on an index": (q) => q.collection("rows").where("group").above(3).count(),
  "the first two": (q) => q.collection("rows").where("group").limit(2).toArray(),
  "the last": (q) => q.collection("rows").where("group").reverse().limit(1).toArray(),
  "a multi index": (q) => q.collection("rows").where("tags").equals("x").toArray(),
};

/** Per query: commits that must not run it again, and commits that must. */
const cases: readonly [query: keyof typeof queries, elsewhere: (Row | string)[], within: (Row | string)[]][] = [
  ["get", [{ id: "a", group: 2 }, { id: "bb", group: 2 }, "c"], [{ id: "b", group: 7 }]],
  ["get of nothing", [{ id: "nona", group: 1 }, "a"], [{ id: "none", group: 1 }]],
  ["has", [{ id: "a", group: 1 }], ["b"]],
  ["a key range", [{ id: "a", group: 9 }, { id: "d", group: 9 }, "e"], [{ id: "cc", group: 0 }]],
  ["an index range", [{ id: "a", group: 0 }, { id: "f", group: 4 }, "e"], [{ id: "f", group: 3 }]],
  [
    "an empty index range",
    [
      { id: "a", group: 8 },
      { id: "b", group: 10 },
    ],
    [{ id: "b", group: 9 }],
  ],
  [
    "a count on an index",
    [
      { id: "a", group: 3 },
      { id: "c", group: 2 },
    ],
    ["e"],
  ],
  ["the first two", [{ id: "c", group: 4 }, { id: "f", group: 2.5 }, "e"], [{ id: "f", group: 1.5 }]],
  ["the last", [{ id: "a", group: 4.5 }, "b"], [{ id: "a", group: 6 }]],
  [
    "a multi index",
    [
      { id: "b", group: 2, tags: ["y", "z"] },
      { id: "d", group: 9 },
    ],
    [{ id: "a", group: 1, tags: [] }],
  ],
];

const apply = (db: Db, change: Row | string): Promise<unknown> =>
  typeof change === "string" ? db.collection("rows").delete(change) : db.collection("rows").put(change);

describe.each(["its own tab", "another tab"])("[TB3] a live query, by commits of %s", (where) => {
  test.each(cases)(
    "%s: is run again by what touches its reads, and by nothing else",
    async (query, elsewhere, within) => {
      const reader = tab();
      const writer = where === "its own tab" ? reader : tab();
      await writer.collection("rows").putMany(initial);
      await settled(writer, reader);
      const watched = await watch(reader, queries[query]!);
      for (const change of elsewhere) await apply(writer, change);
      await settled(writer, reader);
      expect(watched.runs()).toBe(1);
      for (const change of within) await apply(writer, change);
      await expect.poll(() => watched.seen.length).toBe(2);
      expect(watched.seen[1]).toEqual(await reader.read(queries[query]!));
      expect(watched.runs()).toBe(2);
    },
  );

  test("a record that moves out of an index range, or into it, runs it again", async () => {
    const reader = tab();
    const writer = where === "its own tab" ? reader : tab();
    await writer.collection("rows").putMany(initial);
    await settled(writer, reader);
    const ids = async (q: Q): Promise<string[]> =>
      (await q.collection("rows").where("group").between(2, 4).toArray()).map(({ id }) => id);
    const { seen } = await watch(reader, ids);
    await writer.collection("rows").update("b", { group: 20 });
    await expect.poll(() => seen.at(-1)).toEqual(["c"]);
    await writer.collection("rows").update("e", { group: 2 });
    await expect.poll(() => seen.at(-1)).toEqual(["e", "c"]);
    await writer.transaction(async (tx) => {
      await tx.collection("rows").delete("c");
      await tx.collection("rows").update("b", { group: 3 });
    });
    await expect.poll(() => seen.at(-1)).toEqual(["e", "b"]);
    expect(seen).toHaveLength(4);
  });

  test("a collection that is cleared runs again what read it, and not what did not", async () => {
    const reader = tab();
    const writer = where === "its own tab" ? reader : tab();
    await writer.collection("rows").putMany(initial);
    await settled(writer, reader);
    const rows = await watch(reader, (q) => q.collection("rows").count());
    const others = await watch(reader, (q) => q.collection("others").has("none"));
    await writer.collection("rows").clear();
    await expect.poll(() => rows.seen).toEqual([5, 0]);
    await settled(writer, reader);
    expect(others.runs()).toBe(1);
  });
});

test(
  "[TB3] a live query hears of another tab's commits though every broadcast is lost",
  { timeout: 20_000 },
  async () => {
    vi.stubGlobal(
      "BroadcastChannel",
      class {
        addEventListener(): void {}
        postMessage(): void {}
        close(): void {}
      },
    );
    const [reader, writer] = [tab(), tab()];
    await writer.collection("rows").putMany(initial);
    const inside = await watch(reader, (q) => q.collection("rows").where("group").between(2, 4).primaryKeys());
    const outside = await watch(reader, (q) => q.collection("rows").where("group").equals(9).primaryKeys());
    for (const [group, expected] of [
      [7, ["c"]],
      [2, ["b", "c"]],
    ] as const) {
      await writer.collection("rows").update("b", { group });
      await expect.poll(() => inside.seen.at(-1)).toEqual(expected);
    }
    expect(outside.runs()).toBe(1);
  },
);

test("a run whose result is the same is not told; records that stay keep their identity, and all are frozen", async () => {
  const db = tab();
  await db.collection("rows").putMany(initial);
  const { seen, runs, live } = await watch(db, (q) => q.collection("rows").where("group").aboveOrEqual(2).toArray());
  await db.collection("rows").put({ id: "b", group: 2 }); // as it is already
  await expect.poll(runs).toBe(2);
  await settled(db, db);
  expect(seen).toHaveLength(1);
  expect(live.current).toBe(seen[0]);
  await db.collection("rows").update("c", { group: 9 });
  await expect.poll(() => seen.length).toBe(2);
  const [before, after] = seen;
  expect(after!.map(({ id }) => id)).toEqual(["b", "d", "e", "c"]);
  expect(after!.slice(0, 3)).toEqual([before![0], before![2], before![3]]);
  for (const [i, j] of [
    [0, 0],
    [1, 2],
    [2, 3],
  ] as const)
    expect(after![i]).toBe(before![j]);
  expect(after![3]).not.toBe(before![1]);
  expect(after![3]!.tags).toBe(before![1]!.tags);
  expect([after, ...after!, after![3]!.tags].every((part) => Object.isFrozen(part))).toBe(true);
});

test("[TB3] whatever is committed, in whatever tab: results are right in the end, and runs are only as needed", async () => {
  const change = fc.record({ by: fc.nat(1), id: fc.constantFrom("a", "b", "c", "d"), group: fc.option(fc.nat(6)) });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 8 }), fc.nat(5), fc.nat(3), async (changes, from, width) => {
      const tabs = [tab(), tab()] as const;
      try {
        const range = (q: Q): Promise<Row[]> =>
          q
            .collection("rows")
            .where("group")
            .between(from, from + width)
            .toArray();
        const [here, there] = [await watch(tabs[0], range), await watch(tabs[1], range)];
        const model = new Map<string, number>();
        const isWithin = (group: number | undefined): boolean =>
          group !== undefined && group >= from && group < from + width;
        let touching = 0;
        for (const { by, id, group } of changes) {
          const before = model.get(id);
          if (group === null) model.delete(id);
          else model.set(id, group);
          if (isWithin(before) || isWithin(group ?? undefined)) touching++;
          await apply(tabs[by as 0 | 1], group === null ? id : { id, group });
        }
        await settled(tabs[0], tabs[1]);
        await settled(tabs[1], tabs[0]);
        const expected = [...model]
          .filter(([, group]) => isWithin(group))
          .toSorted(([a, g], [b, h]) => g - h || (a < b ? -1 : 1));
        for (const { seen, runs } of [here, there]) {
          expect(seen.at(-1)?.map(({ id, group }) => [id, group])).toEqual(expected);
          expect(runs()).toBeLessThanOrEqual(1 + touching);
        }
      } finally {
        await Promise.all(open.splice(0).map((db) => db.close()));
        await deleteDatabase(name, { worker: false });
      }
    }),
    { numRuns: 25 },
  );
});
