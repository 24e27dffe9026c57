import { expect, test } from "vitest";
import { collection, type Database } from "./index.ts";
import { simulate, type World } from "./testing/world.ts";

const counters = collection<{ id: string; n: number }>()({ key: "id" });
const collections = { counters };
type Db = Database<typeof collections>;

const seed = Date.now() % 1_000_000;

/** Counts up one record by a body that takes a while; resolves to how often it had to run again. */
async function countUp(db: Db, body: () => Promise<void>): Promise<number> {
  let attempts = 0;
  await db.transaction(async (tx) => {
    attempts = tx.attempt;
    const rows = tx.collection("counters");
    const n = (await rows.get("c"))?.n ?? 0;
    await body();
    await rows.put({ id: "c", n: n + 1 });
  });
  return attempts;
}

const tabsOf = (world: World, count: number): Db[] =>
  Array.from({ length: count }, (_, i) => world.tab(`tab${i}`).createDatabase({ name: "retries", collections }));

test(`[MV3] eight slow tabs that count up one record at once all get through, seed ${seed}`, () =>
  simulate(
    async (world) => {
      world.hub.fate = () => [200 * world.random.next()]; // a machine with other work
      const dbs = tabsOf(world, 8);
      const body = (): Promise<void> => world.sleep(500 * world.random.next());
      const counting = dbs.flatMap((db) => Array.from({ length: 12 }, () => countUp(db, body)));
      expect(Math.max(...(await Promise.all(counting)))).toBeLessThanOrEqual(8);
      const view = await dbs[0]!.readView({ fresh: true });
      expect((await view.collection("counters").get("c"))?.n).toBe(8 * 12);
      view.release();
      await Promise.all(dbs.map((db) => db.close()));
    },
    { seed },
  ));

test.each([20, 200, 800])(
  `[MV3] a body of %i ms gets through beside a tab that writes the same record all the time, seed ${seed}`,
  (bodyMs) =>
    simulate(
      async (world) => {
        const [slow, quick] = tabsOf(world, 2);
        const over = new AbortController();
        const quickly = async (): Promise<void> => {
          while (!over.signal.aborted) await countUp(quick!, () => world.sleep(1));
        };
        const looping = quickly();
        for (let i = 0; i < 4; i++) expect(await countUp(slow!, () => world.sleep(bodyMs))).toBeLessThanOrEqual(7);
        over.abort();
        await looping;
        await Promise.all([slow!.close(), quick!.close()]);
      },
      { seed },
    ),
);
