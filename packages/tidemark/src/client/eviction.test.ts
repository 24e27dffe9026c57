import { describe, expect, test } from "vitest";
import type { Request } from "../protocol/messages.ts";
import { databaseOn, failure, FakeHost, packed, plainAnswer, settle } from "./fake-host.test-support.ts";

const evictedAt = (viewSeq: number) => failure("READ_VIEW_EVICTED", { viewSeq, floor: 9, evictedBy: "x", logSeq: 10 });

/** A host whose views begin at seq 1, 2, …, and of which the first so many reads of `op` fail. */
function evicting(times: number, op: Request["op"] = "get", at = (begun: number): number => begun): FakeHost {
  const host = new FakeHost();
  let [begun, failed] = [0, 0];
  host.answer = (r) => {
    if (r.op === "begin") return { seq: ++begun };
    if (r.op === op && failed++ < times) throw evictedAt(at(begun));
    return plainAnswer(r);
  };
  return host;
}

describe("a view that was evicted while the tab slept", () => {
  test("[TB5] of a transaction: its body runs again, and the commit is of that run", async () => {
    const host = evicting(2);
    const db = databaseOn(host);
    const attempts: number[] = [];
    await db.transaction(async (tx) => {
      attempts.push(tx.attempt);
      await tx.collection("rows").put({ id: "a" });
      await tx.collection("rows").get("a");
    });
    expect(attempts).toEqual([0, 1, 2]);
    expect(host.ops.filter((op) => op === "commit")).toHaveLength(1);
    await settle();
    expect(host.ops.filter((op) => op === "end")).toHaveLength(3);
  });

  test("[TB5] of a transaction, again and again: it fails in the end, naming how often it was tried", async () => {
    const db = databaseOn(evicting(Infinity));
    await expect(db.transaction((tx) => tx.collection("rows").get("a"))).rejects.toMatchObject({
      code: "CONFLICT",
      details: { attempts: 11 },
    });
  });

  test("[TB5] that the body opened by itself is the body's own affair", async () => {
    const host = evicting(1, "get", () => 1000);
    const db = databaseOn(host);
    await expect(db.transaction((tx) => tx.collection("rows").get("a"))).rejects.toMatchObject({
      code: "READ_VIEW_EVICTED",
    });
    expect(host.ops.filter((op) => op === "begin")).toHaveLength(1);
  });

  test("[TB5] of the caller fails with what happened", async () => {
    const db = databaseOn(evicting(1));
    const view = await db.readView();
    await expect(view.collection("rows").get("a")).rejects.toMatchObject({
      code: "READ_VIEW_EVICTED",
      details: { viewSeq: 1, floor: 9, evictedBy: "x", logSeq: 10 },
    });
  });

  test("[TB5] of a live query: the query runs again, and nobody hears of it", async () => {
    const db = databaseOn(evicting(3));
    const seen: unknown[] = [];
    db.live((q) => q.collection("rows").get("a")).subscribe({ next: (v) => seen.push(v), error: (e) => seen.push(e) });
    await expect.poll(() => seen).toEqual([undefined]);
  });

  test("[TB5] of a read of the head in several parts: it is begun again", async () => {
    const host = new FakeHost();
    let scans = 0;
    host.answer = (r) => {
      if (r.op !== "scan") return plainAnswer(r);
      scans++;
      const rest = { range: 0, left: r.ranges[0]!, skip: 0 };
      if (scans === 1) return { values: packed({ id: "old" }), handle: -1, rest };
      if (scans === 2) throw evictedAt(1);
      if (scans === 3) return { values: packed({ id: "a" }), handle: -2, rest };
      return { values: packed({ id: "b" }), handle: -2, rest: undefined };
    };
    expect(await databaseOn(host).collection("rows").all()).toEqual([{ id: "a" }, { id: "b" }]);
    await settle();
    expect(host.requests.flatMap((r) => (r.op === "end" ? [r.handle] : []))).toEqual([-1, -2]);
  });
});
