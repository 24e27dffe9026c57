import { deleteDatabase } from "tidemark";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

let log: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  log = vi.spyOn(console, "log").mockImplementation(() => undefined);
});
afterEach(async () => {
  log.mockRestore();
  const names = [
    "wiki",
    "sensor",
    "tasks",
    "todos",
    "library",
    "notebook",
    "bank",
    "todo-list",
    "contacts",
    "garden",
    "garden copy",
    "garden rescued",
    "camera",
  ];
  await Promise.all(names.map((name) => deleteDatabase(name, { worker: false }))); // a worker for each would take its time
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

test("[TB3] live queries tell what they read, and nothing else", async () => {
  const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { leave } = await import("./live-queries.ts");
  const told = (): unknown[] => log.mock.calls.map((call: unknown[]) => call[0]);
  await expect.poll(told).toEqual(expect.arrayContaining(["1 of 1 left", ["Reply to Ann"]]));
  leave();
  const early = "0 of 0 left"; // where the first run was before the first commit
  expect(told().filter((line) => typeof line === "string" && line !== early)).toEqual(["1 of 1 left"]);
  expect(told().at(-1)).toEqual({ left: ["Water the plants"], total: 1 });
  expect(error).not.toHaveBeenCalled();
  error.mockRestore();
});

test("[MV3] transactions: all or nothing, side by side, on one state", async () => {
  await import("./transactions.ts");
  expect(log.mock.calls).toEqual([[5, "went through"], [500, 5], ["nested"]]);
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

test("[MV6] blobs: a file is stored, played, cut and deleted", async () => {
  await import("./blobs.ts");
  expect(log.mock.calls).toEqual([
    ["saved"],
    ["holiday.mp4", 5_000_000],
    ["holiday.mp4", "video/mp4", true],
    [12],
    ["POST"],
    [0, 5_000_000],
  ]);
});

test("[OL1] changes: what is written here is sent once and in order, and nothing is sent back", async () => {
  const sent: unknown[] = [];
  let tries = 0;
  const server = vi.spyOn(globalThis, "fetch").mockImplementation((_, init) => {
    if (tries++ === 0) return Promise.reject(new TypeError("offline"));
    sent.push([new Headers(init?.headers).get("idempotency-key"), JSON.parse(init?.body as string)]);
    return Promise.resolve(new Response());
  });
  await import("./changes.ts");
  server.mockRestore();
  const note = { id: "n1", text: "Written offline" };
  const other = { id: "n2", text: "Written elsewhere" };
  expect(sent).toEqual([
    [expect.stringMatching(/^\d+$/), [{ collection: "notes", key: "n1", after: note }]],
    [expect.stringMatching(/^\d+$/), [{ collection: "notes", key: "n2", before: other }]],
  ]);
  expect(log.mock.calls).toEqual([["stopped", true, true]]);
});
