import { beforeEach, describe, expect, test } from "vitest";
import { byteKey, seq, stamp, tabId } from "../base/brand.ts";
import { type Storage, type StoredValue, storeNames } from "../storage/contract.ts";
import { createMemoryStorage, type MemoryMedium } from "../storage/memory.ts";
import { encodeEntry, entryChecksum } from "./entry.ts";
import {
  append,
  chainFrom,
  decodeFence,
  encodeFence,
  type Fence,
  followed,
  type Head,
  holds,
  putFence,
  sameLog,
  tailReads,
} from "./log.ts";

const fence: Fence = { database: 0xdead_beef, incarnation: 3, seq: seq(10), checksum: 0xffff_fffe, stamp: stamp(77) };

/** An entry of so many commits behind `head`, and the head after it. */
function entry(head: Head, commits = 1, mark = "x"): { bytes: StoredValue; head: Head } {
  const bytes = encodeEntry(
    fence.database,
    head.checksum,
    tabId("t"),
    Array.from({ length: commits }, (_, i) => ({
      seq: seq(head.seq + 1 + i),
      stamp: stamp(1),
      id: i,
      tag: mark,
      writes: [{ key: byteKey("k"), payload: undefined, supersedes: seq(0), supersededBytes: 0, oldEntries: [] }],
    })),
  );
  return { bytes, head: { seq: seq(head.seq + commits), checksum: entryChecksum(bytes), stamp: stamp(1) } };
}
const seqsIn = (tail: ReturnType<typeof followed>) =>
  tail.status === "follows" ? tail.entries.map((e) => e.firstSeq as number) : "reload";

let medium: MemoryMedium;
let storage: Storage;
beforeEach(async () => {
  medium = createMemoryStorage();
  storage = await medium.open("d");
  await storage.commit({ durability: "strict", writes: [putFence(fence)] });
});
const logKeys = async () =>
  (await storage.read([{ kind: "keys", store: "log", range: { from: 1 } }]))[0]!.map((e) => e.key);

test("a fence is read as it was written", () => {
  expect(decodeFence(encodeFence(fence))).toEqual(fence);
  expect(sameLog(fence, { ...fence, seq: seq(99), checksum: 1 })).toBe(true);
  expect(sameLog(fence, { ...fence, incarnation: 4 })).toBe(false);
  expect(sameLog(fence, { ...fence, database: 4 })).toBe(false);
});

describe("the tail", () => {
  const first = entry(fence, 3);
  const second = entry(first.head);
  const third = entry(second.head, 2);
  const stored = async (...entries: readonly [number, StoredValue][]) => {
    await storage.commit({
      durability: "relaxed",
      writes: entries.map(([key, value]) => ({ kind: "put", store: "log", key, value })),
    });
  };
  const tailAfter = async (head: Head, known = fence) => followed(await storage.read(tailReads(head.seq)), head, known);

  test("[MV4] continues from wherever one stands", async () => {
    await stored([11, first.bytes], [14, second.bytes], [15, third.bytes]);
    expect(seqsIn(await tailAfter(fence))).toEqual([11, 14, 15]);
    expect(seqsIn(await tailAfter(first.head))).toEqual([14, 15]);
    expect(seqsIn(await tailAfter(third.head))).toEqual([]);
    expect(await tailAfter(fence)).toMatchObject({ broken: false });
  });

  test.each([
    [
      "a gap",
      [
        [11, first.bytes],
        [15, third.bytes],
      ],
    ],
    [
      "an entry of another chain",
      [
        [11, first.bytes],
        [14, entry({ ...first.head, checksum: 1 }).bytes],
        [15, third.bytes],
      ],
    ],
    [
      "a damaged entry",
      [
        [11, first.bytes],
        [14, second.bytes.map((b, i) => (i === 13 ? b ^ 4 : b))],
        [15, third.bytes],
      ],
    ],
    [
      "an entry under another's key",
      [
        [11, first.bytes],
        [13, second.bytes],
        [15, third.bytes],
      ],
    ],
  ] as const)("[MV4] ends before %s", async (_, entries) => {
    await stored(...entries.map(([k, v]): [number, StoredValue] => [k, Uint8Array.from(v)]));
    const tail = await tailAfter(fence);
    expect(seqsIn(tail)).toEqual([11]);
    expect(tail).toMatchObject({ broken: true });
  });

  test("[MV4][MV9] passes over an entry that strayed into a group", async () => {
    await stored([11, first.bytes], [12, entry(fence).bytes], [14, second.bytes]);
    const tail = await tailAfter(fence);
    expect(seqsIn(tail)).toEqual([11, 14]);
    expect(tail).toMatchObject({ broken: false });
  });

  test("[MV4][TB7] what lies at or below the fence is void", async () => {
    await stored([4, second.bytes], [10, third.bytes], [11, first.bytes]);
    const found = await storage.read(tailReads(seq(0)));
    const { entries, broken } = chainFrom(found[1]!, fence);
    expect(entries.map((e) => e.firstSeq)).toEqual([11]);
    expect(broken).toBe(false);
  });

  test("[TB7][MV9] who is behind the fence, or knows another log, reloads", async () => {
    await stored([11, first.bytes]);
    expect(seqsIn(await tailAfter({ ...fence, seq: seq(9) }))).toBe("reload");
    expect(seqsIn(await tailAfter(fence, { ...fence, incarnation: 2 }))).toBe("reload");
    expect(seqsIn(await tailAfter(fence, { ...fence, database: 2 }))).toBe("reload");
    await storage.commit({
      durability: "relaxed",
      writes: storeNames.map((store) => ({ kind: "deleteRange", store, range: {} })),
    });
    expect(await tailAfter(fence)).toEqual({ status: "reload", fence: undefined });
  });
});

describe("[MV9] a head", () => {
  const first = entry(fence, 3);
  const second = entry(first.head);
  const log = [
    { key: 11, value: first.bytes },
    { key: 14, value: second.bytes },
  ];
  const isHeld = (head: Head, present = fence, entries = log): boolean => holds(present, entries, head, fence);

  test("is held where the fence or an entry of the log ends just so", () => {
    expect([fence, first.head, second.head].map((head) => isHeld(head))).toEqual([true, true, true]);
    expect(isHeld({ ...second.head, checksum: 1 })).toBe(false);
    expect(isHeld({ ...fence, checksum: 1 })).toBe(false);
  });

  test("is not held where the log ends, or breaks, before it, or another took its place", () => {
    expect(isHeld(second.head, fence, log.slice(0, 1))).toBe(false);
    expect(isHeld(second.head, fence, log.slice(1))).toBe(false);
    expect(isHeld(second.head, fence, [log[0]!, { key: 14, value: entry(first.head, 1, "y").bytes }])).toBe(false);
    expect(isHeld({ ...first.head, seq: seq(12) })).toBe(false); // within a group
  });

  test("is held where it was folded, as long as the incarnation vouches for it", () => {
    const folded = { ...fence, ...second.head };
    expect(isHeld(first.head, folded, [])).toBe(true);
    expect(isHeld(second.head, folded, [])).toBe(true);
    expect(isHeld(first.head, { ...folded, incarnation: 4 }, [])).toBe(false);
    expect(isHeld(first.head, { ...fence, database: 4 })).toBe(false);
  });
});

describe("an append", () => {
  const next = entry(fence);
  const terms = { durability: "relaxed", reserve: "none" } as const;
  const appendAt = (at: number, known = fence, bytes = next.bytes) => append(storage, bytes, seq(at), known, terms);

  test("[MV1] takes a free place behind the fence", async () => {
    expect(await appendAt(11)).toBe("appended");
    expect(await logKeys()).toEqual([11]);
  });

  test("[MV4] clashes with whoever was first, and changes nothing", async () => {
    expect(await appendAt(11)).toBe("appended");
    expect(await appendAt(11, fence, entry(fence, 1, "other").bytes)).toBe("clash");
    const [found] = await storage.read([{ kind: "get", store: "log", key: 11 }]);
    expect(found![0]!.value).toEqual(next.bytes);
  });

  test.each([10, 9, 1])("[MV4][TB7] at %i, in the trimmed log, is void and withdrawn", async (at) => {
    expect(await appendAt(at, { ...fence, seq: seq(0) })).toBe("void");
    expect(await logKeys()).toEqual([]);
  });

  test("[MV9] into another database is void and withdrawn", async () => {
    expect(await appendAt(11, { ...fence, database: 1 })).toBe("void");
    expect(await logKeys()).toEqual([]);
  });

  test("[MV9] into another incarnation is unsure and left to recovery", async () => {
    expect(await appendAt(11, { ...fence, incarnation: 2 })).toBe("unsure");
    expect(await logKeys()).toEqual([11]);
  });

  test("[TB7] is not withdrawn when another entry took its place meanwhile", async () => {
    const other = entry(fence, 1, "other");
    let done = false;
    medium.onStep = (step) => {
      if (step.kind !== "committed" || done) return "go";
      done = true;
      void storage.commit({
        durability: "relaxed",
        writes: [{ kind: "put", store: "log", key: 5, value: other.bytes }],
      });
      return "go";
    };
    expect(await appendAt(5)).toBe("void");
    expect(await logKeys()).toEqual([5]);
  });
});
