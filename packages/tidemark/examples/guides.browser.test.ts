import { deleteDatabase } from "tidemark";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

let log: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  log = vi.spyOn(console, "log").mockImplementation(() => undefined);
});
afterEach(async () => {
  log.mockRestore();
  await Promise.all(
    ["wiki", "sensor", "tasks", "library", "garden", "garden copy", "garden rescued"].map((name) =>
      deleteDatabase(name),
    ),
  );
});

test("[GM4] history: every version that is retained, and what a snapshot keeps", async () => {
  await import("./history.ts");
  const [deletion, second, first, kept] = log.mock.calls;
  expect([deletion, second, first].map((shown) => shown![2])).toEqual(["deleted", "Second", "First"]);
  expect(Date.now() - (first![1] as Date).getTime()).toBeLessThan(60_000);
  expect(kept).toEqual([{ id: "home", text: "First" }]);
});

test("[VG13] not shrinking: who holds what back, and a run", async () => {
  await import("./not-shrinking.ts");
  expect(log.mock.calls[0]![0]).toMatch(/can go now; the floor is \d+, the head \d+\n/);
  expect(log.mock.calls[1]![0]).toMatch(/versions went, \d+ bytes/);
});

test("[VG12] what would go is told with its proof, and goes", async () => {
  await import("./gc-proofs.ts");
  expect(log.mock.calls.at(-1)).toEqual([expect.any(Number), "versions went"]);
});

test("queries: by indexes, in pages, one at a time, by conditions", async () => {
  await import("./queries.ts");
  const titles = (of: unknown) => (of as { title: string }).title;
  const [last, keys, pages, one, two, found] = log.mock.calls;
  expect([titles(last![0]), last![1]]).toEqual(["Fiasco", 2]);
  expect(keys![0]).toEqual(["b2", "b3", "b4", "b1"]);
  expect(pages).toEqual([3, 1, undefined]);
  expect([one, two]).toEqual([["Kindred"], ["Solaris"]]);
  expect(found).toEqual([["Dawn", "Solaris"], "tags"]);
});

test("[MV8] import and export: a backup, lines, a table, going on, a salvage", async () => {
  await import("./import-export.ts");
  const [restored, lines, table, count, rest, damage] = log.mock.calls;
  const fern = { id: "p1", name: "Fern", planted: new Date("2024-05-01"), photo: Uint8Array.of(1, 2, 3) };
  expect(restored).toEqual([2, fern]);
  expect(lines![0]).toContain(
    '"planted":{"$date":"2024-05-01T00:00:00.000Z"},"photo":{"$bytes":["Uint8Array","AQID"]}',
  );
  expect(table![0]).toBe("id,height\r\np1,\r\np2,120\r\n");
  expect([count, rest, damage]).toEqual([[3], [true, 2000], [[]]]);
});
