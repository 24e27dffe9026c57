import { expect, type Page, test } from "@playwright/test";
import { commitsSoFar, openTab } from "./lab.ts";

interface Outcome {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

declare global {
  /** What a call was refused with. Calls that throw at once and promises that reject count alike. */
  var refusal: (call: () => unknown) => Promise<Outcome>;
}

const openWithRecords = async (page: Page): Promise<void> => {
  await page.evaluate(async () => {
    globalThis.refusal = async (call) => {
      try {
        await call();
      } catch (e) {
        if (tidemark.isTidemarkError(e)) return { code: e.code, message: e.message, details: { ...e.details } };
        return { code: "not ours", message: String(e), details: {} };
      }
      return { code: "accepted", message: "", details: {} };
    };
    await lab.items.putMany([{ id: 1, email: "one@example.org" }, { id: 2 }]);
  });
};

const stateOf = async (page: Page): Promise<unknown> => [
  await commitsSoFar(page),
  await page.evaluate(async () => [await lab.items.all(), await lab.items.count()]),
];

/** Expects each call to be refused with this code and a message that holds this text. */
const expectRefused = (
  outcomes: Readonly<Record<string, Outcome>>,
  code: string,
  says: Record<string, string>,
): void => {
  expect(Object.fromEntries(Object.entries(outcomes).map(([name, o]) => [name, o.code]))).toEqual(
    Object.fromEntries(Object.keys(says).map((name) => [name, code])),
  );
  for (const [name, text] of Object.entries(says)) expect(outcomes[name]!.message, name).toContain(text);
};

let page: Page;
let before: unknown;
test.beforeEach(async ({ context }) => {
  page = await openTab(context);
  await openWithRecords(page);
  before = await stateOf(page);
});
test.afterEach(async () => {
  expect(await stateOf(page), "nothing was written").toEqual(before);
  // A refused call spoils nothing for the next.
  expect(await page.evaluate(() => lab.items.put({ id: 3 }))).toBe(3);
});

test("[MV7] what is not a key is refused, naming where it stands", async () => {
  const outcomes = await page.evaluate(async () => {
    const as = (id: unknown): string => id as string;
    return {
      boolean: await refusal(() => lab.items.put({ id: as(true) })),
      null: await refusal(() => lab.items.add({ id: as(null) })),
      notANumber: await refusal(() => lab.items.put({ id: Number.NaN })),
      object: await refusal(() => lab.items.put({ id: as({ a: 1 }) })),
      inArray: await refusal(() => lab.items.put({ id: as(["a", [new Map()]]) })),
      invalidDate: await refusal(() => lab.items.put({ id: as(new Date(Number.NaN)) })),
      missing: await refusal(() => lab.items.put({ n: 1 } as { id: string; n: number })),
      undefined: await refusal(() => lab.items.put({ id: as(undefined) })),
      get: await refusal(() => lab.items.get(as(null))),
      has: await refusal(() => lab.items.has(as({}))),
      delete: await refusal(() => lab.items.delete(as(undefined))),
      range: await refusal(() => lab.items.where().above(as(false)).toArray()),
      indexRange: await refusal(() =>
        lab.items
          .where("group")
          .equals({} as unknown as number)
          .toArray(),
      ),
      index: await refusal(() => lab.items.put({ id: 1, group: {} as unknown as number })),
      element: await refusal(() => lab.items.put({ id: 1, tags: ["a", new Map() as unknown as string] })),
      changedByPatch: await refusal(() => lab.items.update(1, { id: 9 })),
      changedByFunction: await refusal(() => lab.items.update(1, (r) => ({ ...r, id: 9 }))),
    };
  });
  expectRefused(outcomes, "KEY_INVALID", {
    boolean: "items.id",
    null: "items.id",
    notANumber: "items.id",
    object: "items.id",
    inArray: "items.id[1][0]",
    invalidDate: "items.id",
    missing: "items.id",
    undefined: "items.id",
    get: "items",
    has: "items",
    delete: "items",
    range: "items",
    indexRange: "items.group",
    index: "items.group",
    element: "tags[1]",
    changedByPatch: "items",
    changedByFunction: "items",
  });
});

test("[MV6] what cannot be stored is refused, naming the way to it", async () => {
  const outcomes = await page.evaluate(async () => {
    const put = (value: unknown): Promise<Outcome> => refusal(() => lab.items.put({ id: 1, value }));
    const cycle: { self?: unknown } = {};
    cycle.self = { back: cycle };
    return {
      function: await put({ list: [1, { fn: () => 1 }] }),
      symbol: await put({ "two words": Symbol("s") }),
      node: await put([document.documentElement]),
      private: await put({ aborter: new AbortController() }),
      promise: await put(new Map([["k", Promise.resolve()]])),
      inSet: await put(new Set([1, new WeakMap()])),
      cycle: await put(cycle),
      number: await refusal(() => lab.items.put(5 as unknown as { id: string })),
      null: await refusal(() => lab.items.add(null as unknown as { id: string })),
      inUpdate: await refusal(() => lab.items.update(1, { value: { deep: [() => 1] } })),
      asyncUpdate: await refusal(() => lab.items.update(1, (async () => ({ id: 1 })) as unknown as () => void)),
      inTransaction: await refusal(() =>
        lab.db.transaction(async (tx) => {
          await tx.collection("items").put({ id: "fine" });
          await tx.collection("items").put({ id: "bad", value: [() => 1] });
        }),
      ),
    };
  });
  expectRefused(outcomes, "VALUE_UNSUPPORTED", {
    function: "items.value.list[1].fn",
    symbol: 'items.value["two words"]',
    node: "items.value[0]",
    private: "items.value.aborter",
    promise: "items.value<value 0>",
    inSet: "items.value<element 1>",
    cycle: "items.value.self.back",
    number: "items",
    null: "items",
    inUpdate: "items.value.deep[0]",
    asyncUpdate: "items",
    inTransaction: "items.value[0]",
  });
  expect(outcomes.function.details).toMatchObject({ where: "items", path: ".value.list[1].fn", type: "function" });
});

test("unknown names are refused", async () => {
  const outcomes = await page.evaluate(async () => {
    const nope = "nope" as "items";
    return {
      collection: await refusal(() => lab.db.collection(nope)),
      inherited: await refusal(() => lab.db.collection("constructor" as "items")),
      index: await refusal(() => lab.items.where("nope" as "group")),
      inTransaction: await refusal(() =>
        lab.db.transaction(async (tx) => {
          await tx.collection("items").put({ id: 7 });
          await tx.collection(nope).count();
        }),
      ),
      inView: await refusal(() => lab.db.read((view) => view.collection(nope).all())),
    };
  });
  expectRefused(outcomes, "UNKNOWN_NAME", {
    collection: "'nope'",
    inherited: "'constructor'",
    index: "'nope'",
    inTransaction: "'nope'",
    inView: "'nope'",
  });
});

test("wrong options are refused before anything is opened, by their names", async () => {
  const outcomes = await page.evaluate(async () => {
    const make = (more: object): Promise<Outcome> =>
      refusal(() => tidemark.createDatabase({ ...lab.options, name: "never", ...more }));
    const declared = (more: object): object => ({ collections: { odd: { key: "id", ...more } } });
    return {
      none: await refusal(() => tidemark.createDatabase(undefined as unknown as typeof lab.options)),
      unknown: await make({ durabilty: "strict" }),
      name: await make({ name: "" }),
      version: await make({ version: 1.5 }),
      durability: await make({ durability: "fast" }),
      storage: await make({ storage: "disk" }),
      worker: await make({ worker: "/worker.js" }),
      memtable: await make({ memtableMaxBytes: 10 }),
      cache: await make({ cacheMaxBytes: "16 MB" }),
      collections: await make({ collections: undefined }),
      reserved: await make({ collections: { $system: { key: "id" } } }),
      key: await make(declared({ key: "" })),
      indexPath: await make(declared({ indexes: { broken: "a..b" } })),
      indexOption: await make(declared({ indexes: { broken: { path: "a", uniqe: true } } })),
      deleteName: await refusal(() => tidemark.deleteDatabase("")),
      limit: await refusal(() => lab.items.where().limit(-1)),
    };
  });
  expectRefused(outcomes, "OPTIONS_INVALID", {
    none: "options",
    unknown: "durabilty",
    name: "name",
    version: "version",
    durability: "durability",
    storage: "storage",
    worker: "worker",
    memtable: "memtableMaxBytes",
    cache: "cacheMaxBytes",
    collections: "collections",
    reserved: "$system",
    key: "collections.odd.key",
    indexPath: "collections.odd.indexes.broken",
    indexOption: "collections.odd.indexes.broken has no option 'uniqe'",
    deleteName: "name",
    limit: "limit",
  });
  expect(await page.evaluate(() => tidemark.listDatabases())).toEqual([{ name: "lab", version: 1 }]);
});

test("[MV6][MV7] one bad record among many stops them all, and is named by its position", async () => {
  const outcomes = await page.evaluate(async () => {
    const good = [{ id: "a" }, { id: "b" }];
    const many = (bad: object): Promise<Outcome> =>
      refusal(() => lab.items.putMany([...good, bad as { id: string }, { id: "d" }]));
    return {
      key: await many({ id: true }),
      missing: await many({ n: 1 }),
      value: await many({ id: "c", value: { fn: () => 1 } }),
      index: await many({ id: "c", group: {} }),
      notARecord: await many("c" as unknown as object),
    };
  });
  expect(Object.fromEntries(Object.entries(outcomes).map(([name, { code }]) => [name, code]))).toEqual({
    key: "KEY_INVALID",
    missing: "KEY_INVALID",
    value: "VALUE_UNSUPPORTED",
    index: "KEY_INVALID",
    notARecord: "VALUE_UNSUPPORTED",
  });
  expect(outcomes.key.message).toContain("items[2].id");
  expect(outcomes.missing.message).toContain("items[2].id");
  expect(outcomes.value.message).toContain("items[2].value.fn");
  expect(outcomes.notARecord.message).toContain("items[2]");
  expect(outcomes.index.message).toContain("items[2].group");
});

test("a key or unique value that is taken stops all of a bulk write, and lists each position", async () => {
  const outcomes = await page.evaluate(async () => ({
    key: await refusal(() => lab.items.addMany([{ id: "a" }, { id: "b" }, { id: 2 }, { id: 1 }])),
    unique: await refusal(() =>
      lab.items.putMany([{ id: "a" }, { id: "b" }, { id: "c", email: "one@example.org" }, { id: "d" }]),
    ),
    twice: await refusal(() => lab.items.addMany([{ id: "a" }, { id: "b" }, { id: "a" }])),
  }));
  const { key, unique, twice } = outcomes;
  expect([key.code, unique.code, twice.code]).toEqual(["CONSTRAINT", "CONSTRAINT", "CONSTRAINT"]);
  expect(key.details["failures"]).toEqual([
    { position: 2, key: 2, code: "CONSTRAINT" },
    { position: 3, key: 1, code: "CONSTRAINT" },
  ]);
  expect(unique.details).toMatchObject({
    collection: "items",
    index: "email",
    failures: [{ position: 2, key: "c", code: "CONSTRAINT" }],
  });
  expect(unique.message).toContain("email");
  expect(twice.details["failures"]).toEqual([{ position: 2, key: "a", code: "CONSTRAINT" }]);
});
