import { changed, jsonBytes, makeItems } from "../items.ts";
import { rest, timed } from "../timing.ts";
import type { Work } from "./work.ts";
import { memory, usageBytes } from "./space.ts";

/** A few records overwritten again and again, all of them in each call: the time, and what is left of it. */
export const hot: Work = async (fixture) => {
  const indexes = ["listId"] as const;
  const db = await fixture.peer.open("hot", indexes); // not warmed up: the disk is to hold nothing else
  let items = makeItems(fixture.sizes.hotKeys, 9);
  await db.items.insertMany(items);
  await db.fold?.();
  await rest(fixture.sizes.quietMs);
  const hotLiveBytes = await usageBytes();
  const hotStoredLiveBytes = await db.storedBytes?.();
  const hotUpdates = await timed(async () => {
    for (let round = 1; round <= fixture.sizes.hotRounds; round++) {
      items = changed(items, round);
      await db.items.replaceMany(items);
    }
  });
  const hotPeakBytes = await usageBytes();
  await rest(fixture.sizes.quietMs);
  const hotBytes = await usageBytes();
  const hotStoredBytes = await db.storedBytes?.();
  const after = await memory();
  const again = await fixture.reopened(db, indexes);
  await fixture.proveHolds(again, items, indexes);
  await again.close();
  return {
    hotUpdates,
    hotPeakBytes,
    hotBytes,
    hotLiveBytes,
    hotJsonBytes: jsonBytes(items),
    ...(hotStoredLiveBytes !== undefined && hotStoredBytes !== undefined && { hotStoredLiveBytes, hotStoredBytes }),
    ...(after && { hotMemoryBytes: after.page + after.workers }),
  };
};
