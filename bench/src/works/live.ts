import { makeItems } from "../items.ts";
import type { Item } from "../items.ts";
import { clock, median } from "../timing.ts";
import type { Work } from "./work.ts";

export const watchedList = 7;

/** From a write's call until a live query of this tab tells of it. Nothing where the peer has no live queries. */
export const live: Work = async (fixture) => {
  const db = await fixture.open("live", ["listId"]);
  if (!db.items.watchList) {
    await db.close();
    return {};
  }
  await db.items.insertMany(makeItems(1000, 11));
  const seen = new Arrivals();
  const unwatch = await db.items.watchList(watchedList, (items) => seen.tell(items));
  const each: number[] = [];
  for (const item of listed(fixture.sizes.liveChanges)) {
    const arrived = seen.of(item.id);
    const since = clock();
    await db.items.insert(item);
    each.push((await arrived) - since);
  }
  unwatch();
  await db.close();
  return { live: median(each) };
};

export const listed = (count: number): Item[] => makeItems(count, 12).map((item) => ({ ...item, listId: watchedList }));

/** When a record was first seen in what a live query told. */
export class Arrivals {
  readonly #at = new Map<string, number>();
  readonly #waiting = new Map<string, (at: number) => void>();

  tell(items: readonly Item[]): void {
    const now = clock();
    for (const { id } of items) {
      if (this.#at.has(id)) continue;
      this.#at.set(id, now);
      this.#waiting.get(id)?.(now);
    }
  }

  of(id: string): Promise<number> {
    const known = this.#at.get(id);
    return known === undefined ? new Promise((resolve) => this.#waiting.set(id, resolve)) : Promise.resolve(known);
  }
}
