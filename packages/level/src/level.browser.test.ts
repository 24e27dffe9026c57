import { expect, test } from "vitest";
import { TidemarkLevel } from "./index.ts";

test("on IndexedDB, by a worker: an iterator is of the moment it was made; closed and opened, all is there", async () => {
  const location = crypto.randomUUID();
  const db = new TidemarkLevel<string, unknown>(location, { valueEncoding: "json" });
  await db.batch([
    { type: "put", key: "a", value: { n: 1 } },
    { type: "put", key: "b", value: [2] },
  ]);
  const iterator = db.iterator();
  await db.batch([
    { type: "del", key: "a" },
    { type: "put", key: "c", value: "3" },
  ]);
  expect(await iterator.all()).toEqual([
    ["a", { n: 1 }],
    ["b", [2]],
  ]);
  await db.close();
  const again = new TidemarkLevel<string, unknown>(location, { valueEncoding: "json" });
  expect(await again.iterator().all()).toEqual([
    ["b", [2]],
    ["c", "3"],
  ]);
  await TidemarkLevel.destroy(location);
  await expect.poll(() => again.status).toBe("closed");
});
