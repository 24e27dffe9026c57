import fc from "fast-check";
import { expect, test } from "vitest";
import { byteKey, seq, stamp, tableId, tabId } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { isTidemarkError } from "../base/errors.ts";
import { attempt, bareInputs, fuzzRuns, sealedInputs } from "../base/mutations.test-support.ts";
import { wholeFormat } from "../codec/formats.ts";
import { encodeValue } from "../codec/value.ts";
import { type BuildState, decodeBuildState, encodeBuildState } from "../mvcc/build-state.ts";
import { GarbageLedger } from "../mvcc/ledger.ts";
import { ledgerIn } from "../mvcc/ledger-row.ts";
import { holdersIn, putHold, putPin, putSnapshot, snapshotsIn } from "../mvcc/holders.ts";
import { decodeFloorRecord, encodeFloorRecord, floorIn, putFloor } from "../mvcc/read-floor.ts";
import { decodeCatalog, encodeCatalog, Schema } from "../mvcc/schema.ts";
import type { Found, StoredValue, Write } from "../storage/contract.ts";
import { createMemoryStorage } from "../storage/memory.ts";
import { lastGeneration, putGeneration } from "../wal/generations.ts";
import { putRow } from "../wal/row.ts";
import { stagingIn } from "../wal/staging.ts";
import { cycleIn } from "./cycle.ts";
import { executionsIn, putExecution, putJson } from "./journal.ts";
import { isAnyReleased, newlyDead, noted } from "./keepers.ts";
import { Tenure } from "./tenure.ts";

const numRuns = fuzzRuns(700);

const valueIn = (write: Write | undefined): StoredValue => (write?.kind === "put" ? write.value : expect.unreachable());
const rowAt = (key: string, value: Uint8Array): Found => [{ key, value: value as StoredValue }];
const natural = fc.oneof(fc.nat(300), fc.maxSafeNat());
const varints = (key: string, all: readonly number[]): StoredValue =>
  valueIn(putRow(key, (out) => all.forEach((n) => out.varint(n))));

/** A row and all that reads it. */
interface Kind {
  readonly valid: fc.Arbitrary<Uint8Array>;
  /** Answers what has to be numbers. */
  read(bytes: Uint8Array): readonly unknown[];
}
const kinds: Readonly<Record<string, Kind>> = {
  floor: {
    valid: natural.map((n) =>
      valueIn(
        putFloor({ seq: seq(n), logSeq: seq(n), previousLogSeq: seq(3), eviction: { by: "tab", logSeq: seq(n) } }),
      ),
    ),
    read: (bytes) => [floorIn(rowAt("floor", bytes)).seq, floorIn(rowAt("floor", bytes)).logSeq],
  },
  pin: {
    valid: natural.map((n) => valueIn(putPin(tabId("tab"), seq(n)))),
    read: (bytes) => holdersIn([rowAt("pin/tab", bytes), [], [], []]).map((h) => h.seq),
  },
  hold: {
    valid: natural.map((n) => valueIn(putHold("hold/tab/1", seq(n)))),
    read: (bytes) => holdersIn([[], [], rowAt("hold/tab/1", bytes), []]).map((h) => h.seq),
  },
  snapshot: {
    valid: natural.map((n) => valueIn(putSnapshot("s", { seq: seq(n), stamp: stamp(n) }))),
    read: (bytes) => snapshotsIn(rowAt("snapshot/s", bytes)).flatMap((s) => [s.seq, s.stamp]),
  },
  consumer: {
    valid: natural.map((n) => valueIn(putHold("consumer/c", seq(n)))),
    read: (bytes) => holdersIn([[], [], [], rowAt("consumer/c", bytes)]).map((h) => h.seq),
  },
  staging: {
    valid: fc.tuple(natural, natural).map((all) => varints("stage/tab/blobs/64", all)),
    read: (bytes) => stagingIn(rowAt("stage/tab/blobs/64", bytes)).flatMap(({ from, to }) => [from, to]),
  },
  generation: {
    valid: fc.nat(1000).map((n) => valueIn(putGeneration(n))),
    read: (bytes) => [lastGeneration([rowAt("generation", bytes), []])],
  },
};

test.each(Object.entries(kinds))("[MV8] a row '%s' of any bytes is refused as damaged or says numbers", (_, kind) => {
  fc.assert(
    fc.property(sealedInputs(kind.valid), (bytes) => {
      const found = attempt(() => kind.read(bytes));
      if ("answer" in found) for (const n of found.answer) expect(Number.isSafeInteger(n)).toBe(true);
    }),
    { numRuns },
  );
});

test("[MV8] the row of who did upkeep, of any bytes, is refused as damaged, or another tenure begins", async () => {
  const row = fc
    .tuple(fc.nat(9), fc.array(natural, { maxLength: 4 }))
    .map(([epoch, ends]) => varints("upkeep", [epoch, ends.length >> 1, ...ends]));
  let begun = 0;
  await fc.assert(
    fc.asyncProperty(sealedInputs(row), async (bytes) => {
      const storage = await createMemoryStorage().open("upkeep");
      const format = { kind: "put", store: "meta", key: "format", value: Uint8Array.of(wholeFormat.format) } as const;
      const upkeep = { kind: "put", store: "meta", key: "upkeep", value: bytes as StoredValue } as const;
      await storage.commit({ durability: "strict", writes: [format, upkeep] });
      try {
        expect(await (await Tenure.begin(storage)).lasts()).toBe(true);
        begun++;
      } catch (e) {
        if (!isTidemarkError(e, "CORRUPT") && !isTidemarkError(e, "FORMAT_UNSUPPORTED")) throw e;
      }
    }),
    { numRuns },
  );
  expect(begun).toBeGreaterThan(0);
});

test("[MV8] a ledger of any bytes is as good as none, or counts", () => {
  const ledger = fc.array(fc.tuple(fc.nat(60), fc.nat(60), fc.nat(500)), { maxLength: 12 }).map((all) => {
    const of = GarbageLedger.unknownAt(seq(0));
    of.points([seq(20), seq(40)]);
    let n = 60;
    for (const [c, by, bytes] of all) of.supersede(seq(c), seq((n += by)), bytes, tableId(by % 3));
    return of.through(seq(n), seq(0)).encode();
  });
  const fence = { database: 1, incarnation: 0, seq: seq(60), checksum: 0, stamp: stamp(0) };
  fc.assert(
    fc.property(sealedInputs(ledger), natural, (bytes, at) => {
      const decoded = attempt(() => GarbageLedger.decode(bytes));
      const used = attempt(() => ledgerIn(rowAt("ledger", bytes), fence), ["FORMAT_UNSUPPORTED"]);
      for (const of of [decoded, used]) {
        if ("code" in of) continue;
        expect(of.answer.heldBy(seq(at)).bytes).toBeGreaterThanOrEqual(0);
        of.answer.points([seq(30), seq(50)]);
        expect(attempt(() => of.answer.encode().length)).toHaveProperty("answer");
      }
    }),
    { numRuns },
  );
});

const execution = {
  id: 1,
  type: "FULL_GC",
  started: 5,
  status: "COMPLETED",
  scanned: 1,
  marked: 1,
  swept: 1,
  bytes: 1,
  config: {},
} as const;
const retentions = [[1, { latest: 3, ranges: [[1, 2]], forMs: 5 }]];
const cycle = {
  id: 1,
  kind: "FULL_GC",
  basis: { floor: 3, points: [1], nowMs: 7, holders: 9, log: { database: 1, incarnation: 0 } },
  checkpoint: 5,
  cursor: { level: 3, before: { key: "k", seq: 4 } },
  steps: 1,
  started: 7,
  config: {},
  asker: { tab: "tab", job: 1 },
  decided: { retentions, dead: [{ from: 2, to: 3 }] },
  isReleased: false,
  newlyDead: [],
  scanned: 0,
  versions: 0,
  bytes: 0,
};
const keepers = { kept: ["at 1"], since: [], isDisturbed: false, dead: [{ from: 1, to: 2 }] };
/** JSON in which some part is another. */
const mutated = (valid: unknown): fc.Arbitrary<unknown> =>
  fc.tuple(fc.nat(200), fc.jsonValue({ maxDepth: 1 }), fc.boolean()).map(([at, other, isRemoved]) => {
    let left = at;
    const walk = (of: unknown): unknown => {
      if (left-- === 0) return isRemoved ? undefined : other;
      if (Array.isArray(of)) return of.map(walk);
      if (typeof of !== "object" || of === null) return of;
      return Object.fromEntries(Object.entries(of).map(([name, field]) => [name, walk(field)]));
    };
    return walk(valid);
  });

test("[MV8] what garbage collection wrote down of itself is passed over where it is not what it must be", () => {
  expect(cycleIn([{ key: "gc/cycle", value: valueIn(putJson("gc/cycle", cycle)) }])).toEqual(cycle);
  expect(executionsIn(rowAt("gc/execution/000000000001", valueIn(putExecution(execution)[0])))).toEqual([execution]);
  const row = (key: string, valid: unknown): fc.Arbitrary<Uint8Array> =>
    fc.oneof(
      sealedInputs(fc.constant(valueIn(putJson(key, valid)))),
      mutated(valid).map((of) => valueIn(putJson(key, of ?? null))),
    );
  const all = fc.tuple(row("gc/cycle", cycle), row("gc/execution/000000000001", execution), row("gc/keepers", keepers));
  fc.assert(
    fc.property(all, ([cycleRow, executionRow, keepersRow]) => {
      const codes = ["FORMAT_UNSUPPORTED"] as const;
      const found = attempt(() => cycleIn(rowAt("gc/cycle", cycleRow)), codes);
      if ("answer" in found && found.answer)
        expect(Object.keys(found.answer)).toEqual(expect.arrayContaining(["basis", "cursor"]));
      const told = attempt(() => executionsIn(rowAt("gc/execution/000000000001", executionRow)), codes);
      if ("answer" in told) for (const one of told.answer) expect(Number.isFinite(one.started)).toBe(true);
      const kept = rowAt("gc/keepers", keepersRow);
      attempt(() => [isAnyReleased(kept, ["at 1"]), newlyDead(kept, []), noted(kept, ["at 2"], true)], codes);
    }),
    { numRuns: 2 * numRuns },
  );
});

const catalog = {
  epoch: 3,
  version: 2,
  nextTable: 9,
  migrated: 2,
  keepForMs: 5,
  moving: { version: 3, collection: "c", into: { table: 7, key: ["a", "b"], indexes: {} } },
  collections: {
    c: {
      table: 1,
      key: "id",
      indexes: { n: { table: 2, path: ["n", "m"], unique: true, multi: false, building: true } },
      failed: { u: { path: "u", unique: true, multi: false, code: "CONSTRAINT", message: "two", key: 1 } },
      retention: { latest: 2 },
    },
  },
};
const payloadOf = (of: unknown): Uint8Array => {
  const out = new ByteWriter();
  out.varint(0);
  encodeValue(of, out, "test");
  return out.finish();
};

test("[MV8] a catalog, a record of the floor, and the state of a build, of any content, are refused or are one", () => {
  const build: BuildState = { indexes: [tableId(2), tableId(5)], after: byteKey("\0\0\0\u0001k"), done: 3, total: 9 };
  expect(decodeBuildState(encodeBuildState(build))).toEqual(build);
  const record = { floor: 3, released: ["pin/a"], evicted: [], by: "tab", holders: 5, at: 7 };
  expect(decodeCatalog(encodeCatalog(catalog as never))).toEqual(catalog);
  expect(decodeFloorRecord(encodeFloorRecord(record))).toEqual(record);
  const payloads = (valid: unknown): fc.Arbitrary<Uint8Array> =>
    fc.oneof(bareInputs(fc.constant(payloadOf(valid))), mutated(valid).map(payloadOf));
  fc.assert(
    fc.property(payloads(catalog), payloads(record), payloads(build), (a, b, c) => {
      const found = attempt(() => decodeCatalog(a));
      if ("answer" in found) expect(new Schema(found.answer).tables.size).toBeGreaterThan(0);
      const told = attempt(() => decodeFloorRecord(b));
      if ("answer" in told) expect(told.answer.evicted.length + told.answer.released.length).toBeGreaterThanOrEqual(0);
      const state = attempt(() => decodeBuildState(c));
      if ("answer" in state) expect(state.answer.indexes.includes(tableId(state.answer.done))).toBeTypeOf("boolean");
    }),
    { numRuns: 2 * numRuns },
  );
});
