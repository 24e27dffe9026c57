/** Tidemark's workloads one at a time, for `profile.mjs` to watch. */
import { type Sizes, threeIndexes } from "./fixture.ts";
import { type Item, makeItems, pickIds } from "./items.ts";
import { openTidemark, unfolded } from "./peers/tidemark.ts";

export type Step = "bulkInsert" | "puts" | "concurrentPuts" | "scan" | "getMany" | "gets" | "fold";

let db: Awaited<ReturnType<typeof openTidemark>> | undefined;
let inserted: Item[] = [];
let seed = 10;

/** Opens the database anew; what was inserted stays. */
export async function openProfiled(isUnfolded: boolean): Promise<void> {
  await db?.close();
  db = await openTidemark("profiled", threeIndexes.slice(0, 1), isUnfolded ? unfolded : {});
  const warm = makeItems(1000, 5);
  for (let i = 0; i < 3; i++) {
    await db.warmup.replaceMany(warm);
    await db.warmup.all();
    await db.warmup.getMany(warm.map(({ id }) => id));
  }
}

/** Makes a step's input, so that running it is nothing but Tidemark's work; the answer runs it. */
export function profiled(step: Step, sizes: Sizes): () => Promise<unknown> {
  if (!db) throw new Error("Nothing is open");
  const { items, fold } = db;
  switch (step) {
    case "bulkInsert": {
      const records = makeItems(sizes.records, ++seed);
      inserted = records;
      return () => items.insertMany(records);
    }
    case "puts": {
      const records = makeItems(sizes.awaited, ++seed);
      return async () => {
        for (const record of records) await items.insert(record);
      };
    }
    case "concurrentPuts": {
      const records = makeItems(sizes.concurrent, ++seed);
      return () => Promise.all(records.map((record) => items.insert(record)));
    }
    case "scan":
      return () => items.all();
    case "getMany": {
      const ids = pickIds(inserted, sizes.keys, ++seed);
      return () => items.getMany(ids);
    }
    case "gets": {
      const ids = pickIds(inserted, sizes.awaited, ++seed);
      return async () => {
        for (const id of ids) await items.get(id);
      };
    }
    case "fold":
      return fold;
    default:
      throw new Error(`There is no step ${String(step)}`);
  }
}
