import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { byteKey, type Seq, seq, stamp, type TabId, tabId } from "../base/brand.ts";
import { Committer } from "../mvcc/committer.ts";
import {
  type Holder,
  holdersIn,
  holdId,
  pinId,
  pointsOf,
  putHold,
  putPin,
  putSnapshot,
  raisePin,
  readHolders,
  snapshotId,
} from "../mvcc/holders.ts";
import { decodeFloorRecord, floorIn, type ReadFloor, readFloor } from "../mvcc/read-floor.ts";
import { create } from "../mvcc/recovery.ts";
import { emptyCatalog, floorKey, Schema } from "../mvcc/schema.ts";
import { Store } from "../mvcc/store.ts";
import { readableAt } from "../segments/segments.test-support.ts";
import type { Storage, Write } from "../storage/contract.ts";
import { createMemoryStorage, type MemoryMedium } from "../storage/memory.ts";
import { missingChunks, ReservingStorage } from "../storage/reserve.ts";
import { checkpoint } from "./checkpoint.ts";
import { type Advance, type Advanced, advanceFloor, deadTabs, digestOf, floorOf, isGain, overdue } from "./floor.ts";
import { defaultWork } from "./work.ts";
import { Tenure } from "./tenure.ts";

const kinds = fc.constantFrom<Holder["kind"]>("pin", "snapshot", "hold");
const holder = fc
  .record({ kind: kinds, owner: fc.constantFrom("a", "b", "c"), seq: fc.nat(20).map(seq) })
  .map((h, i = 0): Holder => ({ ...h, id: `${h.kind}/${h.owner}/${i}` }));
const holdersArb = fc.array(holder, { maxLength: 8 });

describe("the floor of holders", () => {
  test("[VG3] is their smallest seq, and never falls", () => {
    fc.assert(
      fc.property(fc.nat(20).map(seq), holdersArb, fc.constantFrom("floor", "interval"), (present, holders, proof) => {
        const floor = floorOf(present, holders, proof);
        const bounding = holders.filter((h) => proof === "floor" || h.kind === "pin");
        const lowest = Math.min(...bounding.map((h) => h.seq));
        expect(floor).toBe(bounding.length === 0 ? present : Math.max(present, lowest));
      }),
    );
  });

  test("[VG8] all snapshots count, and deleting one lets it rise, never fall", () => {
    fc.assert(
      fc.property(fc.nat(20).map(seq), fc.array(holder, { minLength: 2 }), fc.nat(), (present, holders, which) => {
        const rest = holders.toSpliced(which % holders.length, 1);
        const before = floorOf(present, holders, "floor");
        expect(floorOf(present, rest, "floor")).toBeGreaterThanOrEqual(before);
        for (const h of holders) if (h.seq >= present) expect(before).toBeLessThanOrEqual(h.seq);
      }),
    );
  });

  test("[VG8] points are the seqs of snapshots and holds, ascending, each once", () => {
    fc.assert(
      fc.property(holdersArb, (holders) => {
        const points = pointsOf(holders);
        expect(points).toEqual([...new Set(points)].toSorted((a, b) => a - b));
        expect(new Set(points)).toEqual(new Set(holders.filter((h) => h.kind !== "pin").map((h) => h.seq)));
      }),
    );
  });

  test("[VG4] follows records of itself only as far as that gains anything", () => {
    const at = (floor: number, logSeq: number, previousLogSeq: number): ReadFloor => ({
      seq: seq(floor),
      logSeq: seq(logSeq),
      previousLogSeq: seq(previousLogSeq),
      eviction: undefined,
    });
    expect(isGain(at(5, 6, 3), seq(5))).toBe(false);
    expect(isGain(at(5, 6, 3), seq(6))).toBe(true); // the commit at 5 is somebody's, and below the floor then
    expect(isGain(at(6, 7, 6), seq(7))).toBe(false); // 6 and 7 are records
    expect(isGain(at(6, 7, 6), seq(8))).toBe(true);
    expect(isGain(at(6, 9, 6), seq(9))).toBe(true); // 7 and 8 are somebody's
  });

  test("[TB5] overdue are pins and holds by bytes or commits held back, never snapshots", () => {
    const of = (kind: Holder["kind"], at: number): Holder => ({ id: `${kind}/${at}`, kind, owner: "", seq: seq(at) });
    const holders = [of("pin", 5), of("pin", 11), of("snapshot", 1), of("hold", 2), of("hold", 30)];
    const bytes = (h: Holder): number => (h.seq === 30 ? 101 : 100);
    const limits = { maxBytes: 100, maxCommits: 90 };
    expect([...overdue(holders, bytes, seq(100), limits)]).toEqual(["pin/5", "hold/2", "hold/30"]);
  });
});

let now = 1;
const clock = { now: () => now++, sleep: () => Promise.resolve() };
const schema = new Schema(emptyCatalog);
let medium: MemoryMedium;
let storage: Storage;
beforeEach(async () => {
  medium = createMemoryStorage();
  storage = await medium.open("d");
  await create(storage, { next: () => 0.5, id: () => "x" });
});

async function engine(name: string, on: Storage = storage) {
  const store = await Store.open(on, { tab: tabId(name), isLone: false, cacheMaxBytes: 1 });
  const committer = new Committer(
    store,
    clock,
    () => schema,
    () => undefined,
  );
  const payload = new Uint8Array(2);
  const write = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () =>
        committer.commit({
          writes: [{ kind: "put", key: byteKey("\0\0\0\u0001k"), payload }],
          durability: "relaxed",
          tag: "",
          schemaEpoch: 0,
        }),
      ),
    );
  return { store, committer, write, commitInside: committer.commitInside.bind(committer) };
}
type Engine = Awaited<ReturnType<typeof engine>>;

const rows = (...writes: Write[]) => storage.commit({ durability: "relaxed", writes });
const holdersNow = async () => holdersIn(await storage.read(readHolders));
const floorNow = async () => floorIn((await storage.read([readFloor]))[0]);
const logKeys = async () => (await storage.read([{ kind: "keys", store: "log", range: { from: 1 } }]))[0]!.length;
const nobody: ReadonlySet<TabId> = new Set();
const usual: Advance = { proof: "floor", dead: nobody };
const advance = (log: Engine, tenure: Tenure, terms: Partial<Advance> = {}): Promise<Advanced | undefined> =>
  advanceFloor(log, tenure, { ...usual, ...terms });

describe("an advance of the floor", () => {
  test("[VG3] is one commit in the log, from which every tab learns it", async () => {
    const a = await engine("a");
    const b = await engine("b");
    await a.write(9);
    for (const name of ["a", "b"]) expect(await raisePin(storage, tabId(name), seq(9), a.store.fence)).toBe(true);
    const tenure = await Tenure.begin(storage);
    const advanced = await advance(a, tenure, { by: "somebody" });
    expect(advanced).toMatchObject({ floor: 9, points: [], digest: digestOf(await holdersNow()) });
    expect(await floorNow()).toEqual({ seq: 9, logSeq: 10, previousLogSeq: 0, eviction: undefined });
    expect(a.store.floor).toEqual(await floorNow());
    await b.store.follow();
    expect(b.store.floor).toEqual(await floorNow());
    const { stamp: at, payload } = b.store.memtable.newest(floorKey)!;
    expect(decodeFloorRecord(payload!)).toEqual({
      floor: 9,
      released: [],
      evicted: [],
      by: "somebody",
      holders: advanced!.digest,
      at,
    });
    expect((await engine("c")).store.floor).toEqual(await floorNow());
  });

  test("[VG3] that changes nothing writes nothing, and an idle database comes to rest", async () => {
    const a = await engine("a");
    await a.write(3);
    const tenure = await Tenure.begin(storage);
    const heads: Seq[] = [];
    for (let i = 0; i < 6; i++) {
      await raisePin(storage, tabId("a"), a.store.head.seq, a.store.fence);
      await advance(a, tenure);
      heads.push(a.store.head.seq);
    }
    expect(heads).toEqual([4, 5, 5, 5, 5, 5]);
    expect(a.store.log).toMatchObject({ entries: 3, ordinary: 1 }); // three writes in one group
  });

  test("[VG3][TB4] rises over the rows of dead tabs only, and records their release as they go", async () => {
    const a = await engine("a");
    await a.write(20);
    await rows(putPin(tabId("a"), seq(9)), putPin(tabId("b"), seq(3)), putPin(tabId("c"), seq(5)));
    await rows(putHold(holdId(tabId("b"), 1), seq(2)), putHold(holdId(tabId("c"), 1), seq(4)));
    const tenure = await Tenure.begin(storage);
    const locked =
      (...tabs: string[]) =>
      () =>
        Promise.resolve<ReadonlySet<TabId>>(new Set(tabs.map(tabId)));
    const dead = await deadTabs(storage, locked("a", "c"));
    expect([...dead]).toEqual(["b"]);
    expect(await advance(a, tenure, { dead })).toMatchObject({ floor: 4, points: [4] });
    expect((await holdersNow()).map((h) => h.id)).toEqual(["pin/a", "pin/c", "hold/c/1"]);
    const { payload } = a.store.memtable.newest(floorKey)!;
    expect(decodeFloorRecord(payload!)).toMatchObject({ released: ["pin/b", "hold/b/1"], evicted: [] });
    expect(await raisePin(storage, tabId("b"), seq(20), a.store.fence)).toBe(false);
    expect(await advance(a, tenure, { dead: await deadTabs(storage, locked()) })).toMatchObject({ floor: 4 });
    expect(await holdersNow()).toEqual([]);
  });

  test("[VG7] snapshots and holds bound it, or are points below it, by proof", async () => {
    const a = await engine("a");
    await a.write(20);
    await rows(putPin(tabId("a"), seq(15)), putSnapshot("s", { seq: seq(7), stamp: stamp(1) }));
    await rows(putHold(holdId(tabId("a"), 1), seq(8)));
    const tenure = await Tenure.begin(storage);
    expect(await advance(a, tenure)).toMatchObject({ floor: 7, points: [7, 8] });
    expect(await advance(a, tenure, { proof: "interval" })).toMatchObject({ floor: 15, points: [7, 8] });
    expect(await advance(a, tenure)).toMatchObject({ floor: 15, points: [7, 8] });
  });

  test("[VG4][VG9] its records are told apart in the log, and folding keeps the last hundred", async () => {
    const a = await engine("a");
    const tenure = await Tenure.begin(storage);
    for (let i = 0; i < 5; i++) {
      await a.write(1);
      await raisePin(storage, tabId("a"), a.store.head.seq, a.store.fence);
      await advance(a, tenure);
    }
    expect(a.store.log).toMatchObject({ entries: 10, ordinary: 5 });
    const floor = a.store.head.seq;
    const done = await checkpoint(a.store, tenure, readableAt(floor), defaultWork);
    expect(done?.dropped.versions).toBe(4); // of the key; the records are kept, a hundred of them
    expect(a.store.log).toEqual({ entries: 0, sizeBytes: 0, ordinary: 0 });
  });

  test("[TB2] ends with the tenure: nothing is written", async () => {
    const a = await engine("a");
    await a.write(3);
    await rows(putPin(tabId("a"), seq(3)));
    const first = await Tenure.begin(storage);
    await Tenure.begin(storage);
    expect(await advance(a, first)).toBeUndefined();
    expect(first.isDeposed).toBe(true);
    expect([(await floorNow()).seq, a.store.head.seq]).toEqual([0, 3]);
  });

  test("[TB5] evicts a pin and its tab's holds, or a hold alone, and says by whom", async () => {
    const a = await engine("a");
    const b = await engine("b");
    await a.write(20);
    await rows(putPin(tabId("a"), seq(20)), putHold(holdId(tabId("a"), 1), seq(6)));
    await rows(putPin(tabId("b"), seq(3)), putHold(holdId(tabId("b"), 1), seq(2)));
    const tenure = await Tenure.begin(storage);
    const evict = new Set([pinId("b"), holdId(tabId("a"), 1)]);
    expect(await advance(a, tenure, { evict, by: "user" })).toMatchObject({ floor: 20, points: [] });
    expect((await holdersNow()).map((h) => h.id)).toEqual(["pin/a"]);
    expect((await floorNow()).eviction).toEqual({ by: "user", logSeq: 21 });
    let isTold = false;
    b.store.events = {
      applied: () => undefined,
      reloading: () => Promise.resolve(() => undefined),
      struck: () => undefined,
      evicted: () => (isTold = true),
    };
    await b.store.follow();
    expect(isTold).toBe(true);
    // Later advances remember who evicted, and when.
    await a.write(1);
    await raisePin(storage, tabId("a"), seq(22), a.store.fence);
    await advance(a, tenure);
    expect(await floorNow()).toMatchObject({ seq: 22, logSeq: 23, eviction: { by: "user", logSeq: 21 } });
  });

  test.each([
    ["NOT_FOUND", "pin/nobody"],
    ["NOT_FOUND", ""],
    ["OPTIONS_INVALID", "recovery"],
    ["OPTIONS_INVALID", "checkpoint"],
    ["OPTIONS_INVALID", snapshotId("s")],
  ])("[TB5] answers %s to the eviction of '%s', and changes nothing", async (code, id) => {
    const a = await engine("a");
    await a.write(20);
    await rows(
      putPin(tabId("a"), seq(9)),
      putPin(tabId("b"), seq(1)),
      putSnapshot("s", { seq: seq(1), stamp: stamp(1) }),
    );
    const tenure = await Tenure.begin(storage);
    const before = await storage.read([...readHolders, readFloor]);
    const dead = new Set([tabId("b")]);
    await expect(advance(a, tenure, { evict: new Set([id]), dead })).rejects.toMatchObject({ code });
    expect(await storage.read([...readHolders, readFloor])).toEqual(before);
    expect(a.store.head.seq).toBe(20);
  });

  test("[TB5] chooses those overdue among the holders it finds", async () => {
    const a = await engine("a");
    await a.write(20);
    await rows(putPin(tabId("a"), seq(15)), putPin(tabId("b"), seq(1)), putPin(tabId("c"), seq(2)));
    const tenure = await Tenure.begin(storage);
    const limits = { maxBytes: 1, maxCommits: 10 };
    const choose: Advance["overdue"] = (holders, head) => overdue(holders, () => 0, head, limits);
    const dead = new Set([tabId("c")]);
    expect(await advance(a, tenure, { overdue: choose, dead })).toMatchObject({ floor: 15 });
    const { payload } = a.store.memtable.newest(floorKey)!;
    expect(decodeFloorRecord(payload!)).toMatchObject({ released: ["pin/c"], evicted: ["pin/b"] });
  });

  test("[TB4] so many dead tabs at once are released by several records", async () => {
    const a = await engine("a");
    await a.write(5);
    await rows(putPin(tabId("a"), seq(5)));
    await rows(...Array.from({ length: 1200 }, (_, i) => putPin(tabId(`dead${i}`), seq(2))));
    const tenure = await Tenure.begin(storage);
    const live = () => Promise.resolve(new Set([tabId("a")]));
    const floors: number[] = [];
    for (let i = 0; i < 4; i++) floors.push((await advance(a, tenure, { dead: await deadTabs(storage, live) }))!.floor);
    expect(floors).toEqual([2, 2, 5, 5]);
    expect(await holdersNow()).toHaveLength(1);
  });

  test("[MV9] goes through on a full disk, by what is kept in reserve", async () => {
    const reserving = new ReservingStorage(storage, () => Promise.resolve());
    const a = await engine("a", reserving);
    await a.write(5);
    for (const chunk of missingChunks([])) await rows(chunk);
    await rows(putPin(tabId("a"), seq(5)));
    const tenure = await Tenure.begin(reserving);
    medium.quotaBytes = medium.usedBytes;
    expect(await advance(a, tenure)).toMatchObject({ floor: 5 });
  });

  test("[VG3] goes on among commits of others that take its position", async () => {
    const a = await engine("a");
    const b = await engine("b", await medium.open("d"));
    const tenure = await Tenure.begin(storage);
    await Promise.all([a.write(3), advance(a, tenure), b.write(5), advance(a, tenure), b.write(5), a.write(3)]);
    await a.store.follow();
    expect(a.store.log.entries - a.store.log.ordinary).toBeLessThanOrEqual(2);
    await raisePin(storage, tabId("a"), a.store.head.seq, a.store.fence);
    await raisePin(storage, tabId("b"), a.store.head.seq, a.store.fence);
    const { seq: head } = a.store.head;
    expect(await advance(a, tenure)).toMatchObject({ floor: head });
    expect(await logKeys()).toBe(a.store.log.entries);
  });
});
