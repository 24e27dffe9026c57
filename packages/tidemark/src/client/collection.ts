import { type ByteKey, byteKey } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { encodeKey } from "../codec/key.ts";
import { type KeyPath, readKey } from "../codec/path.ts";
import { type EndingBatch, tablePrefix, type WriteKind } from "../codec/record.ts";
import type { Catalog } from "../codec/schema.ts";
import { unpackValues } from "../codec/values.ts";
import { unknownIndex } from "./building.ts";
import type { Connection } from "./connection.ts";
import { indexedBy } from "./definition.ts";
import { type FindTarget, Found, questionOf } from "./find.ts";
import { Incoming } from "./incoming.ts";
import type { Indexed } from "./planner.ts";
import { Query } from "./query.ts";
import type { QueryTarget } from "./reading.ts";
import { encodeDeletes, notARecord, RecordBatch, snapshotOf } from "./records.ts";
import { collectionIn } from "./schema.ts";
import { abortable, enterAbortable, type Source, type WritableSource } from "./source.ts";
import { upload, type Uploaded, type UploadWay } from "./upload.ts";
import { type Change, type Observe, type QueryWriter, WritableQuery } from "./writable-query.ts";
import type {
  AnyDeclaration,
  Filter,
  FindOptions,
  IndexKeyFor,
  IndexName,
  InputOf,
  KeyOf,
  Patch,
  ReadOptions,
  RecordOf,
  RecordVersion,
} from "./types.ts";

/** Reading one collection, at the head, in a view or in a transaction. */
export class ReadableCollection<D extends AnyDeclaration> {
  readonly name: string;
  readonly #source: Source;
  readonly #indexed: Indexed;

  constructor(name: string, declaration: AnyDeclaration, source: Source) {
    this.name = name;
    this.#source = source;
    this.#indexed = indexedBy(declaration);
  }

  /** Of the primary key, as declared. */
  get keyPath(): KeyPath {
    return this.#indexed.key;
  }

  async get(key: KeyOf<D>, options: ReadOptions = {}): Promise<RecordOf<D> | undefined> {
    return (await this.getMany([key], options))[0];
  }

  /** Positions match; `undefined` where there is none. */
  async getMany(keys: readonly KeyOf<D>[], { signal }: ReadOptions = {}): Promise<(RecordOf<D> | undefined)[]> {
    const encoded = this.encodeKeys(keys);
    const source = this.#source;
    return enterAbortable(source, signal, (connection) => this.fetch(connection, source, encoded));
  }

  async has(key: KeyOf<D>, options: ReadOptions = {}): Promise<boolean> {
    return (await this.hasMany([key], options))[0]!;
  }

  /** Positions match. No record is read. */
  async hasMany(keys: readonly KeyOf<D>[], { signal }: ReadOptions = {}): Promise<readonly boolean[]> {
    const encoded = this.encodeKeys(keys);
    const source = this.#source;
    const { handle } = source;
    return enterAbortable(source, signal, (connection) =>
      source.underSchema(connection, async (schema) =>
        connection.call<"has">({ op: "has", handle, epoch: schema.epoch, keys: this.#withinTable(encoded, schema) }),
      ),
    );
  }

  /**
   * The versions of a record that are still stored, newest first: up to the seq of the view or transaction, without
   * what the transaction itself wrote. Which are kept for certain is said by the collection's `retention`, and by
   * views and snapshots; any other may be collected at any time. What was before a `clear` is not among them.
   */
  async history(key: KeyOf<D>, { signal }: ReadOptions = {}): Promise<RecordVersion<RecordOf<D>>[]> {
    const encoded = this.encodeKeys([key]);
    const source = this.#source;
    const { handle } = source;
    const { versions, values } = await enterAbortable(source, signal, (connection) =>
      source.underSchema(connection, async (schema) => {
        const [within] = this.#withinTable(encoded, schema);
        return connection.call<"history">({ op: "history", handle, epoch: schema.epoch, key: within! });
      }),
    );
    const records = unpackValues(values) as (RecordOf<D> | undefined)[];
    return versions.map(({ seq, stamp }, i) => {
      const value = records[i];
      return value === undefined ? { seq, stamp, deleted: true } : { seq, stamp, value };
    });
  }

  count(options: ReadOptions = {}): Promise<number> {
    return this.where().count(options);
  }

  all(options: ReadOptions = {}): Promise<RecordOf<D>[]> {
    return this.where().toArray(options);
  }

  /** A query in the order of an index, or of the primary key. @throws UNKNOWN_NAME */
  where(): Query<RecordOf<D>, KeyOf<D>, KeyOf<D>>;
  where<N extends IndexName<D>>(index: N): Query<RecordOf<D>, IndexKeyFor<D, N>, KeyOf<D>>;
  where(index?: string): Query<RecordOf<D>, unknown, KeyOf<D>> {
    return new Query(this.targetOf(index));
  }

  /**
   * Records by conditions on their fields, as `{ age: { $gte: 18 }, name: "Ada" }`: of the indexes that there are it uses
   * the one that leaves the fewest to look at, and none has to be named. Await it, or ask it to `explain()`.
   * @throws OPTIONS_INVALID, KEY_INVALID
   */
  find(filter: Filter<RecordOf<D>>, options?: FindOptions<RecordOf<D>>): Found<RecordOf<D>> {
    return new Found(this.findTarget(), questionOf(filter, options));
  }

  protected findTarget(observe?: Observe): FindTarget {
    return { source: this.#source, collection: this.name, indexed: this.#indexed, observe };
  }

  /** @throws UNKNOWN_NAME */
  protected targetOf(index: string | undefined): QueryTarget {
    if (index !== undefined && !Object.hasOwn(this.#indexed.indexes, index))
      throw unknownIndex(this.name, index, Object.keys(this.#indexed.indexes));
    return { source: this.#source, collection: this.name, index };
  }

  protected encodeKeys(keys: readonly unknown[]): ByteKey[] {
    return keys.map((k) => encodeKey(k, this.name));
  }

  protected async fetch(
    connection: Connection,
    source: Source,
    encoded: readonly ByteKey[],
  ): Promise<(RecordOf<D> | undefined)[]> {
    const { handle } = source;
    const values = await source.underSchema(connection, async (schema) =>
      connection.call<"get">({ op: "get", handle, epoch: schema.epoch, keys: this.#withinTable(encoded, schema) }),
    );
    return unpackValues(values) as (RecordOf<D> | undefined)[];
  }

  #withinTable(encoded: readonly ByteKey[], schema: Catalog): ByteKey[] {
    const prefix = tablePrefix(collectionIn(schema, this.name).table);
    return encoded.map((k) => byteKey(prefix + k));
  }
}

/** What `writeMany` does. */
export interface Changes<In, K> {
  readonly put?: readonly In[];
  readonly delete?: readonly K[];
}

/** How writes get to the engine: committed at once, or staged in a transaction. */
export interface Sink {
  /** Per write whether its key was there. `encode` may run again, under another stored schema. @throws CONSTRAINT */
  write(connection: Connection, encode: (schema: Catalog) => EndingBatch): Promise<readonly boolean[]>;
  /** The way that a write called now would go at once, if any. */
  upload?(): UploadWay | undefined;
  clear(collection: string, connection: Connection): Promise<void>;
  /** Runs a read, from the source and by the connection it is given, and the write that depends on it as one. */
  atomically<T>(
    connection: Connection,
    body: (connection: Connection, source: Source, sink: Sink) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T>;
}

/** Reading and writing one collection. */
export class Collection<D extends AnyDeclaration> extends ReadableCollection<D> {
  readonly #declaration: AnyDeclaration;
  readonly #source: WritableSource;
  readonly #sink: Sink;
  readonly #incoming: Incoming;
  readonly #observe: Observe | undefined;

  constructor(name: string, declaration: AnyDeclaration, source: WritableSource, sink: Sink, observe?: Observe) {
    super(name, declaration, source);
    this.#declaration = declaration;
    this.#source = source;
    this.#sink = sink;
    this.#incoming = new Incoming(name, declaration);
    this.#observe = observe;
  }

  /** A query in the order of an index, or of the primary key. @throws UNKNOWN_NAME */
  override where(): WritableQuery<RecordOf<D>, KeyOf<D>, KeyOf<D>>;
  override where<N extends IndexName<D>>(index: N): WritableQuery<RecordOf<D>, IndexKeyFor<D, N>, KeyOf<D>>;
  override where(index?: string): WritableQuery<RecordOf<D>, unknown, KeyOf<D>> {
    return new WritableQuery({ ...this.targetOf(index), writer: this.#writer, observe: this.#observe });
  }

  protected override findTarget(): FindTarget {
    return super.findTarget(this.#observe);
  }

  /** Inserts; an existing key is CONSTRAINT. Resolves to the key. @throws VALIDATION where its schema refuses it */
  async add(value: InputOf<D>): Promise<KeyOf<D>> {
    return (await this.addMany([value]))[0]!;
  }
  async put(value: InputOf<D>): Promise<KeyOf<D>> {
    return (await this.putMany([value]))[0]!;
  }
  /** All or nothing. `details.failures` of a CONSTRAINT or VALIDATION lists each refused position. */
  addMany(values: readonly InputOf<D>[]): Promise<KeyOf<D>[]> {
    return this.#writeAll("add", values);
  }
  putMany(values: readonly InputOf<D>[]): Promise<KeyOf<D>[]> {
    return this.#writeAll("put", values);
  }

  /**
   * Changes one record by a patch of top-level fields, or by a synchronous function that may run again and either
   * returns the new record or changes the one it is given. Resolves to the new record, as its schema made it;
   * `undefined` where there is none.
   */
  async update(key: KeyOf<D>, change: Change<RecordOf<D>, InputOf<D>>): Promise<RecordOf<D> | undefined> {
    const make = this.#makerOf(change);
    return this.#change(key, (current) => (current === undefined ? undefined : { record: make(current) }));
  }

  /** Writes what the function makes of the present record, or of nothing. It is synchronous and may run again. */
  async upsert(key: KeyOf<D>, make: (current?: RecordOf<D>) => RecordOf<D> | InputOf<D>): Promise<RecordOf<D>> {
    return (await this.#change(key, (current) => ({ record: make(current) })))!;
  }

  /** Whether it was there. */
  async delete(key: KeyOf<D>): Promise<boolean> {
    return (await this.deleteMany([key])) === 1;
  }

  /** How many of them were there. */
  async deleteMany(keys: readonly KeyOf<D>[]): Promise<number> {
    if (keys.length === 0) return 0;
    const encoded = this.encodeKeys(keys);
    const existed = await this.#source.enter((connection) => this.#delete(connection, this.#sink, encoded));
    return existed.filter(Boolean).length;
  }

  /**
   * Puts and deletes in one commit, in this order: all or nothing. Resolves to the keys of what was put.
   * `details.failures` of a CONSTRAINT or VALIDATION lists each refused position in `put`.
   */
  async writeMany(changes: Changes<InputOf<D>, KeyOf<D>>): Promise<KeyOf<D>[]> {
    const { put = [], delete: deleted = [] } = changes;
    const encoded = this.encodeKeys(deleted);
    if (put.length > 0) return this.#writeAll("put", put, encoded);
    if (encoded.length > 0) await this.#source.enter((connection) => this.#delete(connection, this.#sink, encoded));
    return [];
  }

  /** Deletes every record, however many there are, by one small write. */
  clear(): Promise<void> {
    return this.#source.hold((connection) => this.#sink.clear(this.name, connection));
  }

  async #writeAll(
    kind: Exclude<WriteKind, "delete">,
    values: readonly InputOf<D>[],
    deleted: readonly ByteKey[] = [],
  ): Promise<KeyOf<D>[]> {
    if (values.length === 0) return [];
    const taken = this.#incoming.take(values);
    if (taken instanceof Promise) {
      taken.catch(() => undefined); // awaited when it is this call's turn
      return this.#source.hold(async (connection) => {
        const records = await taken;
        const batch = RecordBatch.of(this.name, kind, records);
        const keys = this.#keysOf(records);
        await this.#send(connection, this.#sink, batch, { deleted });
        return keys;
      });
    }
    const uploaded = deleted.length > 0 ? undefined : upload(this.name, kind, taken, () => this.#sink.upload?.());
    const batch = uploaded?.batch ?? RecordBatch.of(this.name, kind, taken);
    const send = (connection: Connection) => this.#send(connection, this.#sink, batch, { deleted, uploaded });
    const sent = batch.hasSmallBlobs ? this.#source.hold(send) : this.#source.enter(send);
    batch.release();
    const keys = this.#keysOf(taken);
    await sent;
    return keys;
  }

  #keysOf(records: readonly unknown[]): KeyOf<D>[] {
    return records.map((r) => keyOf(r, this.#declaration.key)) as KeyOf<D>[];
  }

  async #send(
    connection: Connection,
    sink: Sink,
    batch: RecordBatch,
    { deleted, uploaded }: { deleted?: readonly ByteKey[]; uploaded?: Uploaded | undefined } = {},
  ): Promise<void> {
    if (batch.hasSmallBlobs) await batch.readBlobs();
    await sink.write(
      connection,
      (schema) => uploaded?.end(schema) ?? batch.writes(collectionIn(schema, this.name), deleted),
    );
  }

  readonly #writer: QueryWriter<RecordOf<D>> = {
    atomically: (body, signal) =>
      abortable(signal, (settle) =>
        this.#source.hold((now) => {
          settle(); // from here on the transaction looks after it
          return this.#sink.atomically(now, body, signal);
        }),
      ),
    deleteKeys: async (connection, sink, keys) => (await this.#delete(connection, sink, keys)).filter(Boolean).length,
    makerOf: (change) => this.#makerOf(change),
    changeKeys: async (connection, source, sink, keys, make) => {
      const present = await this.fetch(connection, source, keys);
      const kept: ByteKey[] = [];
      const made = present.flatMap((current, i) => {
        if (current === undefined) return [];
        const record = make(current);
        this.#refuseChange(keys[i]!, record);
        kept.push(keys[i]!);
        return [record];
      });
      const valid = await this.#incoming.take(made);
      if (valid !== made) for (const [i, record] of valid.entries()) this.#refuseChange(kept[i]!, record);
      if (valid.length > 0) await this.#send(connection, sink, RecordBatch.of(this.name, "put", valid));
      return valid.length;
    },
  };

  #makerOf(change: Change<RecordOf<D>>): (current: RecordOf<D>) => unknown {
    return typeof change === "function" ? editing(change) : patching(snapshotOf(change, this.name));
  }

  #delete(connection: Connection, sink: Sink, keys: readonly ByteKey[]): Promise<readonly boolean[]> {
    return sink.write(connection, (schema) => encodeDeletes(keys, collectionIn(schema, this.name)));
  }

  /** Writes what `make` makes of the present record, if anything. */
  async #change(
    key: KeyOf<D>,
    make: (current: RecordOf<D> | undefined) => { readonly record: unknown } | undefined,
  ): Promise<RecordOf<D> | undefined> {
    const encoded = this.encodeKeys([key]);
    return this.#source.hold((now) =>
      this.#sink.atomically(now, async (connection, source, sink) => {
        const [current] = await this.fetch(connection, source, encoded);
        const made = make(current);
        if (!made) return undefined;
        const record = this.#incoming.withOwnKey(made.record, key);
        this.#refuseChange(encoded[0]!, record);
        const [valid] = await this.#incoming.take([record]);
        if (valid !== record) this.#refuseChange(encoded[0]!, valid);
        await this.#send(connection, sink, RecordBatch.of(this.name, "put", [valid]));
        return valid as RecordOf<D>;
      }),
    );
  }

  #refuseChange(key: ByteKey, next: unknown): void {
    if (typeof next !== "object" || next === null) throw notARecord(this.name, next);
    if (typeof (next as { then?: unknown }).then === "function") throw notSynchronous(this.name);
    const now = keyOf(next, this.#declaration.key);
    if (now !== undefined && encodeKey(now, this.name) === key) return;
    throw new TidemarkError("KEY_INVALID", `A change of a record of '${this.name}' may not change its key`, {
      where: this.name,
      path: this.#declaration.key,
    });
  }
}

const editing =
  <T>(change: (current: T) => T | void) =>
  (current: T): unknown => {
    const next = change(current);
    return next === undefined ? current : next;
  };

const patching =
  <T>(patch: Patch<T>) =>
  (current: T): unknown => {
    const next: Record<string, unknown> = { ...(current as Record<string, unknown>), ...patch };
    for (const [field, value] of Object.entries(patch)) if (value === undefined) delete next[field];
    return next;
  };

/** The key as the caller wrote it: a copy, since dates and bytes can be changed. */
function keyOf(record: unknown, path: AnyDeclaration["key"]): unknown {
  const key = readKey(record, path);
  return typeof key === "object" ? structuredClone(key) : key;
}

const notSynchronous = (collection: string): TidemarkError =>
  new TidemarkError(
    "VALUE_UNSUPPORTED",
    `The function given for a record of '${collection}' must be synchronous; use transaction() to await something`,
    { where: collection, path: collection, type: "promise" },
  );
