/**
 * What every peer can do, each by the call that its documentation advises for it.
 *
 * A call answers when the peer's own promise does; what such an answer means for the data is `Peer.answer`. Records go
 * in and come out as `Item`s: where a peer has no Dates, its file makes numbers of them and Dates again, as an
 * application would have to.
 */
import type { Item } from "../items.ts";

export type IndexedField = "listId" | "amount" | "createdAt";

export interface Table {
  /** Records that are new. */
  insertMany(items: readonly Item[]): Promise<unknown>;
  insert(item: Item): Promise<unknown>;
  /** Records in the place of those with the same ids. */
  replaceMany(items: readonly Item[]): Promise<unknown>;
  replace(item: Item): Promise<unknown>;
  /** Deletes records that are there. */
  deleteMany(ids: readonly string[]): Promise<unknown>;
  get(id: string): Promise<Item | undefined>;
  /** In the order of the ids. */
  getMany(ids: readonly string[]): Promise<(Item | undefined)[]>;
  all(): Promise<Item[]>;
  /** The first `limit` records from `id` on, in the order of their ids. */
  from(id: string, limit: number): Promise<Item[]>;
  count(): Promise<number>;
  /** Records of one list, counted through the index. */
  countOfList(listId: number): Promise<number>;
  /** Records with `from` ≤ amount < `to`, through the index and in its order. */
  amountBetween(from: number, to: number): Promise<Item[]>;
  /** Tells the records of one list now and after each change. Absent where the peer has no live queries. */
  watchList?(listId: number, told: (items: readonly Item[]) => void): Promise<() => void>;
}

/** An open database. `warmup` is a second table of the same shape: what runs on it is not measured. */
export interface Opened {
  readonly name: string;
  readonly items: Table;
  readonly warmup: Table;
  /** Does what the peer would otherwise do in the background after writes; absent where that is nothing. */
  readonly fold?: () => Promise<unknown>;
  /** What it has stored by its own account; absent where it has none. The browser's estimate has its files' slack, too. */
  readonly storedBytes?: () => Promise<number>;
  readonly close: () => Promise<void>;
}

export interface Peer {
  readonly title: string;
  /** What it means for the data that a write was answered. */
  readonly answer: string;
  /** Whether a write is stored when it is answered, at least by the operating system. */
  readonly isStored: boolean;
  /** Whether a field that is `undefined` comes back as such a field. */
  readonly keepsUndefined: boolean;
  /** Whether other tabs may have the same database open. */
  readonly sharesTabs: boolean;
  /** Creates the database with these indexes, or opens it again with the same. */
  open(name: string, indexes: readonly IndexedField[]): Promise<Opened>;
}

export const relaxed = "handed to the operating system, not flushed to the disk (relaxed)";
