import { TidemarkError } from "../base/errors.ts";
import type { WriteKind } from "../codec/record.ts";
import { unpackValues } from "../codec/values.ts";
import type { Connection } from "./connection.ts";
import { Query, unknownIndex } from "./query.ts";
import { type BlobBytes, encodeDeletes, encodeRecords, type EncodedWrites, readBlobs, recordKey } from "./records.ts";
import { abortable, type Source } from "./source.ts";
import type { AnyDeclaration, IndexKeyFor, IndexName, KeyOf, Patch, ReadOptions, RecordOf } from "./types.ts";

/** Reading one collection, at the head, in a view or in a transaction. */
export class ReadableCollection<D extends AnyDeclaration> {
  readonly name: string;
  protected readonly source: Source;
  readonly #indexes: ReadonlySet<string>;

  constructor(name: string, declaration: AnyDeclaration, source: Source) {
    this.name = name;
    this.source = source;
    this.#indexes = new Set(Object.keys(declaration.indexes));
  }

  async get(key: KeyOf<D>, options: ReadOptions = {}): Promise<RecordOf<D> | undefined> {
    return (await this.getMany([key], options))[0];
  }

  /** Positions match; `undefined` where there is none. */
  async getMany(keys: readonly KeyOf<D>[], { signal }: ReadOptions = {}): Promise<(RecordOf<D> | undefined)[]> {
    const connection = await this.source.connect();
    const encoded = keys.map((k) => this.#key(k));
    const values = connection.call<"get">({ op: "get", handle: this.source.handle, keys: encoded });
    return unpackValues(await abortable(values, signal)) as (RecordOf<D> | undefined)[];
  }

  async has(key: KeyOf<D>, { signal }: ReadOptions = {}): Promise<boolean> {
    const connection = await this.source.connect();
    const found = connection.call<"has">({ op: "has", handle: this.source.handle, keys: [this.#key(key)] });
    return (await abortable(found, signal))[0]!;
  }

  count(options: ReadOptions = {}): Promise<number> {
    return this.where().count(options);
  }

  all(options: ReadOptions = {}): Promise<RecordOf<D>[]> {
    return this.where().toArray(options);
  }

  /** A query in the order of an index, or of the primary key. @throws UNKNOWN_NAME */
  where(): Query<RecordOf<D>, KeyOf<D>>;
  where<N extends IndexName<D>>(index: N): Query<RecordOf<D>, IndexKeyFor<D, N>>;
  where(index?: string): Query<RecordOf<D>, unknown> {
    if (index !== undefined && !this.#indexes.has(index)) throw unknownIndex(this.name, index);
    return new Query({ source: this.source, collection: this.name, index });
  }

  #key(key: unknown): ReturnType<typeof recordKey> {
    return recordKey(this.name, this.source.session.stored(this.name), key);
  }
}

/** How writes get to the engine: committed at once, or staged in a transaction. */
export interface Sink {
  /** Per write whether its key was there. @throws CONSTRAINT, and CONFLICT by "schema": encode again. */
  write(connection: Connection, writes: Uint8Array<ArrayBuffer>, now: boolean): Promise<readonly boolean[]>;
  clear(connection: Connection, collection: string): Promise<void>;
  /** Runs a read and the write that depends on it as one. */
  atomically<T>(body: (source: Source, sink: Sink) => Promise<T>): Promise<T>;
}

const maxSchemaRetries = 10;

/** Reading and writing one collection. */
export class Collection<D extends AnyDeclaration> extends ReadableCollection<D> {
  readonly #declaration: AnyDeclaration;
  readonly #sink: Sink;

  constructor(name: string, declaration: AnyDeclaration, source: Source, sink: Sink) {
    super(name, declaration, source);
    this.#declaration = declaration;
    this.#sink = sink;
  }

  /** Inserts; an existing key is CONSTRAINT. Resolves to the key. */
  async add(value: RecordOf<D>): Promise<KeyOf<D>> {
    return (await this.addMany([value]))[0]!;
  }
  async put(value: RecordOf<D>): Promise<KeyOf<D>> {
    return (await this.putMany([value]))[0]!;
  }
  /** All or nothing. `details.failures` of a CONSTRAINT lists each refused position. */
  addMany(values: readonly RecordOf<D>[]): Promise<KeyOf<D>[]> {
    return this.#writeAll("add", values);
  }
  putMany(values: readonly RecordOf<D>[]): Promise<KeyOf<D>[]> {
    return this.#writeAll("put", values);
  }

  /**
   * Changes one record by a patch of top-level fields, or by a synchronous function that may run again and either
   * returns the new record or changes the one it is given. Resolves to the new record; `undefined` where there is none.
   */
  update(
    key: KeyOf<D>,
    change: Patch<RecordOf<D>> | ((current: RecordOf<D>) => RecordOf<D> | void),
  ): Promise<RecordOf<D> | undefined> {
    return this.#change(key, (current) => {
      if (current === undefined) return undefined;
      if (typeof change === "function") return (change(current) as RecordOf<D> | undefined) ?? current;
      return patched(current, change);
    });
  }

  /** Writes what the function makes of the present record, or of nothing. It is synchronous and may run again. */
  async upsert(key: KeyOf<D>, make: (current?: RecordOf<D>) => RecordOf<D>): Promise<RecordOf<D>> {
    return (await this.#change(key, make))!;
  }

  /** Whether it was there. */
  async delete(key: KeyOf<D>): Promise<boolean> {
    return (await this.deleteMany([key])) === 1;
  }

  /** How many of them were there. */
  async deleteMany(keys: readonly KeyOf<D>[]): Promise<number> {
    if (keys.length === 0) return 0;
    const connection = await this.source.connect();
    const stored = this.source.session.stored(this.name);
    const existed = await this.#sink.write(
      connection,
      encodeDeletes(keys.map((k) => recordKey(this.name, stored, k))),
      false,
    );
    return existed.filter(Boolean).length;
  }

  /** Deletes every record. */
  async clear(): Promise<void> {
    const connection = await this.source.connect();
    await this.#sink.clear(connection, this.name);
  }

  async #writeAll(kind: Exclude<WriteKind, "delete">, given: readonly RecordOf<D>[]): Promise<KeyOf<D>[]> {
    if (given.length === 0) return [];
    const before = this.source.session.live;
    // Before the database is open nothing can be encoded yet: keep what the caller may change meanwhile.
    const values = before ? given : given.map(snapshotOf);
    const connection = before ? before.connection : await this.source.connect();
    await this.#send(connection, kind, values);
    return values.map((v) => keyOf(v, this.#declaration.key) as KeyOf<D>);
  }

  async #send(connection: Connection, kind: Exclude<WriteKind, "delete">, values: readonly unknown[]): Promise<void> {
    const encoded = this.#encode(kind, values, undefined);
    if ("writes" in encoded) return this.#sendEncoded(connection, kind, values, encoded.writes, undefined, false);
    // Blobs are read first; what is called meanwhile on this handle waits, so that call order holds.
    const sent = readBlobs(encoded.unread).then((blobs) => {
      const again = this.#encode(kind, values, blobs);
      if (!("writes" in again)) throw new TidemarkError("INTERNAL", "A blob was not read");
      return this.#sendEncoded(connection, kind, values, again.writes, blobs, true);
    });
    connection.holdBack(sent);
    return sent;
  }

  async #sendEncoded(
    connection: Connection,
    kind: Exclude<WriteKind, "delete">,
    values: readonly unknown[],
    first: Uint8Array<ArrayBuffer>,
    blobs: BlobBytes | undefined,
    now: boolean,
  ): Promise<void> {
    let writes = first;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#sink.write(connection, writes, now);
        return;
      } catch (e) {
        if (!isSchemaChange(e) || attempt >= maxSchemaRetries) throw e;
        await this.source.session.refreshCatalog(connection);
        const again = this.#encode(kind, values, blobs);
        if (!("writes" in again)) throw e;
        ({ writes } = again);
      }
    }
  }

  #encode(kind: Exclude<WriteKind, "delete">, values: readonly unknown[], blobs: BlobBytes | undefined): EncodedWrites {
    return encodeRecords(this.name, this.source.session.stored(this.name), kind, values, blobs);
  }

  #change(
    key: KeyOf<D>,
    make: (current: RecordOf<D> | undefined) => RecordOf<D> | undefined,
  ): Promise<RecordOf<D> | undefined> {
    return this.#sink.atomically(async (source, sink) => {
      const here = new Collection<D>(this.name, this.#declaration, source, sink);
      const next = make(await here.get(key));
      if (next === undefined) return undefined;
      refuseAsync(next, this.name);
      this.#refuseOtherKey(key, next);
      await here.put(next);
      return next;
    });
  }

  #refuseOtherKey(key: KeyOf<D>, next: RecordOf<D>): void {
    const stored = this.source.session.stored(this.name);
    const now = keyOf(next, this.#declaration.key);
    if (now !== undefined && recordKey(this.name, stored, now) === recordKey(this.name, stored, key)) return;
    throw new TidemarkError("KEY_INVALID", `A change of a record of '${this.name}' may not change its key`, {
      where: this.name,
      path: this.#declaration.key,
    });
  }
}

export function isSchemaChange(e: unknown): boolean {
  return e instanceof TidemarkError && e.code === "CONFLICT" && e.details["by"] === "schema";
}

function patched<T>(current: T, patch: Patch<T>): T {
  const next: Record<string, unknown> = { ...(current as Record<string, unknown>), ...patch };
  for (const [field, value] of Object.entries(patch)) if (value === undefined) delete next[field];
  return next as T;
}

function keyOf(value: unknown, path: AnyDeclaration["key"]): unknown {
  const at = (p: string): unknown =>
    p.split(".").reduce<unknown>((v, f) => (v as Record<string, unknown> | undefined)?.[f], value);
  return typeof path === "string" ? at(path) : path.map(at);
}

function refuseAsync(next: unknown, collection: string): void {
  if (typeof (next as { then?: unknown }).then !== "function") return;
  throw new TidemarkError(
    "VALUE_UNSUPPORTED",
    `The function given for a record of '${collection}' must be synchronous; use transaction() to await something`,
    { where: collection, path: collection, type: "promise" },
  );
}

function snapshotOf<T>(value: T): T {
  try {
    return structuredClone(value);
  } catch {
    return value; // encoding will say what is wrong with it
  }
}
