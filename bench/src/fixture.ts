/**
 * What the works of one peer in one round share: a page, an origin, and a database with three indexes that the first of
 * them fills. Each work leaves in `items` what must be there; `prove` reads it back after reopening, untimed.
 */
import { assertSame, type Item, makeItems, proofOf } from "./items.ts";
import type { IndexedField, Opened, Peer } from "./peers/peer.ts";
import { rest, timed } from "./timing.ts";

export interface Sizes {
  readonly records: number;
  /** Random keys in one call. */
  readonly keys: number;
  readonly awaited: number;
  readonly concurrent: number;
  readonly hotKeys: number;
  readonly hotRounds: number;
  readonly blockingRecords: number;
  readonly ycsbRecords: number;
  readonly ycsbOperations: number;
  readonly keystrokes: number;
  readonly liveChanges: number;
  /** Of each kind of call while warming up: a peer that takes long for one makes fewer. */
  readonly warmMs: number;
  /** What follows in the background, merging of files included, is given this long before the disk is asked. */
  readonly quietMs: number;
}

export const threeIndexes: readonly IndexedField[] = ["listId", "amount", "createdAt"];

/** Leaves the browser's storage a moment to finish what it does after the answer. */
const settleMs = 150;

export class Fixture {
  readonly peer: Peer;
  readonly sizes: Sizes;
  /** What the filled database holds. */
  items: Item[] = [];
  #filled: Opened | undefined;
  #insertMs = 0;

  constructor(peer: Peer, sizes: Sizes) {
    this.peer = peer;
    this.sizes = sizes;
  }

  /** A database of a work's own, warmed up. */
  async open(name: string, indexes: readonly IndexedField[]): Promise<Opened> {
    const db = await this.peer.open(name, indexes);
    await warmUp(db, this.sizes.warmMs);
    return db;
  }

  async filled(): Promise<Opened> {
    if (this.#filled) return this.#filled;
    const db = await this.open("filled", threeIndexes);
    this.items = makeItems(this.sizes.records, 1);
    this.#insertMs = await timed(() => db.items.insertMany(this.items));
    await db.fold?.();
    this.#filled = db;
    return db;
  }

  /** What filling took. */
  async insertMs(): Promise<number> {
    await this.filled();
    return this.#insertMs;
  }

  /** The filled database in a state in which nothing was read from it yet. */
  async cold(): Promise<Opened> {
    this.#filled = await this.reopened(await this.filled(), threeIndexes);
    return this.#filled;
  }

  async reopened(db: Opened, indexes: readonly IndexedField[]): Promise<Opened> {
    const name = db.name;
    await db.close();
    await rest(settleMs);
    return this.peer.open(name, indexes);
  }

  /** @throws unless the filled database, opened again, holds `items`. */
  async prove(): Promise<void> {
    await this.proveHolds(await this.cold(), this.items, threeIndexes);
  }

  /** @throws unless the database holds these records, and its indexes find them. */
  async proveHolds(db: Opened, items: readonly Item[], indexes: readonly IndexedField[]): Promise<void> {
    this.assertItems(await db.items.all(), items, "A scan");
    const listId = 7;
    const inRange = { from: 1000, to: 1500 };
    const isListed = (item: Item): boolean => item.listId === listId;
    const isInRange = ({ amount }: Item): boolean => amount >= inRange.from && amount < inRange.to;
    assertNumber(await db.items.count(), items.length, "The count");
    assertNumber(await db.items.countOfList(listId), items.filter(isListed).length, "The count of a list");
    if (!indexes.includes("amount")) return;
    const range = await db.items.amountBetween(inRange.from, inRange.to);
    this.assertItems(range, items.filter(isInRange), "A range");
    assertInOrder(range);
  }

  assertItems(found: readonly (Item | undefined)[], expected: readonly (Item | undefined)[], what: string): void {
    const { keepsUndefined, title } = this.peer;
    assertSame(proofOf(found, keepsUndefined), proofOf(expected, keepsUndefined), `${title}: ${what}`);
  }
}

export function assertNumber(found: number, expected: number, what: string): void {
  if (found !== expected) throw new Error(`${what} is ${found} instead of ${expected}`);
}

function assertInOrder(items: readonly Item[]): void {
  const at = items.findIndex(({ amount }, i) => amount < (items[i - 1]?.amount ?? 0));
  if (at >= 0) throw new Error(`Record ${at} of a range is out of order`);
}

/** Lets the compiler see each call before it is timed, and leaves nothing behind. */
async function warmUp({ warmup }: Opened, warmMs: number): Promise<void> {
  const warmly = <T>(inputs: readonly T[], call: (input: T) => Promise<unknown>) => within(warmMs, inputs, call);
  const [many, single] = [makeItems(1000, 5), makeItems(40, 6)];
  const [one, together] = [single.slice(0, 20), single.slice(20)];
  const ids = many.map(({ id }) => id);
  for (let i = 0; i < many.length; i += 250) await warmup.insertMany(many.slice(i, i + 250));
  const inserted = await warmly(one, (item) => warmup.insert(item));
  await warmly(one.slice(0, inserted), (item) => warmup.replace(item));
  await Promise.all(together.map((item) => warmup.insert(item)));
  await warmly(ids.slice(0, 60), (id) => warmup.get(id));
  await warmly([1, 2, 3], () => warmup.getMany(ids.slice(0, 500)));
  await warmly([1, 2, 3], () => warmup.all());
  await warmly([1, 2, 3], (listId) => warmup.countOfList(listId));
  await warmly(ids.slice(0, 3), (id) => warmup.from(id, 50));
  await warmup.deleteMany([...ids, ...one.slice(0, inserted).map(({ id }) => id), ...together.map(({ id }) => id)]);
}

/** One call after the other until the time is over; answers how many. */
async function within<T>(limitMs: number, inputs: readonly T[], call: (input: T) => Promise<unknown>): Promise<number> {
  const since = performance.now();
  let done = 0;
  for (const input of inputs) {
    if (performance.now() - since > limitMs) break;
    await call(input);
    done++;
  }
  return done;
}
