import { Dexie } from "dexie";
import { expect } from "vitest";
import type { Friend, Row } from "./world.ts";

const idsOf = (found: readonly Friend[]): string[] => found.map(({ id }) => id);

export const queries: readonly Row[] = [
  [
    '`where("age").equals(3)` `.above` `.aboveOrEqual` `.below` `.belowOrEqual`',
    "the same",
    async ({ theirs, ours }) => {
      for (const compare of ["equals", "above", "aboveOrEqual", "below", "belowOrEqual"] as const) {
        for (const age of [3, 41, 50]) {
          expect(await ours.where("age")[compare](age).toArray()).toEqual(
            await theirs.where("age")[compare](age).toArray(),
          );
        }
      }
    },
  ],
  [
    "`.between(a, b)`",
    "the same: lower included, upper not; `.between(a, b, true, true)` is `.between(a, b, { includeUpper: true })`",
    async ({ theirs, ours }) => {
      const [a, b] = [3, 53];
      expect(await ours.where("age").between(a, b).toArray()).toEqual(
        await theirs.where("age").between(a, b).toArray(),
      );
      expect(await ours.where("age").between(a, b, { includeUpper: true }).toArray()).toEqual(
        await theirs.where("age").between(a, b, true, true).toArray(),
      );
    },
  ],
  [
    "`.anyOf(a, b)`",
    "`.anyOf([a, b])`",
    async ({ theirs, ours }) => {
      expect(await ours.where("age").anyOf([85, 3]).toArray()).toEqual(
        await theirs.where("age").anyOf(85, 3).toArray(),
      );
    },
  ],
  [
    '`.startsWith("A")`',
    "the same",
    async ({ theirs, ours }) => {
      expect(await ours.where("name").startsWith("A").toArray()).toEqual(
        await theirs.where("name").startsWith("A").toArray(),
      );
    },
  ],
  [
    '`where("[first+last]").between(["Ada", Dexie.minKey], ["Ada", Dexie.maxKey])`',
    '`where("byName").startsWith(["Ada"])`',
    async ({ theirs, ours }) => {
      expect(await ours.where("byName").startsWith(["Ada"]).toArray()).toEqual(
        await theirs.where("[first+last]").between(["Ada", Dexie.minKey], ["Ada", Dexie.maxKey]).toArray(),
      );
    },
  ],
  [
    '`where({ first: "Ada", age: 3 })`',
    '`find({ first: "Ada", age: 3 })`; it chooses an index by itself',
    async ({ theirs, ours }) => {
      const found = ours.find({ first: "Ada", age: 3 });
      expect(idsOf(await found).toSorted()).toEqual(
        idsOf(await theirs.where({ first: "Ada", age: 3 }).toArray()).toSorted(),
      );
      expect((await found.explain()).index).toBeDefined();
    },
  ],
  [
    "`.notEqual(3)` · `.noneOf([…])`",
    "`find({ age: { $ne: 3 } })` · `find({ age: { $nin: […] } })`",
    async ({ theirs, ours }) => {
      expect(idsOf(await ours.find({ age: { $ne: 3 } })).toSorted()).toEqual(
        idsOf(await theirs.where("age").notEqual(3).toArray()).toSorted(),
      );
      expect(idsOf(await ours.find({ age: { $nin: [3, 85] } })).toSorted()).toEqual(
        idsOf(await theirs.where("age").noneOf([3, 85]).toArray()).toSorted(),
      );
    },
  ],
  [
    '`.or("age").below(3)`',
    "`find({ $or: [{ … }, { age: { $lt: 3 } }] })`",
    async ({ theirs, ours }) => {
      expect(idsOf(await ours.find({ $or: [{ name: "Kurt Gödel" }, { age: { $lt: 4 } }] })).toSorted()).toEqual(
        idsOf(await theirs.where("name").equals("Kurt Gödel").or("age").below(4).toArray()).toSorted(),
      );
    },
  ],
  [
    "`.equalsIgnoreCase` · `.startsWithIgnoreCase`",
    "store a lower-case field, and index that",
    async ({ dexie, db, theirs }) => {
      const called = await theirs.toArray();
      await db.collection("notes").putMany(called.map(({ id, name }) => ({ id: name.toLowerCase(), text: id })));
      const notes = db.collection("notes").where(); // its key is such a field; an index does as well
      const textsOf = async (query: typeof notes): Promise<string[]> => (await query.toArray()).map(({ text }) => text);
      const names = dexie.table<Friend>("friends").where("name");
      expect(await textsOf(notes.equals("ALAN turing".toLowerCase()))).toEqual(
        idsOf(await names.equalsIgnoreCase("ALAN turing").toArray()),
      );
      expect(await textsOf(notes.startsWith("aDa".toLowerCase()))).toEqual(
        idsOf(await names.startsWithIgnoreCase("aDa").toArray()),
      );
    },
  ],
  [
    "`.filter(fn)` · `.and(fn)`",
    "`.filter(fn)`",
    async ({ theirs, ours }) => {
      const fn = ({ tags }: Friend): boolean => tags.includes("math");
      const found = await ours.where("age").above(3).filter(fn).toArray();
      expect(found).toEqual(await theirs.where("age").above(3).filter(fn).toArray());
      expect(found).toEqual(await theirs.where("age").above(3).and(fn).toArray());
    },
  ],
  [
    "`.limit(n)` · `.offset(n)` · `.reverse()` · `.first()` · `.last()` · `.count()`",
    "the same; for long lists `page(size, cursor?)`, which does not walk over what it leaves out",
    async ({ theirs, ours }) => {
      const [mine, others] = [ours.where("age").above(3), () => theirs.where("age").above(3)];
      expect(await mine.limit(2).toArray()).toEqual(await others().limit(2).toArray());
      expect(await mine.offset(1).limit(2).toArray()).toEqual(await others().offset(1).limit(2).toArray());
      expect(await mine.reverse().toArray()).toEqual(await others().reverse().toArray());
      expect(await mine.first()).toEqual(await others().first());
      expect(await mine.last()).toEqual(await others().last());
      expect(await mine.count()).toBe(await others().count());
      const { items, cursor } = await mine.page(2);
      expect(items).toEqual(await others().limit(2).toArray());
      expect((await mine.page(2, cursor)).items).toEqual(await others().offset(2).limit(2).toArray());
    },
  ],
  [
    "`.primaryKeys()` · `.keys()` · `.uniqueKeys()`",
    "`.primaryKeys()` · `.indexKeys()` · `new Set(await q.indexKeys())`",
    async ({ theirs, ours }) => {
      const q = ours.where("age");
      expect(await q.primaryKeys()).toEqual(await theirs.orderBy("age").primaryKeys());
      expect(await q.indexKeys()).toEqual(await theirs.orderBy("age").keys());
      expect([...new Set(await q.indexKeys())]).toEqual(await theirs.orderBy("age").uniqueKeys());
    },
  ],
  [
    '`.sortBy("age")`',
    '`find({ … }, { sort: "age" })`',
    async ({ theirs, ours }) => {
      expect(await ours.find({ name: { $startsWith: "A" } }, { sort: "age" })).toEqual(
        await theirs.where("name").startsWith("A").sortBy("age"),
      );
    },
  ],
  [
    "`.modify(changes)` · `.delete()`",
    "`.update(changes)` · `.delete()`",
    async ({ theirs, ours }) => {
      expect(await ours.where("age").equals(3).update({ name: "Ada" })).toBe(
        await theirs.where("age").equals(3).modify({ name: "Ada" }),
      );
      expect(await ours.where("age").above(50).delete()).toBe(await theirs.where("age").above(50).delete());
      expect(await ours.all()).toEqual(await theirs.toArray());
    },
  ],
  [
    "`.until(fn)`",
    "`for await`, and `break`",
    async ({ theirs, ours }) => {
      const fn = ({ age }: Friend): boolean => age > 50;
      const found: Friend[] = [];
      for await (const x of ours.where("age")) {
        if (fn(x)) break;
        found.push(x);
      }
      expect(found).toEqual(await theirs.orderBy("age").until(fn).toArray());
    },
  ],
];
