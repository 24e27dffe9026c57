import { beforeEach, describe, expect, test, vi } from "vitest";
import { byteKey, seq, stamp, tabId } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import type { Storage } from "../storage/contract.ts";
import { createMemoryStorage, type MemoryMedium } from "../storage/memory.ts";
import { ReopeningStorage } from "../storage/reopening.ts";
import { Committer } from "./committer.ts";
import { holdersIn, holdId, putHold, putPin, putSnapshot, readHolders } from "./holders.ts";
import { putFloor } from "./read-floor.ts";
import { create, recover } from "./recovery.ts";
import { emptyCatalog, Schema } from "./schema.ts";
import { Snapshots } from "./snapshots.ts";
import { Store } from "./store.ts";

let now = 1;
const clock = { now: () => now++, sleep: () => Promise.resolve() };
const schema = new Schema(emptyCatalog);
const never = (): Promise<never> => new Promise(() => undefined);
let medium: MemoryMedium;
let storage: Storage;
beforeEach(async () => {
  medium = createMemoryStorage();
  storage = await medium.open("d");
  await create(storage, { next: () => 0.5, id: () => "x" });
});

async function engine(name: string, on = storage) {
  const store = await Store.open(on, { tab: tabId(name), isLone: false, cacheMaxBytes: 1 });
  const committer = new Committer(
    store,
    clock,
    () => schema,
    () => undefined,
  );
  const write = async (durability: "relaxed" | "strict" = "relaxed") => {
    const key = byteKey("\0\0\0\u0001k");
    const payload = new Uint8Array(2);
    return committer.commit({ writes: [{ kind: "put", key, payload }], durability, tag: "", schemaEpoch: 0 });
  };
  return { store, write, snapshots: new Snapshots(store, store.holds, clock) };
}
const rowsNow = async () => holdersIn(await storage.read(readHolders)).map(({ id, seq: at }) => [id, at]);

describe("a snapshot", () => {
  test("[VG3] is made at the head as the log has it, whoever has heard of that", async () => {
    const [a, b] = [await engine("a"), await engine("b")];
    for (let i = 0; i < 3; i++) await a.write();
    expect(await b.snapshots.create("s")).toMatchObject({ name: "s", seq: 3 });
    await a.write();
    expect(await b.snapshots.create("t")).toMatchObject({ seq: 4 });
    expect(await a.snapshots.list()).toMatchObject([
      { name: "s", seq: 3 },
      { name: "t", seq: 4 },
    ]);
  });

  test("[TB3] is no more than its tab sees from then on, though others commit while it is made", async () => {
    const [a, b] = [await engine("a"), await engine("b")];
    await a.write();
    const commit = storage.commit.bind(storage);
    const between = vi.spyOn(storage, "commit").mockImplementationOnce(async (batch) => {
      await a.write(); // b has looked at the log, and now makes it
      return commit(batch);
    });
    expect(await b.snapshots.create("s")).toMatchObject({ seq: 2 });
    expect(b.store.head.seq).toBe(2);
    between.mockRestore();
  });

  test("[VG8] of a name that is taken is refused, one that is not there is not found", async () => {
    const [a, b] = [await engine("a"), await engine("b")];
    await a.write();
    const made = await Promise.allSettled([a, b].map(({ snapshots }) => snapshots.create("s")));
    expect(made.map((m) => m.status).toSorted()).toEqual(["fulfilled", "rejected"]);
    await expect(a.snapshots.create("s")).rejects.toMatchObject({ code: "CONSTRAINT", details: { snapshot: "s" } });
    await expect(a.snapshots.delete("none")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(a.snapshots.hold("none")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await b.snapshots.delete("s");
    await expect(a.snapshots.delete("s")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await a.snapshots.create("s");
  });

  test("[VG8] may have any string as its name, and they are listed in order", async () => {
    const { snapshots } = await engine("a");
    const names = ["", " ", "/", "a", "a/b", "s0", "~", "\u00e9", "\ud800", "\u{1f30a}", "\uffff", "\0"];
    for (const name of names) await snapshots.create(name);
    expect((await snapshots.list()).map((s) => s.name)).toEqual(names.toSorted());
    for (const name of names) await snapshots.delete(name);
    expect(await snapshots.list()).toEqual([]);
  });

  test("[MV4] outlives no commit that it contains, whatever relaxed commits a crash takes", async () => {
    for (let keep = 0; keep < 8; keep++) {
      medium = createMemoryStorage();
      storage = await medium.open("d");
      await create(storage, { next: () => 0.5, id: () => "x" });
      const a = await engine("a");
      for (let i = 0; i < 3; i++) await a.write();
      await a.snapshots.create("s");
      for (let i = 0; i < 3; i++) await a.write();
      medium.crash({ keepRelaxed: keep });
      storage = await medium.open("d");
      const { store, snapshots } = await engine("b");
      expect(await snapshots.list()).toMatchObject([{ name: "s", seq: 3 }]);
      expect(store.head.seq).toBeGreaterThanOrEqual(3);
    }
  });

  test.each(["commit", "committed"])("[MV9] is made once where the connection is lost at '%s'", async (at) => {
    const lasting = new ReopeningStorage(storage, { reopen: () => medium.reopen("d"), sleep: never });
    const a = await engine("a", lasting);
    lasting.admit = (fresh) => a.store.admit(fresh);
    await a.write("strict");
    let isLost = false;
    medium.onStep = ({ kind }) => {
      if (isLost || kind !== at) return "go";
      isLost = true;
      return "lost";
    };
    expect(await a.snapshots.create("s")).toMatchObject({ seq: 1 });
    isLost = false;
    await a.snapshots.delete("s");
    expect(await a.snapshots.list()).toEqual([]);
  });

  test("[VG3] a hold is of the snapshot's seq, and there until it is released", async () => {
    const [a, b] = [await engine("a"), await engine("b")];
    await a.write();
    await a.snapshots.create("s");
    await a.write();
    const [first, second] = [await b.snapshots.hold("s"), await b.snapshots.hold("s")];
    expect([first.seq, second.seq, b.store.head.seq >= 1]).toEqual([1, 1, true]);
    await a.snapshots.delete("s");
    expect((await rowsNow()).slice(2)).toEqual([
      [first.id, 1],
      [second.id, 1],
    ]);
    await b.snapshots.release(first);
    expect((await rowsNow()).slice(2)).toEqual([[second.id, 1]]);
  });

  test("[MV8] comes down with pins, holds and the floor where damage strikes what it contains", async () => {
    const a = await engine("a");
    for (let i = 0; i < 6; i++) await a.write("strict");
    const floor = { seq: seq(5), logSeq: seq(6), previousLogSeq: seq(2), eviction: { by: "x", logSeq: seq(6) } };
    await storage.commit({
      durability: "strict",
      writes: [
        putFloor(floor),
        putPin(tabId("a"), seq(6)),
        putSnapshot("low", { seq: seq(2), stamp: stamp(7) }),
        putSnapshot("high", { seq: seq(5), stamp: stamp(8) }),
        putHold(holdId(tabId("a"), 1), seq(5)),
      ],
    });
    medium.damage("d", "log", 4, 20);
    const state = await recover(storage);
    expect(state.struck).toBe(true);
    expect(state.floor).toEqual({ seq: 3, logSeq: 3, previousLogSeq: 2, eviction: { by: "x", logSeq: 3 } });
    expect(await rowsNow()).toEqual([
      ["pin/a", 3],
      ["snapshot/high", 3],
      ["snapshot/low", 2],
      ["hold/a/1", 3],
    ]);
    const { snapshots } = await engine("b");
    expect((await snapshots.list()).map((s) => s.stamp)).toEqual([8, 7]);
  });

  test("[MV9] is refused where the disk is full, and can be deleted there", async () => {
    const a = await engine("a");
    await a.write();
    await a.snapshots.create("s");
    medium.quotaBytes = medium.usedBytes;
    const failure = await a.snapshots.create("t").catch((e: unknown) => e);
    expect(isTidemarkError(failure, "QUOTA_EXCEEDED")).toBe(true);
    await a.snapshots.delete("s");
    expect(await a.snapshots.list()).toEqual([]);
  });
});
