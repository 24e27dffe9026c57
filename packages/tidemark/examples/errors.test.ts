/** Each row of docs/errors.md: what it says happened is made to happen, and what it says of `details` is compared. */
import { readFileSync } from "node:fs";
import { collection, type Database, type ErrorCode, isTidemarkError, openDatabase } from "tidemark";
import { createMemoryStorage, type MemoryMedium } from "tidemark/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import * as z from "zod";

interface Row {
  id: string;
  n: number;
}
const rows = collection<Row>()({ key: "id", indexes: { n: { path: "n", unique: true } } });
const strict = collection({ schema: z.object({ id: z.string(), n: z.number() }), key: "id" });
const collections = { rows, strict };
type Db = Database<typeof collections>;

const page = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");
const rowOf = new Map(Array.from(page.matchAll(/^\| `([A-Z_]+)`.*$/gm), ([row, code]) => [code!, row]));

/** Tabs of one database: their options differ in what does not matter, or they would be one. */
let tabs = 0;
async function open(storage: MemoryMedium, options: object = {}): Promise<Db> {
  const db = await openDatabase({ name: "db", collections, storage, cacheMaxBytes: (1 << 20) + tabs++, ...options });
  onTestFinished(() => db.close());
  return db;
}
const bytes = (text: string): ReadableStream<Uint8Array> => new Blob([text]).stream();

/** A bug of ours, and what is not there yet. */
type Uncaused = "INTERNAL" | "STRATEGY_MISMATCH";

interface Given {
  readonly db: Db;
  readonly medium: MemoryMedium;
}
/** Ways in which it happens; each answers what was refused. */
const causes: Readonly<Record<Exclude<ErrorCode, Uncaused>, readonly ((given: Given) => Promise<unknown>)[]>> = {
  CONFLICT: [
    ({ db }) =>
      db.transaction(async (tx) => {
        const { n = 0 } = (await tx.collection("rows").get("a")) ?? {};
        await db.collection("rows").put({ id: "a", n: n + 1 }); // not part of it
        await tx.collection("rows").put({ id: "a", n: n + 2 });
      }),
  ],
  CONSTRAINT: [
    ({ db }) => db.collection("rows").add({ id: "a", n: 5 }),
    ({ db }) => db.collection("rows").put({ id: "b", n: 1 }),
    async ({ db }) => {
      await db.snapshots.create("monday");
      return db.snapshots.create("monday");
    },
  ],
  NOT_FOUND: [({ db }) => db.snapshots.view("monday"), ({ db }) => db.gc.evict("pin/nobody")],
  VALIDATION: [
    ({ db }) => db.collection("strict").put({ id: "a", n: "one" as never }),
    ({ db }) => db.import(bytes("no json\n"), { format: "ndjson", collection: "rows" }),
  ],
  VALUE_UNSUPPORTED: [({ db }) => db.collection("rows").put({ id: "b", n: (() => 1) as never })],
  KEY_INVALID: [
    ({ db }) => db.collection("rows").put({ id: Number.NaN as never, n: 2 }),
    ({ db }) => db.collection("rows").update("a", { id: "b" }),
  ],
  UNKNOWN_NAME: [
    async ({ db }) => db.collection("nobody" as "rows"),
    async ({ db }) => db.collection("rows").where("nothing" as "n"),
  ],
  OPTIONS_INVALID: [({ db }) => db.transaction(async () => 1, { isolation: "none" as "snapshot" })],
  TRANSACTION_INVALID: [
    async ({ db }) => {
      const tx = await db.transaction(async (one) => one);
      return tx.collection("rows").get("a");
    },
    ({ db }) => db.transaction(async (tx) => tx.collection("rows").clear(), { mode: "readonly" }),
    ({ db }) => db.transaction(() => db.transaction(async () => 1)),
    ({ db }) =>
      db.transaction(async (tx) =>
        tx
          .collection("rows")
          .where()
          .subscribe(() => 1),
      ),
  ],
  VIEW_RELEASED: [
    async ({ db }) => {
      const view = await db.readView();
      view.release();
      return view.collection("rows").get("a");
    },
  ],
  READ_VIEW_EVICTED: [
    async ({ db, medium }) => {
      const view = await db.readView();
      const other = await open(medium);
      await other.collection("rows").put({ id: "a", n: 2 });
      await other.checkpoint();
      const { holders } = await other.gc.explain();
      const pins = holders.filter(({ kind }) => kind === "pin").toSorted((a, b) => a.seq - b.seq);
      await other.gc.evict(pins[0]!.id);
      await other.gc.run();
      return view.collection("rows").all();
    },
  ],
  QUOTA_EXCEEDED: [
    ({ db, medium }) => {
      medium.quotaBytes = medium.usedBytes;
      onTestFinished(() => void (medium.quotaBytes = Infinity));
      return db.collection("rows").put({ id: "b", n: 7 });
    },
  ],
  CORRUPT: [
    async ({ db }) => {
      const whole = new Uint8Array(await new Response(db.export()).arrayBuffer());
      whole[whole.length - 20]! ^= 1;
      return db.import(new Blob([whole]).stream(), { onConflict: "replace" });
    },
    async ({ db, medium }) => {
      await db.collection("rows").put({ id: "b", n: 7 });
      await db.checkpoint();
      const storage = await medium.open("db");
      const [blocks] = await storage.read([{ kind: "keys", store: "blocks", range: {} }]);
      await storage.close();
      for (const { key } of blocks!) medium.damage("db", "blocks", key, 40);
      const fresh = await open(medium);
      return fresh.collection("rows").all();
    },
  ],
  STORAGE_LOST: [
    ({ db, medium }) => {
      medium.onStep = () => "lost";
      onTestFinished(() => void (medium.onStep = undefined));
      return db.collection("rows").put({ id: "b", n: 7 });
    },
  ],
  SCHEMA_OUTDATED: [
    async ({ medium }) => {
      await open(medium, { version: 2 });
      return open(medium);
    },
  ],
  MIGRATION_FAILED: [
    ({ medium }) => open(medium, { version: 2, migrations: { 2: () => Promise.reject(new Error()) } }),
  ],
  FORMAT_UNSUPPORTED: [
    async ({ medium }) => {
      const storage = await medium.open("db");
      const newer = { kind: "put", store: "meta", key: "format", value: Uint8Array.of(200) } as const;
      await storage.commit({ durability: "strict", writes: [newer] });
      await storage.close();
      return open(medium);
    },
    ({ db }) => db.import(bytes("something else")),
  ],
  RESYNC_REQUIRED: [
    async ({ db }) => {
      const { seq: after } = await db.readView();
      await db.collection("rows").put({ id: "b", n: 7 });
      await db.checkpoint();
      for await (const _ of db.changes({ after })) break;
      return undefined;
    },
  ],
  CLOSED: [
    async ({ db }) => {
      await db.close();
      return db.collection("rows").get("a");
    },
  ],
  BUSY: [({ db }) => Promise.all([db.gc.run(), db.gc.run()])],
  ENVIRONMENT: [() => openDatabase({ name: "db", collections })], // in Node, where there is no IndexedDB
};
/** The storage in memory says which of its databases; a browser's does not. */
const ofTheMedium = "database";

test("every row has what causes it, and everything caused has its row", () => {
  expect([...rowOf.keys()].toSorted()).toEqual([...Object.keys(causes), "INTERNAL"].toSorted());
});

describe.each(Object.entries(causes))("%s", (code, ways) => {
  test.each(ways.map((way, i) => ({ way, i })))("is what the page says ($i)", async ({ way }) => {
    const medium = createMemoryStorage();
    const db = await open(medium);
    await db.collection("rows").put({ id: "a", n: 1 });
    const error = await way({ db, medium }).then(
      () => undefined,
      (e: unknown) => e,
    );
    if (!isTidemarkError(error)) throw new Error("nothing was refused, or by another error", { cause: error });
    expect(error.code).toBe(code);
    const row = rowOf.get(code)!;
    const unsaid = Object.keys(error.details).filter(
      (field) => field !== ofTheMedium && !new RegExp(`\\b${field}\\b`).test(row),
    );
    expect(unsaid, "fields of details that the page does not name").toEqual([]);
  });
});

test("what the page advises is there to be called", async () => {
  const [medium, consumer] = [createMemoryStorage(), "sync"];
  const db = await open(medium);
  await db.collection("rows").put({ id: "a", n: 1 });
  expect(await db.snapshots.list()).toEqual([]);
  expect((await db.gc.explain()).holders).not.toEqual([]);
  expect(await db.storage.persist()).toBe(false); // nobody to ask, in Node
  await db.checkpoint();
  expect(await db.gc.executions()).toEqual([]);
  expect((await new Response(db.salvage()).arrayBuffer()).byteLength).toBeGreaterThan(0);
  const view = await db.readView({ fresh: true });
  expect(await view.collection("rows").all()).toEqual([{ id: "a", n: 1 }]);
  await db.collection("rows").put({ id: "b", n: 2 });
  for await (const { changes } of db.changes({ consumer, after: view.seq })) {
    expect(changes).toMatchObject([{ key: "b" }]);
    break;
  }
  view.release();
  const refused = db.collection("rows").add({ id: "a", n: 1 });
  expect(await refused.catch((e: unknown) => isTidemarkError(e, "CONFLICT"))).toBe(false);
});
