import { expect, test } from "vitest";
import { collection, type Database } from "./index.ts";
import { simulate } from "./testing/world.ts";

const rows = collection<{ id: number; n: number; pad: string }>()({ key: "id", indexes: { n: "n" } });
const collections = { rows };
const hot = (n: number): { id: number; n: number; pad: string }[] =>
  Array.from({ length: 100 }, (_, id) => ({ id, n: n % 3, pad: `${n}`.padEnd(200, ".") }));

test("[VG14] a log that is mostly garbage is folded as soon as nobody writes: what is stored is what is live", () =>
  simulate(async (world) => {
    const db = world.tab("a").createDatabase({ name: "hot", collections });
    await db.collection("rows").putMany(hot(0));
    await db.checkpoint();
    const { blockBytes } = await stored(db);
    for (let n = 1; n <= 60; n++) {
      await db.collection("rows").putMany(hot(n));
      await world.sleep(40); // never quiet for as long as it takes
    }
    expect((await stored(db)).logBytes).toBeGreaterThan(1_000_000);
    await world.sleep(5000);
    const after = await stored(db);
    expect(after.logBytes).toBeLessThan(1000);
    expect(after.blockBytes).toBeLessThan(blockBytes * 1.3);
    expect(await db.collection("rows").all()).toEqual(hot(60));
    await db.close();
  }));

test("[VG14] a quiet log of what is live, or a small one, is left as it is", () =>
  simulate(async (world) => {
    const db = world.tab("a").createDatabase({ name: "live", collections });
    for (let n = 0; n < 20; n++) await db.collection("rows").putMany(hot(n).map((r) => ({ ...r, id: n * 100 + r.id })));
    await world.sleep(10_000);
    expect((await stored(db)).logBytes).toBeGreaterThan(400_000);
    await db.close();

    const small = world.tab("b").createDatabase({ name: "small", collections });
    for (let n = 0; n < 5; n++) await small.collection("rows").putMany(hot(n));
    await world.sleep(10_000);
    expect((await stored(small)).logBytes).toBeGreaterThan(50_000);
    await small.close();
  }));

test("[VG14] where such a fold fails it is tried again when there is more, not every moment", () =>
  simulate(async (world) => {
    const db = world.tab("a").createDatabase({ name: "full", collections });
    let errors = 0;
    db.on("error", () => errors++);
    for (let n = 0; n < 20; n++) await db.collection("rows").putMany(hot(n));
    world.medium.quotaBytes = 1; // nothing goes any more
    await world.sleep(60_000);
    expect(errors).toBeLessThan(5);
    world.medium.quotaBytes = Infinity;
    await db.collection("rows").putMany(hot(21));
    await world.sleep(5000);
    expect((await stored(db)).logBytes).toBeLessThan(1000);
    await db.close();
  }));

async function stored({ storage }: Pick<Database<typeof collections>, "storage">): Promise<Stored> {
  const { logBytes, blockBytes } = await storage.metrics();
  return { logBytes, blockBytes };
}

interface Stored {
  readonly logBytes: number;
  readonly blockBytes: number;
}
