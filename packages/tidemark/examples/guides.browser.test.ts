import { deleteDatabase } from "tidemark";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

let log: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  log = vi.spyOn(console, "log").mockImplementation(() => undefined);
});
afterEach(async () => {
  log.mockRestore();
  await Promise.all(["wiki", "sensor", "tasks", "library", "notebook"].map((name) => deleteDatabase(name)));
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
