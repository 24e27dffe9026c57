import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isTidemarkError } from "../base/errors.ts";
import { storageConformance } from "./conformance.ts";
import { type Batch, type Durability, get, type Storage, valueOf, type Write } from "./contract.ts";
import { createMemoryStorage, type KeepRelaxed, type MemoryMedium } from "./memory.ts";

const name = "db";
const batch = (key: number, durability: Durability = "relaxed", lengthBytes = 1): Batch => ({
  durability,
  writes: [{ kind: "put", store: "log", key, value: new Uint8Array(lengthBytes).fill(key) }],
});
const failureOf = (error: unknown): unknown => error;
async function logKeys(storage: Storage): Promise<unknown[]> {
  const [found] = await storage.read([{ kind: "keys", store: "log", range: {} }]);
  return found!.map((entry) => entry.key);
}
const survivors = async (medium: MemoryMedium): Promise<unknown[]> => logKeys(await medium.open(name));

describe("conformance", () => {
  it.each(storageConformance)("$title", async ({ run }) => {
    await expect(run(async () => createMemoryStorage())).resolves.toBeUndefined();
  });

  it.each(storageConformance)("$title (with jitter)", async ({ run }) => {
    let n = 0;
    const pause = async (): Promise<void> => {
      n = (n * 5 + 3) % 7;
      for (let left = n; left > 0; left--) await Promise.resolve();
    };
    await expect(run(async () => createMemoryStorage({ pause }))).resolves.toBeUndefined();
  });
});

describe("crashes", () => {
  it("[MV4] keeps everything up to the last strict batch, and of the rest as many as told", async () => {
    for (const [keepRelaxed, left] of [
      ["none", 3],
      [1, 4],
      ["all", 5],
      [99, 5],
    ] as const) {
      const medium = createMemoryStorage();
      const storage = await medium.open(name);
      for (let key = 1; key <= 5; key++) await storage.commit(batch(key, key === 3 ? "strict" : "relaxed"));
      expect(medium.atRisk(name)).toBe(2);
      medium.crash({ keepRelaxed });
      expect(await survivors(medium)).toEqual([1, 2, 3, 4, 5].slice(0, left));
      expect(medium.atRisk(name)).toBe(0);
    }
  });

  it("[MV9] ends all connections; opening again works", async () => {
    const medium = createMemoryStorage();
    const [one, two] = [await medium.open(name), await medium.open(name)];
    const underWay = [one.commit(batch(1)), two.read([get("log", 1)])];
    medium.crash();
    for (const call of [...underWay, one.read([]), two.commit(batch(2))]) {
      await expect(call).rejects.toMatchObject({ code: "STORAGE_LOST" });
    }
    expect(await survivors(medium)).toEqual([]);
  });

  /** Three strict commits, with a crash at step `killAt`. */
  async function threeCommits(killAt: number): Promise<{ acknowledged: number; medium: MemoryMedium; end: unknown }> {
    const medium = createMemoryStorage();
    medium.onStep = ({ n }) => (n === killAt ? "crash" : "go");
    const storage = await medium.open(name);
    let acknowledged = 0;
    let end: unknown;
    for (let key = 1; key <= 3 && end === undefined; key++) {
      end = await storage.commit(batch(key, "strict")).then(() => undefined, failureOf);
      if (end === undefined) acknowledged = key;
    }
    medium.onStep = undefined;
    return { acknowledged, medium, end };
  }

  it("[MV4] can strike before and after each effect; the outcome is unknown to the caller", async () => {
    expect((await threeCommits(0)).medium.steps).toBe(6); // commit and committed, three times
    for (let killAt = 1; killAt <= 6; killAt++) {
      const { acknowledged, medium, end } = await threeCommits(killAt);
      expect(end).toMatchObject({ code: "STORAGE_LOST", details: { outcome: "unknown" } });
      expect(acknowledged).toBe(Math.floor((killAt - 1) / 2));
      expect((await survivors(medium)).length).toBe(Math.floor(killAt / 2));
    }
  });

  it("the hook may crash the medium itself, or cut one connection", async () => {
    const medium = createMemoryStorage();
    const [one, two] = [await medium.open(name), await medium.open(name)];
    await one.commit(batch(1));
    medium.onStep = ({ kind }) => (kind === "committed" ? "lost" : "go");
    await expect(one.commit(batch(2))).rejects.toMatchObject({ code: "STORAGE_LOST" });
    await expect(one.read([])).rejects.toMatchObject({ code: "STORAGE_LOST", details: { outcome: "none" } });
    expect(await logKeys(two)).toEqual([1, 2]);
    const three = await medium.open(name);
    medium.onStep = () => "cut";
    await expect(three.commit(batch(9))).rejects.toMatchObject({ details: { outcome: "none" } });
    medium.onStep = undefined;
    expect(await logKeys(two)).toEqual([1, 2]);
    medium.onStep = () => {
      medium.crash({ keepRelaxed: 1 });
      return "go";
    };
    await expect(two.commit(batch(3))).rejects.toMatchObject({ code: "STORAGE_LOST" });
    medium.onStep = undefined;
    expect(await survivors(medium)).toEqual([1]);
  });

  it("does not collect batches at risk without end", async () => {
    const medium = createMemoryStorage();
    const storage = await medium.open(name);
    for (let i = 0; i < 5_000; i++) await storage.commit(batch(i));
    expect(medium.atRisk(name)).toBeLessThan(5_000);
    medium.crash();
    expect((await survivors(medium)).length).toBe(5_000 - 4_096);
  });
});

describe("other faults", () => {
  it("[MV9] over quota nothing is written, all stays readable, deletes pass", async () => {
    const medium = createMemoryStorage({ quotaBytes: 100 });
    const storage = await medium.open(name);
    await storage.commit(batch(1, "strict", 80));
    expect(medium.usedBytes).toBe(88);
    const swap: Write[] = [{ kind: "delete", store: "log", key: 1 }, ...(batch(2, "strict", 9).writes as Write[])];
    for (const writes of [swap, () => swap]) {
      await expect(storage.commit({ durability: "strict", writes })).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    }
    expect(await logKeys(storage)).toEqual([1]);
    await storage.commit({ durability: "strict", writes: swap.slice(0, 1) });
    await storage.commit(batch(2, "strict", 9));
    medium.onStep = () => "quota";
    await expect(storage.commit(batch(3))).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    medium.onStep = undefined;
    expect(await logKeys(storage)).toEqual([2]);
  });

  it("flips a bit of a stored value, for good", async () => {
    const medium = createMemoryStorage();
    const storage = await medium.open(name);
    await storage.commit(batch(1, "strict", 2));
    medium.damage(name, "log", 1, 1, 3);
    medium.crash();
    const [found] = await (await medium.open(name)).read([get("log", 1)]);
    expect([...valueOf(found)!]).toEqual([1, 1 ^ 8]);
  });

  it("counts what is read and written", async () => {
    const medium = createMemoryStorage();
    const storage = await medium.open(name);
    await storage.commit(batch(1, "strict", 10));
    await storage.commit({ ...batch(2, "strict", 10), reads: [get("log", 1)] });
    await storage.read([{ kind: "range", store: "log", range: {} }, get("log", 3)]);
    expect(medium.stats).toEqual({
      readCalls: 1,
      reads: 3,
      entriesRead: 3,
      bytesRead: 30,
      commits: 2,
      bytesWritten: 36,
    });
  });

  it("refuses keys that IndexedDB's stores do not have", async () => {
    const storage = await createMemoryStorage().open(name);
    for (const read of [get("log", "a"), get("meta", 1), get("log", Number.NaN)]) {
      await expect(storage.read([read])).rejects.toMatchObject({ code: "INTERNAL" });
    }
  });
});

describe("against a model", () => {
  const anyKey = fc.nat(7);
  const bounds = fc.record({ from: anyKey, to: anyKey }, { requiredKeys: [] });
  const value = fc.uint8Array({ maxLength: 3 }).map((bytes) => Uint8Array.from(bytes));
  const write: fc.Arbitrary<Write> = fc.oneof(
    fc.record({ kind: fc.constantFrom<"add" | "put">("add", "put"), store: fc.constant("log"), key: anyKey, value }),
    fc.record({ kind: fc.constant("delete"), store: fc.constant("log"), key: anyKey }),
    fc.record({ kind: fc.constant("deleteRange"), store: fc.constant("log"), range: bounds }),
  );
  const event = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        durability: fc.constantFrom<Durability>("relaxed", "relaxed", "strict"),
        writes: fc.array(write, { minLength: 1, maxLength: 4 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ keepRelaxed: fc.oneof(fc.nat(5), fc.constantFrom<"all" | "none">("all", "none")) }),
    },
  );
  type Model = ReadonlyMap<number, string>;
  type ModelBatch = Batch & { readonly writes: readonly Write[] };

  /** `undefined` where an add met a taken key. */
  function applied(model: Model, writes: readonly Write[]): Model | undefined {
    const next = new Map(model);
    for (const w of writes) {
      if (w.kind === "deleteRange") {
        const { from = -1, to = 99 } = w.range;
        for (const k of next.keys()) if (k >= Number(from) && k <= Number(to)) next.delete(k);
      } else if (w.kind === "delete") next.delete(Number(w.key));
      else if (w.kind === "add" && next.has(Number(w.key))) return undefined;
      else next.set(Number(w.key), w.value.join());
    }
    return next;
  }

  async function contents(storage: Storage): Promise<[unknown, string][]> {
    const [found] = await storage.read([{ kind: "range", store: "log", range: {} }]);
    return found!.map((entry) => [entry.key, entry.value.join()]);
  }
  const listed = (model: Model): [unknown, string][] => [...model].toSorted(([a], [b]) => a - b);

  /** Every state since the last crash; `states[settled]` is what the last strict batch left. */
  interface History {
    readonly states: readonly Model[];
    readonly settled: number;
  }

  function crashed({ states, settled }: History, keep: KeepRelaxed): History {
    const last = states.length - 1;
    const left = keep === "all" ? last : keep === "none" ? settled : Math.min(last, settled + keep);
    return { states: [states[left]!], settled: 0 };
  }

  function committed({ states, settled }: History, { writes, durability }: ModelBatch): History {
    const next = applied(states.at(-1)!, writes);
    if (next === undefined) return { states, settled };
    return { states: [...states, next], settled: durability === "strict" ? states.length : settled };
  }

  it("[MV4] what survives crashes is a prefix with every strict batch in it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
        const medium = createMemoryStorage();
        let storage = await medium.open(name);
        let history: History = { states: [new Map()], settled: 0 };
        for (const happening of events) {
          const before = history;
          let status = "crashed";
          if ("keepRelaxed" in happening) {
            medium.crash(happening);
            storage = await medium.open(name);
            history = crashed(history, happening.keepRelaxed);
          } else {
            ({ status } = await storage.commit(happening));
            history = committed(history, happening);
          }
          expect(status === "exists").toBe(history.states === before.states);
          expect(await contents(storage)).toEqual(listed(history.states.at(-1)!));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("[MV1] killed at any step, a run leaves what was acknowledged and at most the batch under way", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(40), fc.integer({ min: 1, max: 20 }), async (killAt, batches) => {
        const medium = createMemoryStorage();
        const storage = await medium.open(name);
        medium.onStep = ({ n }) => (n === killAt ? "crash" : "go");
        let acknowledged = 0;
        for (let key = 1; key <= batches; key++) {
          const done = await storage.commit(batch(key, "strict")).catch(failureOf);
          if (isTidemarkError(done)) break;
          acknowledged = key;
        }
        medium.onStep = undefined;
        const left = (await survivors(medium)).length;
        expect(left === acknowledged || left === acknowledged + 1).toBe(true);
      }),
    );
  });
});
