import { describe, expect, test } from "vitest";
import type { ScanRequest } from "./protocol/messages.ts";
import { collection, type Database, isTidemarkError, openDatabase } from "./index.ts";
import { databaseOn, FakeHost, packed, plainAnswer, settle } from "./client/fake-host.test-support.ts";

interface Row {
  id: string;
  n: number;
  tags?: string[];
}
const rows = collection<Row>()({ key: "id", indexes: { n: "n", tags: { path: "tags", multi: true } } });

let names = 0;
async function withRows(count: number, body: (db: Database<{ rows: typeof rows }>) => Promise<void>): Promise<void> {
  const db = await openDatabase({ name: `query-${names++}`, storage: "memory", collections: { rows } });
  await db.collection("rows").putMany(Array.from({ length: count }, (_, i) => ({ id: idOf(i), n: i % 10 })));
  await body(db);
  await db.close();
}
const idOf = (i: number): string => `r${String(i).padStart(4, "0")}`;

describe("a page's cursor", () => {
  test("goes on behind the last record, whatever was written or deleted meanwhile", () =>
    withRows(20, async (db) => {
      const query = db.collection("rows").where("n").aboveOrEqual(3).limit(9);
      const first = await query.page(4);
      expect(first.items.map(({ id }) => id)).toEqual([3, 13, 4, 14].map(idOf));
      await db.collection("rows").deleteMany([idOf(14), idOf(5)]);
      await db.collection("rows").put({ id: "r0003x", n: 3 }); // behind us
      const second = await query.page(4, first.cursor);
      expect(second.items.map(({ id }) => id)).toEqual([15, 6, 16, 7].map(idOf));
      const third = await query.page(4, second.cursor);
      expect(third).toEqual({ items: [expect.objectContaining({ id: idOf(17) })] }); // the limit's ninth
    }));

  test("is refused where page() of the same query did not make it", () =>
    withRows(9, async (db) => {
      const { cursor } = await db.collection("rows").where().page(2);
      for (const wrong of ["", "x", "a.*", "a9x.abc", `${cursor}?`, 5 as unknown as string]) {
        const refused = db.collection("rows").where().page(2, wrong);
        await expect(refused).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
      }
      await expect(db.collection("rows").where().reverse().page(2, cursor)).rejects.toMatchObject({
        code: "OPTIONS_INVALID",
        details: { option: "cursor" },
      });
      await expect(db.collection("rows").where().page(0)).rejects.toMatchObject({ details: { option: "size" } });
    }));
});

describe("a query", () => {
  test("is never changed by what is made of it", () =>
    withRows(10, async (db) => {
      const all = db.collection("rows").where("n");
      all
        .above(3)
        .reverse()
        .limit(1)
        .offset(2)
        .filter(() => false);
      expect(await all.count()).toBe(10);
    }));

  test("refuses a filter that is asynchronous, and limits that are none, by the option's name", () =>
    withRows(3, async (db) => {
      const query = db.collection("rows").where();
      await expect(query.filter(async () => true).toArray()).rejects.toMatchObject({
        code: "OPTIONS_INVALID",
        details: { option: "filter" },
      });
      for (const wrong of [-1, 0.5, Number.NaN, "3"] as number[]) {
        expect(() => query.limit(wrong)).toThrow(/limit must be a whole number/);
        expect(() => query.offset(wrong)).toThrow(/offset must be a whole number/);
      }
      expect(() => query.anyOf("abc" as never)).toThrow(/anyOf must be a list of keys/);
    }));

  test("whose ranges leave nothing asks nobody", async () => {
    const host = new FakeHost();
    const query = databaseOn(host).collection("rows").where().anyOf([]);
    expect([await query.toArray(), await query.count(), await query.primaryKeys()]).toEqual([[], 0, []]);
    expect(host.ops).toEqual([]);
  });

  test("reads no more parts, and lets go of its view, as soon as whoever iterates has enough", async () => {
    const host = new FakeHost();
    let parts = 0;
    host.answer = (r) => {
      if (r.op !== "scan") return plainAnswer(r);
      const rest = { range: 0, left: r.ranges[0]!, skip: 0 };
      return { values: packed({ id: `${parts++}` }, { id: `${parts++}` }), handle: -1, rest };
    };
    const seen: string[] = [];
    for await (const row of databaseOn(host).collection("rows").where()) {
      seen.push(row.id);
      if (seen.length === 3) break;
    }
    await settle();
    expect(seen).toEqual(["0", "1", "2"]);
    expect(host.ops).toEqual(["scan", "scan", "scan", "end"]); // one more was on its way
  });

  test("asks for keys alone, and counts in the index, where no filter has to see records", async () => {
    const host = new FakeHost();
    host.answer = (r) => {
      if (r.op === "count") return Math.min(7, r.limit ?? 7);
      return r.op === "scan" ? { values: undefined, keys: [], handle: 0, rest: undefined } : plainAnswer(r);
    };
    const query = databaseOn(host).collection("rows").where().above("a").offset(2);
    expect(await query.count()).toBe(5);
    expect(await query.limit(3).count()).toBe(3);
    await query.primaryKeys();
    const scan = host.requests.find((r): r is ScanRequest => r.op === "scan");
    expect(host.ops).toEqual(["count", "count", "scan"]);
    expect(scan).toMatchObject({ wants: "keys", skip: 2 });
  });

  test("can be aborted before it begins and while it runs", () =>
    withRows(10, async (db) => {
      const reason = new Error("enough");
      const query = db.collection("rows").where("n");
      const aborted = AbortSignal.abort(reason);
      for (const call of [
        () => query.toArray({ signal: aborted }),
        () => query.first({ signal: aborted }),
        () => query.count({ signal: aborted }),
        () => query.page(3, undefined, { signal: aborted }),
        () => query.primaryKeys({ signal: aborted }),
        () => db.collection("rows").find({ n: 3 }).toArray({ signal: aborted }),
      ]) {
        await expect(call()).rejects.toBe(reason);
      }
      for (const call of [() => query.delete({ signal: aborted }), () => query.update({ n: 1 }, { signal: aborted })]) {
        await expect(call()).rejects.toBe(reason);
      }
      expect(await query.equals(1).count()).toBe(1);
      const controller = new AbortController();
      const running = query.toArray({ signal: controller.signal });
      controller.abort(reason);
      await expect(running).rejects.toBe(reason);
      expect(await query.count()).toBe(10);
    }));

  test("is subscribed to at the head alone", () =>
    withRows(3, async (db) => {
      const seen: number[] = [];
      const subscription = db
        .collection("rows")
        .where("n")
        .above(0)
        .subscribe((all) => seen.push(all.length));
      await expect.poll(() => seen).toEqual([2]);
      await db.collection("rows").put({ id: "new", n: 1 });
      await expect.poll(() => seen).toEqual([2, 3]);
      subscription.unsubscribe();
      const inside = db.transaction(async (tx) =>
        tx
          .collection("rows")
          .where()
          .subscribe(() => undefined),
      );
      await expect(inside).rejects.toMatchObject({ code: "TRANSACTION_INVALID", details: { why: "subscribe" } });
    }));

  test("explains how it would be carried out", () =>
    withRows(30, async (db) => {
      const plan = await db.collection("rows").where("n").anyOf([1, 5, 7]).reverse().explain();
      expect(plan).toEqual({
        collection: "rows",
        index: "n",
        ranges: 3,
        entries: 9,
        isFiltered: false,
        isReverse: true,
      });
    }));
});

describe("find", () => {
  test("takes its place among the calls: what is called later it does not see", () =>
    withRows(5, async (db) => {
      const c = db.collection("rows");
      const before = c.find({ n: { $gte: 0 }, id: { $gte: "r" } }).toArray();
      const put = c.put({ id: "r9", n: 9 });
      const after = c.find({ n: { $gte: 0 }, id: { $gte: "r" } }).toArray();
      await put;
      expect([(await before).length, (await after).length]).toEqual([5, 6]);
    }));

  test("takes the way with the fewest entries, and says which others there were", () =>
    withRows(100, async (db) => {
      const plan = await db
        .collection("rows")
        .find({ n: 3, id: { $lt: idOf(4) } })
        .explain();
      expect(plan).toMatchObject({ index: undefined, entries: 4, isFiltered: true, sortedBy: "nothing" });
      expect(plan.considered).toEqual([
        { index: undefined, entries: 4 },
        { index: "n", entries: 10 },
      ]);
      const other = await db
        .collection("rows")
        .find({ n: 3, id: { $lt: idOf(80) } }, { sort: "n" })
        .explain();
      expect(other).toMatchObject({ index: "n", entries: 10, isFiltered: true, sortedBy: "memory" });
    }));

  test("walks an index for the order alone where there is a limit, and finds records that it does not list", () =>
    withRows(3, async (db) => {
      const untyped = db.collection("rows") as unknown as { put(row: object): Promise<unknown> };
      await untyped.put({ id: "none" });
      const by = (limit: number) => db.collection("rows").find({}, { sort: "-n", limit });
      expect((await by(2)).map(({ id }) => id)).toEqual([idOf(2), idOf(1)]);
      expect((await by(4)).map(({ id }) => id)).toEqual([idOf(2), idOf(1), idOf(0), "none"]);
    }));

  test("says which operator it does not know, and where", () =>
    withRows(1, async (db) => {
      const find = (filter: unknown, options?: unknown) => () =>
        db.collection("rows").find(filter as never, options as never);
      const option = (of: () => unknown): unknown => {
        try {
          return of();
        } catch (e) {
          return isTidemarkError(e) ? [e.code, e.details["option"] ?? e.details["where"]] : e;
        }
      };
      expect(option(find({ n: { $above: 3 } }))).toEqual(["OPTIONS_INVALID", "find.n.$above"]);
      expect(option(find({ $nor: [] }))).toEqual(["OPTIONS_INVALID", "find.$nor"]);
      expect(option(find({ $or: { n: 1 } }))).toEqual(["OPTIONS_INVALID", "find.$or"]);
      expect(option(find({ n: undefined }))).toEqual(["OPTIONS_INVALID", "find.n"]);
      expect(option(find({ n: { a: 3 } }))).toEqual(["OPTIONS_INVALID", "find.n"]);
      expect(option(find({ n: { $gt: Number.NaN } }))).toEqual(["KEY_INVALID", "find.n.$gt"]);
      expect(option(find({}, { limit: -1 }))).toEqual(["OPTIONS_INVALID", "find.limit"]);
      expect(option(find({}, { sort: { n: 2 } }))).toEqual(["OPTIONS_INVALID", "find.sort.n"]);
      expect(option(find({}, { order: "n" }))).toEqual(["OPTIONS_INVALID", "find.order"]);
      expect(option(find("n"))).toEqual(["OPTIONS_INVALID", "find"]);
    }));
});
