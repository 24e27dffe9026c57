import { afterEach, describe, expect, test } from "vitest";
import { collection, createDatabase, type Database, openDatabase, type TransactionOptions } from "./index.ts";
import { ownWorker } from "./own-worker.test-support.ts";

interface Item {
  id: string | Date;
  group?: unknown;
  file?: Blob;
  bytes?: Uint8Array;
}
const items = collection<{ id: string; group?: string; file?: Blob; bytes?: Uint8Array }>()({
  key: "id",
  indexes: { byGroup: "group" },
});
const days = collection<{ at: Date; n: number }>()({ key: "at" });
const constructor = collection<{ id: string; v?: number }>()({ key: "id", indexes: { toString: "v" } });
const collections = { items, days, constructor, toString: constructor };
type Db = Database<typeof collections>;

let n = 0;
const made: { close(): Promise<void> }[] = [];
function make(name = `inputs${n++}`): Db {
  const db = createDatabase({ name, collections, storage: "memory", worker: false, ...ownWorker(made.length) });
  made.push(db);
  return db;
}
afterEach(async () => {
  await Promise.all(made.splice(0).map((db) => db.close()));
});

describe.each(["open", "not open yet", "held up by a call"])(
  "inputs are taken at call time, on a handle %s",
  (state) => {
    const prepare = async (): Promise<Db> => {
      const db = make();
      if (state !== "not open yet") await db.open();
      if (state === "held up by a call") void db.collection("items").update("none", {});
      return db;
    };

    test("records", async () => {
      const db = await prepare();
      const c = db.collection("items");
      const record = { id: "a", group: "g", bytes: Uint8Array.of(1) };
      const put = c.put(record);
      record.id = "zzz";
      record.group = "other";
      record.bytes[0] = 9;
      expect(await put).toBe("a");
      expect(await c.all()).toEqual([{ id: "a", group: "g", bytes: Uint8Array.of(1) }]);
      expect(await c.where("byGroup").equals("g").count()).toBe(1);
    });

    test("records with blobs", async () => {
      const db = await prepare();
      const c = db.collection("items");
      const record = { id: "a", group: "g", file: new Blob(["x"]), bytes: Uint8Array.of(1) };
      const put = c.put(record);
      record.id = "zzz";
      record.group = "other";
      record.bytes[0] = 9;
      record.file = new Blob(["y"]);
      expect(await put).toBe("a");
      const [stored] = await c.all();
      expect(stored).toMatchObject({ id: "a", group: "g", bytes: Uint8Array.of(1) });
      expect(await stored!.file!.text()).toBe("x");
      expect(await c.where("byGroup").equals("g").count()).toBe(1);
    });

    test("keys and patches", async () => {
      const db = await prepare();
      const c = db.collection("days");
      const [at, other] = [new Date(1), new Date(2)];
      const key = new Date(1);
      const calls = [
        c.put({ at, n: 1 }),
        c.put({ at: other, n: 2 }),
        c.get(key),
        c.has(key),
        c.update(key, { n: 5 }),
        c.delete(key),
      ];
      at.setTime(7);
      key.setTime(2);
      const [putKey, , got, had, updated, deleted] = await Promise.all(calls);
      expect(putKey).toEqual(new Date(1));
      expect(got).toEqual({ at: new Date(1), n: 1 });
      expect(had).toBe(true);
      expect(updated).toEqual({ at: new Date(1), n: 5 });
      expect(deleted).toBe(true);
      expect(await c.all()).toEqual([{ at: other, n: 2 }]);
    });

    test("a patch", async () => {
      const db = await prepare();
      const c = db.collection("items");
      void c.put({ id: "a" });
      const patch = { group: "g", bytes: Uint8Array.of(1) };
      const update = c.update("a", patch);
      patch.group = "other";
      patch.bytes[0] = 9;
      expect(await update).toEqual({ id: "a", group: "g", bytes: Uint8Array.of(1) });
    });

    test("what cannot be stored is refused", async () => {
      class Named {
        id = "a";
      }
      const db = await prepare();
      const c = db.collection("items");
      const refused = { code: "VALUE_UNSUPPORTED" };
      await expect(c.put(new Named() as never)).rejects.toMatchObject(refused);
      await expect(c.put({ id: "a", group: new Named() } as never)).rejects.toMatchObject(refused);
      await expect(c.put({ id: "a", file: new Blob(["x"]), group: new Named() } as never)).rejects.toMatchObject(
        refused,
      );
      await expect(c.update("a", { group: new Named() } as never)).rejects.toMatchObject(refused);
      await expect(c.put(5 as never)).rejects.toMatchObject(refused);
      expect(await c.count()).toBe(0);
    });
  },
);

describe("what a call is given", () => {
  test("upsert and update must make a record", async () => {
    const c = make().collection("items");
    await c.put({ id: "a" });
    for (const outcome of [undefined, null, 5]) {
      await expect(c.upsert("a", () => outcome as never)).rejects.toMatchObject({
        code: "VALUE_UNSUPPORTED",
        message: expect.stringContaining("items"),
        details: { where: "items" },
      });
    }
    await expect(c.update("a", () => null as never)).rejects.toMatchObject({ code: "VALUE_UNSUPPORTED" });
    await expect(c.update("a", () => Promise.resolve() as never)).rejects.toMatchObject({
      details: { type: "promise" },
    });
    await expect(c.update("a", { id: "b" })).rejects.toMatchObject({ code: "KEY_INVALID" });
    expect(await c.all()).toEqual([{ id: "a" }]);
  });

  test("an invalid index key names its record's place", async () => {
    const c = make().collection("items");
    await c.count();
    const bad: Item[] = [{ id: "a" }, { id: "b" }, { id: "c", group: {} }];
    await expect(c.putMany(bad as never)).rejects.toMatchObject({
      code: "KEY_INVALID",
      message: expect.stringContaining("items[2].group"),
    });
    await expect(c.put(bad[2] as never)).rejects.toThrow("items.group");
  });

  test("startsWith takes a string or a tuple", async () => {
    const c = make().collection("items");
    for (const prefix of [5, null, undefined, new Date()]) {
      expect(() => c.where("byGroup").startsWith(prefix as never)).toThrowError(
        expect.objectContaining({ code: "KEY_INVALID" }),
      );
    }
  });

  test.each([
    ["isolation", "dirty"],
    ["mode", "write"],
    ["durability", "none"],
    ["tag", 5],
    ["signal", {}],
    ["retries", 3],
  ])("a transaction's option %s is checked", async (option, value) => {
    const db = make();
    let ran = false;
    const options = { [option]: value } as TransactionOptions;
    const done = db.transaction(async () => {
      ran = true;
    }, options);
    await expect(done).rejects.toMatchObject({ code: "OPTIONS_INVALID", details: { option } });
    expect(ran).toBe(false);
  });

  test("a transaction's valid options are taken, undefined ones too", async () => {
    const { signal } = new AbortController();
    const options = { isolation: "snapshot", mode: "readonly", durability: "strict", tag: "t", signal } as const;
    expect(await make().transaction(async () => 1, options)).toBe(1);
    expect(await make().transaction(async () => 2, { tag: undefined } as never)).toBe(2);
  });

  test("collections and indexes may be named like members of every object", async () => {
    const db = make();
    for (const name of ["constructor", "toString"] as const) {
      const c = db.collection(name);
      await c.put({ id: name, v: 1 });
      expect(await c.where("toString").equals(1).toArray()).toEqual([{ id: name, v: 1 }]);
    }
    expect(() => db.collection("hasOwnProperty" as never)).toThrowError(
      expect.objectContaining({ code: "UNKNOWN_NAME" }),
    );
  });

  test("but not __proto__", () => {
    const named = (those: object) => () => createDatabase({ name: "x", collections: those as never });
    const refused = expect.objectContaining({ code: "OPTIONS_INVALID" });
    expect(named({ ["__proto__"]: items })).toThrowError(refused);
    const indexes = { ["__proto__"]: "id" };
    expect(named({ items: collection<{ id: string }>()({ key: "id", indexes: indexes as never }) })).toThrowError(
      refused,
    );
  });
});

describe("signals", () => {
  test("an aborted one rejects with its reason, whatever that is, and nothing is left over", async () => {
    const unhandled: unknown[] = [];
    const listen = (e: unknown): number => unhandled.push(e);
    process.on("unhandledRejection", listen);
    const db = make();
    await db.collection("items").put({ id: "a" });
    const c = db.collection("items");
    for (const reason of ["because", 5, new Error("mine")]) {
      const signal = AbortSignal.abort(reason);
      for (const call of [
        () => c.all({ signal }),
        () => c.where().toArray({ signal }),
        () => c.count({ signal }),
        () => c.get("a", { signal }),
        () => c.has("a", { signal }),
        () => db.transaction(async () => 1, { signal }),
      ]) {
        await expect(call()).rejects.toBe(reason);
      }
    }
    const controller = new AbortController();
    const reads = [c.all({ signal: controller.signal }), c.get("a", { signal: controller.signal })];
    controller.abort("later");
    for (const read of reads) await expect(read).rejects.toBe("later");
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off("unhandledRejection", listen);
    expect(unhandled).toEqual([]);
  });
});

describe("when the stored schema changes", () => {
  const first = { rows: collection<{ id: string; v: number; file?: Blob }>()({ key: "id" }) };
  const second = { rows: collection<{ id: string; v: number }>()({ key: "id", indexes: { v: "v" } }) };
  const both = async () => {
    const name = `schema${n++}`;
    const options = { name, storage: "memory", worker: false } as const;
    const a = await openDatabase({ ...options, collections: first });
    made.push(a);
    const change = async () => {
      const b = await openDatabase({ ...options, collections: second });
      made.push(b);
      return b;
    };
    return { a, change };
  };

  test("while a transaction runs, it runs again: its records are all in the new index", async () => {
    const { a, change } = await both();
    let b: Awaited<ReturnType<typeof change>> | undefined;
    let attempts = 0;
    await a.transaction(async (tx) => {
      attempts++;
      await tx.collection("rows").put({ id: "x", v: 1 });
      b ??= await change();
      await new Promise((resolve) => setTimeout(resolve, 20)); // the news arrives
      await tx.collection("rows").put({ id: "y", v: 2 });
    });
    expect(attempts).toBe(2);
    const indexed = async () => (await b!.collection("rows").where("v").toArray()).map((r) => r.id);
    await expect.poll(indexed).toEqual(["x", "y"]);
  });

  test("writes, deletes and clear go on, each with what it was given", async () => {
    const { a, change } = await both();
    const c = a.collection("rows");
    await c.putMany([
      { id: "a", v: 1 },
      { id: "b", v: 1 },
    ]);
    const opening = change();
    const record = { id: "x", v: 3 };
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 40; i++) {
      calls.push(c.put({ id: `n${i}`, v: 10 + i }), c.delete(`n${i}`));
      await Promise.resolve();
    }
    calls.push(c.put(record), c.deleteMany(["a"]));
    record.v = 4;
    const b = await opening;
    await Promise.all(calls);
    const indexed = () => b.collection("rows").where("v").toArray();
    await expect.poll(indexed).toEqual([
      { id: "b", v: 1 },
      { id: "x", v: 3 },
    ]);
    await c.clear();
    await expect.poll(indexed).toEqual([]);
  });
});
