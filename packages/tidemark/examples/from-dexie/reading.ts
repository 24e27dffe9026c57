import { expect } from "vitest";
import { another, type Friend, friends, type Row } from "./world.ts";

const keys = ["b", "none", "a"];

export const readingAndWriting: readonly Row[] = [
  [
    "`get(key)` · `bulkGet(keys)`",
    "`get(key)` · `getMany(keys)`",
    async ({ theirs, ours }) => {
      for (const key of keys) expect(await ours.get(key)).toEqual(await theirs.get(key));
      expect(await ours.getMany(keys)).toEqual(await theirs.bulkGet(keys));
    },
  ],
  [
    '`get({ name: "Ada" })`',
    '`find({ name: "Ada" }).first()`',
    async ({ theirs, ours }) => {
      for (const name of ["Ada Yonath", "Ada"]) {
        expect(await ours.find({ name }).first()).toEqual(await theirs.get({ name }));
      }
    },
  ],
  [
    "`add(x)` · `put(x)`",
    "the same; they answer the key",
    async ({ theirs, ours }) => {
      expect(await ours.add(another)).toBe(await theirs.add(another));
      expect(await ours.put({ ...another, age: 5 })).toBe(await theirs.put({ ...another, age: 5 }));
      expect(await ours.all()).toEqual(await theirs.toArray());
    },
  ],
  [
    "`bulkAdd(xs)` · `bulkPut(xs)`",
    "`addMany(xs)` · `putMany(xs)`: all or nothing; `details.failures` lists what was refused",
    async ({ theirs, ours }) => {
      const older = friends.map((x) => ({ ...x, age: x.age + 1 }));
      await theirs.bulkPut(older);
      expect(await ours.putMany(older)).toEqual(older.map(({ id }) => id));
      expect(await ours.all()).toEqual(await theirs.toArray());
      const xs = [another, friends[1]!];
      await expect(theirs.bulkAdd(xs)).rejects.toMatchObject({ name: "BulkError" });
      await expect(ours.addMany(xs)).rejects.toMatchObject({
        code: "CONSTRAINT",
        details: { failures: [{ position: 1, key: "b", code: "CONSTRAINT" }] },
      });
      expect(await theirs.get("g")).toEqual(another); // Dexie, outside of a transaction, keeps those before
      expect(await ours.get("g")).toBeUndefined();
      await theirs.delete("g");
      await theirs.bulkAdd([another]);
      await ours.addMany([another]);
      expect(await ours.all()).toEqual(await theirs.toArray());
    },
  ],
  [
    '`update(key, { "a.b": 1 })`',
    "`update(key, { a: … })` sets top-level fields, `undefined` removes one; or a function: `update(key, (x) => { x.a.b = 1 })`",
    async ({ theirs, ours }) => {
      await theirs.update("a", { "address.city": "Paris" });
      await ours.update("a", (x) => {
        x.address.city = "Paris";
      });
      await theirs.update("b", { address: { city: "Rome" }, age: 42 });
      await ours.update("b", { address: { city: "Rome" }, age: 42 });
      await theirs.update("c", { age: undefined } as object);
      await ours.update("c", { age: undefined });
      expect(await ours.all()).toEqual(await theirs.toArray());
      expect(await ours.get("c")).not.toHaveProperty("age");
    },
  ],
  [
    "`update(key, …)` answering 0 or 1",
    "answers the new record, or `undefined` where there is none",
    async ({ theirs, ours }) => {
      expect(await theirs.update("a", { age: 4 })).toBe(1);
      expect(await ours.update("a", { age: 4 })).toEqual(await theirs.get("a"));
      expect(await theirs.update("none", { age: 4 })).toBe(0);
      expect(await ours.update("none", { age: 4 })).toBeUndefined();
      expect(await ours.all()).toEqual(await theirs.toArray());
    },
  ],
  [
    "`upsert(key, changes)`",
    "`upsert(key, (current) => …)`",
    async ({ theirs, ours }) => {
      const { id: _, ...rest } = another;
      for (const key of ["a", "g"]) {
        await theirs.upsert(key, { ...rest, age: 9, email: `${key}@example.com` });
        await ours.upsert(key, (current) => ({ ...current, ...rest, id: key, age: 9, email: `${key}@example.com` }));
      }
      expect(await ours.all()).toEqual(await theirs.toArray());
    },
  ],
  [
    "`delete(key)` · `bulkDelete(keys)` · `clear()`",
    "`delete(key)` · `deleteMany(keys)` · `clear()`, which costs the same whatever the size",
    async ({ theirs, ours }) => {
      await theirs.delete("d");
      expect(await ours.delete("d")).toBe(true);
      await theirs.bulkDelete(keys);
      expect(await ours.deleteMany(keys)).toBe(2);
      expect(await ours.all()).toEqual(await theirs.toArray());
      await theirs.clear();
      await ours.clear();
      expect([await ours.count(), await theirs.count()]).toEqual([0, 0]);
    },
  ],
  [
    "`count()` · `toArray()`",
    "`count()` · `all()`",
    async ({ theirs, ours }) => {
      expect(await ours.count()).toBe(await theirs.count());
      expect(await ours.all()).toEqual(await theirs.toArray());
    },
  ],
  [
    "`each(fn)`",
    "`for await (const x of friends.where()) …`: as of one state",
    async ({ theirs, ours }) => {
      const [seenThere, seenHere]: [Friend[], Friend[]] = [[], []];
      await theirs.each((x) => void seenThere.push(x));
      for await (const x of ours.where()) seenHere.push(x);
      expect(seenHere).toEqual(seenThere);
    },
  ],
  [
    "`toCollection()`",
    "`where()`",
    async ({ theirs, ours }) => {
      expect(await ours.where().reverse().limit(2).toArray()).toEqual(
        await theirs.toCollection().reverse().limit(2).toArray(),
      );
    },
  ],
  [
    '`orderBy("age")`',
    '`where("age")`',
    async ({ theirs, ours }) => {
      expect(await ours.where("age").toArray()).toEqual(await theirs.orderBy("age").toArray());
    },
  ],
];
