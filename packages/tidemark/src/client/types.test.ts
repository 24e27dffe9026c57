import { describe, expect, expectTypeOf, test } from "vitest";
import * as z from "zod";
import { RetentionPolicy } from "../codec/retention.ts";
import type { Database } from "./database.ts";
import { collection } from "./declare.ts";
import type { Declarations, KeyAt, Page, Path, RecordOf } from "./types.ts";

interface Note {
  id: string;
  authorId: number;
  title?: string;
  updatedAt: Date;
  tags: string[];
  meta: { lang: string; size?: number };
  body: Map<string, number>;
  done: boolean;
}

const notes = collection<Note>()({
  key: "id",
  indexes: {
    title: "title",
    updatedAt: "updatedAt",
    byAuthorDate: ["authorId", "updatedAt"],
    tags: { path: "tags", multi: true },
    lang: { path: "meta.lang", unique: true },
    done: "done",
  },
});
const visits = collection<{ user: number; day: string; n: number }>()({ key: ["user", "day"] });

// Nothing below is run: that it compiles, and that the marked lines do not, is the test.
const usedRightly = async (db: Database<{ notes: typeof notes; visits: typeof visits }>): Promise<void> => {
  const c = db.collection("notes");
  expectTypeOf(await c.get("a")).toEqualTypeOf<Note | undefined>();
  expectTypeOf(await db.collection("visits").get([1, "2026-01-01"])).toEqualTypeOf<
    { user: number; day: string; n: number } | undefined
  >();
  await c.where("title").equals("x").toArray();
  await c.where("updatedAt").above(new Date()).first();
  await c.where("byAuthorDate").between([1, new Date()], [2, new Date()]).toArray();
  await c.where("byAuthorDate").startsWith([1]).toArray();
  await c.where("tags").equals("one").count();
  await c.where("lang").startsWith("e").toArray();
  await c.where("done").equals(true).toArray();
  await c.where().below("m").toArray();
  await c.update("a", { title: undefined, done: true });
  expectTypeOf(await c.where("lang").anyOf(["de", "en"]).primaryKeys()).toEqualTypeOf<string[]>();
  expectTypeOf(await c.where("byAuthorDate").indexKeys()).toEqualTypeOf<(readonly [number, Date])[]>();
  expectTypeOf(await c.where().page(10)).toEqualTypeOf<Page<Note>>();
  for await (const note of c.where().filter((n) => n.done)) expectTypeOf(note).toEqualTypeOf<Note>();
  const { signal } = new AbortController();
  for await (const note of c.where("done").values({ signal })) expectTypeOf(note).toEqualTypeOf<Note>();
  for await (const note of c.find({ done: true }).values({ signal })) expectTypeOf(note).toEqualTypeOf<Note>();
  expectTypeOf(await db.read(async (view) => view.seq, { signal })).toEqualTypeOf<number>();
  expectTypeOf((await db.readView({ fresh: true, signal })).collection("notes").name).toEqualTypeOf<string>();
  await c.where("done").equals(true).limit(5).update({ title: undefined });
  await c.where().reverse().delete();
  expectTypeOf(await c.find({ authorId: { $gt: 3 }, "meta.lang": "de", tags: { $contains: "x" } })).toEqualTypeOf<
    Note[]
  >();
  await c.find({ $or: [{ done: true }, { title: { $startsWith: "a" } }] }, { sort: "-updatedAt", limit: 3 });
  await c.find({}, { sort: { "meta.lang": 1, authorId: "desc" } }).explain();
  await db.transaction(async (tx) => (await tx.collection("notes").get("a"))?.title);
  await db.read(async (view) => view.collection("notes").count());
};

const usedWrongly = async (db: Database<{ notes: typeof notes; visits: typeof visits }>): Promise<void> => {
  // @ts-expect-error no such collection
  db.collection("nots");
  const c = db.collection("notes");
  // @ts-expect-error no such index
  c.where("titel");
  // @ts-expect-error whether it was created would be unknown
  await db.snapshots.create("name", { signal: AbortSignal.abort() });
  // @ts-expect-error the key is a string
  await c.get(1);
  // @ts-expect-error a compound key is a tuple
  await db.collection("visits").get("1");
  // @ts-expect-error in this order
  await db.collection("visits").get(["2026-01-01", 1]);
  // @ts-expect-error the index's key is a date
  c.where("updatedAt").above(5);
  // @ts-expect-error an element, not the array
  c.where("tags").equals(["one"]);
  // @ts-expect-error both parts
  c.where("byAuthorDate").equals([1]);
  // @ts-expect-error dates have no prefix
  c.where("updatedAt").startsWith("2026");
  // @ts-expect-error a field is missing
  await c.put({ id: "a" });
  // @ts-expect-error no such field
  await c.update("a", { titel: "x" });
  // @ts-expect-error the primary key is a string
  c.where().anyOf([1]);
  // @ts-expect-error no such field
  await c.find({ titel: "x" });
  // @ts-expect-error the field is a number
  await c.find({ authorId: { $gt: "3" } });
  // @ts-expect-error not an array
  await c.find({ authorId: { $contains: 3 } });
  // @ts-expect-error no such path
  await c.find({}, { sort: "-titel" });
  // @ts-expect-error a query of a view only reads
  await db.read(async (view) => view.collection("notes").where().delete());
  // @ts-expect-error a view only reads
  await db.read(async (view) => view.collection("notes").put({}));
};

const declaredRightly = (): void => {
  const kept = collection<Note>()({
    key: "id",
    retention: RetentionPolicy.keepLatestN(5).and(RetentionPolicy.keepFor(7)),
  });
  const all: Declarations = { kept, notes };
  expectTypeOf<RecordOf<typeof kept>>().toEqualTypeOf<Note>();
  expectTypeOf(all).toExtend<Declarations>();
};

const declaredWrongly = (): void => {
  // @ts-expect-error a policy, not a number
  collection<Note>()({ key: "id", retention: 5 });
  // @ts-expect-error policies are made by their functions
  collection<Note>()({ key: "id", retention: new RetentionPolicy({ latest: 5 }) });
  // @ts-expect-error no such path
  collection<Note>()({ key: "idd" });
  // @ts-expect-error not always there
  collection<Note>()({ key: "title" });
  // @ts-expect-error a boolean is no primary key
  collection<Note>()({ key: "done" });
  // @ts-expect-error a map is no key
  collection<Note>()({ key: "id", indexes: { body: "body" } });
  // @ts-expect-error no such nested path
  collection<Note>()({ key: "id", indexes: { lang: "meta.language" } });
  // @ts-expect-error not an array
  collection<Note>()({ key: "id", indexes: { title: { path: "title", multi: true } } });
};

describe("types", () => {
  test("name paths, nested ones too", () => {
    expectTypeOf<Path<{ a: { b: string }; c: number }>>().toEqualTypeOf<"a" | "a.b" | "c">();
    expectTypeOf<KeyAt<Note, readonly ["authorId", "updatedAt"]>>().toEqualTypeOf<readonly [number, Date]>();
    expect([usedRightly, usedWrongly, declaredRightly, declaredWrongly]).toHaveLength(4);
  });
});

const ticket = z.object({
  no: z.number(),
  opened: z.string().transform((s) => new Date(s)),
  who: z.string().default("me"),
});
const withSchema = { tickets: collection({ schema: ticket, key: "no", indexes: { opened: "opened" } }) };
const withIds = {
  notes: collection<{ id: string; text: string }>()({ key: "id", autoId: true }),
  nested: collection<{ meta: { id: number; lang: string } }>()({ key: "meta.id", autoId: () => 1 }),
};

const schemaUsedRightly = async (db: Database<typeof withSchema>, ids: Database<typeof withIds>): Promise<void> => {
  const c = db.collection("tickets");
  await c.put({ no: 1, opened: "2026-01-01" });
  expectTypeOf(await c.get(1)).toEqualTypeOf<{ no: number; opened: Date; who: string } | undefined>();
  await c.where("opened").above(new Date()).toArray();
  await c.update(1, (now) => ({ ...now, who: "you" }));
  await ids.collection("notes").add({ text: "x" });
  await ids.collection("notes").add({ id: "a", text: "x" });
  await ids.collection("nested").add({ meta: { lang: "en" } });
  expectTypeOf(await ids.collection("notes").add({ text: "x" })).toEqualTypeOf<string>();
  expectTypeOf(await ids.collection("notes").get("a")).toEqualTypeOf<{ id: string; text: string } | undefined>();
};

const schemaUsedWrongly = async (db: Database<typeof withSchema>, ids: Database<typeof withIds>): Promise<void> => {
  // @ts-expect-error the input is a string
  await db.collection("tickets").put({ no: 1, opened: new Date() });
  // @ts-expect-error the index's key is of the output
  db.collection("tickets").where("opened").above("2026");
  // @ts-expect-error the rest is required
  await ids.collection("notes").add({});
  // @ts-expect-error the rest is required
  await ids.collection("nested").add({ meta: {} });
  // @ts-expect-error no such path in its output
  collection({ schema: ticket, key: "id" });
  // @ts-expect-error a UUID is a string
  collection<{ no: number }>()({ key: "no", autoId: true });
  // @ts-expect-error the key is a number
  collection<{ no: number }>()({ key: "no", autoId: () => "x" });
  // @ts-expect-error not with a compound key
  collection<{ a: string; b: string }>()({ key: ["a", "b"], autoId: true });
};

test("[MV10] schemas and keys that are given have types", () => {
  expect([schemaUsedRightly, schemaUsedWrongly]).toHaveLength(2);
});
