import { createCollection, type Collection } from "@tanstack/db";
import { collection, type Database, openDatabase } from "tidemark";
import { afterEach, describe, expect, test } from "vitest";
import { tidemarkCollectionOptions } from "./index.ts";

interface Todo {
  id: string;
  text: string;
  done: boolean;
}
const todos = collection<Todo>()({ key: "id" });
const pairs = collection<{ a: string; b: string }>()({ key: ["a", "b"] });
const collections = { todos, pairs };
type Db = Database<typeof collections>;

let n = 0;
const open: Db[] = [];
/** `tab`: with a worker of its own, as another tab has. */
async function make(name = `tanstack${n++}`, tab = 0): Promise<Db> {
  const db = await openDatabase({
    name,
    collections,
    storage: "memory",
    worker: false,
    cacheMaxBytes: 2 ** 24 + tab,
  });
  open.push(db);
  return db;
}
const followed: Collection<Todo>[] = [];
function follow(db: Db): Collection<Todo> {
  const made = createCollection(tidemarkCollectionOptions({ db, collection: "todos", startSync: true }));
  followed.push(made);
  return made;
}
afterEach(async () => {
  await Promise.all(followed.splice(0).map((c) => c.cleanup()));
  await Promise.all(open.splice(0).map((db) => db.close()));
});

const todo = (id: string, text = id): Todo => ({ id, text, done: false });
const textsOf = (c: Collection<Todo>): string[] => c.toArray.map(({ text }) => text).toSorted();

describe("a collection of TanStack DB", () => {
  test("holds what is stored, and follows what anybody commits, in any tab", async () => {
    const db = await make();
    const other = await make(db.name, 1);
    await db.collection("todos").putMany([todo("a"), todo("b")]);
    const c = follow(db);
    await c.preload();
    expect(textsOf(c)).toEqual(["a", "b"]);
    await other.collection("todos").put(todo("c"));
    await other.transaction(async (tx) => {
      await tx.collection("todos").update("a", { text: "A" });
      await tx.collection("todos").delete("b");
    });
    await expect.poll(() => textsOf(c)).toEqual(["A", "c"]);
    await other.collection("todos").clear();
    await db.collection("todos").put(todo("d"));
    await expect.poll(() => textsOf(c)).toEqual(["d"]);
  });

  test("shows a change at once, writes it in one transaction, and never shows the state of before again", async () => {
    const db = await make();
    await db.collection("todos").put(todo("a"));
    const c = follow(db);
    await c.preload();
    const seen: string[][] = [];
    c.subscribeChanges(() => seen.push(textsOf(c)));
    const insert = c.insert([todo("x"), todo("y")]);
    expect(textsOf(c)).toEqual(["a", "x", "y"]);
    await insert.isPersisted.promise;
    expect(await db.collection("todos").count()).toBe(3);
    const update = c.update("x", (draft) => void (draft.text = "X"));
    expect(c.get("x")!.text).toBe("X");
    await update.isPersisted.promise;
    await c.delete("a").isPersisted.promise;
    expect(textsOf(c)).toEqual(["X", "y"]);
    expect(await db.collection("todos").all()).toEqual([{ ...todo("x"), text: "X" }, todo("y")]);
    for (const [i, texts] of seen.entries()) {
      const before = seen.slice(0, i).flat();
      if (before.includes("X")) expect(texts).not.toContain("x");
      expect(texts).toContain("y");
    }
  });

  test("takes back what the database refuses", async () => {
    const db = await make();
    const c = follow(db);
    await c.preload();
    await db.collection("todos").put(todo("later"));
    const both = createCollection(
      tidemarkCollectionOptions({ db, collection: "todos", id: "another", startSync: true }),
    );
    followed.push(both);
    await both.preload();
    await expect.poll(() => textsOf(c)).toEqual(["later"]);
    const refused = c.insert({ id: "bad", text: "bad", done: (() => true) as unknown as boolean });
    expect(textsOf(c)).toEqual(["bad", "later"]);
    await expect(refused.isPersisted.promise).rejects.toMatchObject({ code: "VALUE_UNSUPPORTED" });
    expect(textsOf(c)).toEqual(["later"]);
    expect(textsOf(both)).toEqual(["later"]);
  });

  test("reads anew where the log no longer has what follows", async () => {
    const db = await make();
    await db.collection("todos").put(todo("a"));
    const c = follow(db);
    await c.preload();
    for (let i = 0; i < 5; i++) {
      await db.collection("todos").putMany(Array.from({ length: 50 }, (_, k) => todo(`${i}-${k}`)));
      await db.checkpoint();
    }
    await expect.poll(() => c.size).toBe(251);
    await c.insert(todo("own")).isPersisted.promise;
    expect(c.size).toBe(252);
  });

  test("persists what is changed while nobody follows", async () => {
    const db = await make();
    const options = tidemarkCollectionOptions({ db, collection: "todos" });
    const c = createCollection(options);
    followed.push(c);
    await c.preload();
    const insert = c.insert(todo("a"));
    await insert.isPersisted.promise;
    await c.cleanup();
    expect(await db.collection("todos").count()).toBe(1);
  });

  test("is not made of one with a compound key", async () => {
    const db = await make();
    // @ts-expect-error its key is a tuple
    expect(() => tidemarkCollectionOptions({ db, collection: "pairs" })).toThrow("compound key");
  });
});
