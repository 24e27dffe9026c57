import { makeItems } from "../items.ts";
import { timed } from "../timing.ts";
import type { Work } from "./work.ts";

/** All records in one call, into an empty database with one index, and into one with three. */
export const bulk: Work = async (fixture) => {
  const indexes = ["listId"] as const;
  const items = makeItems(fixture.sizes.records, 8);
  const db = await fixture.open("one-index", indexes);
  const bulkOne = await timed(() => db.items.insertMany(items));
  const fold = db.fold && (await timed(db.fold));
  const again = await fixture.reopened(db, indexes);
  await fixture.proveHolds(again, items, indexes);
  await again.close();

  const bulkThree = await fixture.insertMs();
  await fixture.prove();
  return { bulkOne, bulkThree, ...(fold !== undefined && { fold }) };
};
