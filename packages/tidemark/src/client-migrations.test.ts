import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as z from "zod";
import {
  collection,
  createDatabase,
  type Database,
  type DatabaseEvents,
  type DatabaseOptions,
  type Declarations,
  deleteDatabase,
  type MigrationTransaction,
} from "./index.ts";
import { failure } from "./failure.test-support.ts";
import { ownWorker } from "./own-worker.test-support.ts";

interface Old {
  id: string;
  name: string;
}
const one = { people: collection<Old>()({ key: "id" }), scraps: collection<{ id: string }>()({ key: "id" }) };
const personSchema = z.object({ id: z.string(), first: z.string(), last: z.string() });
const two = { people: collection({ schema: personSchema, key: "id", indexes: { last: "last" } }) };

const split = async (tx: MigrationTransaction): Promise<void> => {
  const people = tx.collection("people");
  for (const { id, name } of (await people.all()) as Old[]) {
    const [first, last] = name.split(" ");
    await people.put({ id, first, last });
  }
};

let n = 0;
let name = "";
const made: { close(): Promise<void> }[] = [];
beforeEach(() => {
  name = `migrations${n++}`;
});
function make<const C extends Declarations>(options: Omit<DatabaseOptions<C>, "name">): Database<C> {
  const db = createDatabase<C>({ name, storage: "memory", worker: false, ...ownWorker(made.length), ...options });
  made.push(db);
  return db;
}
afterEach(async () => {
  await Promise.all(made.splice(0).map((db) => db.close()));
  await deleteDatabase(name, { storage: "memory", worker: false });
});

async function filled(count = 3): Promise<Database<typeof one>> {
  const db = make({ collections: one });
  await db.collection("people").putMany(Array.from({ length: count }, (_, i) => ({ id: `p${i}`, name: `Ann B${i}` })));
  await db.collection("scraps").put({ id: "x" });
  return db;
}

describe("migrations", () => {
  test("[MV10] run once as the database opens, in order, on all that is stored, before any call", async () => {
    await (await filled()).close();
    const ran: number[] = [];
    const options = {
      version: 3,
      collections: two,
      dropCollections: ["scraps"],
      migrations: {
        3: async (tx: MigrationTransaction) => {
          ran.push(3);
          // What is dropped is there to be read; validators do not bother.
          expect(await tx.collection("scraps").all()).toEqual([{ id: "x" }]);
          expect(await tx.collection("people").get("p1")).toEqual({ id: "p1", first: "Ann", last: "B1" });
          await tx.collection("people").update("p1", { first: 7 });
        },
        2: async (tx: MigrationTransaction) => {
          ran.push(2);
          await split(tx);
        },
      },
    };
    const db = make(options);
    expect(await db.collection("people").get("p2")).toEqual({ id: "p2", first: "Ann", last: "B2" });
    expect(await db.collection("people").get("p1")).toEqual({ id: "p1", first: 7, last: "B1" });
    expect(await db.collection("people").where("last").equals("B2").count()).toBe(1);
    expect(ran).toEqual([2, 3]);
    expect(Object.keys((await db.storage.metrics()).collections)).toEqual(["people"]);
    await db.close();
    const again = make(options);
    await again.open();
    expect(ran).toEqual([2, 3]);
    // It is one commit with the schema.
    expect(await again.collection("people").history("p2")).toHaveLength(2);
  });

  test("[MV10] that fail change nothing: MIGRATION_FAILED with version and cause, and it may be tried again", async () => {
    await (await filled()).close();
    let isBroken = true;
    const thrown = new Error("no last name");
    const db = make({
      version: 3,
      collections: two,
      migrations: {
        2: split,
        3: async () => {
          if (isBroken) throw thrown;
        },
      },
    });
    const e = await failure(db.open());
    expect(e).toMatchObject({
      code: "MIGRATION_FAILED",
      details: { version: 3, cause: "no last name" },
      cause: thrown,
    });
    const old = make({ collections: one });
    expect(await old.collection("people").get("p1")).toEqual({ id: "p1", name: "Ann B1" });
    await old.collection("people").put({ id: "p9", name: "Zoe Z" });
    isBroken = false;
    expect(await db.collection("people").get("p9")).toEqual({ id: "p9", first: "Zoe", last: "Z" });
  });

  test("[MV10] two tabs at once: exactly one of them migrates", async () => {
    await (await filled(50)).close();
    let puts = 0;
    const options = {
      version: 2,
      collections: two,
      migrations: {
        2: async (tx: MigrationTransaction) => {
          await split(tx);
          puts++;
          await tx.collection("people").put({ id: "ran", first: String(puts), last: "" });
        },
      },
    };
    const [a, b] = [make(options), make(options)];
    const counts = await Promise.all([a.collection("people").count(), b.collection("people").count()]);
    expect(counts).toEqual([51, 51]);
    expect(await a.collection("people").history("ran")).toHaveLength(1);
    expect(await a.collection("people").get("p7")).toEqual({ id: "p7", first: "Ann", last: "B7" });
  });

  test("[MV10] a new database is filled by seed instead, in the commit that makes its collections", async () => {
    const options = {
      version: 2,
      collections: two,
      migrations: { 2: () => expect.unreachable("there is nothing to migrate") },
      seed: async (tx: { collection(name: "people"): { put(v: object): Promise<unknown> } }) => {
        await tx.collection("people").put({ id: "first", first: "Ann", last: "B" });
      },
    } as unknown as DatabaseOptions<typeof two>;
    const [a, b] = [make(options), make(options)];
    expect(await a.collection("people").all()).toEqual([{ id: "first", first: "Ann", last: "B" }]);
    expect(await b.collection("people").history("first")).toMatchObject([{ seq: 1 }]);
    await a.collection("people").clear();
    await Promise.all([a.close(), b.close()]);
    expect(await make(options).collection("people").count()).toBe(0);
  });

  test("[MV10] a seed that fails leaves no database behind that the next opening takes for filled", async () => {
    let isBroken = true;
    const db = make({
      collections: one,
      seed: async (tx) => {
        await tx.collection("people").put({ id: "a", name: "A" });
        if (isBroken) throw new Error("offline");
      },
    });
    expect(await failure(db.open())).toMatchObject({ code: "MIGRATION_FAILED", details: { from: 0 } });
    isBroken = false;
    expect(await db.collection("people").count()).toBe(1);
  });

  test.each([
    ["migrations.1", { version: 2, migrations: { 1: split } }],
    ["migrations.3", { version: 2, migrations: { 3: split } }],
    ["migrations.2", { version: 2, migrations: { 2: "split" } }],
    ["migrations", { version: 2, migrations: 7 }],
    ["seed", { seed: {} }],
  ])("[MV10] a bad %s is refused as OPTIONS_INVALID", (option, options) => {
    expect(() => make({ collections: one, ...options } as never)).toThrow(
      expect.objectContaining({ code: "OPTIONS_INVALID", details: { option } }),
    );
  });
});

describe("migrations record by record", () => {
  const each = ({ id, name: full }: Old): object | undefined => {
    const [first, last] = full.split(" ");
    return first === "Zoe" ? undefined : { id, first, last };
  };
  const migrated = (i: number): object => ({ id: `p${i}`, first: "Ann", last: `B${i}` });

  test("[MV10][MV11] go in slices, into place all at once; meanwhile older tabs read, and cannot write", async () => {
    const old = await filled(3000);
    await old.collection("people").put({ id: "zoe", name: "Zoe Z" });
    const outdated: unknown[] = [];
    old.on("outdated", (event) => outdated.push(event));
    let seen = 0;
    let goOn = (): void => undefined;
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    const db = make({
      version: 3,
      collections: two,
      migrations: {
        2: {
          collection: "people",
          each: async (record: Old) => {
            if (++seen === 2000) await gate;
            return each(record);
          },
        },
        3: async (tx) => {
          expect(await tx.collection("people").get("p7")).toEqual(migrated(7));
          await tx.collection("people").put({ id: "last", first: "", last: "" });
        },
      },
    });
    const told: number[] = [];
    db.on("upgrade", ({ version, done }) => void (version === 2 && told.push(done)));
    const opening = db.open();
    await expect.poll(() => seen).toBe(2000);
    await expect.poll(() => outdated).toEqual([{ reason: "schema", declared: 1, stored: 2 }]);
    expect(await old.collection("people").get("p0")).toEqual({ id: "p0", name: "Ann B0" });
    expect(await failure(old.collection("people").put({ id: "p0", name: "" }))).toMatchObject({
      code: "SCHEMA_OUTDATED",
    });
    goOn();
    await opening;
    expect(seen).toBe(3001);
    expect(told.length).toBeGreaterThan(3);
    expect(told.at(-1)).toBe(3001);
    expect(await db.collection("people").count()).toBe(3001);
    expect(await db.collection("people").get("p2999")).toEqual(migrated(2999));
    expect(await db.collection("people").get("zoe")).toBeUndefined();
    expect(await db.collection("people").where("last").equals("B5").count()).toBe(1);
    expect(await old.collection("people").get("p5")).toEqual({ id: "p5", name: "Ann B5" });
    await old.close();
    await db.gc.run();
    const { collections, cleared } = await db.storage.metrics();
    expect([collections["people"]!.records.versions, cleared.versions]).toEqual([3001, 0]);
    expect((await db.verify()).damage).toEqual([]);
  });

  test("[MV10] that fail leave everything as it was", async () => {
    const old = await filled(1500);
    let isBroken = true;
    const db = make({
      version: 2,
      collections: two,
      migrations: {
        2: {
          collection: "people",
          each: (record: Old) => {
            if (isBroken && record.id === "p999") throw new Error("odd");
            return each(record);
          },
        },
      },
    });
    expect(await failure(db.open())).toMatchObject({
      code: "MIGRATION_FAILED",
      details: { version: 2, from: 1, cause: "odd" },
    });
    await old.collection("people").put({ id: "p1", name: "Eve C" });
    expect(await old.collection("people").count()).toBe(1500);
    isBroken = false;
    expect(await db.collection("people").get("p1")).toEqual({ id: "p1", first: "Eve", last: "C" });
    expect(await db.collection("people").count()).toBe(1500);
  });

  test.each([
    ["two records with one key", ({ id }: Old) => ({ id: id.slice(0, 1), first: "", last: "" })],
    ["what is no record", () => 7],
    ["a record without its key", () => ({ first: "" })],
  ])("[MV10] %s: MIGRATION_FAILED", async (_, wrong) => {
    await (await filled(600)).close();
    const db = make({ version: 2, collections: two, migrations: { 2: { collection: "people", each: wrong } } });
    expect(await failure(db.open())).toMatchObject({ code: "MIGRATION_FAILED", details: { version: 2 } });
    expect(await make({ collections: one }).collection("people").count()).toBe(600);
  });

  test("[MV10] by two tabs at once change every record once", async () => {
    await (await filled(2000)).close();
    const options = { version: 2, collections: two, migrations: { 2: { collection: "people", each } } };
    const [a, b] = [make(options), make(options)];
    await Promise.all([a.open(), b.open()]);
    expect(await a.collection("people").count()).toBe(2000);
    expect(await b.collection("people").get("p1234")).toEqual(migrated(1234));
    expect(await a.collection("people").history("p1234")).toHaveLength(1);
  });
});

describe("a tab with an older version", () => {
  const heard = (db: Database<typeof one>): DatabaseEvents["outdated"][] => {
    const events: DatabaseEvents["outdated"][] = [];
    db.on("outdated", (event) => events.push(event));
    return events;
  };

  test("[MV10] is told, cannot write, and after a migration goes on reading at its last older seq", async () => {
    const old = await filled();
    const outdated = heard(old);
    const live = old.live((q) => q.collection("people").get("p1"));
    const emitted: unknown[] = [];
    const subscription = live.subscribe((value) => emitted.push(value));
    await expect.poll(() => emitted.length).toBe(1);
    const db = make({ version: 2, collections: two, migrations: { 2: split }, dropCollections: ["scraps"] });
    await db.open();
    await expect.poll(() => outdated).toEqual([{ reason: "schema", declared: 1, stored: 2 }]);
    const p1 = { id: "p1", name: "Ann B1" };
    await db.collection("people").put({ id: "p1", first: "Eve", last: "C" });
    expect(await old.collection("people").get("p1")).toEqual(p1);
    expect(await old.collection("scraps").all()).toEqual([{ id: "x" }]);
    expect(await old.read((view) => view.collection("people").count())).toBe(3);
    expect(await old.transaction((tx) => tx.collection("people").get("p1"))).toEqual(p1);
    for (const write of [
      () => old.collection("people").put(p1),
      () => old.collection("people").update("p1", { name: "x" }),
      () => old.collection("people").delete("p1"),
      () => old.collection("people").clear(),
      () => old.transaction((tx) => tx.collection("people").put(p1)),
    ]) {
      expect(await failure(write())).toMatchObject({ code: "SCHEMA_OUTDATED", details: { declared: 1, stored: 2 } });
    }
    // What it reads is held, whatever is collected.
    await db.gc.run();
    expect(await old.collection("people").all()).toHaveLength(3);
    expect(await old.collection("people").get("p1")).toEqual(p1);
    expect(emitted).toEqual([p1]);
    subscription.unsubscribe();
    const { holders } = await db.gc.explain();
    await db.gc.evict(holders.find((h) => h.kind === "pin" && !h.isSelf)!.id);
    await db.gc.run();
    expect(await failure(old.collection("people").get("p1"))).toMatchObject({ code: "SCHEMA_OUTDATED" });
    expect(await db.collection("people").get("p1")).toEqual({ id: "p1", first: "Eve", last: "C" });
  });

  test("[MV10] and no migration goes on reading what is there, and cannot write", async () => {
    const old = await filled();
    const outdated = heard(old);
    const db = make({ version: 2, collections: { ...one, more: collection<{ id: string }>()({ key: "id" }) } });
    await db.collection("people").put({ id: "new", name: "New" });
    await expect.poll(() => old.collection("people").get("new")).toEqual({ id: "new", name: "New" });
    expect(outdated).toEqual([{ reason: "schema", declared: 1, stored: 2 }]);
    expect(await failure(old.collection("people").put({ id: "a", name: "" }))).toMatchObject({
      code: "SCHEMA_OUTDATED",
    });
    expect(await failure(make({ collections: one }).open())).toMatchObject({ code: "SCHEMA_OUTDATED" });
  });

  test("[MV10] of the same version are added to one another, and nothing is dropped that one does not declare", async () => {
    const a = await filled();
    const b = make({ collections: { more: collection<{ id: string }>()({ key: "id" }) } });
    await b.collection("more").put({ id: "m" });
    await a.collection("people").put({ id: "p1", name: "still" });
    const c = make({ collections: { ...one, more: collection<{ id: string }>()({ key: "id" }) } });
    expect([await c.collection("more").count(), await c.collection("people").count()]).toEqual([1, 3]);
  });
});
