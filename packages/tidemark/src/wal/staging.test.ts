import { beforeEach, describe, expect, test } from "vitest";
import { seq, stamp, tabId } from "../base/brand.ts";
import type { Storage } from "../storage/contract.ts";
import { createMemoryStorage, type MemoryMedium } from "../storage/memory.ts";
import { ReopeningStorage } from "../storage/reopening.ts";
import { idsPerGeneration, putGeneration, takeGeneration } from "./generations.ts";
import { appendStaged, type Fence, putFence } from "./log.ts";
import { sealRow } from "./row.ts";
import { discard, type Part, readStaging, type Staged, Staging, stagingIn } from "./staging.ts";

const fence: Fence = { database: 7, incarnation: 0, seq: seq(5), checksum: 0, stamp: stamp(0) };
const entry = Uint8Array.of(1, 2, 3);
const piece = (id: number) => ({ id, value: Uint8Array.of(id % 256) });

let medium: MemoryMedium;
let storage: Storage;
beforeEach(async () => {
  medium = createMemoryStorage();
  storage = await medium.open("d");
  await storage.commit({ durability: "strict", writes: [putFence(fence)] });
});

const keysIn = async (store: "blobs" | "blocks" | "log") =>
  (await storage.read([{ kind: "keys", store, range: { from: 1 } }]))[0]!.map((e) => e.key);
const rows = async () => stagingIn((await storage.read([readStaging]))[0]);
const publish = (all: readonly Staged[], at = 6, known = fence) =>
  appendStaged(storage, entry, seq(at), known, { durability: "relaxed", reserve: "none" }, all);

/** The first id, and all others. */
const parts = ({ from, to }: Staged): readonly Part[] => [
  { from, to: from + 1, pieces: [piece(from)] },
  { from: from + 1, to, pieces: [piece(from + 1), piece(to - 1)] },
];

function reopening(connection: Storage): ReopeningStorage {
  const never = (): Promise<never> => new Promise(() => undefined);
  const lasting = new ReopeningStorage(connection, { reopen: () => medium.reopen("d"), sleep: never });
  lasting.admit = () => Promise.resolve("same");
  return lasting;
}

async function staged(tab: string, count = 3, on = storage): Promise<Staged> {
  const staging = new Staging(on, tabId(tab));
  const all = await staging.reserve("blobs", count);
  for (const part of parts(all)) await staging.write(all, part);
  return all;
}

describe("what is staged", () => {
  test("[MV11] has a row from its first piece on, and none when it is published", async () => {
    const s = await staged("a");
    expect(await rows()).toEqual([s]);
    expect(await publish([s])).toBe("appended");
    expect(await rows()).toEqual([]);
    await discard(storage, s);
    expect(await keysIn("blobs")).toHaveLength(3);
    expect(await keysIn("log")).toEqual([6]);
  });

  test("[MV11] is not published once it is discarded, not even in part", async () => {
    const [s, t] = [await staged("a"), await staged("a")];
    await discard(storage, s);
    expect(await publish([s, t])).toBe("unstaged");
    expect(await rows()).toEqual([t]);
    expect(await keysIn("log")).toEqual([]);
    expect(await keysIn("blobs")).toEqual([t.from, t.from + 1, t.from + 2]);
  });

  test("[MV11] and that its publisher does not use goes as it is published, and not before", async () => {
    const s = await staged("a");
    const cut = { ...s, unused: [{ from: s.from + 1, to: s.from + 1 }] };
    expect(await publish([cut], 5)).toBe("void");
    expect(await keysIn("blobs")).toHaveLength(3);
    expect(await publish([cut])).toBe("appended");
    expect(await keysIn("blobs")).toEqual([s.from, s.to - 1]);
  });

  test("[MV11] is not added to once it is discarded", async () => {
    const staging = new Staging(storage, tabId("a"));
    const s = await staging.reserve("blocks", 2);
    const [first, rest] = parts(s);
    await staging.write(s, first!);
    await discard(storage, s);
    await expect(staging.write(s, rest!)).rejects.toMatchObject({ code: "STORAGE_LOST" });
    expect(await keysIn("blocks")).toEqual([]);
  });

  test("[MV11] stays staged where the entry is void, comes late, or is of another log", async () => {
    const s = await staged("a");
    expect(await publish([s], 5)).toBe("void");
    expect(await publish([s], 6, { ...fence, incarnation: 1 })).toBe("void");
    expect(await publish([s], 6, { ...fence, database: 8 })).toBe("void");
    await storage.commit({ durability: "relaxed", writes: [{ kind: "put", store: "log", key: 6, value: entry }] });
    expect(await publish([s], 6)).toBe("clash");
    expect(await rows()).toEqual([s]);
    expect(await keysIn("log")).toEqual([6]);
    expect(await publish([s], 7)).toBe("appended");
  });

  test("[MV11] is published or discarded, whichever is first, at every step of either", async () => {
    for (let at = 1; ; at++) {
      const s = await staged("a");
      const other = await medium.open("d");
      let steps = 0;
      let discarded: Promise<void> | undefined;
      medium.onStep = () => {
        if (++steps === at && !discarded) discarded = discard(other, s);
        return "go";
      };
      const next = ((await keysIn("log")).at(-1) as number | undefined) ?? 5;
      const done = await publish([s], next + 1);
      medium.onStep = undefined;
      await discarded;
      const there = (await keysIn("blobs")).filter((k) => (k as number) >= s.from && (k as number) < s.to);
      expect(there).toHaveLength(done === "appended" ? 3 : 0);
      expect(await rows()).toEqual([]);
      if (!discarded) return;
    }
  });

  test("[MV11] is discarded although the disk is full", async () => {
    const s = await staged("a");
    medium.quotaBytes = 0;
    await discard(storage, s);
    expect(await keysIn("blobs")).toEqual([]);
  });

  test("[MV9] of which a medium opened anew has lost the end is neither added to nor published", async () => {
    const batches = [0, 1, 2].map((i) => (from: number) => ({
      from: from + i,
      to: from + i + 1,
      pieces: [piece(from + i)],
    }));
    for (const [at, keep] of [0, 1, 2, 3].flatMap((a) => [0, 1, 2, 3].map((k) => [a, k] as const))) {
      const lasting = reopening(await medium.open("d"));
      const staging = new Staging(lasting, tabId("a"));
      const s = await staging.reserve("blobs", 3);
      let written = 0;
      const told: unknown[] = [];
      for (let i = 0; i <= 3; i++) {
        if (i === at) medium.crash({ keepRelaxed: keep });
        if (i === 3) break;
        await staging.write(s, batches[i]!(s.from)).then(
          () => written++,
          (e: unknown) => told.push(e),
        );
      }
      const isLost = keep < at;
      storage = lasting;
      const entryAt = Number((await keysIn("log")).at(-1) ?? 5) + 1;
      expect(await publish([s], entryAt)).toBe(isLost ? "unstaged" : "appended");
      expect(written).toBe(isLost ? at : 3);
      for (const e of told) expect(e).toMatchObject({ code: "STORAGE_LOST", details: { outcome: "none" } });
      await discard(lasting, s);
      const there = (await keysIn("blobs")).filter((k) => (k as number) >= s.from && (k as number) < s.to);
      expect(there).toHaveLength(isLost ? 0 : 3);
    }
  });

  test.each(["commit", "committed"] as const)(
    "[MV9] is written again where nobody can say whether it was, and published as it is (lost at '%s')",
    async (kind) => {
      for (let at = 1; ; at++) {
        const lasting = reopening(await medium.open("d"));
        let steps = 0;
        medium.onStep = (step) => (step.kind === kind && ++steps === at ? "lost" : "go");
        const s = await staged("a", 3, lasting);
        medium.onStep = undefined;
        expect(await publish([s], 5 + at)).toBe("appended");
        const there = (await keysIn("blobs")).filter((k) => (k as number) >= s.from && (k as number) < s.to);
        expect(there).toHaveLength(3);
        if (steps < at) return;
      }
    },
  );

  test("[MV8] a damaged row is passed over, and so is what it names", async () => {
    const [s, t] = [await staged("a"), await staged("b")];
    medium.damage("d", "meta", `stage/a/blobs/${s.from}`, 10);
    expect(await rows()).toEqual([t]);
  });
});

describe("generations", () => {
  test("[MV11] of tabs that begin at once are different, and so are all their ids", async () => {
    const tabs = Array.from({ length: 5 }, (_, i) => new Staging(storage, tabId(`t${i}`)));
    const all = await Promise.all(
      tabs.flatMap((t) => [t.reserve("blobs", 10), t.reserve("blobs", 1), t.reserve("blobs", 100)]),
    );
    const ids = all.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i));
    expect(new Set(ids).size).toBe(5 * 111);
    expect(new Set(ids.map((id) => Math.floor(id / idsPerGeneration))).size).toBe(5);
  });

  test("[MV11] a tab that has used one up takes another", async () => {
    const staging = new Staging(storage, tabId("a"));
    const [a, b, c] = await Promise.all([
      staging.reserve("blobs", idsPerGeneration - 10),
      staging.reserve("blobs", 10),
      staging.reserve("blobs", 1),
    ]);
    expect([a.from, b.to, c.from].map((id) => id / idsPerGeneration)).toEqual([1, 2, 2]);
  });

  test("[MV8] are above all that is stored, although their counter was lost", async () => {
    const at = 4 * idsPerGeneration + 64;
    const put = { kind: "put", store: "blobs", key: at, value: new Uint8Array(1) } as const;
    await storage.commit({ durability: "strict", writes: [put] });
    expect(await takeGeneration(storage)).toBe(5);
    expect(await takeGeneration(storage)).toBe(6);
  });

  test("[MV11] go on above the epoch of a database that had no counter yet", async () => {
    const value = sealRow("upkeep", (out) => out.varint(41));
    await storage.commit({ durability: "strict", writes: [{ kind: "put", store: "meta", key: "upkeep", value }] });
    expect(await takeGeneration(storage)).toBe(42);
    await storage.commit({ durability: "strict", writes: [putGeneration(50)] });
    expect(await takeGeneration(storage)).toBe(51);
  });

  test("[MV9] are never given out again, whatever a medium loses that is opened anew under who has one", async () => {
    const lasting = reopening(storage);
    const first = await takeGeneration(lasting);
    medium.crash({ keepRelaxed: "none" });
    expect(await takeGeneration(lasting)).toBeGreaterThan(first);
  });

  test("[MV11] a tab whose first attempt failed tries again", async () => {
    const staging = new Staging(storage, tabId("a"));
    medium.onStep = ({ kind }) => (kind === "commit" ? "quota" : "go");
    await expect(staging.reserve("blobs", 1)).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    medium.onStep = undefined;
    expect((await staging.reserve("blobs", 1)).from).toBe(idsPerGeneration);
  });
});
