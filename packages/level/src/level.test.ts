import { AbstractLevel } from "abstract-level";
import { createDatabase } from "tidemark";
import { afterEach, describe, expect, test } from "vitest";
import { TidemarkLevel, type TidemarkLevelOptions } from "./index.ts";

const inMemory = { storage: "memory", worker: false } as const;
let n = 0;
const made: { close(): Promise<void> }[] = [];
function make<K = string, V = string>(
  options: TidemarkLevelOptions<K, V> = {},
  location = `level${n++}`,
): TidemarkLevel<K, V> {
  const db = new TidemarkLevel<K, V>(location, { ...inMemory, ...options });
  made.push(db);
  return db;
}
afterEach(async () => {
  await Promise.all(made.splice(0).map((db) => db.close()));
});

describe("keys", () => {
  // In the order of UTF-16 units the last two are the other way round.
  const texts = ["", "\0", "a", "a\0", "b", "é", "\uffee", "😀"];

  test("sort by their bytes, and come back as what is asked for", async () => {
    const db = make();
    await db.batch(texts.toReversed().map((key) => ({ type: "put", key, value: key })));
    const bytes = texts.map((text) => new TextEncoder().encode(text));
    expect(bytes.toSorted((a, b) => Buffer.compare(a, b))).toEqual(bytes);
    expect(await db.keys().all()).toEqual(texts);
    expect(await db.keys<Uint8Array>({ keyEncoding: "view" }).all()).toStrictEqual(bytes);
    expect(await db.keys<Buffer>({ keyEncoding: "buffer" }).all()).toStrictEqual(bytes.map((b) => Buffer.from(b)));
    expect(await db.keys({ gte: "é", lt: "😀" }).all()).toEqual(["é", "\uffee"]);
  });

  test("of many bytes are taken, up to what Tidemark takes", async () => {
    const db = make<Uint8Array>({ keyEncoding: "view" });
    const long = new Uint8Array(20_000).fill(0xee);
    await db.put(long, "long");
    expect(await db.get(long)).toBe("long");
    expect(await db.keys().all()).toEqual([long]);
    await expect(db.put(new Uint8Array(70_000), "too long")).rejects.toMatchObject({ code: "KEY_INVALID" });
  });
});

describe("values", () => {
  test("are text or bytes, and read as either", async () => {
    const db = make();
    const text = "\ufeffé😀\0";
    const bytes = new TextEncoder().encode(text);
    await db.put("text", text);
    await db.put<string, Uint8Array>("bytes", bytes, { valueEncoding: "view" });
    await db.put<string, Buffer>("buffer", Buffer.from(bytes), { valueEncoding: "buffer" });
    const keys = ["text", "bytes", "buffer"];
    expect(await db.getMany(keys)).toEqual([text, text, text]);
    const views = await db.getMany<string, Uint8Array>(keys, { valueEncoding: "view" });
    expect(views).toStrictEqual([bytes, bytes, bytes]);
    const buffers = await db.getMany<string, Buffer>(keys, { valueEncoding: "buffer" });
    expect(buffers).toStrictEqual([Buffer.from(bytes), Buffer.from(bytes), Buffer.from(bytes)]);
  });

  test("are taken as they are when the call is made, once it is open", async () => {
    const db = make<string, Uint8Array>({ valueEncoding: "view" });
    await db.open();
    const value = Uint8Array.of(1, 2);
    const put = db.put("a", value);
    value[0] = 9;
    await put;
    expect(await db.get("a")).toEqual(Uint8Array.of(1, 2));
  });
});

describe("reading", () => {
  const entries = Array.from({ length: 3000 }, (_, i) => [String(i).padStart(5, "0"), `${i}`.repeat(100)] as const);
  const filled = async (): Promise<TidemarkLevel> => {
    const db = make();
    await db.batch(entries.map(([key, value]) => ({ type: "put", key, value })));
    return db;
  };

  test("in many parts, by one, by many and the rest at once, gives everything once", async () => {
    const db = await filled();
    const given: unknown[] = [];
    const iterator = db.iterator();
    for (let i = 0; i < 5; i++) {
      given.push(await iterator.next());
      given.push(...(await iterator.nextv(7)));
    }
    given.push(...(await iterator.all()));
    expect(given).toEqual(entries);
    const keys: string[] = [];
    for await (const key of db.keys({ reverse: true, limit: 2500 })) keys.push(key);
    expect(keys).toEqual(
      entries
        .map(([key]) => key)
        .toReversed()
        .slice(0, 2500),
    );
    expect(await db.iterator({ values: false, limit: 1 }).all()).toEqual([["00000", undefined]]);
  });

  test("holds its state through deletions and their collection", async () => {
    const db = await filled();
    const iterator = db.iterator();
    const snapshot = db.snapshot();
    expect(await iterator.next()).toEqual(entries[0]);
    await db.clear({ snapshot, lt: "02000", reverse: true, limit: 1500 });
    expect((await db.keys().all()).length).toBe(1500);
    await db.clear();
    expect((await iterator.all()).length).toBe(2999);
    expect(await db.values({ snapshot }).all()).toEqual(entries.map(([, value]) => value));
    expect(await db.hasMany(["00000", "x"], { snapshot })).toEqual([true, false]);
    await snapshot.close();
    expect(await db.keys().all()).toEqual([]);
  });

  test("ends when its signal aborts, also while it is under way", async () => {
    const db = await filled();
    const aborting = new AbortController();
    const all = db.iterator({ signal: aborting.signal }).all();
    aborting.abort();
    await expect(all).rejects.toMatchObject({ code: "LEVEL_ABORTED", name: "AbortError" });
  });
});

describe("a location", () => {
  test("may be open more than once, and keeps what was written when it is closed", async () => {
    const [a, b] = [make({}, "shared"), make({}, "shared")];
    await a.put("k", "from a");
    expect(await b.get("k")).toBe("from a");
    await a.close();
    await b.put("k", "from b");
    await b.close();
    await a.open();
    expect(await a.get("k")).toBe("from b");
  });

  test("that is destroyed closes whoever has it open", async () => {
    const db = make();
    await db.put("k", "v");
    await TidemarkLevel.destroy(db.location, inMemory);
    await expect.poll(() => db.status).toBe("closed");
    await db.open();
    expect(await db.keys().all()).toEqual([]);
  });

  test("is a text that is not empty", () => {
    expect(() => new TidemarkLevel("")).toThrow(TypeError);
  });

  test("that cannot be opened says why", async () => {
    const other = createDatabase({ name: "newer", version: 2, collections: {}, ...inMemory });
    made.push(other);
    await other.open();
    await expect(make({}, "newer").open()).rejects.toMatchObject({
      code: "LEVEL_DATABASE_NOT_OPEN",
      cause: { code: "SCHEMA_OUTDATED" },
    });
    await expect(make({ cacheMaxBytes: 1 }).open()).rejects.toMatchObject({ cause: { code: "OPTIONS_INVALID" } });
  });
});

test("says what it supports", () => {
  const db = make();
  expect(db).toBeInstanceOf(AbstractLevel);
  expect(db.type).toBe("tidemark");
  expect(db.supports).toMatchObject({
    permanence: false,
    implicitSnapshots: true,
    explicitSnapshots: true,
    seek: true,
    has: true,
    signals: { iterators: true },
  });
  expect(new TidemarkLevel("lasting").supports.permanence).toBe(true);
});
