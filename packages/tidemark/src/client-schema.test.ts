import * as v from "valibot";
import { afterEach, describe, expect, expectTypeOf, test } from "vitest";
import * as z from "zod";
import { failure } from "./failure.test-support.ts";
import { collection, createDatabase, type Database, type Declarations } from "./index.ts";

const todoSchema = z.object({
  id: z.string().min(1),
  title: z.string().trim().min(1),
  done: z.boolean().default(false),
  due: z.coerce.date().optional(),
});
const todos = collection({ schema: todoSchema, key: "id", indexes: { due: "due", done: "done" } });
const people = collection({
  schema: v.objectAsync({
    email: v.pipeAsync(
      v.string(),
      v.toLowerCase(),
      v.email(),
      v.checkAsync(async (email) => {
        await new Promise((resolve) => setTimeout(resolve, email.startsWith("slow") ? 30 : 1));
        return !email.startsWith("taken");
      }, "is taken"),
    ),
    age: v.optional(v.pipe(v.number(), v.minValue(0))),
  }),
  key: "email",
});

let n = 0;
const made: { close(): Promise<void> }[] = [];
function make<const C extends Declarations>(collections: C): Database<C> {
  const db = createDatabase({ name: `schemas${n++}`, collections, storage: "memory", worker: false });
  made.push(db);
  return db;
}
afterEach(async () => {
  await Promise.all(made.splice(0).map((db) => db.close()));
});

const failureOf = async (work: Promise<unknown>): Promise<Record<string, unknown>> => {
  const { code, message, details } = await failure(work);
  return { code, message, ...details };
};

describe("[MV10] a Standard Schema", () => {
  test("writes take its input, reads give its output", async () => {
    const c = make({ todos }).collection("todos");
    const input = { id: "a", title: "  swim ", due: "2026-01-02" };
    expect(await c.put(input)).toBe("a");
    expect(input).toEqual({ id: "a", title: "  swim ", due: "2026-01-02" });
    const read = await c.get("a");
    expectTypeOf(read).toEqualTypeOf<z.output<typeof todoSchema> | undefined>();
    expect(read).toEqual({ id: "a", title: "swim", done: false, due: new Date("2026-01-02") });
    expect(await c.where("due").equals(new Date("2026-01-02")).count()).toBe(1);
  });

  test("the key is that of the output", async () => {
    const c = make({ people }).collection("people");
    expect(await c.add({ email: "Ann@Example.org" })).toBe("ann@example.org");
    expect(await c.get("ann@example.org")).toEqual({ email: "ann@example.org" });
  });

  test("what it refuses is VALIDATION with issues and path, by position, and nothing is written", async () => {
    const c = make({ todos }).collection("todos");
    const refused = await failureOf(
      c.addMany([
        { id: "a", title: "fine" },
        { id: "b", title: " " },
        { id: "", title: "no id" },
      ]),
    );
    expect(refused).toMatchObject({
      code: "VALIDATION",
      collection: "todos",
      path: "title",
      issues: [{ path: ["title"] }],
      failures: [
        { position: 1, key: "b", code: "VALIDATION", issues: [{ path: ["title"] }] },
        { position: 2, key: "", code: "VALIDATION", issues: [{ path: ["id"] }] },
      ],
    });
    expect(refused["message"]).toMatch(/^A record for todos\[1\] is not valid: title: .* \(and 1 more\)$/);
    expect(await c.count()).toBe(0);
  });

  test("what update and upsert make is validated, and comes back as the schema made it", async () => {
    const c = make({ todos }).collection("todos");
    await c.put({ id: "a", title: "x" });
    expect(await c.update("a", { title: " y " })).toEqual({ id: "a", title: "y", done: false });
    expect(await failureOf(c.update("a", (now) => ({ ...now, title: "" })))).toMatchObject({ code: "VALIDATION" });
    expect(await c.upsert("b", () => ({ id: "b", title: " z " }))).toEqual({ id: "b", title: "z", done: false });
    expect(await failureOf(c.upsert("a", () => ({ id: "c", title: "z" })))).toMatchObject({ code: "KEY_INVALID" });
    expect((await c.all()).map((t) => t.title)).toEqual(["y", "z"]);
  });

  test("[MV10] what a query changes is validated, all of it or nothing", async () => {
    const c = make({ todos }).collection("todos");
    await c.putMany([
      { id: "a", title: "x" },
      { id: "b", title: "y", done: true },
    ]);
    expect(await c.where("done").equals(true).update({ title: "  z " })).toBe(1);
    expect(await c.get("b")).toEqual({ id: "b", title: "z", done: true });
    expect(await failureOf(c.where().update((now) => ({ ...now, title: now.id === "b" ? "" : "w" })))).toMatchObject({
      code: "VALIDATION",
    });
    expect((await c.all()).map((t) => t.title)).toEqual(["x", "z"]);
  });

  test("within a transaction a refusal leaves the rest to the body", async () => {
    const db = make({ todos, people });
    await db.transaction(async (tx) => {
      await tx.collection("todos").put({ id: "a", title: " x " });
      expect(await failureOf(tx.collection("todos").put({ id: "b", title: "" }))).toMatchObject({ code: "VALIDATION" });
      await tx.collection("people").put({ email: "A@b.org" });
      expect(await tx.collection("people").get("a@b.org")).toEqual({ email: "a@b.org" });
    });
    expect(await db.collection("todos").all()).toEqual([{ id: "a", title: "x", done: false }]);
    const rolledBack = db.transaction((tx) => tx.collection("people").put({ email: "taken@b.org" }));
    expect(await failureOf(rolledBack)).toMatchObject({ code: "VALIDATION", issues: [{ message: "is taken" }] });
    expect(await db.collection("people").count()).toBe(1);
  });

  test("calls take effect in call order, however long validation takes", async () => {
    const db = make({ todos, people });
    const c = db.collection("people");
    const email = "slow@b.org";
    const calls = [
      c.put({ email, age: 1 }),
      c.update(email, ({ age = 0, ...rest }) => ({ ...rest, age: age + 1 })),
      c.get(email),
      c.delete(email),
      c.has(email),
      c.add({ email: "quick@b.org", age: 3 }),
      db.read((view) => view.collection("people").count()),
    ];
    expect(await Promise.all(calls)).toEqual([
      email,
      { email, age: 2 },
      { email, age: 2 },
      true,
      false,
      "quick@b.org",
      1,
    ]);
    const refused = failureOf(c.put({ email: "taken@b.org" }));
    expect(await c.count()).toBe(1);
    expect(await refused).toMatchObject({ code: "VALIDATION" });
  });

  test("what the caller changes while validation waits does not matter", async () => {
    const c = make({ people }).collection("people");
    const record = { email: "slow@b.org", age: 1 };
    const put = c.put(record);
    record.email = "other@b.org";
    record.age = -1;
    expect(await put).toBe("slow@b.org");
    expect(await c.all()).toEqual([{ email: "slow@b.org", age: 1 }]);
  });

  test("a validator that throws rejects the call with what it threw", async () => {
    const thrown = new Error("mine");
    const schema = z.object({ id: z.string() }).transform((value) => {
      if (value.id === "bad") throw thrown;
      return value;
    });
    const c = make({ c: collection({ schema, key: "id" }) }).collection("c");
    await expect(c.putMany([{ id: "a" }, { id: "bad" }])).rejects.toBe(thrown);
    expect(await c.count()).toBe(0);
  });
});

describe("[MV10] autoId", () => {
  const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  interface Note {
    id: string;
    text: string;
  }

  test("gives a UUIDv7 to what has no key, rising within a tab, and changes no input", async () => {
    const c = make({ notes: collection<Note>()({ key: "id", autoId: true }) }).collection("notes");
    const input = { text: "x" };
    const keys = await c.addMany(Array.from({ length: 5000 }, () => input));
    expect(input).toEqual({ text: "x" });
    for (const key of keys) expect(key).toMatch(uuid7);
    expect(keys).toEqual([...new Set(keys)].toSorted());
    expect(Math.abs(Number.parseInt(keys[0]!.replace("-", "").slice(0, 12), 16) - Date.now())).toBeLessThan(60_000);
    expect(await c.get(keys[7]!)).toEqual({ id: keys[7], text: "x" });
    expect(await c.put({ id: "mine", text: "y" })).toBe("mine");
  });

  test("takes a function and a nested path, before the schema", async () => {
    let next = 0;
    const db = make({
      counted: collection<{ meta: { no: number; by?: string } }>()({ key: "meta.no", autoId: () => ++next }),
      todos: collection({ schema: todoSchema, key: "id", autoId: true }),
    });
    const input = { meta: { by: "me" } };
    expect(await db.collection("counted").putMany([input, input])).toEqual([1, 2]);
    expect(input).toEqual({ meta: { by: "me" } });
    expect(await db.collection("counted").get(2)).toEqual({ meta: { by: "me", no: 2 } });
    const id = await db.transaction((tx) => tx.collection("todos").add({ title: "x" }));
    expect(await db.collection("todos").get(id)).toEqual({ id, title: "x", done: false });
  });

  test("an upsert gives the record the key that it is called with", async () => {
    const c = make({ notes: collection<Note>()({ key: "id", autoId: true }) }).collection("notes");
    expect(await c.upsert("a", () => ({ text: "x" }))).toEqual({ id: "a", text: "x" });
  });

  test.each([
    ["a compound key", { key: ["a", "b"], autoId: true }, "collections.c.autoId"],
    ["neither true nor a function", { key: "id", autoId: "uuid" }, "collections.c.autoId"],
    ["no schema", { key: "id", schema: {} }, "collections.c.schema"],
  ])("[MV10] %s is refused as OPTIONS_INVALID", (_, options, option) => {
    const declare = collection<{ id: string }>() as (options: unknown) => never;
    expect(() => make({ c: declare(options) })).toThrow(
      expect.objectContaining({ code: "OPTIONS_INVALID", details: { option } }),
    );
  });
});

test("errors name what was probably meant", async () => {
  const db = make({
    notes: collection<{ id: string; tags: string[] }>()({
      key: "id",
      indexes: { tags: { path: "tags", multi: true } },
    }),
  });
  expect(() => db.collection("note" as "notes")).toThrow("Collection 'note' is not declared; did you mean 'notes'?");
  expect(() => db.collection("notes").where("tgas" as "tags")).toThrow("no index 'tgas'; did you mean 'tags'?");
  expect(() => collection<{ id: string }>()({ key: "id", indices: {} } as { key: "id" })).toThrow(
    "A collection has no option 'indices'; did you mean 'indexes'?",
  );
  expect(() => createDatabase({ nmae: "x" } as never)).toThrow("A database has no option 'nmae'; did you mean 'name'?");
});
