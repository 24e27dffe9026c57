/** Every operator of queries against plain arrays: on all kinds of indexes, in transactions, and on views grown old. */
import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import { describe, test } from "vitest";
import { collection, type Database, openDatabase, type Query } from "./index.ts";

interface Thing {
  id: string;
  n?: number | null;
  s?: string;
  tags?: string[];
  u: number;
  at: { year: number };
  pad?: string;
}

const things = collection<Thing>()({
  key: "id",
  indexes: {
    n: "n",
    s: "s",
    year: "at.year",
    pair: ["s", "at.year"],
    tags: { path: "tags", multi: true },
    u: { path: "u", unique: true },
  },
});
type Db = Database<{ things: typeof things }>;
const indexNames = ["id", "n", "s", "year", "pair", "tags", "u"] as const;
type IndexName = (typeof indexNames)[number];

// The model.

type Scalar = number | string | null;
type ModelKey = Scalar | readonly Scalar[];
interface Entry {
  readonly key: ModelKey;
  readonly thing: Thing;
}

function keysOf(thing: Thing, index: IndexName): readonly ModelKey[] {
  switch (index) {
    case "tags":
      return [...new Set(thing.tags ?? [])];
    case "pair":
      return thing.s === undefined ? [] : [[thing.s, thing.at.year]];
    case "year":
      return [thing.at.year];
    default:
      return thing[index] === undefined ? [] : [thing[index]];
  }
}

const rank = (key: ModelKey): number =>
  key === null ? 0 : typeof key === "number" ? 1 : typeof key === "string" ? 2 : 3;
function compare(a: ModelKey, b: ModelKey): number {
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = compare(a[i] as Scalar, b[i] as Scalar);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  return a === b ? 0 : a! < b! ? -1 : 1;
}

interface Asked {
  readonly index: IndexName;
  readonly tests: readonly ((key: ModelKey) => boolean)[];
  readonly filters: readonly ((thing: Thing) => boolean)[];
  readonly reverse: boolean;
  readonly offset: number;
  readonly limit: number | undefined;
}

function answerOf(all: readonly Thing[], { index, tests, filters, reverse, offset, limit }: Asked): readonly Entry[] {
  const entries = all
    .flatMap((thing) => keysOf(thing, index).map((key) => ({ key, thing })))
    .filter(({ key }) => tests.every((passes) => passes(key)))
    .toSorted((a, b) => compare(a.key, b.key) || compare(a.thing.id, b.thing.id));
  if (reverse) entries.reverse();
  const once = entries.filter((e, i) => entries.findIndex(({ thing }) => thing.id === e.thing.id) === i);
  const passing = once.filter(({ thing }) => filters.every((passes) => passes(thing)));
  return passing.slice(offset, limit === undefined ? undefined : offset + limit);
}

// What is asked, of both.

type AnyQuery = Query<Thing, ModelKey, string>;
interface Step {
  readonly name: string;
  readonly query: (q: AnyQuery) => AnyQuery;
  readonly model: (asked: Asked) => Asked;
}

const where = (passes: (key: ModelKey) => boolean) => (asked: Asked) => ({ ...asked, tests: [...asked.tests, passes] });

const some = {
  n: fc.constantFrom<Scalar>(null, -1, 0, 0.5, 1, 2, 3),
  s: fc.constantFrom("", "a", "ab", "abc", "b", "\ud800", "ß"),
  year: fc.integer({ min: 2000, max: 2004 }),
  u: fc.nat(30),
  id: fc.nat(30).map((i) => `k${String(i).padStart(2, "0")}`),
};
const keyOfIndex: Record<IndexName, fc.Arbitrary<ModelKey>> = {
  ...some,
  tags: some.s,
  pair: fc.tuple(some.s, some.year),
};

function stepsOf(index: IndexName): fc.Arbitrary<Step> {
  const key = keyOfIndex[index];
  const one = (
    name: "equals" | "above" | "aboveOrEqual" | "below" | "belowOrEqual",
    passes: (order: number) => boolean,
  ): fc.Arbitrary<Step> =>
    key.map((k) => ({
      name: `${name}(${JSON.stringify(k)})`,
      query: (q) => q[name](k),
      model: where((found) => passes(compare(found, k))),
    }));
  const anyOf = fc.array(key, { maxLength: 4 }).map((keys): Step => ({
    name: `anyOf(${JSON.stringify(keys)})`,
    query: (q) => q.anyOf(keys),
    model: where((found) => keys.some((k) => compare(found, k) === 0)),
  }));
  const between = fc.tuple(key, key, fc.boolean(), fc.boolean()).map(([a, b, includeLower, includeUpper]): Step => ({
    name: `between(${JSON.stringify([a, b, includeLower, includeUpper])})`,
    query: (q) => q.between(a, b, { includeLower, includeUpper }),
    model: where((found) => {
      const [low, high] = [compare(found, a), compare(found, b)];
      return (low > 0 || (includeLower && low === 0)) && (high < 0 || (includeUpper && high === 0));
    }),
  }));
  const text = some.s.map((s): Step => ({
    name: `startsWith(${JSON.stringify(s)})`,
    query: (q) => q.startsWith(s),
    model: where((found) => typeof found === "string" && found.startsWith(s)),
  }));
  const tuple = some.s.map((s): Step => ({
    name: `startsWith([${JSON.stringify(s)}])`,
    query: (q) => q.startsWith([s] as never),
    model: where((found) => Array.isArray(found) && found[0] === s),
  }));
  const prefix = index === "pair" ? [tuple] : index === "s" || index === "tags" || index === "id" ? [text] : [];
  return fc.oneof(
    one("equals", (order) => order === 0),
    one("above", (order) => order > 0),
    one("aboveOrEqual", (order) => order >= 0),
    one("below", (order) => order < 0),
    one("belowOrEqual", (order) => order <= 0),
    anyOf,
    between,
    ...prefix,
    some.year.map((year): Step => ({
      name: `filter(≥ ${year})`,
      query: (q) => q.filter(({ at }) => at.year >= year),
      model: (asked) => ({ ...asked, filters: [...asked.filters, ({ at }) => at.year >= year] }),
    })),
    fc.constant<Step>({
      name: "reverse()",
      query: (q) => q.reverse(),
      model: (asked) => ({ ...asked, reverse: !asked.reverse }),
    }),
    fc
      .nat(6)
      .map((n): Step => ({ name: `offset(${n})`, query: (q) => q.offset(n), model: (a) => ({ ...a, offset: n }) })),
    fc.nat(8).map((n): Step => ({ name: `limit(${n})`, query: (q) => q.limit(n), model: (a) => ({ ...a, limit: n }) })),
  );
}

interface Ask {
  readonly index: IndexName;
  readonly steps: readonly Step[];
  readonly size: number;
}
const ask: fc.Arbitrary<Ask> = fc
  .constantFrom(...indexNames)
  .chain((index) =>
    fc.record({
      index: fc.constant(index),
      steps: fc.array(stepsOf(index), { maxLength: 4 }),
      size: fc.integer({ min: 1, max: 5 }),
    }),
  )
  .map((a) => ({ ...a, toString: () => `${a.index} ${a.steps.map((s) => s.name).join(".")}` }));

interface Queried {
  where(): Query<Thing, string, string>;
  where(index: "n"): unknown;
}
const queryOf = (of: Queried, { index, steps }: Ask): AnyQuery => {
  const begun = (index === "id" ? of.where() : of.where(index as "n")) as AnyQuery;
  return steps.reduce((q, step) => step.query(q), begun);
};
const askedOf = ({ index, steps }: Ask): Asked =>
  steps.reduce((asked, step) => step.model(asked), {
    index,
    tests: [],
    filters: [],
    reverse: false,
    offset: 0,
    limit: undefined,
  } as Asked);

async function expectSame(of: Queried, all: readonly Thing[], asks: readonly Ask[]): Promise<void> {
  for (const a of asks) {
    const query = queryOf(of, a);
    const expected = answerOf(all, askedOf(a));
    const records = expected.map(({ thing }) => thing);
    const what = String(a);
    deepStrictEqual(await query.toArray(), records, what);
    deepStrictEqual(await query.first(), records[0], what);
    deepStrictEqual(await query.last(), records.at(-1), what);
    deepStrictEqual(await query.count(), records.length, what);
    deepStrictEqual(
      await query.primaryKeys(),
      records.map(({ id }) => id),
      what,
    );
    deepStrictEqual(
      await query.indexKeys(),
      expected.map(({ key }) => key),
      what,
    );
    const iterated: Thing[] = [];
    for await (const thing of query) iterated.push(thing);
    deepStrictEqual(iterated, records, what);
    const paged: Thing[] = [];
    let cursor: string | undefined;
    do {
      const page = await query.page(a.size, cursor);
      deepStrictEqual(page.items.length, Math.min(a.size, records.length - paged.length), what);
      paged.push(...page.items);
      cursor = page.cursor;
    } while (cursor !== undefined);
    deepStrictEqual(paged, records, what);
  }
}

// The data.

type Write = { readonly put: Thing } | { readonly gone: string } | "checkpoint";
const thing: fc.Arbitrary<Thing> = fc
  .record(
    {
      id: some.id,
      n: some.n as fc.Arbitrary<number | null>,
      s: some.s,
      tags: fc.array(some.s, { maxLength: 4 }),
      at: fc.record({ year: some.year }),
      pad: fc.constant("x".repeat(90_000)),
    },
    { requiredKeys: ["id", "at"] },
  )
  // Unique keys are never taken by another here: they follow from the primary key.
  .chain((t) => fc.boolean().map((shift) => ({ ...structuredClone(t), u: Number(t.id.slice(1)) + (shift ? 100 : 0) })));
const write: fc.Arbitrary<Write> = fc.oneof(
  { weight: 8, arbitrary: thing.map((put) => ({ put })) },
  { weight: 2, arbitrary: some.id.map((gone) => ({ gone })) },
  { weight: 1, arbitrary: fc.constant<Write>("checkpoint") },
);

class Model {
  readonly #things = new Map<string, Thing>();

  apply(w: Write): void {
    if (w === "checkpoint") return;
    if ("put" in w) this.#things.set(w.put.id, w.put);
    else this.#things.delete(w.gone);
  }
  get all(): readonly Thing[] {
    return [...this.#things.values()];
  }
  copy(): Model {
    const same = new Model();
    for (const t of this.all) same.apply({ put: t });
    return same;
  }
}

async function withDatabase(body: (db: Db) => Promise<void>): Promise<void> {
  const db = await openDatabase({
    name: `queries-${names++}`,
    storage: "memory",
    collections: { things },
    memtableMaxBytes: 65_536,
  });
  try {
    await body(db);
  } finally {
    await db.close();
  }
}
let names = 0;

async function applied(db: Db, model: Model, writes: readonly Write[]): Promise<void> {
  for (const w of writes) {
    model.apply(w);
    if (w === "checkpoint") await db.checkpoint();
    else if ("put" in w) await db.collection("things").put(w.put);
    else await db.collection("things").delete(w.gone);
  }
}

const writes = fc.array(write, { maxLength: 25 });
const asks = fc.array(ask, { minLength: 1, maxLength: 6 });

describe("a query answers what plain arrays answer", () => {
  test("at the head, and on a view as of its birth", async () => {
    const property = fc.asyncProperty(writes, writes, asks, (before, after, questions) =>
      withDatabase(async (db) => {
        const model = new Model();
        await applied(db, model, before);
        const view = await db.readView();
        const old = model.copy();
        await applied(db, model, after);
        await expectSame(db.collection("things"), model.all, questions);
        await expectSame(view.collection("things"), old.all, questions);
        view.release();
      }),
    );
    await fc.assert(property, { numRuns: 120 });
  }, 120_000);

  test("in a transaction, with what it wrote itself", async () => {
    const property = fc.asyncProperty(writes, writes, asks, (before, own, questions) =>
      withDatabase(async (db) => {
        const model = new Model();
        await applied(db, model, before);
        await db.transaction(async (tx) => {
          const inside = model.copy();
          for (const w of own) {
            if (w === "checkpoint") continue;
            inside.apply(w);
            if ("put" in w) await tx.collection("things").put(w.put);
            else await tx.collection("things").delete(w.gone);
          }
          await expectSame(tx.collection("things"), inside.all, questions);
        });
      }),
    );
    await fc.assert(property, { numRuns: 120 });
  }, 120_000);

  test("deleting and changing what it finds, each record once, though it moves in the index", async () => {
    const changes = fc.array(fc.tuple(ask, fc.constantFrom("delete", "patch", "function", "in a transaction")), {
      minLength: 1,
      maxLength: 4,
    });
    const property = fc.asyncProperty(writes, changes, (before, does) =>
      withDatabase(async (db) => {
        const model = new Model();
        await applied(db, model, before);
        for (const [a, how] of does) {
          const found = answerOf(model.all, askedOf(a)).map(({ thing: t }) => t);
          const changed = (t: Thing): Thing => ({
            ...t,
            at: { year: t.at.year + 1 },
            ...(typeof t.n === "number" ? { n: t.n + 1 } : {}),
          });
          const on = (of: unknown) => queryOf(of as Queried, a) as AnyQuery & Changing;
          const n = await {
            delete: () => on(db.collection("things")).delete(),
            patch: () => on(db.collection("things")).update({ s: "ab", tags: undefined }),
            function: () => on(db.collection("things")).update(changed),
            "in a transaction": () => db.transaction((tx) => on(tx.collection("things")).update(changed)),
          }[how]();
          deepStrictEqual(n, found.length, String(a));
          for (const t of found) {
            if (how === "delete") model.apply({ gone: t.id });
            else if (how === "patch") {
              const { tags: _, ...rest } = t;
              model.apply({ put: { ...rest, s: "ab" } });
            } else model.apply({ put: changed(t) });
          }
          const all = answerOf(model.all, askedOf({ index: "id", steps: [], size: 1 })).map(({ thing: t }) => t);
          deepStrictEqual(await db.collection("things").all(), all, String(a));
          await expectSame(db.collection("things"), model.all, [a]);
        }
      }),
    );
    await fc.assert(property, { numRuns: 100 });
  }, 120_000);
});

interface Changing {
  delete(): Promise<number>;
  update(change: Partial<Record<keyof Thing, unknown>> | ((t: Thing) => Thing)): Promise<number>;
}
