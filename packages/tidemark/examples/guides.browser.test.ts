import { deleteDatabase } from "tidemark";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

let log: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  log = vi.spyOn(console, "log").mockImplementation(() => undefined);
});
afterEach(async () => {
  log.mockRestore();
  await Promise.all(["wiki", "sensor", "tasks", "todos", "contacts"].map((name) => deleteDatabase(name)));
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

test("[MV10] a schema: its output is stored, and what it refuses is told by position", async () => {
  await import("./schema.ts");
  expect(log.mock.calls[0]).toEqual([{ id: expect.any(String), title: "Swim", done: false }]);
  expect(log.mock.calls[1]![1]).toMatchObject([{ position: 1, code: "VALIDATION", issues: [{ path: ["title"] }] }]);
});

test("[MV10] migrations: in a transaction, and record by record", async () => {
  await import("./migrations.ts");
  expect(log.mock.calls).toEqual([[[{ id: "a", first: "Ann", last: "Brown" }]]]);
});
