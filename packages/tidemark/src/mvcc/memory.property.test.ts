import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ByteKey, byteKey, seq, stamp, tabId } from "../base/brand.ts";
import type { Version } from "../segments/version.ts";
import { withReference } from "../codec/outside.ts";
import { Memtable } from "./memtable.ts";
import { contains, ReadSet } from "./read-set.ts";
import { TouchedKeys } from "./touched-keys.ts";
import { SortedKeys } from "./sorted-keys.ts";
import { CommitWindow } from "./window.ts";

const short = fc.uint8Array({ maxLength: 3 }).map((bytes) => byteKey(String.fromCharCode(...bytes)));
const range = fc.record({ from: short, to: fc.option(short, { nil: undefined }) });
const inOrder = (a: ByteKey, b: ByteKey) => (a < b ? -1 : a > b ? 1 : 0);

describe("sorted keys", () => {
  test("are what a sorted array is, over chunk borders too", () => {
    const many = fc.oneof(
      { weight: 3, arbitrary: fc.uniqueArray(short, { maxLength: 60 }) },
      { weight: 1, arbitrary: fc.uniqueArray(fc.nat(5000), { maxLength: 900, size: "max" }).map(numbered) },
      { weight: 1, arbitrary: fc.nat(900).map((n) => numbered(Array.from({ length: n }, (_, i) => i))) },
    );
    fc.assert(
      fc.property(many, many, fc.array(range, { maxLength: 8 }), (first, then, ranges) => {
        const keys = new SortedKeys();
        const start = [...first].sort(inOrder);
        keys.reset(start);
        const model = new Set(start);
        for (const key of then) if (!model.has(key)) keys.add(key);
        for (const key of then) model.add(key);
        const sorted = [...model].sort(inOrder);
        for (const r of [{ from: byteKey(""), to: undefined }, ...ranges]) {
          const expected = sorted.filter((k) => contains(r, k));
          expect([...keys.range(r.from, r.to, false)]).toEqual(expected);
          expect([...keys.range(r.from, r.to, true)]).toEqual(expected.reverse());
        }
      }),
    );
  });

  test("[VG10] are put in order in slices, while keys come and others scan", async () => {
    const keys = new SortedKeys();
    const model: ByteKey[] = [];
    const add = (n: number): void => {
      const key = byteKey(String((n * 7919) % 100_003).padStart(6, "0"));
      keys.add(key);
      model.push(key);
    };
    const all = () => [...keys.range(byteKey(""), undefined, false)];
    for (let n = 0; n < 20_000; n++) add(n);
    let pauses = 0;
    await keys.presort({
      isDue: () => true,
      pause: () => {
        add(20_000 + pauses++);
        return Promise.resolve();
      },
    });
    expect(pauses).toBe(9);
    expect(all()).toEqual(model.toSorted(inOrder));
    for (let n = 30_000; n < 50_000; n++) add(n);
    await keys.presort({
      isDue: () => true,
      pause: () => {
        expect(all()).toEqual(model.toSorted(inOrder)); // a scan settles them: there is nothing left to do
        return Promise.resolve(void pauses++);
      },
    });
    expect(pauses).toBe(10);
    expect(all()).toEqual(model.toSorted(inOrder));
  });
});
const numbered = (ns: readonly number[]) => ns.map((n) => byteKey(String(n).padStart(6, "0")));

describe("a memtable", () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        op: fc.constant("put" as const),
        key: short,
        size: fc.option(fc.nat(20), { nil: undefined }),
        same: fc.boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ op: fc.constant("drop" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    },
  );

  test("[MV2] answers as a list of all versions does, at every seq it still holds", () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80, size: "max" }),
        fc.array(range, { maxLength: 4 }),
        (steps, ranges) => {
          const table = new Memtable();
          let model: { key: ByteKey; version: Version }[] = [];
          let head = 1;
          let dropped = 0;
          for (const s of steps) {
            if (s.op === "put") {
              if (!s.same) head++;
              const payload = s.size === undefined ? undefined : Uint8Array.of(0, 1, head, ...new Uint8Array(s.size));
              const version = { seq: seq(head), stamp: stamp(head), payload };
              table.put(s.key, version);
              model = model.filter((m) => m.key !== s.key || m.version.seq !== head);
              model.push({ key: s.key, version });
            } else {
              dropped = Math.max(dropped, Math.floor(head * s.share));
              table.dropThrough(seq(dropped));
              model = model.filter((m) => m.version.seq > dropped);
            }
          }
          const keys = [...new Set(model.map((m) => m.key))].sort(inOrder);
          const chain = (key: ByteKey, at: number) =>
            model
              .flatMap((m) => (m.key === key && m.version.seq <= at ? [m.version] : []))
              .sort((a, b) => b.seq - a.seq);
          for (const r of [{ from: byteKey(""), to: undefined }, ...ranges]) {
            expect([...table.keys(r.from, r.to, false)]).toEqual(keys.filter((k) => contains(r, k)));
          }
          for (let at = dropped; at <= head; at++) {
            for (const key of keys) expect(plain(table.find(key, seq(at)))).toEqual(chain(key, at)[0]);
            const through = table
              .changes(seq(at))
              .read(byteKey(""), Infinity)
              .map(({ key, versions }) => ({ key, versions: versions.map(plain) }));
            expect(through).toEqual(
              keys.map((key) => ({ key, versions: chain(key, at) })).filter((c) => c.versions.length > 0),
            );
          }
          expect(table.versions).toBe(model.length);
          for (const key of keys) expect(plain(table.newest(key))).toEqual(chain(key, head)[0]);
          table.dropThrough(seq(head));
          expect(table.sizeBytes).toBe(0);
        },
      ),
    );
  });

  test("counts the bytes of values that its versions refer to", () => {
    const table = new Memtable();
    const referring = withReference(Uint8Array.of(0, 1), { id: 64, sizeBytes: 100_000 });
    table.put(byteKey("a"), { seq: seq(1), stamp: stamp(1), payload: referring });
    table.put(byteKey("a"), { seq: seq(2), stamp: stamp(2), payload: referring });
    table.put(byteKey("b"), { seq: seq(3), stamp: stamp(3), payload: Uint8Array.of(0, 1) });
    expect(table.outsideBytes).toBe(200_000);
    table.dropThrough(seq(1));
    expect(table.outsideBytes).toBe(100_000);
    table.dropThrough(seq(3));
    expect(table.outsideBytes).toBe(0);
  });

  test("refuses a version older than what it has", () => {
    const table = new Memtable();
    table.put(byteKey("a"), { seq: seq(5), stamp: stamp(5), payload: undefined });
    expect(() => table.put(byteKey("a"), { seq: seq(4), stamp: stamp(4), payload: undefined })).toThrow("commit order");
  });
});
const plain = (v: Version | undefined) => v && { seq: v.seq, stamp: v.stamp, payload: v.payload };

const readSet = fc.record({ keys: fc.array(short, { maxLength: 3 }), ranges: fc.array(range, { maxLength: 3 }) });
function readSetOf({
  keys,
  ranges,
}: {
  keys: readonly ByteKey[];
  ranges: readonly { from: ByteKey; to: ByteKey | undefined }[];
}): ReadSet {
  const reads = new ReadSet();
  for (const key of keys) reads.key(key);
  for (const r of ranges) reads.range(r);
  return reads;
}

test("[MV3] a read set meets what lies in it, and nothing else", () => {
  fc.assert(
    fc.property(readSet, fc.array(short), (looked, touched) => {
      const meets = touched.some(
        (k) => looked.keys.includes(k) || looked.ranges.some((r) => k >= r.from && (r.to === undefined || k < r.to)),
      );
      const reads = readSetOf(looked);
      expect(reads.meets(touched)).toBe(meets);
      expect(reads.meetsAny(new TouchedKeys(touched))).toBe(meets);
      expect(reads.isEmpty).toBe(looked.keys.length + looked.ranges.length === 0);
    }),
  );
});

describe("the window of recent commits", () => {
  const event = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ op: fc.constant("commit" as const), keys: fc.array(short, { maxLength: 4 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ op: fc.constantFrom("forget" as const, "restart" as const), back: fc.nat(6) }),
    },
  );

  test("[MV3] names the first who touched what was read, and never overlooks one", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30, size: "max" }), readSet, (events, looked) => {
        const window = new CommitWindow();
        const commits: { at: number; keys: readonly ByteKey[] }[] = [];
        let head = 0;
        let known = 0;
        for (const e of events) {
          if (e.op === "commit") {
            commits.push({ at: ++head, keys: e.keys });
            window.add(seq(head), tabId(`t${head}`), e.keys);
          } else if (e.op === "forget") {
            known = Math.max(known, head - e.back);
            window.forgetThrough(seq(Math.max(0, head - e.back)));
          } else {
            known = head;
            window.restart(seq(head));
          }
        }
        const reads = readSetOf(looked);
        for (let view = 0; view <= head; view++) {
          const first = commits.find((c) => c.at > view && reads.meets(c.keys));
          const expected = first && `t${first.at}`;
          const answer = window.conflict(reads, seq(view));
          if (view >= known) expect(answer).toBe(expected);
          else expect(answer).toBe(reads.isEmpty ? undefined : "unknown");
        }
      }),
    );
  });

  test("[MV3] forgets rather than to grow without bound, and says so", () => {
    const window = new CommitWindow();
    const keys = Array.from({ length: 1000 }, (_, i) => byteKey(`k${i}`));
    for (let at = 1; at <= 600; at++) window.add(seq(at), tabId("t"), keys);
    const reads = readSetOf({ keys: [byteKey("other")], ranges: [] });
    expect(window.conflict(reads, seq(0))).toBe("unknown");
    expect(window.conflict(reads, seq(599))).toBeUndefined();
  });
});
