/** What single calls cost as the database grows. */
import { threeIndexes } from "./fixture.ts";
import { makeItems, randomFrom } from "./items.ts";
import type { Peer } from "./peers/peer.ts";
import { storedBatch, storedBatches } from "./tabs.ts";
import { eachTimed } from "./timing.ts";

export interface Costs {
  readonly get: number;
  readonly put: number;
  /** Of about `rangeRecords` records, by an index and in its order. */
  readonly range: number;
}

const rangeRecords = 100;
const amounts = 10_000;
const [sampledBatches, warmCalls, timedCalls] = [10, 20, 100];

/** The medians of awaited calls on what `store` left, `count` records. Adds some records of its own. */
export async function costsAt(peer: Peer, database: string, count: number): Promise<Costs> {
  const db = await peer.open(database, threeIndexes);
  const calls = warmCalls + timedCalls;
  const ids = storedIds(count, calls);
  const fresh = makeItems(calls, 7);
  const random = randomFrom(9);
  const width = Math.max(1, Math.round((rangeRecords * amounts) / count));
  const starts = Array.from({ length: calls }, () => random() % (amounts - width));
  const get = async (id: string): Promise<void> => {
    if ((await db.items.get(id))?.id !== id) throw new Error(`${peer.title} lost ${id}`);
  };
  const range = async (from: number): Promise<void> => {
    const found = await db.items.amountBetween(from, from + width);
    if (found.some(({ amount }) => amount < from || amount >= from + width)) throw new Error("A range is wrong");
  };
  const costs = {
    get: await warmThenTimed(ids, get),
    put: await warmThenTimed(fresh, (item) => db.items.insert(item)),
    range: await warmThenTimed(starts, range),
  };
  for (const { id } of fresh) await get(id);
  await db.close();
  return costs;
}

async function warmThenTimed<T>(inputs: readonly T[], call: (input: T) => Promise<unknown>): Promise<number> {
  for (const input of inputs.slice(0, warmCalls)) await call(input);
  return eachTimed(inputs.slice(warmCalls), call);
}

/** Ids at random from all over the database: as it was stored in batches, some of these are made anew. */
function storedIds(count: number, wanted: number): readonly string[] {
  const random = randomFrom(8);
  const batches = storedBatches(count);
  const step = Math.max(1, Math.floor(batches / sampledBatches));
  const known: string[] = [];
  for (let batch = 0; batch < batches; batch += step) for (const { id } of storedBatch(count, batch)) known.push(id);
  return Array.from({ length: wanted }, () => known[random() % known.length]!);
}
