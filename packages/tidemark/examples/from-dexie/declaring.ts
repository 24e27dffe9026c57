import { Dexie } from "dexie";
import { collection, createDatabase, deleteDatabase, isTidemarkError, listDatabases, openDatabase } from "tidemark";
import { expect } from "vitest";
import { another, type Friend, friends, newName, refusalOf, type Row } from "./world.ts";

type Person = Pick<Friend, "id" | "name" | "age"> & { city?: string };
const ada: Person = { id: "a", name: "Ada", age: 3 };
const inMemory = { storage: "memory", worker: false } as const;

/** Opens in a browser; here, where there is no worker, in this thread, on IndexedDB all the same. */
export const declaring: readonly Row[] = [
  [
    '`new Dexie("name")`',
    '`createDatabase({ name: "name", collections })`; synchronous, opens on first use',
    async () => {
      const [name, collections] = [newName(), { friends: collection<Person>()({ key: "id" }) }];
      const theirs = new Dexie(name);
      const ours = createDatabase({ name, collections });
      expect(await listDatabases()).not.toContainEqual({ name, version: 1 });
      expect(theirs.isOpen()).toBe(false);
      theirs.version(1).stores({ friends: "id" });
      expect(await theirs.table("friends").count()).toBe(await ours.collection("friends").count());
      expect(theirs.isOpen()).toBe(true);
      expect(await listDatabases()).toContainEqual({ name, version: 1 });
      theirs.close();
      await ours.close();
    },
  ],
  [
    '`db.version(1).stores({ friends: "id, name, age" })`',
    '`collections: { friends: collection<Friend>()({ key: "id", indexes: { name: "name", age: "age" } }) }`',
    async () => {
      const name = newName();
      const dexie = new Dexie(name);
      dexie.version(1).stores({ friends: "id, name, age" });
      const db = await openDatabase({
        name,
        ...inMemory,
        collections: { friends: collection<Friend>()({ key: "id", indexes: { name: "name", age: "age" } }) },
      });
      await dexie.table("friends").bulkAdd(friends);
      await db.collection("friends").addMany(friends);
      expect(await db.collection("friends").where("age").toArray()).toEqual(
        await dexie.table("friends").orderBy("age").toArray(),
      );
      expect(await db.collection("friends").where("name").toArray()).toEqual(
        await dexie.table("friends").orderBy("name").toArray(),
      );
    },
  ],
  [
    '`"++id"`',
    "`autoId: true`: a text that sorts by time, unique across tabs and devices",
    async () => {
      const name = newName();
      const dexie = new Dexie(name);
      dexie.version(1).stores({ notes: "++id" });
      const notes = collection<{ id: string; text: string }>()({ key: "id", autoId: true });
      const db = await openDatabase({ name, ...inMemory, collections: { notes } });
      const theirs: unknown[] = [];
      const ours: string[] = [];
      for (const text of ["one", "two", "three"]) {
        theirs.push(await dexie.table("notes").add({ text }));
        ours.push(await db.collection("notes").add({ text }));
      }
      expect(new Set(ours).size).toBe(3);
      expect(ours.toSorted()).toEqual(ours);
      expect(theirs).toEqual([1, 2, 3]);
      const texts = (all: readonly { text: string }[]): string[] => all.map(({ text }) => text);
      expect(texts(await db.collection("notes").all())).toEqual(texts(await dexie.table("notes").toArray()));
    },
  ],
  [
    '`"&email"`',
    '`email: { path: "email", unique: true }`',
    async ({ theirs, ours }) => {
      const twin = { ...another, email: "a@example.com" };
      expect(await refusalOf(theirs.add(twin))).toBeInstanceOf(Dexie.ConstraintError);
      expect(isTidemarkError(await refusalOf(ours.add(twin)), "CONSTRAINT")).toBe(true);
      expect(await ours.count()).toBe(await theirs.count());
    },
  ],
  [
    '`"*tags"`',
    '`tags: { path: "tags", multi: true }`',
    async ({ theirs, ours }) => {
      expect(await ours.where("tags").equals("math").toArray()).toEqual(
        await theirs.where("tags").equals("math").toArray(),
      );
      const theirKeys = await theirs.where("tags").startsWith("").distinct().primaryKeys();
      expect((await ours.where("tags").primaryKeys()).toSorted()).toEqual(theirKeys.toSorted());
    },
  ],
  [
    '`"[first+last]"`',
    '`byName: ["first", "last"]`',
    async ({ theirs, ours }) => {
      expect(await ours.where("byName").equals(["Ada", "Yonath"]).toArray()).toEqual(
        await theirs.where("[first+last]").equals(["Ada", "Yonath"]).toArray(),
      );
    },
  ],
  [
    '`"address.city"`',
    '`city: "address.city"`',
    async ({ theirs, ours }) => {
      expect(await ours.where("city").equals("London").toArray()).toEqual(
        await theirs.where("address.city").equals("London").toArray(),
      );
    },
  ],
  [
    '`"[first+last]"` as the primary key',
    '`key: ["first", "last"]`',
    async () => {
      const name = newName();
      const dexie = new Dexie(name);
      dexie.version(1).stores({ friends: "[first+last]" });
      const people = collection<Friend>()({ key: ["first", "last"] });
      const db = await openDatabase({ name, ...inMemory, collections: { friends: people } });
      await dexie.table("friends").bulkPut(friends);
      await db.collection("friends").putMany(friends);
      expect(await db.collection("friends").get(["Ada", "Yonath"])).toEqual(
        await dexie.table("friends").get(["Ada", "Yonath"]),
      );
      expect(await db.collection("friends").all()).toEqual(await dexie.table("friends").toArray());
    },
  ],
  [
    '`db.version(2).stores({ friends: "id, name, age, city" })`',
    "declare the index: it is built in the background, and queries on it wait",
    async () => {
      const name = newName();
      const people = friends.map(({ id, name: called, age, address }) => ({
        id,
        name: called,
        age,
        city: address.city,
      }));
      const before = new Dexie(name);
      before.version(1).stores({ friends: "id, name, age" });
      await before.table("friends").bulkAdd(people);
      before.close();
      const first = await openDatabase({ name, collections: { friends: collection<Person>()({ key: "id" }) } });
      await first.collection("friends").addMany(people);
      await first.close();

      const dexie = new Dexie(name);
      dexie.version(2).stores({ friends: "id, name, age, city" });
      const db = createDatabase({
        name,
        collections: { friends: collection<Person>()({ key: "id", indexes: { city: "city" } }) },
      });
      expect(await db.collection("friends").where("city").above("K").toArray()).toEqual(
        await dexie.table("friends").where("city").above("K").toArray(),
      );
      dexie.close();
      await db.close();
    },
  ],
  [
    "`db.version(2).upgrade((tx) => …)`",
    "`version: 2, migrations: { 2: async (tx) => … }`",
    async () => {
      const name = newName();
      const before = new Dexie(name);
      before.version(1).stores({ friends: "id" });
      await before.table("friends").add(ada);
      before.close();
      const collections = { friends: collection<Person>()({ key: "id" }) };
      const first = await openDatabase({ name, collections });
      await first.collection("friends").add(ada);
      await first.close();

      const dexie = new Dexie(name);
      dexie.version(1).stores({ friends: "id" });
      dexie.version(2).upgrade((tx) => tx.table("friends").toCollection().modify({ city: "Rome" }));
      const db = createDatabase({
        name,
        collections,
        version: 2,
        migrations: {
          2: async (tx) => {
            await tx.collection("friends").where().update({ city: "Rome" });
          },
        },
      });
      expect(await db.collection("friends").all()).toEqual(await dexie.table("friends").toArray());
      expect(await db.collection("friends").get("a")).toEqual({ ...ada, city: "Rome" });
      dexie.close();
      await db.close();
    },
  ],
  [
    "`stores({ old: null })`",
    '`dropCollections: ["old"]`',
    async () => {
      const name = newName();
      const before = new Dexie(name);
      before.version(1).stores({ old: "id", friends: "id" });
      await before.table("old").add(ada);
      before.close();
      const people = collection<Person>()({ key: "id" });
      const first = await openDatabase({ name, collections: { old: people, friends: people } });
      await first.collection("old").add(ada);
      await first.close();

      const dexie = new Dexie(name);
      dexie.version(1).stores({ old: "id", friends: "id" });
      dexie.version(2).stores({ old: null });
      await dexie.open();
      const db = await openDatabase({ name, collections: { friends: people }, dropCollections: ["old"] });
      expect(dexie.tables.map((table) => table.name)).toEqual(["friends"]);
      expect(Object.keys((await db.storage.metrics()).collections)).toEqual(["friends"]);
      dexie.close();
      await db.close();
    },
  ],
  [
    '`db.on("populate", …)`',
    "`seed: async (tx) => …`",
    async () => {
      const name = newName();
      const dexie = new Dexie(name);
      dexie.version(1).stores({ friends: "id" });
      dexie.on("populate", (tx) => void tx.table("friends").add(ada));
      const db = await openDatabase({
        name,
        ...inMemory,
        collections: { friends: collection<Person>()({ key: "id" }) },
        seed: async (tx) => {
          await tx.collection("friends").add(ada);
        },
      });
      expect(await db.collection("friends").all()).toEqual([ada]);
      expect(await dexie.table("friends").toArray()).toEqual([ada]);
    },
  ],
  [
    "`db.open()` · `db.close()`",
    "the same",
    async ({ dexie, db, ours }) => {
      await dexie.open();
      await db.open();
      dexie.close();
      await db.close();
      expect(await refusalOf(dexie.table("friends").count())).toBeInstanceOf(Dexie.DatabaseClosedError);
      expect(isTidemarkError(await refusalOf(ours.count()), "CLOSED")).toBe(true);
    },
  ],
  [
    "`db.delete()` · `Dexie.delete(name)`",
    "`deleteDatabase(name)`; no tab can block it",
    async () => {
      const name = newName();
      const collections = { friends: collection<Person>()({ key: "id" }) };
      for (const remove of [(db: Dexie) => db.delete(), (db: Dexie) => Dexie.delete(db.name)]) {
        const dexie = new Dexie(name);
        dexie.version(1).stores({ friends: "id" });
        await dexie.table("friends").add(ada);
        await remove(dexie);
        expect(await Dexie.exists(name)).toBe(false);
      }
      const open = await openDatabase({ name, collections });
      await open.collection("friends").add(ada);
      await deleteDatabase(name); // though it is open
      expect((await listDatabases()).map((one) => one.name)).not.toContain(name);
      expect(isTidemarkError(await refusalOf(open.collection("friends").all()), "CLOSED")).toBe(true);
    },
  ],
  [
    "`Dexie.getDatabaseNames()`",
    "`listDatabases()`",
    async () => {
      const name = newName();
      const dexie = new Dexie(name);
      dexie.version(1).stores({ friends: "id" });
      await dexie.open();
      const db = await openDatabase({ name, collections: { friends: collection<Person>()({ key: "id" }) } });
      expect(await Dexie.getDatabaseNames()).toContain(name);
      expect(await listDatabases()).toContainEqual({ name, version: 1 });
      dexie.close();
      await db.close();
    },
  ],
  [
    '`db.friends` · `db.table("friends")`',
    '`db.collection("friends")`',
    async ({ dexie, db }) => {
      const { friends: named } = dexie as Dexie & { friends: ReturnType<Dexie["table"]> };
      expect(named.name).toBe(dexie.table("friends").name);
      expect(db.collection("friends")).toBe(db.collection("friends"));
      expect(await db.collection("friends").all()).toEqual(await named.toArray());
    },
  ],
];
