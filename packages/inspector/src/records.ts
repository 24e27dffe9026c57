/**
 * The records of a collection as rows by position. A page is reached from the nearest place whose key is known, or from
 * the end, so that scrolling on costs the same at every depth. Positions are as of when a page was read.
 */
import type { InspectedCollection } from "./database.ts";
import { keyAt } from "./versions.ts";

export interface Row {
  readonly key: unknown;
  readonly record: unknown;
}

export const pageSize = 50;
const maxPages = 40;

export class Records {
  readonly #collection: InspectedCollection;
  readonly #changed: () => void;
  readonly #pages = new Map<number, readonly Row[]>();
  readonly #reading = new Map<number, Promise<void>>();
  /** By page, the key of the record in front of it. */
  readonly #anchors = new Map<number, unknown>();
  total: number;
  error: unknown;
  #generation = 0;
  #stale = new Set<number>();

  constructor(collection: InspectedCollection, total: number, changed: () => void) {
    this.#collection = collection;
    this.total = total;
    this.#changed = changed;
  }

  /** The row, if it was read; otherwise it is being read from now on. */
  at(position: number): Row | undefined {
    const page = Math.floor(position / pageSize);
    const rows = this.#pages.get(page);
    if (!rows || this.#stale.has(page)) void this.#read(page);
    return rows?.[position % pageSize];
  }

  /** The row once it was read; `undefined` where there is none, or reading failed. */
  async whenRead(position: number): Promise<Row | undefined> {
    await this.#read(Math.floor(position / pageSize));
    return this.at(position);
  }

  /** What is in sight is read anew; until then the old rows stay. */
  refresh(total: number): void {
    this.total = total;
    this.#stale = new Set(this.#pages.keys());
    this.#changed();
  }

  retry(): void {
    this.error = undefined;
    this.#changed();
  }

  /** The position of the first record whose key is not below this one. @throws KEY_INVALID */
  positionOf(key: unknown): Promise<number> {
    return this.#collection.where().below(key).count();
  }

  /** Nothing that is still being read is told. */
  leave(): void {
    this.#generation++;
  }

  #read(page: number): Promise<void> {
    if (this.error !== undefined) return Promise.resolve();
    const reading = this.#reading.get(page) ?? this.#readNow(page).finally(() => this.#reading.delete(page));
    this.#reading.set(page, reading);
    return reading;
  }

  async #readNow(page: number): Promise<void> {
    const generation = this.#generation;
    try {
      const records = await this.#fetch(page);
      if (generation !== this.#generation) return;
      const rows = records.map((record) => ({ key: keyAt(record, this.#collection.keyPath), record }));
      this.#keep(page, rows);
    } catch (e) {
      this.error = e;
    }
    if (generation === this.#generation) this.#changed();
  }

  #fetch(page: number): Promise<unknown[]> {
    const from = page * pageSize;
    const to = Math.max(from, Math.min(this.total, from + pageSize));
    const all = this.#collection.where();
    const near = this.#nearest(page);
    const fromEnd = Math.max(0, this.total - to);
    if (fromEnd < (page - near) * pageSize) {
      const backwards = all
        .reverse()
        .offset(fromEnd)
        .limit(to - from);
      return backwards.toArray().then((records) => records.reverse());
    }
    const anchored = near === 0 ? all : all.above(this.#anchors.get(near));
    return anchored
      .offset((page - near) * pageSize)
      .limit(pageSize)
      .toArray();
  }

  #nearest(page: number): number {
    let near = 0;
    for (const known of this.#anchors.keys()) if (known <= page && known > near) near = known;
    return near;
  }

  #keep(page: number, rows: readonly Row[]): void {
    this.#stale.delete(page);
    this.#pages.delete(page);
    this.#pages.set(page, rows);
    const last = rows.at(-1);
    if (last && rows.length === pageSize) this.#anchors.set(page + 1, last.key);
    const [oldest] = this.#pages.keys();
    if (this.#pages.size > maxPages && oldest !== undefined) this.#pages.delete(oldest);
  }
}
