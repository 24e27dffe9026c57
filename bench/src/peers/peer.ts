import type { Item } from "../items.ts";

/** What every peer can do, each by the call that its documentation advises for it. */
export interface Table {
  putMany(items: readonly Item[]): Promise<unknown>;
  put(item: Item): Promise<unknown>;
  get(id: string): Promise<Item | undefined>;
  getMany(ids: readonly string[]): Promise<(Item | undefined)[]>;
  all(): Promise<Item[]>;
  count(): Promise<number>;
  /** Records of one list, counted through the index. */
  countOfList(listId: number): Promise<number>;
}

/** An open database. `warmup` is a second table: what runs on it is not measured. */
export interface Opened {
  readonly name: string;
  readonly items: Table;
  readonly warmup: Table;
  /** Does what the peer would otherwise do in the background after writes; absent where that is nothing. */
  readonly fold?: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface Peer {
  open(name: string): Promise<Opened>;
}
