import { describe, expect, test } from "vitest";
import { collection, deleteDatabase, listDatabases, openDatabase } from "./index.ts";
import { ownWorker } from "./own-worker.test-support.ts";
import { createMemoryStorage } from "./testing.ts";

const collections = { rows: collection<{ id: string; n: number }>()({ key: "id" }) };

describe("storage that is given", () => {
  test("holds the database, and another one another", async () => {
    const [here, there] = [createMemoryStorage(), createMemoryStorage()];
    const a = await openDatabase({ name: "given", collections, storage: here });
    const b = await openDatabase({ name: "given", collections, storage: there });
    await a.collection("rows").put({ id: "a", n: 1 });
    expect(await b.collection("rows").count()).toBe(0);
    await Promise.all([a.close(), b.close()]);
    const again = await openDatabase({ name: "given", collections, storage: here });
    expect(await again.collection("rows").all()).toEqual([{ id: "a", n: 1 }]);
    await again.close();
    expect(await listDatabases({ storage: here })).toEqual([{ name: "given", version: 1 }]);
    await deleteDatabase("given", { storage: here });
    expect(await listDatabases({ storage: here })).toEqual([]);
  });

  test("is shared by handles as tabs share theirs", async () => {
    const storage = createMemoryStorage();
    const [a, b] = await Promise.all(
      [0, 1].map((n) => openDatabase({ name: "given", collections, storage, ...ownWorker(n) })),
    );
    const seen: number[] = [];
    const subscription = b!
      .collection("rows")
      .where()
      .subscribe((rows) => seen.push(rows.length));
    await expect.poll(() => seen).toEqual([0]);
    await a!.collection("rows").put({ id: "a", n: 1 });
    await expect.poll(() => seen).toEqual([0, 1]);
    subscription.unsubscribe();
    await Promise.all([a!.close(), b!.close()]);
  });

  test("is refused where it is none", async () => {
    for (const storage of [{}, { open: () => 1 }, "disk", null]) {
      await expect(async () =>
        openDatabase({ name: "x", collections, storage: storage as "memory" }),
      ).rejects.toMatchObject({ code: "OPTIONS_INVALID", details: { option: "storage" } });
    }
  });
});
