import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { byteKey, type Seq, seq, type TabId, tabId } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import { Committer } from "../mvcc/committer.ts";
import { Reader } from "../mvcc/reader.ts";
import { create, drop, recover } from "../mvcc/recovery.ts";
import { emptyCatalog, Schema } from "../mvcc/schema.ts";
import { Store } from "../mvcc/store.ts";
import type { Manifest } from "../segments/manifest.ts";
import { readableAt } from "../segments/segments.test-support.ts";
import type { Version } from "../segments/version.ts";
import type { Storage, Write } from "../storage/contract.ts";
import { createMemoryStorage, type MemoryMedium } from "../storage/memory.ts";
import { ReopeningStorage } from "../storage/reopening.ts";
import { idsPerGeneration } from "../wal/generations.ts";
import { sealRow } from "../wal/row.ts";
import { Staging } from "../wal/staging.ts";
import { checkpoint } from "./checkpoint.ts";
import { advanceFloor } from "./floor.ts";
import { defaultWork } from "./work.ts";
import { Tenure } from "./tenure.ts";

let now = 1;
const clock = { now: () => now++, sleep: () => Promise.resolve() };
const schema = new Schema(emptyCatalog);
const key = (name: string) => byteKey(`\0\0\0\x01${name}`);
const block = (id: number) => ({ kind: "put", store: "blocks", key: id, value: Uint8Array.of(1) }) as const;

const never = (): Promise<never> => new Promise(() => undefined);

let medium: MemoryMedium;
let storage: Storage;
beforeEach(async () => {
  medium = createMemoryStorage();
  storage = await medium.open("d");
  await create(storage, { next: () => 0.5, id: () => "x" });
});

test("[MV10] a tenure does not begin where a newer build has upgraded the database", async () => {
  const format = { kind: "put", store: "meta", key: "format", value: Uint8Array.of(200) } as const;
  await storage.commit({ durability: "strict", writes: [format] });
  const rows = { kind: "range", store: "meta", range: {} } as const;
  const before = await storage.read([rows]);
  await expect(Tenure.begin(storage)).rejects.toMatchObject({
    code: "FORMAT_UNSUPPORTED",
    details: { found: 200 },
  });
  expect(await storage.read([rows])).toEqual(before);
});

async function engine(name: string, on: Storage = storage) {
  const store = await Store.open(on, { tab: tabId(name), isLone: false, cacheMaxBytes: 1 });
  const committer = new Committer(
    store,
    clock,
    () => schema,
    () => undefined,
  );
  const write = (id: string, size: number | undefined) =>
    committer.commit({
      writes: [
        {
          kind: size === undefined ? "delete" : "put",
          key: key(id),
          payload: size === undefined ? undefined : new Uint8Array(size + 1),
        },
      ],
      durability: "relaxed",
      tag: "",
      schemaEpoch: 0,
    });
  const advance = async (tenure: Tenure, dead: ReadonlySet<TabId>) =>
    (await advanceFloor(committer, tenure, { proof: "floor", dead }))?.floor;
  return { store, write, committer, advance, reader: new Reader(store) };
}
const storedBlocks = async () =>
  (await storage.read([{ kind: "keys", store: "blocks", range: {} }]))[0]!.map((e) => e.key);

describe("an upkeep tenure", () => {
  test("[TB2] ends when another begins: the former one's writes abort", async () => {
    const first = await Tenure.begin(storage);
    expect(await first.write("strict", [], () => [block(first.newBlockId())])).toBe(true);
    const second = await Tenure.begin(storage);
    expect(await first.write("strict", [], () => [block(first.newBlockId())])).toBe(false);
    expect(first.isDeposed).toBe(true);
    const id = second.newBlockId();
    expect(await second.write("strict", [], () => [block(id)])).toBe(true);
    expect(await storedBlocks()).toEqual([id]);
    expect(await (await engine("a")).advance(first, new Set())).toBeUndefined();
  });

  test("[MV9] publishes nothing where a medium opened anew has lost what was staged", async () => {
    const lasting = new ReopeningStorage(storage, { reopen: () => medium.reopen("d"), sleep: never });
    lasting.admit = () => Promise.resolve("same");
    const tenure = await Tenure.begin(lasting);
    const publish = (id: number) => tenure.write("strict", [], () => [block(id)]);
    const stage = (id: number) => tenure.write("relaxed", [], () => [block(id)], ["blocks"]);
    for (const id of [1, 2]) expect(await stage(id)).toBe(true);
    medium.crash({ keepRelaxed: 1 });
    expect(await publish(3)).toBe(false);
    expect(tenure.isDeposed).toBe(false);
    for (const id of [4, 5]) expect(await stage(id)).toBe(true);
    medium.crash({ keepRelaxed: "all" });
    expect(await publish(6)).toBe(true);
    await stage(7);
    await tenure.write("relaxed", [], () => [{ kind: "delete", store: "blocks", key: 7 }], ["blocks"]);
    expect(await publish(8)).toBe(true);
    storage = lasting;
    expect(await storedBlocks()).toEqual([1, 4, 5, 6, 8]);
  });

  test("[MV9] stages nothing more where a medium opened anew has lost what was staged before", async () => {
    const lasting = new ReopeningStorage(storage, { reopen: () => medium.reopen("d"), sleep: never });
    lasting.admit = () => Promise.resolve("same");
    const tenure = await Tenure.begin(lasting);
    const stage = (id: number) => tenure.write("relaxed", [], () => [block(id)], ["blocks"]);
    expect(await stage(1)).toBe(true);
    expect(await stage(2)).toBe(true);
    medium.crash({ keepRelaxed: 1 });
    expect(await stage(3)).toBe(false);
    await tenure.write("relaxed", [], () => [{ kind: "delete", store: "blocks", key: 1 }], ["blocks"]);
    expect(await stage(4)).toBe(true); // begun again
    storage = lasting;
    expect(await storedBlocks()).toEqual([4]);
  });

  test.each(["commit", "committed"] as const)(
    "[MV9] repeats a write of which nobody can say whether it was done, and judges anew (lost at '%s')",
    async (at) => {
      const lasting = new ReopeningStorage(storage, { reopen: () => medium.reopen("d"), sleep: never });
      lasting.admit = () => Promise.resolve("same");
      const tenure = await Tenure.begin(lasting);
      let isLost = false;
      medium.onStep = ({ kind }) => {
        if (isLost || kind !== at) return "go";
        isLost = true;
        return "lost";
      };
      const once: (string | undefined)[] = [];
      const written = await tenure.write("strict", [{ kind: "get", store: "blocks", key: 1 }], ([found]) => {
        once.push(found?.length === 0 ? "free" : "taken");
        return found?.length === 0 ? [block(1)] : undefined;
      });
      expect([written, once]).toEqual(at === "commit" ? [true, ["free"]] : [false, ["free", "taken"]]);
      expect(await lasting.read([{ kind: "get", store: "blocks", key: 1 }])).toHaveLength(1);
    },
  );

  test("[TB2] tabs that begin at once have different epochs, and ids are never given twice", async () => {
    const tenures = await Promise.all(Array.from({ length: 5 }, () => Tenure.begin(storage)));
    const ids = tenures.flatMap((t) => [t.newBlockId(), t.newBlockId(), t.newBlockId()]);
    expect(new Set(ids).size).toBe(ids.length);
    const wrote = await Promise.all(tenures.map((t) => t.write("relaxed", [], () => [])));
    expect(wrote).toEqual([false, false, false, false, true]);
  });

  test("[TB2] a tab deposed between any two steps of its checkpoint publishes nothing", async () => {
    for (let at = 1; ; at++) {
      const a = await engine("a");
      await a.write("x", at);
      const tenure = await Tenure.begin(storage);
      const before = (await storage.read([{ kind: "get", store: "meta", key: "manifest" }]))[0];
      const other = await medium.open("d");
      let steps = 0;
      let usurped: Promise<Tenure> | undefined;
      medium.onStep = () => {
        if (++steps === at && !usurped) usurped = Tenure.begin(other);
        return "go";
      };
      const done = await checkpoint(a.store, tenure, readableAt(seq(0)), defaultWork);
      medium.onStep = undefined;
      if (!usurped) return expect(done).toBeDefined();
      await usurped;
      if (done) continue; // it was through before the other began
      expect((await storage.read([{ kind: "get", store: "meta", key: "manifest" }]))[0]).toEqual(before);
      await a.store.reload();
      expect((await a.reader.get(key("x"), a.store.head.seq))?.payload).toHaveLength(at + 1);
    }
  });

  test("what a dead tenure staged is swept by the next", async () => {
    const a = await engine("a");
    await a.write("x", 1);
    const first = await Tenure.begin(storage);
    await checkpoint(a.store, first, readableAt(seq(0)), defaultWork);
    const listed = await storedBlocks();
    await first.write("relaxed", [], () => [block(first.newBlockId()), block(first.newBlockId())]);
    expect(await storedBlocks()).toHaveLength(3);
    await Tenure.begin(storage);
    expect(await storedBlocks()).toEqual(listed);
  });

  test("[MV11] sweeps after every former one, be it the second to begin after it, but not what tabs have staged", async () => {
    const first = await Tenure.begin(storage);
    await first.write("relaxed", [], () => Array.from({ length: 2500 }, () => block(first.newBlockId())));
    const staging = new Staging(storage, tabId("a"));
    const staged = await staging.reserve("blocks", 1);
    await staging.write(staged, { ...staged, pieces: [{ id: staged.from, value: Uint8Array.of(1) }] });
    const other = await medium.open("d");
    let steps = 0;
    medium.onStep = () => (++steps === 6 ? "lost" : "go"); // in the midst of its sweep
    await expect(Tenure.begin(other)).rejects.toMatchObject({ code: "STORAGE_LOST" });
    medium.onStep = undefined;
    expect(await storedBlocks()).toHaveLength(1501);
    await Tenure.begin(storage);
    expect(await storedBlocks()).toEqual([staged.from]);
  });

  test("[MV11] goes on above the epoch of a database without a counter, and sweeps all of before", async () => {
    const value = sealRow("upkeep", (out) => out.varint(7));
    await storage.commit({
      durability: "strict",
      writes: [
        { kind: "put", store: "meta", key: "upkeep", value },
        block(2 * idsPerGeneration),
        block(7 * idsPerGeneration),
      ],
    });
    expect((await Tenure.begin(storage)).epoch).toBe(8);
    expect(await storedBlocks()).toEqual([]);
  });

  test("[MV11][TB7] of a database that was deleted writes nothing into its namesake", async () => {
    const first = await Tenure.begin(storage);
    await drop(storage, { next: () => 0.25, id: () => "x" });
    const second = await Tenure.begin(storage);
    expect(await first.write("relaxed", [], () => [block(first.newBlockId())])).toBe(false);
    expect(second.newBlockId()).not.toBe(first.newBlockId());
  });
});

describe("a checkpoint", () => {
  const write = fc.record({
    id: fc.constantFrom("a", "b", "c", "d"),
    size: fc.option(fc.constantFrom(1, 50, 3000), { nil: undefined }),
  });
  const round = fc.record({
    writes: fc.array(write, { minLength: 1, maxLength: 12 }),
    floorShare: fc.constantFrom(0, 0.3, 0.7, 1),
  });

  test("[VG1][VG2] keeps what somebody at or above the floor can see, and collects the rest", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 6 }), async (rounds) => {
        const own = createMemoryStorage();
        const on = await own.open("d");
        await create(on, { next: () => 0.5, id: () => "x" });
        const { store, write: put, reader } = await engine("a", on);
        const tenure = await Tenure.begin(on);
        const model = new Map<string, { seq: Seq; size: number | undefined }[]>();
        let floor = seq(0);
        for (const { writes, floorShare } of rounds) {
          const touched = new Set<string>();
          for (const { id, size } of writes) {
            const done = await put(id, size);
            if (size === undefined && !done.existed[0]) continue; // nothing was there: no commit
            touched.add(id);
            model.set(id, [{ seq: done.seq, size }, ...(model.get(id) ?? [])]);
          }
          const head = store.head.seq;
          floor = seq(Math.max(floor, Math.floor(head * floorShare)));
          await checkpoint(store, tenure, readableAt(floor), defaultWork);
          const blocks = await chains(store);
          for (const [id, versions] of model) {
            const there = blocks.get(key(id)) ?? [];
            const visible = new Set<Seq>();
            for (let at: number = floor; at <= head; at++) {
              const seen = versions.find((v) => v.seq <= at);
              if (seen) visible.add(seen.seq);
              const found = await reader.get(key(id), seq(at));
              expect(found?.payload?.length, `${id} at ${at}`).toBe(
                seen?.size === undefined ? undefined : seen.size + 1,
              );
            }
            const live = versions.filter((v) => visible.has(v.seq) && v.size !== undefined).map((v) => v.seq);
            const values = there.filter((v) => v.payload !== undefined).map((v) => v.seq);
            // Small blocks are rewritten with their neighbours, so what was not touched is clean as well, or was before.
            if (touched.has(id)) expect(values).toEqual(live);
            else expect(values).toEqual(expect.arrayContaining(live));
            const tombstones = there.filter((v) => v.payload === undefined);
            for (const t of tombstones) expect(t.seq >= floor || there.length > 1 || !touched.has(id)).toBe(true);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  test("[VG1] at one floor more than a view, the view would lose its version: the floor is exact", async () => {
    const { store, write: put, reader } = await engine("a");
    const tenure = await Tenure.begin(storage);
    await put("x", 1);
    const view = store.head.seq;
    await put("x", 2);
    await put("x", 3);
    expect((await checkpoint(store, tenure, readableAt(view), defaultWork))?.dropped.versions).toBe(0);
    expect((await reader.get(key("x"), view))?.payload).toHaveLength(2);
    await put("x", 4);
    expect((await checkpoint(store, tenure, readableAt(seq(view + 1)), defaultWork))?.dropped.versions).toBe(1);
  });

  test("[MV9] without room for all of the log folds by parts, down to one entry, and leaves nothing where that fails", async () => {
    const a = await engine("a");
    const tenure = await Tenure.begin(storage);
    for (let i = 0; i < 32; i++) await a.write(`k${String(i).padStart(2, "0")}`, 20_000);
    const before = a.store.head.seq;
    medium.quotaBytes = medium.usedBytes;
    await expect(checkpoint(a.store, tenure, readableAt(seq(0)), defaultWork)).rejects.toMatchObject({
      code: "QUOTA_EXCEEDED",
    });
    expect([a.store.fence.seq, await storedBlocks()]).toEqual([0, []]);
    medium.quotaBytes = medium.usedBytes + 60_000;
    const fences = new Set<number>();
    medium.onStep = () => {
      fences.add(a.store.fence.seq);
      return "go";
    };
    const done = await checkpoint(a.store, tenure, readableAt(seq(0)), defaultWork);
    medium.onStep = undefined;
    expect(done?.fence).toEqual(a.store.fence);
    expect(a.store.fence.seq).toBe(before);
    expect(fences.size).toBeGreaterThan(8);
    expect(await storedBlocks()).toHaveLength(a.store.manifest.blocks);
    for (let i = 0; i < 32; i++) {
      expect((await a.reader.get(key(`k${String(i).padStart(2, "0")}`), before))?.payload).toHaveLength(20_001);
    }
  });

  test("[MV8] names a listed block that is gone; it is not taken for another tab's upkeep", async () => {
    const a = await engine("a");
    const tenure = await Tenure.begin(storage);
    await a.write("x", 1);
    await checkpoint(a.store, tenure, readableAt(seq(0)), defaultWork);
    await a.write("y", 1);
    await storage.commit({ durability: "relaxed", writes: [{ kind: "deleteRange", store: "blocks", range: {} }] });
    const { store } = await engine("b");
    await expect(checkpoint(store, tenure, readableAt(seq(0)), defaultWork)).rejects.toSatisfy((e) =>
      isTidemarkError(e, "CORRUPT"),
    );
  });

  test("[TB2] of a new tenure that still has the manifest of before another's is refused, not called damage", async () => {
    const a = await engine("a");
    await a.write("x", 1);
    await checkpoint(a.store, await Tenure.begin(storage), readableAt(seq(0)), defaultWork);
    const b = await engine("b", await medium.open("d"));
    await a.write("x", 2);
    await b.write("x", 3);
    await checkpoint(b.store, await Tenure.begin(storage), readableAt(seq(0)), defaultWork);
    const again = await Tenure.begin(storage);
    expect(await checkpoint(a.store, again, readableAt(seq(0)), defaultWork)).toBeUndefined();
    await a.store.reload();
    expect((await a.reader.get(key("x"), a.store.head.seq))?.payload).toHaveLength(4);
  });
});

async function chains({
  manifest,
  blocks,
}: {
  manifest: Manifest;
  blocks: Store["blocks"];
}): Promise<Map<string, Version[]>> {
  const all = new Map<string, Version[]>();
  for (const info of manifest.all()) {
    const found = (await blocks.load([info], 1)).get(info.id)!;
    for (let i = 0; i < found.count; i++) {
      all.set(found.keyAt(i), [...(all.get(found.keyAt(i)) ?? []), found.versionAt(i)]);
    }
  }
  return all;
}

test.each(["manifest", "fence"])(
  "[MV5] a database of format 1 that lost its %s is gone, and opening it says so",
  async (lost) => {
    const writes: readonly Write[] = [
      { kind: "put", store: "meta", key: "format", value: Uint8Array.of(1) },
      lost === "fence" ? { kind: "delete", store: "log", key: 0 } : { kind: "delete", store: "meta", key: "manifest" },
    ];
    await storage.commit({ durability: "relaxed", writes });
    await expect(recover(storage)).rejects.toSatisfy((e) => isTidemarkError(e, "STORAGE_LOST"));
  },
);
