import { expect, test } from "vitest";
import { collection, openDatabase } from "./index.ts";

interface Item {
  id: string;
  v: number;
}

test("reads between writes of one tick see those before them and none after", async () => {
  for (let round = 0; round < 20; round++) {
    const items = collection<Item>()({ key: "id" });
    const db = await openDatabase({ name: `interleaved-${round}`, storage: "memory", collections: { items } });
    const c = db.collection("items");
    const [, one, , two, all, , count] = await Promise.all([
      c.put({ id: "a", v: 1 }),
      c.get("a"),
      c.put({ id: "a", v: 2 }),
      c.get("a"),
      c.all(),
      c.put({ id: "b", v: 1 }),
      c.count(),
      c.delete("b"),
    ]);
    expect([one, two, all, count]).toEqual([{ id: "a", v: 1 }, { id: "a", v: 2 }, [{ id: "a", v: 2 }], 2]);
    await db.close();
  }
});
