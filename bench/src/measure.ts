/**
 * One peer's part of one round, on a fresh database. Every timed run is followed by a proof that its data is there,
 * after closing and reopening the database where it wrote; proofs are not timed.
 */
import { assertSame, type Item, makeItems, pickIds, proofOf } from "./items.ts";
import type { Opened, Peer, Table } from "./peers/peer.ts";

export interface Sizes {
  readonly records: number;
  readonly keys: number;
  readonly awaited: number;
  readonly concurrent: number;
}

/** Milliseconds by workload; of single calls the median. */
export type Figures = Record<string, number>;

const warmReads = 3;

export async function measure(peer: Peer, sizes: Sizes): Promise<Figures> {
  const items = makeItems(sizes.records, 1);
  const ids = pickIds(items, sizes.keys, 2);
  const figures: Figures = {};

  let db = await peer.open("bench");
  await warmUp(db.warmup);
  figures["bulkInsert"] = await timed(() => db.items.putMany(items));
  if (db.fold) figures["fold"] = await timed(db.fold);
  db = await reopened(peer, db);
  figures["scanCold"] = await scan(db.items, items);
  figures["scan"] = await medianOf(warmReads, () => scan(db.items, items));
  await proveIndex(db.items, items);

  db = await reopened(peer, db);
  figures["getManyCold"] = await getMany(db.items, ids, items);
  figures["getMany"] = await medianOf(warmReads, () => getMany(db.items, ids, items));
  figures["get"] = await awaitedGets(db.items, ids.slice(0, sizes.awaited), items);

  const single = makeItems(sizes.awaited, 3);
  figures["put"] = await awaitedPuts(db.items, single);
  const concurrent = makeItems(sizes.concurrent, 4);
  figures["concurrentPuts"] = await timed(() => Promise.all(concurrent.map((item) => db.items.put(item))));
  db = await reopened(peer, db);
  const all = [...items, ...single, ...concurrent];
  await scan(db.items, all);
  await proveIndex(db.items, all);
  await db.close();
  return figures;
}

/** The reads again, right after the insert, while everything is still in the log and in memory. */
export async function measureUnfolded(peer: Peer, sizes: Sizes): Promise<Figures> {
  const items = makeItems(sizes.records, 1);
  const ids = pickIds(items, sizes.keys, 2);
  const figures: Figures = {};
  const db = await peer.open("bench-unfolded");
  await warmUp(db.warmup);
  await db.items.putMany(items);
  figures["scanUnfolded"] = await medianOf(warmReads, () => scan(db.items, items));
  figures["getManyUnfolded"] = await medianOf(warmReads, () => getMany(db.items, ids, items));
  figures["getUnfolded"] = await awaitedGets(db.items, ids.slice(0, sizes.awaited), items);
  const single = makeItems(sizes.awaited, 3);
  figures["putUnfolded"] = await awaitedPuts(db.items, single);
  const again = await reopened(peer, db);
  await scan(again.items, [...items, ...single]);
  await again.close();
  return figures;
}

/** Lets the compiler see each call before it is timed. */
async function warmUp(table: Table): Promise<void> {
  const items = makeItems(2000, 5);
  for (let i = 0; i < items.length; i += 500) await table.putMany(items.slice(i, i + 500));
  for (const item of items.slice(0, 60)) {
    await table.put(item);
    await table.get(item.id);
  }
  await Promise.all(items.slice(0, 100).map((item) => table.put(item)));
  for (let i = 0; i < 4; i++) {
    await table.getMany(items.slice(0, 500).map(({ id }) => id));
    await table.all();
  }
}

async function reopened(peer: Peer, db: Opened): Promise<Opened> {
  const name = db.name;
  await db.close();
  await settled();
  return peer.open(name);
}

/** Leaves the browser's storage a moment to finish what it does after the answer. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 150));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  collectGarbage();
  const since = performance.now();
  await work();
  return performance.now() - since;
}

/** Garbage of one measurement is not to be collected in the next. */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

async function scan(table: Table, expected: readonly Item[]): Promise<number> {
  let found: Item[] = [];
  const ms = await timed(async () => (found = await table.all()));
  assertSame(proofOf(found), proofOf(expected), "A scan");
  return ms;
}

async function getMany(table: Table, ids: readonly string[], items: readonly Item[]): Promise<number> {
  let found: (Item | undefined)[] = [];
  const ms = await timed(async () => (found = await table.getMany(ids)));
  assertSame(proofOf(found), proofOf(withIds(items, ids)), "Reading many");
  return ms;
}

async function awaitedGets(table: Table, ids: readonly string[], items: readonly Item[]): Promise<number> {
  const found: (Item | undefined)[] = [];
  const each: number[] = [];
  collectGarbage();
  for (const id of ids) {
    const since = performance.now();
    const item = await table.get(id);
    each.push(performance.now() - since);
    found.push(item);
  }
  assertSame(proofOf(found), proofOf(withIds(items, ids)), "Reading one by one");
  return median(each);
}

async function awaitedPuts(table: Table, items: readonly Item[]): Promise<number> {
  const each: number[] = [];
  collectGarbage();
  for (const item of items) {
    const since = performance.now();
    await table.put(item);
    each.push(performance.now() - since);
  }
  return median(each);
}

async function proveIndex(table: Table, items: readonly Item[]): Promise<void> {
  const listId = 7;
  const [all, listed] = [await table.count(), await table.countOfList(listId)];
  const expected = items.filter((item) => item.listId === listId).length;
  if (all !== items.length || listed !== expected) {
    throw new Error(`Counted ${all} and ${listed} by index instead of ${items.length} and ${expected}`);
  }
}

function withIds(items: readonly Item[], ids: readonly string[]): (Item | undefined)[] {
  const byId = new Map(items.map((item) => [item.id, item]));
  return ids.map((id) => byId.get(id));
}

async function medianOf(times: number, run: () => Promise<number>): Promise<number> {
  const each: number[] = [];
  for (let i = 0; i < times; i++) each.push(await run());
  return median(each);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
