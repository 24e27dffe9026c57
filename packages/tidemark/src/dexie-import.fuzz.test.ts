import "fake-indexeddb/auto";
import fc from "fast-check";
import { isDeepStrictEqual } from "node:util";
import { expect, test, vi } from "vitest";
import { fuzzRuns } from "./base/mutations.test-support.ts";
import { describeDexie, type DexieImportOptions, importFromDexie } from "./dexie.ts";
import { extractKey } from "./codec/path.ts";
import { collection, type Database, isTidemarkError, openDatabase } from "./index.ts";

vi.setConfig({ testTimeout: 600_000 });

const collections = {
  byId: collection<{ id: string }>()({ key: "id" }),
  nested: collection<{ a: { b: string } }>()({ key: "a.b" }),
  pair: collection<{ id: string; n: number }>()({ key: ["id", "n"] }),
  keyed: collection<{ key: string; n: number; tags: string[] }>()({
    key: "key",
    indexes: { n: "n", tags: { path: "tags", multi: true } },
  }),
};
type World = Database<typeof collections>;
const names = Object.keys(collections) as (keyof typeof collections)[];
/** These name the table of what was refused. */
const codesOfRecords = ["CONSTRAINT", "KEY_INVALID", "VALUE_UNSUPPORTED"];
const codes = [...codesOfRecords, "OPTIONS_INVALID", "UNKNOWN_NAME"];

/** What IndexedDB has as a table; its rows are what of these it lets in. */
interface Table {
  readonly name: string;
  readonly keyPath: string | string[] | null;
  readonly autoIncrement: boolean;
  readonly indexes: readonly (readonly [name: string, path: string | string[], multiEntry: boolean])[];
  readonly rows: readonly (readonly [key: unknown, value: unknown])[];
}
type Row = readonly [key: IDBValidKey, value: unknown];

const key = fc.letrec<{ key: unknown }>((tie) => ({
  key: fc.oneof(
    { maxDepth: 3 },
    fc.nat(5),
    fc.constantFrom<unknown>(
      -0,
      Infinity,
      -Infinity,
      2 ** 60,
      "",
      "a",
      "\ud800",
      new Date(5),
      new Uint8Array(2).buffer,
    ),
    fc.string({ maxLength: 3 }),
    fc.array(tie("key"), { maxLength: 2 }),
  ),
})).key;

const cycle: Record<string, unknown> = {};
cycle["self"] = cycle;
const nested = (depth: number): unknown => Array.from({ length: depth }).reduce((of) => [of], 1);
/** Whatever IndexedDB keeps, be it a value of ours or not. */
const part = fc.letrec<{ part: unknown }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 2 },
    key,
    fc.constantFrom<unknown>(undefined, null, NaN, -0, 7n, new Date(NaN), /a/g, new Uint16Array(3), "x".repeat(40_000)),
    fc.constantFrom<unknown>(
      cycle,
      nested(1500),
      new Error("e"),
      Object.assign([1], { named: 1 }),
      Object.assign([], { 3: 1 }),
    ),
    fc.constantFrom<unknown>(Object("text"), Object(5n), new DOMException("d"), JSON.parse('{"__proto__": 1}')),
    fc.array(tie("part"), { maxLength: 3 }),
    fc.array(tie("part"), { maxLength: 2 }).map((all) => new Set(all)),
    fc.array(fc.tuple(tie("part"), tie("part")), { maxLength: 2 }).map((all) => new Map(all)),
    fc.dictionary(fc.constantFrom("id", "n", "__proto__", "toString", "a.b", "x"), tie("part"), { maxKeys: 2 }),
  ),
})).part;
const seldom = <T>(odd: fc.Arbitrary<T>, usual: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 19, arbitrary: usual }, { weight: 1, arbitrary: odd });
const record = fc.record(
  {
    id: seldom(part, key),
    n: seldom(part, fc.nat(3)),
    a: seldom(part, fc.record({ b: key })),
    tags: seldom(part, fc.array(key, { maxLength: 3 })),
    "a.b": seldom(part, fc.date()),
    ["__proto__"]: seldom(part, fc.constant(1n)),
  },
  { requiredKeys: ["id", "n", "a"] },
);
const value = fc.oneof(
  { weight: 60, arbitrary: record },
  { weight: 1, arbitrary: fc.record({ id: key, key }) },
  { weight: 1, arbitrary: part },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(new Blob(["content"]), new File(["content"], "name")) },
);
const tableName = seldom(fc.constantFrom("", "__proto__", "toString", "a[3].b", "\ud800"), fc.constantFrom(...names));
const path = seldom(
  fc.constantFrom<string | string[]>("n", "", "length", "size", "name", ["id"]),
  fc.constantFrom<string | string[]>("id", "a.b", ["id", "n"]),
);
const anyTable: fc.Arbitrary<Table> = fc.record({
  name: tableName,
  keyPath: fc.option(path, { nil: null, freq: 1 }),
  autoIncrement: fc.boolean(),
  indexes: fc.array(fc.tuple(fc.constantFrom("n", "", "__proto__"), path, fc.boolean()), { maxLength: 2 }),
  rows: fc.array(fc.tuple(key, value), { maxLength: 8 }),
});
const tables = fc.uniqueArray(anyTable, { maxLength: 3, selector: (t) => t.name });

/** What it refuses, it refuses: then that table, index or row is not there. */
const attempted = (work: () => unknown): unknown => {
  try {
    return work();
  } catch {
    return undefined;
  }
};
const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = (e) => {
      e.preventDefault(); // a row whose key is taken is not there; the others are
      reject(request.error!);
    };
  });

async function made(database: string, all: readonly Table[]): Promise<void> {
  const opening = indexedDB.open(database, 7);
  opening.onupgradeneeded = () => {
    for (const { name: table, keyPath, autoIncrement, indexes } of all) {
      const store = attempted(() => opening.result.createObjectStore(table, { keyPath, autoIncrement }));
      for (const [index, of, multiEntry] of store instanceof IDBObjectStore ? indexes : [])
        attempted(() => (store as IDBObjectStore).createIndex(index, of, { multiEntry }));
    }
  };
  const source = await done(opening);
  const stores = [...source.objectStoreNames];
  if (stores.length > 0) {
    const tx = source.transaction(stores, "readwrite");
    for (const { name: table, rows } of all.filter((t) => stores.includes(t.name))) {
      const store = tx.objectStore(table);
      for (const [at, of] of rows) {
        const put = attempted(() => store.put(of, store.keyPath === null ? (at as IDBValidKey) : undefined));
        if (put instanceof IDBRequest) void done(put).catch(() => undefined);
      }
    }
    await new Promise((resolve) => (tx.oncomplete = resolve));
  }
  source.close();
}

/** What there is then, in the order of its keys, as IndexedDB itself reads it. */
async function rowsIn(database: string): Promise<ReadonlyMap<string, readonly Row[]>> {
  const source = await done(indexedDB.open(database));
  const found = new Map<string, readonly Row[]>();
  for (const table of source.objectStoreNames) {
    const store = source.transaction(table).objectStore(table);
    const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
    found.set(
      table,
      keys.map((k, i) => [k, values[i]] as const),
    );
  }
  source.close();
  return found;
}

const removed = (database: string): Promise<unknown> => done(indexedDB.deleteDatabase(database));

/**
 * What a row has to become: itself, or with its key in it where that is not among its fields. `undefined`: it has to be
 * refused, since the key would take the place of something else, or the record that of something that is no plain object.
 */
function asRecord([at, of]: Row, keyField: string | undefined): object | undefined {
  if (typeof of !== "object" || of === null) return undefined;
  if (keyField === undefined) return of;
  if (Object.getPrototypeOf(of) !== Object.prototype) return undefined;
  if (Object.hasOwn(of, keyField) && !isDeepStrictEqual((of as Record<string, unknown>)[keyField], at))
    return undefined;
  return { ...of, [keyField]: at };
}
const content = async (of: unknown): Promise<unknown> => (of instanceof Blob ? [of.type, await of.text()] : of);
/** Where the collections have their keys. */
const paths = { byId: "id", nested: "a.b", pair: ["id", "n"], keyed: "key" } as const;

const fitting = (of: unknown): keyof typeof collections =>
  names.find((one) => isDeepStrictEqual(paths[one], of)) ?? "keyed";

test("[MV6] whatever an IndexedDB database holds is imported as it is, or refused with a code, naming where", async () => {
  const db: World = await openDatabase({ name: "fuzzed", storage: "memory", worker: false, collections });
  let [imports, refusals] = [0, 0];
  const choice = fc.record({
    keyField: seldom(fc.constantFrom(undefined, "id", "a.b", "__proto__"), fc.constant("key")),
    onConflict: fc.constantFrom<DexieImportOptions["onConflict"]>(undefined, "skip", "fail"),
    into: fc.array(seldom(fc.constantFrom(...names), fc.constant(undefined)), { minLength: 3, maxLength: 3 }),
    takesAll: seldom(fc.constant(true), fc.constant(false)),
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(tables, choice, async (all, { keyField, onConflict, into, takesAll }) => {
      const source = `source-${run++}`;
      for (const one of names) await db.collection(one).clear();
      await made(source, all);
      const rows = await rowsIn(source);
      const { tables: told, version } = await describeDexie(source);
      expect([Object.keys(told).toSorted(), version]).toEqual([[...rows.keys()].toSorted(), 0.7]);
      const targets = takesAll
        ? undefined
        : Object.fromEntries([...rows.keys()].map((of, i) => [of, into[i] ?? fitting(told[of]!.key)]));
      const expected = [...rows].flatMap(([of, those]) =>
        those.map((row) => {
          const target = targets?.[of] ?? (of as keyof typeof collections);
          return { target, record: asRecord(row, told[of]!.key === undefined ? keyField : undefined) };
        }),
      );
      let isWhole = false;
      try {
        const options = { keyField, onConflict, collections: targets };
        const { records, skipped, position } = await importFromDexie(db, source, options as DexieImportOptions);
        expect([records + skipped, position]).toEqual([expected.length, expected.length]);
        isWhole = true;
        if (records > 0) imports++;
      } catch (e) {
        if (!isTidemarkError(e)) throw e;
        expect(codes).toContain(e.code);
        if (codesOfRecords.includes(e.code)) expect(rows.has(e.details["table"] as string)).toBe(true);
        refusals++;
      }
      for (const one of names) {
        const wanted = expected.filter(({ target }) => target === one);
        const found: readonly object[] = await db.collection(one).all();
        const contents = await Promise.all(wanted.map(({ record: of }) => content(of)));
        for (const there of found) {
          const is = await content(there);
          if (!contents.some((of) => isDeepStrictEqual(of, is))) throw new Error("a record is none of its rows");
        }
        if (!isWhole) continue;
        // Of those with one key there is one.
        const keys = new Set(wanted.map(({ record: of }) => extractKey(of, paths[one], one)));
        expect(found).toHaveLength(keys.size);
      }
      await removed(source);
    }),
    { numRuns: fuzzRuns(150), endOnFailure: true },
  );
  expect(Math.min(imports, refusals)).toBeGreaterThan(0);
  expect(Object.keys(Object.prototype)).toEqual([]);
  await db.close();
});

/** What others do to the database while it is read. */
const blows: Readonly<Record<string, (source: string) => Promise<unknown>>> = {
  "is deleted": removed,
  "loses its table": (source) => upgraded(source, (of) => of.deleteObjectStore("keyed")),
  "has its table made anew": (source) =>
    upgraded(source, (of) => {
      of.deleteObjectStore("keyed");
      of.createObjectStore("keyed", { keyPath: "other" });
    }),
};
async function upgraded(source: string, change: (of: IDBDatabase) => void): Promise<void> {
  const opening = indexedDB.open(source, 8);
  opening.onupgradeneeded = () => change(opening.result);
  (await done(opening)).close();
}

test("a database that goes, or changes, while it is read ends the import with a code, and leaves whole batches", async () => {
  const rows = Array.from({ length: 500 }, (_, i) => [i, { n: i % 3, pad: "x".repeat((i % 7) * 100) }] as const);
  const keyed = { name: "keyed", keyPath: null, autoIncrement: false, indexes: [], rows };
  const db: World = await openDatabase({ name: "vanishing", storage: "memory", worker: false, collections });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...Object.values(blows)), fc.nat(4), fc.nat(3), async (strike, step, ticks) => {
      const source = `vanishing-${run++}`;
      await db.collection("keyed").clear();
      await made(source, [keyed]);
      let [steps, position] = [0, 0];
      let struck: Promise<unknown> = Promise.resolve();
      const progress = (told: { readonly position: number }): void => {
        ({ position } = told);
        if (steps++ === step) struck = after(ticks).then(() => strike(source));
      };
      try {
        await importFromDexie(db, source, { keyField: "key", collections: { keyed: "keyed" }, progress });
        expect(position).toBe(rows.length);
      } catch (e) {
        if (!isTidemarkError(e, "STORAGE_LOST")) throw e;
        expect(e.details["table"]).toBe("keyed");
      }
      const all = await db.collection("keyed").all();
      expect(all).toEqual(rows.slice(0, position).map(([at, of]) => ({ ...of, key: at })));
      await struck;
      await removed(source);
    }),
    { numRuns: fuzzRuns(25), endOnFailure: true },
  );
  await db.close();
});

const after = async (ticks: number): Promise<void> => {
  for (let i = 0; i < ticks; i++) await new Promise((resolve) => setImmediate(resolve));
};
