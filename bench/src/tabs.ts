/** What takes more than one page: opening what another page stored, and hearing of what another tab writes. */
import { threeIndexes } from "./fixture.ts";
import { type Item, makeItems } from "./items.ts";
import type { Opened, Peer } from "./peers/peer.ts";
import { clock } from "./timing.ts";
import { Arrivals, listed, watchedList } from "./works/live.ts";

const name = "tabs";
const batch = 5000;

export const storedBatches = (count: number): number => Math.ceil(count / batch);
export const storedBatch = (count: number, n: number): Item[] =>
  makeItems(Math.min(batch, count - n * batch), 100 + n * batch);

/** Stores so many records for another page to open; answers with the id of the last. */
export async function store(peer: Peer, database: string, count: number): Promise<string> {
  const db = await peer.open(database, threeIndexes);
  let last = "";
  for (let n = 0; n < storedBatches(count); n++) {
    const items = storedBatch(count, n);
    await db.items.insertMany(items);
    last = items.at(-1)!.id;
  }
  await db.fold?.();
  await db.close();
  return last;
}

/** Milliseconds until the database is open and the first record is read from it. */
export async function openCold(peer: Peer, database: string, id: string, count: number): Promise<number> {
  const since = performance.now();
  const db = await peer.open(database, threeIndexes);
  const found = await db.items.get(id);
  const ms = performance.now() - since;
  if (found?.id !== id) throw new Error(`${peer.title} lost ${id}`);
  const counted = await db.items.count();
  if (counted !== count) throw new Error(`${peer.title} has ${counted} records instead of ${count}`);
  await db.close();
  return ms;
}

let db: Opened | undefined;
const seen = new Arrivals();

/** Answers once this tab watches. */
export async function watch(peer: Peer): Promise<boolean> {
  db = await peer.open(name, ["listId"]);
  if (!db.items.watchList) return false;
  await db.items.watchList(watchedList, (items) => seen.tell(items));
  return true;
}

export async function join(peer: Peer): Promise<void> {
  db = await peer.open(name, ["listId"]);
}

/** Writes one of the records that are watched for; answers when that began, by the clock of all tabs. */
export async function writeWatched(n: number): Promise<number> {
  const item = listed(n + 1)[n]!;
  const since = clock();
  await db?.items.insert(item);
  return since;
}

/** When a record was first told here, by the clock of all tabs. */
export const arrived = (n: number): Promise<number> => seen.of(listed(n + 1)[n]!.id);
