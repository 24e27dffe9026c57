import { afterEach, describe, expect, test } from "vitest";
import {
  collection,
  createDatabase,
  type Database,
  type Declarations,
  deleteDatabase,
  RetentionPolicy,
  type TidemarkError,
  type UpgradeProgress,
} from "./index.ts";
import { failure } from "./failure.test-support.ts";
import { ownWorker } from "./own-worker.test-support.ts";

interface Note {
  id: string;
  at?: number | object;
  tags?: string[];
  text: string;
}
const plain = { notes: collection<Note>()({ key: "id" }) };
const indexed = {
  notes: collection<Note & { at?: number }>()({
    key: "id",
    indexes: { at: "at", tags: { path: "tags", multi: true } },
  }),
};
const unique = {
  notes: collection<Note & { at?: number }>()({ key: "id", indexes: { at: { path: "at", unique: true } } }),
};

let n = 0;
let name = "";
const made: { close(): Promise<void> }[] = [];
function make<const C extends Declarations>(collections: C): Database<C> {
  const db = createDatabase({ name, collections, storage: "memory", worker: false, ...ownWorker(made.length) });
  made.push(db);
  return db;
}
afterEach(async () => {
  await Promise.all(made.splice(0).map((db) => db.close()));
  await deleteDatabase(name, { storage: "memory", worker: false });
});

const note = (i: number): Note => ({ id: `n${i}`, at: i % 100, tags: [`t${i % 7}`, "all"], text: `text ${i}` });

async function filled(count: number, more: readonly Note[] = []): Promise<Database<typeof plain>> {
  name = `indexes${n++}`;
  const db = make(plain);
  const all = [...Array.from({ length: count }, (_, i) => note(i)), ...more];
  for (let i = 0; i < all.length; i += 500) await db.collection("notes").putMany(all.slice(i, i + 500));
  return db;
}

describe("a new index on records that are there", () => {
  test("[MV10] is built in small commits while the database is used; queries by it wait, and are told how far it is", async () => {
    const old = await filled(3000);
    const before = await old.storage.metrics();
    const db = make(indexed);
    const told: UpgradeProgress[] = [];
    db.on("upgrade", (progress) => told.push(progress));
    await db.open();
    const found = db.collection("notes").where("at").equals(7).count();
    const tagged = db.collection("notes").where("tags").equals("all").count();
    // Meanwhile whatever does not need the index goes on.
    expect(await db.collection("notes").get("n5")).toEqual(note(5));
    await db.collection("notes").put({ id: "new", at: 7, text: "" });
    expect(await found).toBe(31);
    expect(await tagged).toBe(3000);
    expect(told.at(-1)).toEqual({ collection: "notes", index: expect.any(String), done: 3001, total: 3001 });
    const ofAt = told.filter((p) => p.index === "at").map((p) => p.done);
    expect(ofAt.length).toBeGreaterThan(10);
    expect(new Set(told.map((p) => p.index))).toEqual(new Set(["at", "tags"]));
    expect(ofAt).toEqual(ofAt.toSorted((a, b) => a - b));
    const { head, collections } = await db.storage.metrics();
    expect(head - before.head).toBeGreaterThan(20);
    expect(collections["notes"]!.indexes["tags"]!.versions).toBe(6000);
  });

  test("[MV10] is no way for find until it is ready: that looks at records meanwhile", async () => {
    await filled(3000);
    const db = make(indexed);
    await db.open();
    const view = await db.readView(); // of a state in which it is not ready
    const find = (of: Pick<typeof view, "collection">) =>
      of.collection("notes").find({ at: 7, tags: { $contains: "all" } });
    await db.collection("notes").where("at").equals(7).count(); // waits
    const plan = await find(view).explain();
    expect(plan).toMatchObject({ index: undefined, considered: [{ index: undefined }], isFiltered: true });
    expect((await find(view)).length).toBe(30);
    expect(await find(db).explain()).toMatchObject({ index: "at", entries: 30 });
    expect((await find(db)).length).toBe(30);
    view.release();
  });

  test("[MV10] is no way for find in a state of before it was declared", async () => {
    const before = await filled(300);
    await before.snapshots.create("before");
    await before.close();
    const db = make(indexed);
    await db.collection("notes").where("at").equals(7).count(); // it is ready
    const view = await db.snapshots.view("before");
    const find = () => view.collection("notes").find({ at: 7, tags: { $contains: "all" } });
    expect((await find()).length).toBe(3);
    expect(await find().count()).toBe(3);
    expect(await find().explain()).toMatchObject({ index: undefined });
    const seen: string[] = [];
    for await (const { id } of find()) seen.push(id);
    expect(seen).toEqual(["n107", "n207", "n7"]);
    expect(await failure(view.collection("notes").where("at").count())).toMatchObject({ code: "UNKNOWN_NAME" });
    view.release();
  });

  test("[MV10] concerns nobody who read the records: live queries stay quiet, and transactions go through", async () => {
    const old = await filled(1500);
    let runs = 0;
    const live = old.live(async (q) => {
      runs++;
      return q.collection("notes").count();
    });
    const subscription = live.subscribe(() => undefined);
    await expect.poll(() => live.current).toBe(1500);
    const runsBefore = runs;
    const db = make(indexed);
    await db.open();
    await db.collection("notes").where("at").equals(1).count();
    await old.collection("notes").get("n1");
    expect(runs).toBe(runsBefore);
    await old.collection("notes").put({ id: "new", text: "" });
    await expect.poll(() => live.current).toBe(1501);
    subscription.unsubscribe();
  });

  test("[MV10] leaves no version in a record's history that nobody wrote", async () => {
    const old = await filled(3);
    const before = await old.collection("notes").history("n1");
    const db = make(indexed);
    await db.collection("notes").where("at").equals(1).count();
    expect(await db.collection("notes").history("n1")).toEqual(before);
    await db.collection("notes").put(note(1) as Note & { at: number });
    expect(await db.collection("notes").history("n1")).toHaveLength(2);
  });

  test("[MV10][GM4] takes no place among the versions that are kept", async () => {
    name = `indexes${n++}`;
    const retention = RetentionPolicy.keepLatestN(2);
    const notes = collection<Note>()({ key: "id", retention });
    const old = make({ notes });
    for (let i = 1; i <= 3; i++) await old.collection("notes").put({ id: "a", at: i, text: "" });
    await old.close();
    const db = make({ notes: collection<Note & { at?: number }>()({ key: "id", indexes: { at: "at" }, retention }) });
    expect(await db.collection("notes").where("at").equals(3).count()).toBe(1);
    await db.gc.run();
    expect((await db.collection("notes").history("a")).map(({ value }) => value?.at)).toEqual([3, 2]);
  });

  test("[MV10] in a transaction and a live query they wait too; an open view says that it cannot", async () => {
    await filled(2000);
    const db = make(indexed);
    await db.open();
    const view = await db.readView();
    const refused = failure(view.collection("notes").where("at").equals(1).count());
    const counted = db.transaction((tx) => tx.collection("notes").where("at").equals(1).count());
    const live = db.live((q) => q.collection("notes").where("at").equals(1).count());
    const subscription = live.subscribe(() => undefined);
    expect(await refused).toMatchObject({
      code: "BUSY",
      details: { collection: "notes", index: "at", building: true },
    });
    expect(await counted).toBe(20);
    await expect.poll(() => live.current).toBe(20);
    view.release();
    subscription.unsubscribe();
  });

  test("[MV10] that is unique and cannot be is given up, naming index and key; all else goes on", async () => {
    const old = await filled(90, [{ id: "twice", at: 3, text: "" }]);
    const db = make(unique);
    const errors: TidemarkError[] = [];
    db.on("error", (e) => errors.push(e));
    await db.open();
    const e = await failure(db.collection("notes").where("at").equals(3).first());
    expect(e).toMatchObject({
      code: "CONSTRAINT",
      details: { collection: "notes", index: "at", key: 3, constraint: "unique" },
    });
    expect(errors.map(({ code, details }) => [code, details])).toEqual([[e.code, e.details]]);
    await db.collection("notes").put({ id: "third", at: 3, text: "" });
    expect(await db.collection("notes").count()).toBe(92);
    // Once the records allow it, declaring it again builds it.
    await old.collection("notes").deleteMany(["twice", "third"]);
    await db.close();
    const again = make(unique);
    expect(await again.collection("notes").where("at").equals(3).count()).toBe(1);
    expect(await failure(again.collection("notes").put({ id: "third", at: 3, text: "" }))).toMatchObject({
      code: "CONSTRAINT",
      details: { index: "at", indexKey: 3, key: "third" },
    });
  });

  test("[MV10] that a record's value is no key for is given up, too", async () => {
    await filled(5, [{ id: "odd", at: { deep: true }, text: "" }]);
    const db = make(indexed);
    expect(await failure(db.collection("notes").where("at").equals(3).first())).toMatchObject({
      code: "KEY_INVALID",
      details: { collection: "notes", index: "at" },
    });
    expect(await db.collection("notes").where("tags").equals("all").count()).toBe(5);
  });

  test("[MV10] with another definition is another index; entries of the former end", async () => {
    await filled(400);
    await make(indexed).collection("notes").where("at").equals(1).count();
    const db = make({ notes: collection<Note>()({ key: "id", indexes: { at: "text" } }) });
    await db.open();
    const waits = db.collection("notes").where("at").equals("text 5").count();
    await db.collection("notes").deleteMany(["n6", "n7"]);
    await db.collection("notes").put({ id: "n5", text: "text 5", at: 1 });
    expect(await waits).toBe(1);
    expect(await db.collection("notes").where("at").equals("text 6").count()).toBe(0);
    expect(await db.collection("notes").where("at").count()).toBe(398);
    await db.gc.run();
    expect((await db.verify()).damage).toEqual([]);
    expect((await db.storage.metrics()).collections["notes"]!.indexes["at"]!.versions).toBe(398);
  });

  test("[MV10][MV11] a clearing meanwhile leaves nothing to build", async () => {
    await filled(1500);
    const db = make(indexed);
    await db.open();
    const waits = db.collection("notes").where("at").count();
    await db.collection("notes").clear();
    await db.collection("notes").put({ id: "one", at: 1, text: "" });
    expect(await waits).toBeLessThanOrEqual(1);
    expect(await db.collection("notes").where("at").count()).toBe(1);
  });
});
