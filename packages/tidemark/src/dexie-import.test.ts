import "fake-indexeddb/auto";
import { Dexie } from "dexie";
import { describe, expect, test } from "vitest";
import { declarations, type friend, makeDexie, provesImport } from "./dexie-import.test-support.ts";
import { describeDexie, importFromDexie } from "./dexie.ts";
import { type Database, openDatabase } from "./index.ts";

let made = 0;
const open = (): Promise<Database<typeof declarations>> =>
  openDatabase({ name: `dexie-target-${made++}`, storage: "memory", worker: false, collections: declarations });
const only = { friends: "friends" } as const;

describe("importFromDexie", () => {
  test("copies a database with keys of every kind, its indexes, and values that JSON does not hold", () =>
    provesImport("dexie-whole", 1500, { worker: false }));

  test("a database that is not there is NOT_FOUND, and is not made", async () => {
    await expect(describeDexie("nowhere")).rejects.toMatchObject({ code: "NOT_FOUND" });
    const db = await open();
    await expect(importFromDexie(db, "nowhere")).rejects.toMatchObject({
      code: "NOT_FOUND",
      details: { name: "nowhere" },
    });
    expect((await indexedDB.databases()).map(({ name }) => name)).not.toContain("nowhere");
    await db.close();
  });

  test("what does not fit is refused before anything is written", async () => {
    await makeDexie("dexie-refused", 10);
    const db = await open();
    const refusals = [
      [{}, "UNKNOWN_NAME"], // table 'empty' has no collection
      [{ collections: { friends: "nobody" } }, "UNKNOWN_NAME"],
      [{ collections: { friends: "friends", nobody: "friends" } }, "UNKNOWN_NAME"],
      [{ collections: { friends: "friends", settings: "settings" } }, "OPTIONS_INVALID"],
      [{ collections: { friends: { map: 5 as never } } }, "OPTIONS_INVALID"],
      [{ keyfield: "key" } as object, "OPTIONS_INVALID"],
    ] as const;
    for (const [options, code] of refusals) {
      await expect(importFromDexie(db, "dexie-refused", options)).rejects.toMatchObject({ code });
    }
    expect(await db.collection("friends").count()).toBe(0);
    await db.close();
  });

  test("map changes records or passes them over; onConflict says what happens to those that are there", async () => {
    await makeDexie("dexie-map", 20);
    const db = await open();
    await db.collection("friends").put({ id: 4, name: "ours", age: 1 });
    const odd = (record: unknown): object | undefined => {
      const { id, name, age } = record as ReturnType<typeof friend>;
      return id % 2 === 0 ? { id, name, age } : undefined;
    };
    const collections = { friends: { map: odd } };
    const report = await importFromDexie(db, "dexie-map", { collections, onConflict: "skip" });
    expect(report).toEqual({ records: 9, skipped: 11, position: 20, collections: { friends: 9 } });
    expect(await db.collection("friends").get(4)).toEqual({ id: 4, name: "ours", age: 1 });
    expect(await db.collection("friends").get(3)).toBeUndefined();
    const failing = importFromDexie(db, "dexie-map", { collections, onConflict: "fail" });
    await expect(failing).rejects.toMatchObject({ code: "CONSTRAINT", details: { table: "friends", key: 2 } });
    await db.close();
  });

  test("aborted in the middle, it leaves whole batches, and is simply made again", async () => {
    await makeDexie("dexie-abort", 2000);
    const db = await open();
    const controller = new AbortController();
    const options = { collections: only, signal: controller.signal, progress: () => controller.abort() };
    await expect(importFromDexie(db, "dexie-abort", options)).rejects.toMatchObject({ name: "AbortError" });
    const part = await db.collection("friends").count();
    expect(part).toBeGreaterThan(0);
    expect(part).toBeLessThan(2000);
    await importFromDexie(db, "dexie-abort", { collections: only });
    expect(await db.collection("friends").count()).toBe(2000);
    await db.close();
  });

  test("aborted while the database waits for an upgrade that another tab holds up, it ends at once", async () => {
    const blocking = indexedDB.open("dexie-blocked", 10);
    await new Promise((resolve) => (blocking.onsuccess = resolve)); // and does not give way
    const upgrading = indexedDB.open("dexie-blocked", 20);
    await new Promise((resolve) => (upgrading.onblocked = resolve));
    const db = await open();
    const signal = AbortSignal.timeout(20);
    await expect(importFromDexie(db, "dexie-blocked", { signal })).rejects.toMatchObject({ name: "TimeoutError" });
    const upgraded = new Promise((resolve) => (upgrading.onsuccess = resolve));
    blocking.result.close();
    await upgraded;
    upgrading.result.close();
    const deleting = indexedDB.deleteDatabase("dexie-blocked");
    await new Promise((resolve) => (deleting.onsuccess = resolve)); // our own connection is not in the way
    await db.close();
  });

  test("records that are no objects are refused by name; large ones come a few at a time", async () => {
    const old = new Dexie("dexie-odd");
    old.version(1).stores({ friends: "++", settings: "" });
    await old.table("settings").put(5, "five");
    await old.table("friends").bulkPut(Array.from({ length: 60 }, (_, i) => ({ pad: "x".repeat(100_000), age: i })));
    old.close();
    const db = await open();
    const steps: number[] = [];
    const progress = ({ position }: { position: number }): void => void steps.push(position - (steps.at(-1) ?? 0));
    const collections = { friends: { keyField: "id" } };
    const { records } = await importFromDexie(db, "dexie-odd", { collections, progress });
    expect(records).toBe(60);
    expect((await db.collection("friends").get(60))?.age).toBe(59);
    expect(steps.length).toBeGreaterThan(15); // after the first one that was read blindly
    await expect(
      importFromDexie(db, "dexie-odd", { collections: { settings: { keyField: "key" } } }),
    ).rejects.toMatchObject({ code: "VALUE_UNSUPPORTED", details: { table: "settings", key: "five" } });
    await db.close();
  });

  test("a key is put into plain objects alone, and never in place of a field that says something else", async () => {
    const old = new Dexie("dexie-keys");
    old.version(1).stores({ maps: "", files: "", own: "" });
    await old.table("maps").put(new Map([["a", 1]]), "m");
    await old.table("files").put(new Blob(["content"]), "f");
    await old.table("own").bulkPut([{ key: "o" }, { key: 7 }], ["o", "p"]);
    old.close();
    const db = await open();
    const refusals = [
      ["maps", "m", "is Map, not a plain object"],
      ["files", "f", "is Blob, not a plain object"],
      ["own", "p", "has a field 'key' that is not its key"],
    ] as const;
    for (const [table, key, message] of refusals) {
      const options = { collections: { [table]: "settings" }, keyField: "key" };
      await expect(importFromDexie(db, "dexie-keys", options)).rejects.toMatchObject({
        code: "VALUE_UNSUPPORTED",
        message: expect.stringContaining(message),
        details: { table, key },
      });
    }
    expect(await db.collection("settings").count()).toBe(0);
    await db.close();
  });
});
