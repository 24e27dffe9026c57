/**
 * What every medium must pass, in the spirit of abstract-level's suite. Runner-neutral: each case throws a plain Error
 * where the medium breaks the contract. Cases use database names of their own and remove them before and after.
 */
import { isTidemarkError, type ErrorCode } from "../base/errors.ts";
import {
  type Batch,
  type Committed,
  type Durability,
  type Found,
  get,
  type KeyRange,
  type Read,
  type Storage,
  type StorageFactory,
  type StoredValue,
  type StoreKey,
  type StoreName,
  storeNames,
  valueOf,
  type Write,
} from "./contract.ts";

export interface ConformanceCase {
  readonly title: string;
  readonly run: (open: () => Promise<StorageFactory>) => Promise<void>;
}

interface Bench {
  readonly factory: StorageFactory;
  readonly name: string;
  /** Another connection to this case's database. */
  readonly connect: () => Promise<Storage>;
  /** A first one. */
  readonly storage: Storage;
}

function testCase(title: string, body: (bench: Bench) => Promise<void>): ConformanceCase {
  return {
    title,
    run: async (open) => {
      const factory = await open();
      const name = `conformance: ${title}`;
      await factory.remove(name);
      const connections: Storage[] = [];
      const connect = async (): Promise<Storage> => {
        const storage = await factory.open(name);
        connections.push(storage);
        return storage;
      };
      try {
        await body({ factory, name, connect, storage: await connect() });
      } finally {
        for (const storage of connections) await storage.close();
        await factory.remove(name);
      }
    },
  };
}

function same(actual: unknown, expected: unknown, what: string): void {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== e) throw new Error(`${what}: expected ${e}, got ${a}`);
}

async function fails(promise: Promise<unknown>, code: ErrorCode, what: string): Promise<void> {
  const outcome = await promise.then(
    () => "nothing",
    (error: unknown) => error,
  );
  if (!isTidemarkError(outcome, code)) throw new Error(`${what}: expected ${code}, got ${String(outcome)}`);
}

const bytes = (...values: number[]): StoredValue => Uint8Array.from(values);
const put = (store: StoreName, key: StoreKey, ...values: number[]): Write => ({
  kind: "put",
  store,
  key,
  value: bytes(...values),
});
const add = (store: StoreName, key: StoreKey, ...values: number[]): Write => ({
  kind: "add",
  store,
  key,
  value: bytes(...values),
});
const range = (store: StoreName, within: KeyRange = {}, limit?: number): Read => ({
  kind: "range",
  store,
  range: within,
  ...(limit === undefined ? {} : { limit }),
});
const keysOf = (found: Found | undefined): StoreKey[] => (found ?? []).map((entry) => entry.key);
const entries = (found: Found | undefined): [StoreKey, number[]][] =>
  (found ?? []).map((entry) => [entry.key, [...entry.value]]);

async function write(storage: Storage, ...writes: Write[]): Promise<Committed> {
  return storage.commit({ durability: "relaxed", writes });
}
async function contents(storage: Storage, store: StoreName): Promise<[StoreKey, number[]][]> {
  return entries((await storage.read([range(store)]))[0]);
}
/** Adds one to a number kept in `meta`. */
const increment = (durability: Durability): Batch => ({
  durability,
  reads: [get("meta", "n")],
  writes: ([found]) => [put("meta", "n", (valueOf(found)?.[0] ?? 0) + 1)],
});

const batches: readonly ConformanceCase[] = [
  testCase("[MV1] a batch over all stores becomes visible as a whole", async ({ storage, connect }) => {
    const keys = { log: 1, blocks: 2, meta: "m", blobs: 3 } as const;
    const result = await storage.commit({
      durability: "strict",
      writes: storeNames.map((store) => put(store, keys[store], 7)),
    });
    same(result, { status: "committed", found: [] }, "result");
    const other = await connect();
    const found = await other.read(storeNames.map((store) => get(store, keys[store])));
    same(
      found.map(entries),
      storeNames.map((store) => [[keys[store], [7]]]),
      "read",
    );
  }),
  ...["first", "in the middle", "last"].map((place, at) =>
    testCase(`[MV1] an add of a taken key undoes its batch: add ${place}`, async ({ storage }) => {
      await write(storage, put("log", 5, 1), put("blocks", 1, 1));
      const writes: Write[] = [put("log", 6, 2), { kind: "delete", store: "blocks", key: 1 }, put("meta", "x", 2)];
      writes.splice(at === 2 ? writes.length : at, 0, add("log", 5, 9));
      same(await write(storage, ...writes), { status: "exists" }, "list");
      const chosen = await storage.commit({ durability: "strict", reads: [get("log", 5)], writes: () => writes });
      same(chosen, { status: "exists" }, "function");
      same(await contents(storage, "log"), [[5, [1]]], "log");
      same(await contents(storage, "blocks"), [[1, [1]]], "blocks");
      same(await contents(storage, "meta"), [], "meta");
    }),
  ),
  testCase("add succeeds on a free key, also one freed in the same batch", async ({ storage }) => {
    same((await write(storage, add("log", 1, 1))).status, "committed", "free");
    same((await write(storage, add("log", 1, 2))).status, "exists", "taken");
    const freed = await write(storage, { kind: "delete", store: "log", key: 1 }, add("log", 1, 3));
    same(freed.status, "committed", "freed");
    same((await write(storage, add("log", 2, 1), add("log", 2, 2))).status, "exists", "added twice");
    same(await contents(storage, "log"), [[1, [3]]], "log");
  }),
  testCase("a list batch's reads are answered from before its writes", async ({ storage }) => {
    await write(storage, put("meta", "a", 1));
    const reads = [get("meta", "a"), range("meta"), get("meta", "b")];
    const result = await storage.commit({
      durability: "relaxed",
      reads,
      writes: [put("meta", "a", 2), put("meta", "b", 2)],
    });
    if (result.status !== "committed") throw new Error("it commits");
    same(result.found.map(entries), [[["a", [1]]], [["a", [1]]], []], "found");
  }),
  testCase("a function decides once, on what was read, and gives it back", async ({ storage }) => {
    await write(storage, put("meta", "a", 1));
    let calls = 0;
    const result = await storage.commit({
      durability: "strict",
      reads: [get("meta", "a"), { kind: "keys", store: "log", range: {} }],
      writes: ([a, log]) => {
        calls++;
        return [put("log", (log?.length ?? 0) + 1, valueOf(a)![0]! + 1)];
      },
    });
    if (result.status !== "committed") throw new Error("it commits");
    same(calls, 1, "calls");
    same(result.found.map(entries), [[["a", [1]]], []], "found");
    same(await contents(storage, "log"), [[1, [2]]], "log");
  }),
  testCase("a function may decline, write nothing, or need no reads", async ({ storage }) => {
    await write(storage, put("meta", "a", 1));
    const reads = [get("meta", "a")];
    const declined = await storage.commit({ durability: "strict", reads, writes: () => undefined });
    if (declined.status !== "declined") throw new Error(`it declines, got ${declined.status}`);
    same(declined.found.map(entries), [[["a", [1]]]], "found");
    const empty = await storage.commit({ durability: "strict", reads, writes: () => [] });
    same(empty.status, "committed", "no writes");
    const blind = await storage.commit({ durability: "relaxed", writes: () => [put("meta", "b", 2)] });
    same(blind, { status: "committed", found: [] }, "no reads");
    same((await write(storage)).status, "committed", "empty list");
    same(keysOf((await storage.read([range("meta")]))[0]), ["a", "b"], "meta");
  }),
  testCase("a function that throws writes nothing and its error comes out", async ({ storage }) => {
    const mistake = new Error("mistake");
    const writes = (): never => {
      throw mistake;
    };
    for (const reads of [[], [get("meta", "a")]]) {
      const outcome = await storage.commit({ durability: "relaxed", reads, writes }).catch((error: unknown) => error);
      if (outcome !== mistake) throw new Error(`expected the mistake, got ${String(outcome)}`);
    }
    same((await write(storage, put("meta", "a", 1))).status, "committed", "afterwards");
  }),
  testCase("[MV1] two connections adding one key: one of them wins", async ({ storage, connect }) => {
    const other = await connect();
    for (let seq = 1; seq <= 10; seq++) {
      const results = await Promise.all([write(storage, add("log", seq, 1)), write(other, add("log", seq, 2))]);
      same(results.map((result) => result.status).toSorted(), ["committed", "exists"], `seq ${seq}`);
    }
  }),
  testCase("[MV1] concurrent increments from two connections lose no update", async ({ storage, connect }) => {
    const both = [storage, await connect()];
    await Promise.all(
      Array.from({ length: 40 }, (_, i) => both[i % 2]!.commit(increment(i % 5 === 0 ? "strict" : "relaxed"))),
    );
    same(await contents(storage, "meta"), [["n", [40]]], "meta");
  }),
  testCase("[MV1] reads never see half a batch", async ({ storage, connect }) => {
    const other = await connect();
    const writing = Array.from({ length: 20 }, (_, i) => write(storage, put("log", 1, i), put("meta", "m", i)));
    for (let i = 0; i < 20; i++) {
      const [log, meta] = await other.read([get("log", 1), get("meta", "m")]);
      same(entries(log)[0]?.[1], entries(meta)[0]?.[1], "one state");
    }
    await Promise.all(writing);
  }),
  testCase("calls of one connection see what was called before them", async ({ storage }) => {
    const first = write(storage, put("meta", "a", 1));
    const read = storage.read([get("meta", "a")]);
    const second = write(storage, put("meta", "a", 2));
    same((await read).map(entries), [[["a", [1]]]], "read between two writes");
    await Promise.all([first, second]);
  }),
];

const reading: readonly ConformanceCase[] = [
  testCase("reads answer at their positions", async ({ storage }) => {
    await write(storage, put("log", 1, 1), put("meta", "a", 2), put("blobs", 0));
    const found = await storage.read([
      get("meta", "a"),
      get("log", 9),
      range("blocks"),
      get("log", 1),
      get("blobs", 0),
      { kind: "keys", store: "log", range: {} },
    ]);
    same(found.map(entries), [[["a", [2]]], [], [], [[1, [1]]], [[0, []]], [[1, []]]], "found");
    same(await storage.read([]), [], "no reads");
  }),
  testCase("number keys come in numerical order, within bounds and limit", async ({ storage }) => {
    const keys = [10, 9, 2, 1, 0, -3, 1.5, 2 ** 40, Number.MAX_SAFE_INTEGER];
    await write(storage, ...keys.map((key) => put("log", key, 1)));
    const sorted = keys.toSorted((a, b) => a - b);
    const cases: [KeyRange, number | undefined, StoreKey[]][] = [
      [{}, undefined, sorted],
      [{ from: 1 }, undefined, sorted.slice(2)],
      [{ to: 1 }, undefined, [-3, 0, 1]],
      [{ from: 1, to: 9 }, undefined, [1, 1.5, 2, 9]],
      [{ from: 1.1, to: 8 }, undefined, [1.5, 2]],
      [{ from: 2, to: 2 }, undefined, [2]],
      [{ from: 3, to: 8 }, undefined, []],
      [{ from: 9, to: 1 }, undefined, []],
      [{ from: 1 }, 2, [1, 1.5]],
      [{}, 0, []],
      [{}, Infinity, sorted],
    ];
    for (const [within, limit, expected] of cases) {
      const read = range("log", within, limit);
      const [whole, keysOnly] = await storage.read([read, { ...read, kind: "keys" } as Read]);
      same(
        entries(whole),
        expected.map((key) => [key, [1]]),
        `range ${JSON.stringify(within)} ${limit}`,
      );
      same(
        entries(keysOnly),
        expected.map((key) => [key, []]),
        `keys ${JSON.stringify(within)} ${limit}`,
      );
    }
  }),
  testCase("string keys come in the order of their UTF-16 units", async ({ storage }) => {
    const sorted = ["", "A", "a", "a\u0000", "aa", "b", "z", "é", "\ud800", "\u{1f600}", "\ue000", "\uffff"];
    await write(storage, ...sorted.toReversed().map((key) => put("meta", key, 1)));
    const found = await storage.read([range("meta"), range("meta", { from: "a", to: "b" }), get("meta", "\u{1f600}")]);
    same(found.map(keysOf), [sorted, ["a", "a\u0000", "aa", "b"], ["\u{1f600}"]], "keys");
  }),
  testCase("values: empty, 1 MB, part of a larger buffer", async ({ storage }) => {
    const big = new Uint8Array(1 << 20).map((_, i) => (i * 31) ^ (i >> 8));
    const view = bytes(1, 2, 3, 4, 5).subarray(1, 3);
    await write(storage, put("blobs", 1), { kind: "put", store: "blobs", key: 2, value: big });
    await write(storage, { kind: "add", store: "blobs", key: 3, value: view });
    const [empty, large, part] = (await storage.read([1, 2, 3].map((key) => get("blobs", key)))).map(valueOf);
    same(empty?.length, 0, "empty");
    if (large?.length !== big.length || !large.every((byte, i) => byte === big[i])) throw new Error("1 MB came back");
    same([...part!], [2, 3], "part");
    same(part!.buffer.byteLength, 2, "only the part was stored");
  }),
  testCase("values are copied in and out", async ({ storage }) => {
    const mine = bytes(1, 2);
    await storage.commit({ durability: "relaxed", writes: [{ kind: "put", store: "log", key: 1, value: mine }] });
    mine[0] = 99;
    const first = valueOf((await storage.read([get("log", 1)]))[0])!;
    same([...first], [1, 2], "in");
    first[1] = 99;
    same(await contents(storage, "log"), [[1, [1, 2]]], "out");
  }),
];

const deleting: readonly ConformanceCase[] = [
  testCase("deleteRange: bounded, open at either end, empty, everything", async ({ storage }) => {
    const fill = [1, 2, 3, 4, 5].map((key) => put("log", key, 1));
    const cases: [KeyRange, StoreKey[]][] = [
      [{ from: 2, to: 3 }, [1, 4, 5]],
      [{ from: 4 }, [1, 2, 3]],
      [{ to: 2 }, [3, 4, 5]],
      [{ from: 4, to: 2 }, [1, 2, 3, 4, 5]],
      [{ from: 6 }, [1, 2, 3, 4, 5]],
      [{}, []],
    ];
    await write(storage, put("blocks", 1, 1), put("meta", "m", 1));
    for (const [within, left] of cases) {
      await write(storage, ...fill);
      await write(storage, { kind: "deleteRange", store: "log", range: within });
      same(keysOf((await storage.read([range("log")]))[0]), left, JSON.stringify(within));
    }
    await write(storage, { kind: "deleteRange", store: "meta", range: { from: "a" } });
    same(await contents(storage, "meta"), [], "string keys");
    same(await contents(storage, "blocks"), [[1, [1]]], "other stores");
  }),
  testCase("writes of a batch take effect in order; deleting nothing is fine", async ({ storage }) => {
    const all: Write = { kind: "deleteRange", store: "log", range: {} };
    await write(storage, put("log", 1, 1), all, put("log", 2, 1), put("log", 2, 2), {
      ...get("log", 7),
      kind: "delete",
    } as Write);
    same(await contents(storage, "log"), [[2, [2]]], "log");
  }),
];

const life: readonly ConformanceCase[] = [
  testCase("closing ends a connection, not what is under way", async ({ storage, connect }) => {
    const underWay = [write(storage, put("log", 1, 1), put("log", 2, 1)), storage.read([range("log")])] as const;
    let ended = 0;
    for (const call of underWay) void call.then(() => ended++);
    const closed = storage.close();
    await fails(storage.read([get("log", 1)]), "CLOSED", "read");
    await fails(write(storage, put("log", 3, 1)), "CLOSED", "commit");
    await Promise.all([closed, storage.close()]);
    same(ended, 2, "what has ended");
    same((await underWay[0]).status, "committed", "commit under way");
    same((await underWay[1]).map(keysOf), [[1, 2]], "read under way");
    same((await contents(await connect(), "log")).length, 2, "another connection");
  }),
  testCase("databases are apart, listed, and gone once removed", async ({ factory, storage, name }) => {
    const second = `${name} (second)`;
    await write(storage, put("meta", "a", 1));
    const other = await factory.open(second);
    same(await contents(other, "meta"), [], "apart");
    const listed = (await factory.list()).filter((one) => one.startsWith(name));
    same(listed.toSorted(), [name, second], "listed");
    await other.close();
    await factory.remove(second);
    await factory.remove(second);
    same((await factory.list()).includes(second), false, "removed, twice");
    await storage.close();
    await factory.remove(name);
    const again = await factory.open(name);
    same(await contents(again, "meta"), [], "empty after removal");
    await again.close();
  }),
  testCase(
    "[MV9] reopening makes nothing: what is not there is not there afterwards",
    async ({ factory, storage, name }) => {
      const absent = `${name} (absent)`;
      same(await factory.reopen(absent), undefined, "absent");
      same((await factory.list()).includes(absent), false, "listed");
      await write(storage, put("meta", "a", 1));
      const again = await factory.reopen(name);
      if (again === undefined) throw new Error("it is there");
      same(await contents(again, "meta"), [["a", [1]]], "contents");
      await again.close();
      await storage.close();
      await factory.remove(name);
      same(await factory.reopen(name), undefined, "removed");
    },
  ),
  testCase("what was committed is there when opened again", async ({ storage, connect }) => {
    await write(storage, put("meta", "a", 1), put("log", 1, 2));
    await storage.close();
    const again = await connect();
    same([await contents(again, "meta"), await contents(again, "log")], [[["a", [1]]], [[1, [2]]]], "contents");
  }),
];

export const storageConformance: readonly ConformanceCase[] = [...batches, ...reading, ...deleting, ...life];
