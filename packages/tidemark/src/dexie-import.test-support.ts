/** Databases that Dexie itself makes, and what is expected of them. */
import { Dexie } from "dexie";
import { expect } from "vitest";
import { describeDexie, importFromDexie } from "./dexie.ts";
import { collection, type Database, openDatabase } from "./index.ts";

interface Friend {
  id: number;
  name: string;
  age: number;
  tags?: string[];
  home?: { city: string };
  born?: Date;
  picture?: Uint8Array;
}
const friends = collection<Friend>()({
  key: "id",
  indexes: {
    name: "name",
    age: "age",
    tags: { path: "tags", multi: true },
    "home.city": "home.city",
    "[name+age]": ["name", "age"],
  },
});
const settings = collection<{ key: string; value?: unknown }>()({ key: "key" });
const visits = collection<{ who: number; at: Date }>()({ key: ["who", "at"] });
export const declarations = { friends, settings, visits };

export const friend = (id: number): Friend => ({
  id,
  name: `n${String(id % 50)}`,
  age: id % 90,
  tags: id % 3 === 0 ? [] : [`t${id % 7}`, "all"],
  home: { city: `c${id % 11}` },
  born: new Date(id * 1e9),
  picture: new Uint8Array(id % 40).fill(id),
});

/** Keys in the records, given out, compound, and not in the records at all. */
export async function makeDexie(name: string, count: number): Promise<void> {
  const db = new Dexie(name);
  db.version(3).stores({
    friends: "++id, name, age, *tags, home.city, [name+age]",
    settings: "",
    visits: "[who+at]",
    empty: "&id, &email",
  });
  await db.table("friends").bulkAdd(Array.from({ length: count }, (_, i) => friend(i + 1)));
  await db.table("settings").bulkPut([{ value: "dark" }, { value: new Map([[1, { deep: NaN }]]) }], ["theme", "map"]);
  await db.table("visits").bulkPut(Array.from({ length: 40 }, (_, i) => ({ who: i % 4, at: new Date(i) })));
  db.close();
}

/** Imports one, in whatever environment this runs. */
export async function provesImport(name: string, count: number, options: { worker?: false }): Promise<void> {
  await makeDexie(name, count);
  expect(await describeDexie(name)).toEqual({
    name,
    version: 3,
    tables: {
      empty: { key: "id", autoIncrement: false, indexes: { email: { path: "email", unique: true, multi: false } } },
      friends: {
        key: "id",
        autoIncrement: true,
        indexes: {
          name: { path: "name", unique: false, multi: false },
          age: { path: "age", unique: false, multi: false },
          tags: { path: "tags", unique: false, multi: true },
          "home.city": { path: "home.city", unique: false, multi: false },
          "[name+age]": { path: ["name", "age"], unique: false, multi: false },
        },
      },
      settings: { key: undefined, autoIncrement: false, indexes: {} },
      visits: { key: ["who", "at"], autoIncrement: false, indexes: {} },
    },
  });
  const db: Database<typeof declarations> = await openDatabase({
    name: `${name}-new`,
    collections: declarations,
    ...options,
  });
  const seen: number[] = [];
  const report = await importFromDexie(db, name, {
    collections: { friends: "friends", settings: { keyField: "key" }, visits: {} },
    progress: ({ position }) => seen.push(position),
  });
  expect(report).toEqual({
    records: count + 42,
    skipped: 0,
    position: count + 42,
    collections: { friends: count, settings: 2, visits: 40 },
  });
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  expect(seen.at(-1)).toBe(count + 42);
  expect(await db.collection("friends").all()).toEqual(Array.from({ length: count }, (_, i) => friend(i + 1)));
  expect(await db.collection("settings").all()).toEqual([
    { key: "map", value: new Map([[1, { deep: NaN }]]) },
    { key: "theme", value: "dark" },
  ]);
  expect(await db.collection("visits").count()).toBe(40);
  const old = await new Dexie(name).open();
  try {
    for (const [index, key] of [
      ["tags", "t3"],
      ["home.city", "c5"],
      ["age", 7],
    ] as const) {
      const expected = await old.table("friends").where(index).equals(key).primaryKeys();
      expect(expected.length).toBeGreaterThan(0);
      expect((await db.collection("friends").where(index).equals(key).primaryKeys()).toSorted((a, b) => a - b)).toEqual(
        (expected as number[]).toSorted((a, b) => a - b),
      );
    }
  } finally {
    old.close();
  }
  await db.close();
}
