import { type AbstractDatabaseOptions, AbstractLevel } from "abstract-level";
import { type DatabaseOptions, deleteDatabase, openDatabase } from "tidemark";
import { Cursor, keyReader } from "./cursor.ts";
import {
  collections,
  type Data,
  type Db,
  type Entries,
  type Entry,
  type Format,
  storedKey,
  storedValue,
  valueAs,
} from "./entries.ts";
import { type IteratorOptions, TidemarkIterator, TidemarkKeyIterator, TidemarkValueIterator } from "./iterators.ts";
import { isEverything, queryOf, type Range, type RangeOptions, rangeOf } from "./range.ts";
import { TidemarkSnapshot } from "./state.ts";

type EngineOptions = Pick<
  DatabaseOptions<typeof collections>,
  "storage" | "worker" | "durability" | "cacheMaxBytes" | "memtableMaxBytes" | "gc" | "log"
>;
export interface TidemarkLevelOptions<K, V> extends AbstractDatabaseOptions<K, V>, EngineOptions {}

/** What a read is of: the newest state, where no snapshot is given. */
interface Of {
  readonly snapshot?: TidemarkSnapshot;
}
interface GetOptions extends Of {
  readonly valueEncoding: Format;
}
type Operation = { readonly type: "put"; readonly key: Data; readonly value: Data } | { type: "del"; key: Data };

/** So many keys of a snapshot are deleted at a time. */
const deletedAtOnce = 1000;

/**
 * An abstract-level database on Tidemark, named by its location. Any number of them, in any tab, may have the same one
 * open. Calls take effect in the order in which they are made, awaited or not.
 */
export class TidemarkLevel<K = string, V = string> extends AbstractLevel<Data, K, V> {
  readonly location: string;
  readonly #options: EngineOptions;
  #db: Db | undefined;

  /** Makes it and opens it on its own; `options` are those of abstract-level and of Tidemark. */
  constructor(location: string, options: TidemarkLevelOptions<K, V> = {}) {
    const { storage, worker, durability, cacheMaxBytes, memtableMaxBytes, gc, log, ...rest } = options;
    super(
      {
        encodings: { utf8: true, view: true },
        implicitSnapshots: true,
        explicitSnapshots: true,
        seek: true,
        has: true,
        createIfMissing: false,
        errorIfExists: false,
        permanence: storage === undefined || storage === "indexeddb",
        signals: { iterators: true },
      },
      rest,
    );
    if (typeof location !== "string" || location === "") {
      throw new TypeError("The first argument 'location' must be a non-empty string");
    }
    this.location = location;
    const engine = { storage, worker, durability, cacheMaxBytes, memtableMaxBytes, gc, log };
    this.#options = Object.fromEntries(Object.entries(engine).filter(([, value]) => value !== undefined));
  }

  /** Deletes the database at a location, wherever it is open; that cannot be blocked. */
  static destroy(location: string, options: Pick<EngineOptions, "storage" | "worker"> = {}): Promise<void> {
    return deleteDatabase(location, options);
  }

  get type(): "tidemark" {
    return "tidemark";
  }

  async _open(): Promise<void> {
    const db = await openDatabase({ name: this.location, collections, ...this.#options });
    db.on("closed", () => void this.close().catch(() => undefined));
    this.#db = db;
  }

  async _close(): Promise<void> {
    await this.#opened.close();
    this.#db = undefined;
  }

  async _get(key: Data, { snapshot, valueEncoding }: GetOptions): Promise<Data | undefined> {
    return shown(await this.#read(snapshot, (entries) => entries.get(storedKey(key))), valueEncoding);
  }

  async _getMany(keys: readonly Data[], { snapshot, valueEncoding }: GetOptions): Promise<(Data | undefined)[]> {
    const found = await this.#read(snapshot, (entries) => entries.getMany(keys.map(storedKey)));
    return found.map((entry) => shown(entry, valueEncoding));
  }

  _has(key: Data, { snapshot }: Of): Promise<boolean> {
    return this.#read(snapshot, (entries) => entries.has(storedKey(key)));
  }

  _hasMany(keys: readonly Data[], { snapshot }: Of): Promise<readonly boolean[]> {
    return this.#read(snapshot, (entries) => entries.hasMany(keys.map(storedKey)));
  }

  async _put(key: Data, value: Data): Promise<void> {
    await this.#entries.put({ k: storedKey(key), v: storedValue(value) });
  }

  async _del(key: Data): Promise<void> {
    await this.#entries.delete(storedKey(key));
  }

  /** One commit. */
  async _batch(operations: readonly Operation[]): Promise<void> {
    const last = new Map<string, Operation>();
    for (const operation of operations) last.set(storedKey(operation.key), operation);
    const put: Entry[] = [];
    const deleted: string[] = [];
    for (const [k, operation] of last) {
      if (operation.type === "put") put.push({ k, v: storedValue(operation.value) });
      else deleted.push(k);
    }
    await this.#entries.writeMany({ put, delete: deleted });
  }

  async _clear(options: RangeOptions & Of): Promise<void> {
    const { limit, snapshot } = options;
    const range = rangeOf(options);
    if (snapshot) return this.#deleteThoseOf(snapshot, range, limit);
    if (limit < 0 && isEverything(range)) return this.#entries.clear();
    const found = queryOf(this.#entries.where(), range);
    await (limit < 0 ? found : found.limit(limit)).delete();
  }

  _iterator(options: IteratorOptions): TidemarkIterator<this, K, V> {
    return new TidemarkIterator<this, K, V>(this, this.#opened, options);
  }
  _keys(options: IteratorOptions): TidemarkKeyIterator<this, K> {
    return new TidemarkKeyIterator<this, K>(this, this.#opened, options);
  }
  _values(options: IteratorOptions): TidemarkValueIterator<this, K, V> {
    return new TidemarkValueIterator<this, K, V>(this, this.#opened, options);
  }

  _snapshot(options: object): TidemarkSnapshot {
    return new TidemarkSnapshot(this.#opened, options);
  }

  /** What a snapshot has in a range, a part at a time. */
  async #deleteThoseOf({ state }: TidemarkSnapshot, range: Range, limit: number): Promise<void> {
    const cursor = new Cursor(state, range, keyReader);
    const most = limit < 0 ? Infinity : limit;
    for (let n = 0; n < most;) {
      const keys = await cursor.take(Math.min(deletedAtOnce, most - n), most - n);
      if (keys.length === 0) break;
      await this.#entries.deleteMany(keys);
      n += keys.length;
    }
    await cursor.close();
  }

  get #opened(): Db {
    if (!this.#db) throw new Error("The database is not open"); // abstract-level asks before
    return this.#db;
  }

  get #entries() {
    return this.#opened.collection("entries");
  }

  /** At once where it is of the newest state, so that it keeps its place among the calls. */
  #read<T>(snapshot: TidemarkSnapshot | undefined, body: (entries: Entries) => Promise<T>): Promise<T> {
    return snapshot ? snapshot.state.entries().then(body) : body(this.#entries);
  }
}

const shown = (entry: Entry | undefined, format: Format): Data | undefined => entry && valueAs(format, entry.v);
