/** The three kinds of iterators: a course each, on a snapshot or on the state of the moment they were made. */
import { AbstractIterator, AbstractKeyIterator, AbstractValueIterator } from "abstract-level";
import { Cursor, entryReader, keyReader, type Reader } from "./cursor.ts";
import { type Data, type Db, type Entry, type Format, keyAs, storedKey, valueAs } from "./entries.ts";
import { type RangeOptions, rangeOf } from "./range.ts";
import { State, type TidemarkSnapshot } from "./state.ts";

export interface IteratorOptions extends RangeOptions {
  readonly keyEncoding: Format;
  readonly valueEncoding: Format;
  readonly values?: boolean;
  readonly snapshot?: TidemarkSnapshot;
  readonly signal?: AbortSignal;
}

/** Whom it belongs to, and how far that has come. */
interface Iterator {
  readonly count: number;
  readonly limit: number;
}

/** A cursor whose items, as they are kept, `shown` makes what abstract-level takes. */
class Course<T, R> {
  readonly #cursor: Cursor<T>;
  readonly #shown: (item: T) => R;
  readonly #signal: AbortSignal | undefined;
  /** Unless it reads a snapshot's. */
  readonly #ownState: State | undefined;

  constructor(db: Db, options: IteratorOptions, reader: Reader<T>, shown: (item: T) => R) {
    this.#ownState = options.snapshot ? undefined : new State(db);
    this.#cursor = new Cursor((options.snapshot?.state ?? this.#ownState)!, rangeOf(options), reader);
    this.#shown = shown;
    this.#signal = options.signal ?? undefined;
  }

  async next({ limit, count }: Iterator): Promise<R | undefined> {
    const [item] = await this.#unlessAborted(this.#cursor.take(1, limit - count));
    return item === undefined ? undefined : this.#shown(item);
  }

  async many(size: number, { limit, count }: Iterator): Promise<R[]> {
    const items = await this.#unlessAborted(this.#cursor.take(size, limit - count));
    return items.map(this.#shown);
  }

  async all({ limit, count }: Iterator): Promise<R[]> {
    const items = await this.#unlessAborted(this.#cursor.all(limit - count));
    return items.map(this.#shown);
  }

  seek(target: Data): void {
    this.#cursor.seek(storedKey(target));
  }

  async close(): Promise<void> {
    await Promise.all([this.#cursor.close(), this.#ownState?.release()]);
  }

  /** A read under way ends as soon as the signal aborts. */
  #unlessAborted<A>(read: Promise<A>): Promise<A> {
    const signal = this.#signal;
    if (!signal) return read;
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(new AbortError());
      signal.addEventListener("abort", abort, { once: true });
      void read.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  }
}

/** As abstract-level's own, which it keeps to itself. */
class AbortError extends Error {
  override readonly name = "AbortError";
  readonly code = "LEVEL_ABORTED";

  constructor() {
    super("Operation has been aborted");
  }
}

type Shown = [Data | undefined, Data | undefined];

function entryCourse(db: Db, options: IteratorOptions): Course<Entry, Shown> | Course<string, Shown> {
  const { keyEncoding, valueEncoding, values } = options;
  return values === false
    ? new Course(db, options, keyReader, (k): Shown => [keyAs(keyEncoding, k), undefined])
    : new Course(db, options, entryReader, ({ k, v }): Shown => [keyAs(keyEncoding, k), valueAs(valueEncoding, v)]);
}

export class TidemarkIterator<Owner, K, V> extends AbstractIterator<Owner, K, V> {
  readonly #course: Course<Entry, Shown> | Course<string, Shown>;

  constructor(owner: Owner, db: Db, options: IteratorOptions) {
    super(owner, options as object);
    this.#course = entryCourse(db, options);
  }

  _next(): Promise<Shown | undefined> {
    return this.#course.next(this);
  }
  _nextv(size: number): Promise<Shown[]> {
    return this.#course.many(size, this);
  }
  _all(): Promise<Shown[]> {
    return this.#course.all(this);
  }
  _seek(target: Data): void {
    this.#course.seek(target);
  }
  _close(): Promise<void> {
    return this.#course.close();
  }
}

export class TidemarkKeyIterator<Owner, K> extends AbstractKeyIterator<Owner, K> {
  readonly #course: Course<string, Data>;

  constructor(owner: Owner, db: Db, options: IteratorOptions) {
    super(owner, options as object);
    this.#course = new Course(db, options, keyReader, (k) => keyAs(options.keyEncoding, k));
  }

  _next(): Promise<Data | undefined> {
    return this.#course.next(this);
  }
  _nextv(size: number): Promise<Data[]> {
    return this.#course.many(size, this);
  }
  _all(): Promise<Data[]> {
    return this.#course.all(this);
  }
  _seek(target: Data): void {
    this.#course.seek(target);
  }
  _close(): Promise<void> {
    return this.#course.close();
  }
}

export class TidemarkValueIterator<Owner, K, V> extends AbstractValueIterator<Owner, K, V> {
  readonly #course: Course<Entry, Data>;

  constructor(owner: Owner, db: Db, options: IteratorOptions) {
    super(owner, options as object);
    this.#course = new Course(db, options, entryReader, ({ v }) => valueAs(options.valueEncoding, v));
  }

  _next(): Promise<Data | undefined> {
    return this.#course.next(this);
  }
  _nextv(size: number): Promise<Data[]> {
    return this.#course.many(size, this);
  }
  _all(): Promise<Data[]> {
    return this.#course.all(this);
  }
  _seek(target: Data): void {
    this.#course.seek(target);
  }
  _close(): Promise<void> {
    return this.#course.close();
  }
}
