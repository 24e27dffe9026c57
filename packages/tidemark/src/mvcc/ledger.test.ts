import { describe, expect, test } from "vitest";
import { byteKey, seq, stamp, tabId, tableId } from "../base/brand.ts";
import { presence, tablePrefix } from "../codec/record.ts";
import { create } from "./recovery.ts";
import { createMemoryStorage } from "../storage/memory.ts";
import { applyCommit } from "./apply.ts";
import { GarbageLedger, unknownSeq } from "./ledger.ts";
import { maxCells } from "./ledger-cells.ts";
import { Memtable } from "./memtable.ts";
import { Store } from "./store.ts";

const [one, two] = [tableId(1), tableId(2)];
const nothing = { versions: 0, bytes: 0 };

describe("a ledger by table", () => {
  /** Some in the base, some in the tail. */
  function mixed(): GarbageLedger {
    const ledger = new GarbageLedger();
    ledger.supersede(seq(1), seq(2), 10, one);
    ledger.supersede(seq(1), seq(3), 20, two);
    ledger.take(ledger.through(seq(3), seq(0)));
    ledger.supersede(seq(2), seq(4), 30, one);
    ledger.supersede(seq(2), seq(4), 40, one);
    return ledger;
  }

  test("[HM1] has what its total has, and no table of which nothing is left", () => {
    const ledger = mixed();
    expect(ledger.total).toEqual({ versions: 4, bytes: 100 });
    expect([...ledger.perTable().tables]).toEqual([
      [one, { versions: 3, bytes: 80 }],
      [two, { versions: 1, bytes: 20 }],
    ]);
    const next = ledger.through(seq(4), seq(4));
    next.drop(seq(1), seq(3), 20, two);
    expect([...next.perTable().tables.keys()]).toEqual([one]);
  });

  test("[HM1] says whether it is exact", () => {
    expect(mixed().perTable().isExact).toBe(true);
    expect(GarbageLedger.unknownAt(seq(3)).perTable().isExact).toBe(false);
    const ledger = mixed();
    ledger.supersedeUnknown(seq(5));
    expect(ledger.perTable().isExact).toBe(false);
  });
});

describe("a ledger's size", () => {
  /** Of so many commits, each of which superseded a version of the commit before it in each of the tables. */
  function long(commits: number, tables: number): GarbageLedger {
    const ledger = new GarbageLedger();
    for (let n = 2; n <= commits; n++) {
      for (let t = 1; t <= tables; t++) ledger.supersede(seq(n - 1), seq(n), 100, tableId(t));
    }
    return ledger;
  }

  test.each([
    [20_000, 1],
    [20_000, 30],
    [maxCells, 3],
  ])("[VG13] is bounded after %i commits to %i tables, and its figures are near", (commits, tables) => {
    const ledger = long(commits, tables).through(seq(commits), seq(0));
    const bytes = ledger.encode();
    expect(bytes.length).toBeLessThan(maxCells * 16);
    expect(GarbageLedger.decode(bytes).encode()).toEqual(bytes);
    const total = (commits - 1) * tables;
    expect(ledger.total).toEqual({ versions: total, bytes: total * 100 });
    const share = total / (maxCells / tables / 4);
    for (let at = 1; at < commits; at += Math.ceil(commits / 50)) {
      const exact = (commits - Math.max(1, at)) * tables;
      expect(Math.abs(ledger.heldBy(seq(at)).versions - exact)).toBeLessThanOrEqual(share);
    }
    // What is joined is found again when it goes.
    for (let n = 2; n <= commits; n++)
      for (let t = 1; t <= tables; t++) ledger.drop(seq(n - 1), seq(n), 100, tableId(t));
    expect([ledger.total, ledger.isExact, ledger.knowsSpans]).toEqual([nothing, true, true]);
  });

  test("[VG5] does not depend on how its log was cut into folds of nothing", () => {
    const whole = long(300, 1).through(seq(300), seq(0)).encode();
    const parts = long(300, 1);
    for (const at of [10, 11, 250]) parts.take(parts.through(seq(at), seq(0)));
    expect(parts.through(seq(300), seq(0)).encode()).toEqual(whole);
  });

  test("[VG13] stays exact about single points where buckets are joined", () => {
    const ledger = long(20_000, 1);
    const points = [seq(77), seq(10_000), seq(10_001)];
    ledger.points(points);
    const next = ledger.through(seq(20_000), seq(0));
    next.encode();
    for (const p of points) expect(next.only(p)).toEqual({ versions: 1, bytes: 100 });
    next.points([seq(77)]);
    expect(next.only(seq(77))).toEqual({ versions: 1, bytes: 100 });
    expect(next.spanningNone(seq(0), seq(20_000)).versions).toBe(19_998);
  });
});

describe("what a ledger does not know", () => {
  test("[VG13] it says: writes that nobody can account for", () => {
    const ledger = new GarbageLedger();
    ledger.supersede(seq(1), seq(2), 10, one);
    ledger.supersedeUnknown(seq(3));
    expect([ledger.isExact, ledger.unknownThrough]).toEqual([false, 3]);
    const next = ledger.through(seq(2), seq(0));
    expect(next.isExact).toBe(true);
    ledger.take(next);
    expect(ledger.isExact).toBe(false);
    expect(GarbageLedger.decode(ledger.through(seq(3), seq(0)).encode()).unknownThrough).toBe(3);
  });

  test("[VG13] figures never fall below zero: what was not counted makes it say so", () => {
    const ledger = new GarbageLedger();
    ledger.supersede(seq(1), seq(2), 10, one);
    const next = ledger.through(seq(5), seq(5));
    next.drop(seq(1), seq(2), 10, one);
    expect(next.isExact).toBe(true);
    next.drop(seq(3), seq(4), 10, one);
    next.drop(seq(3), seq(4), 10, two);
    expect([next.total, next.unknownThrough]).toEqual([nothing, 4]);
  });

  test("[VG13] a point below the fence that it hears of late blurs what it says about points, and nothing else", () => {
    const ledger = new GarbageLedger();
    ledger.supersede(seq(1), seq(9), 10, one);
    ledger.take(ledger.through(seq(9), seq(0)));
    ledger.points([seq(9)]);
    expect(ledger.knowsSpans).toBe(true);
    ledger.points([seq(4), seq(9)]);
    expect([ledger.knowsSpans, ledger.isExact]).toEqual([false, true]);
    const next = ledger.through(seq(9), seq(9));
    next.drop(seq(1), seq(9), 10, one);
    expect([next.total, next.isExact]).toEqual([nothing, true]);
    next.points([]);
    expect(next.knowsSpans).toBe(true);
  });
});

describe("what a commit supersedes", () => {
  const key = (table: number, name: string) => byteKey(tablePrefix(tableId(table)) + name);
  const record = key(1, "k");
  const write = { key: record, payload: Uint8Array.of(0, 7), oldEntries: [key(2, "ik")] };
  const commit = (n: number, supersedes: number | undefined, supersededBytes: number | undefined) => ({
    seq: seq(n),
    stamp: stamp(n),
    id: 1,
    tag: "",
    writes: [{ ...write, supersedes: supersedes === undefined ? undefined : seq(supersedes), supersededBytes }],
  });

  test("[VG13] is told to the ledger, index entries included; tombstones and the system's table are not", () => {
    const ledger = new GarbageLedger();
    const memtable = new Memtable();
    applyCommit(memtable, commit(5, 3, 20), ledger);
    expect(ledger.total).toEqual({ versions: 2, bytes: 20 + key(2, "ik").length });
    ledger.points([seq(2), seq(4)]);
    expect([ledger.only(seq(4)).bytes, ledger.spanning(seq(2)).bytes]).toEqual([20, key(2, "ik").length]);
    expect(unknownSeq).toBe(0);
    const entries = { ...commit(6, 5, record.length).writes[0]!, oldEntries: [] };
    applyCommit(memtable, { ...commit(6, 0, 0), writes: [entries, { ...entries, key: key(0, "catalog") }] }, ledger);
    expect(ledger.total.versions).toBe(2);
    expect(ledger.isExact).toBe(true);
    applyCommit(memtable, commit(7, undefined, undefined), ledger);
    expect(ledger.unknownThrough).toBe(7);
  });

  test("[VG14] the memtable tells a fold whether older versions of a key may lie in blocks", () => {
    const memtable = new Memtable();
    const oldest = (of: string) => {
      const found = memtable.changes(seq(99)).read(byteKey(of), 1)[0]!;
      expect(found.key).toBe(of);
      return found.versions.at(-1)!.supersedes;
    };
    const entry = key(2, "new");
    memtable.put(entry, { seq: seq(4), stamp: stamp(4), payload: presence, supersedes: seq(0) });
    applyCommit(memtable, commit(5, 3, 20));
    expect([oldest(record), oldest(key(2, "ik")), oldest(entry)]).toEqual([3, undefined, 0]);
    applyCommit(memtable, commit(8, 5, 20));
    expect(oldest(record)).toBe(3);
    memtable.dropThrough(seq(5));
    expect(oldest(record)).toBe(5);
    const fresh = { ...write, key: key(1, "n"), oldEntries: [], supersedes: seq(0), supersededBytes: 0 };
    applyCommit(memtable, { ...commit(9, 0, 0), writes: [fresh] });
    expect(oldest(fresh.key)).toBe(0);
  });
});

describe("a stored ledger", () => {
  test.each([
    ["is about another fence", (row: Uint8Array<ArrayBuffer>) => row],
    ["is damaged", (row: Uint8Array<ArrayBuffer>) => row.fill(1, 12)],
  ])("[VG13] that %s says nothing, and nothing else suffers", async (_, change) => {
    const storage = await createMemoryStorage().open("d");
    await create(storage, { next: () => 0.5, id: () => "x" });
    const value = change(GarbageLedger.unknownAt(seq(7)).encode());
    await storage.commit({ durability: "strict", writes: [{ kind: "put", store: "meta", key: "ledger", value }] });
    const store = await Store.open(storage, { tab: tabId("t"), isLone: false, cacheMaxBytes: 1 });
    expect([store.ledger.asOf, store.ledger.total]).toEqual([0, nothing]);
  });
});
