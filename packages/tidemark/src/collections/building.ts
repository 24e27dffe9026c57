/**
 * Fills new indexes, in small commits while everybody goes on. From the epoch on in which the catalog lists an index
 * as being built, every write carries its keys (a commit by an earlier schema is refused), so what is left are the
 * records of before, which are written again, as they are, with their keys of all indexes.
 *
 * One step takes the next records in key order behind the cursor, writes those that lack keys, and moves the cursor, in
 * one commit. Whoever changed one of them meanwhile makes it lose, and it looks again. So when a step reaches the end,
 * every record of its view has its entries, and whatever came later brought its own: the catalog then says that the
 * index is ready, in that very commit. Two tabs that build at once do no harm: both write the cursor.
 */
import { type ByteKey, byteKey, type TableId } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { outsideIn } from "../codec/outside.ts";
import { extractIndexKeys } from "../codec/path.ts";
import { recordValue, tablePrefix, type Write, writeRecordHead } from "../codec/record.ts";
import type { Catalog, FailedIndex, StoredCollection, StoredIndex } from "../codec/schema.ts";
import { decodeValue } from "../codec/value.ts";
import { type BuildState, buildKey, decodeBuildState, encodeBuildState } from "../mvcc/build-state.ts";
import type { Handle } from "../mvcc/handles.ts";
import { after } from "../mvcc/read-set.ts";
import { aside, headlong, type Pace } from "../segments/pace.ts";
import { usageOf } from "../mvcc/usage.ts";
import { buildingIn, tableRange, withIndexes } from "./catalog.ts";
import type { Database } from "./database.ts";
import { commitOwn } from "./own-commit.ts";

const buildHandle = Number.MIN_SAFE_INTEGER + 1;
/** A step takes about so much of a slice, and its commit is small. */
const stepRecords = 128;
const stepBytes = 64 * 1024;

interface Work {
  readonly database: Database;
  readonly handle: Handle;
  readonly name: string;
  readonly collection: StoredCollection;
  readonly pace: Pace;
}

/** Does builds step by step: one database's, of which one step is under way at a time. */
export class Builder {
  readonly #database: Database;
  /** After a conflict fewer records are taken at once, so that some time nobody comes in between. */
  #records = stepRecords;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Whether there is anything to build. */
  get isNeeded(): boolean {
    return buildingIn(this.#database.catalog).length > 0;
  }

  /** Does the next step of the first build there is. @throws QUOTA_EXCEEDED and the like; the step may be done again */
  async step(pace: Pace = headlong): Promise<void> {
    const database = this.#database;
    const [first] = buildingIn(database.catalog);
    if (!first) return;
    const handle = database.handles.open(buildHandle, {
      tracked: false,
      isolation: "snapshot",
      schema: database.schema,
    });
    try {
      const collection = handle.schema.catalog.collections[first.collection]!;
      await this.#stepOf({ database, handle, name: first.collection, collection, pace });
      this.#records = Math.min(stepRecords, this.#records * 2);
    } catch (e) {
      if (isTidemarkError(e, "READ_VIEW_EVICTED")) await database.store.rejoin();
      else if (!isTidemarkError(e, "CONFLICT")) throw e;
      this.#records = Math.max(1, this.#records >> 1);
    } finally {
      database.handles.close(buildHandle);
    }
  }

  async #stepOf(work: Work): Promise<void> {
    const state = await stateIn(work);
    if (!state) return commit(work, [], await beginning(work));
    try {
      await this.#commitStep(work, state);
    } catch (e) {
      const failed = failureOf(e, work);
      if (!failed) throw e;
      await commit(work, [], undefined, withIndexes(work.collection, new Set(), failed));
    }
  }

  async #commitStep(work: Work, state: BuildState): Promise<void> {
    const { records, last } = await nextRecords(work.handle, work.collection.table, state.after, this.#records);
    const writes: Write[] = [];
    for (const { key, payload } of records) {
      const rewritten = await rewrittenRecord(work, key, payload);
      if (rewritten) writes.push({ kind: "put", key, payload: rewritten });
    }
    const done = state.done + records.length;
    const { indexes } = state;
    if (last !== undefined) {
      return commit(work, writes, { indexes, after: last, done, total: Math.max(state.total, done) });
    }
    return commit(work, writes, undefined, withIndexes(work.collection, new Set(indexes)));
  }
}

const tablesToBuild = ({ collection }: Work): readonly TableId[] =>
  Object.values(collection.indexes).flatMap((i) => (i.building ? [i.table] : []));

/** How far the build is; `undefined` where it is yet to begin for these indexes. */
async function stateIn(work: Work): Promise<BuildState | undefined> {
  const [payload] = await work.handle.fetch([buildKey(work.collection.table)]);
  const found = payload && decodeBuildState(payload);
  return found?.indexes.join() === tablesToBuild(work).join() ? found : undefined;
}

async function beginning(work: Work): Promise<BuildState> {
  const { database, collection } = work;
  return { indexes: tablesToBuild(work), done: 0, total: await countOf(database, collection.table) };
}

/** About how many records a table has, by what is known of it. */
export async function countOf({ store }: Database, table: TableId): Promise<number> {
  const { tables, superseded } = await usageOf(store);
  const { versions = 0, tombstones = 0 } = tables.get(table) ?? {};
  return Math.max(0, versions - tombstones - (superseded.tables.get(table)?.versions ?? 0));
}

interface Records {
  readonly records: readonly { readonly key: ByteKey; readonly payload: Uint8Array }[];
  /** Absent where there are no more behind these. */
  readonly last: ByteKey | undefined;
}

/** The next records of a table, some 64 KB of them with their values, or `atMost` so many. */
export async function nextRecords(
  handle: Handle,
  table: TableId,
  behind: ByteKey | undefined,
  atMost: number,
): Promise<Records> {
  const all = tableRange(table);
  const records: { key: ByteKey; payload: Uint8Array }[] = [];
  let sizeBytes = 0;
  let isCut = false;
  await handle.scan(
    { from: behind === undefined ? all.from : after(behind), to: all.to },
    false,
    ({ key }, payload) => {
      records.push({ key, payload });
      sizeBytes += payload.length + (outsideIn(recordValue(payload))?.sizeBytes ?? 0);
      isCut = records.length >= atMost || sizeBytes >= stepBytes;
      return !isCut;
    },
  );
  return { records, last: isCut ? records.at(-1)!.key : undefined };
}

/** The record with its keys of all indexes; `undefined` where it has them. */
async function rewrittenRecord(work: Work, key: ByteKey, old: Uint8Array): Promise<Uint8Array | undefined> {
  // A value out of line is read by itself, and stays where it is: both versions of the record refer to it.
  const [value] = await work.handle.values([key], [recordValue(old)]);
  const record = decodeValue(value!);
  const head = new ByteWriter(256);
  const keys = Object.entries(work.collection.indexes).flatMap(([index, stored]) =>
    keysIn(work, index, stored, record),
  );
  writeRecordHead(head, keys);
  const now = head.written();
  if (now.every((byte, i) => byte === old[i])) return undefined;
  const out = new ByteWriter(old.length + now.length);
  out.bytes(now);
  out.bytes(recordValue(old));
  return out.finish();
}

function keysIn(
  { name }: Work,
  index: string,
  { table, path, multi }: StoredIndex,
  record: unknown,
): readonly ByteKey[] {
  try {
    return extractIndexKeys(record, { path, multi }, name).map((k) => byteKey(tablePrefix(table) + k));
  } catch (e) {
    if (!isTidemarkError(e)) throw e;
    throw new TidemarkError(e.code, e.message, { ...e.details, collection: name, index }, e);
  }
}

/** What makes an index impossible: a record whose field is no key, or two that share a unique one. */
function failureOf(
  e: unknown,
  { collection }: Work,
): { readonly index: string; readonly why: FailedIndex } | undefined {
  if (!isTidemarkError(e, "CONSTRAINT") && !isTidemarkError(e, "KEY_INVALID")) return undefined;
  const { index, indexKey, key } = e.details;
  if (typeof index !== "string" || collection.indexes[index]?.building !== true) return undefined;
  const { path, unique, multi } = collection.indexes[index];
  const code = e.code as FailedIndex["code"];
  return { index, why: { path, unique, multi, code, message: e.message, key: indexKey ?? key } };
}

/** Commits one step; with `becomes` it is the last one, and the collection is this from now on. */
function commit(
  { database, handle, name, collection, pace }: Work,
  records: readonly Write[],
  state: BuildState | undefined,
  becomes?: StoredCollection,
): Promise<void> {
  const cursor = buildKey(collection.table);
  const moved: Write = state
    ? { kind: "put", key: cursor, payload: encodeBuildState(state) }
    : { kind: "delete", key: cursor, payload: undefined };
  const catalog = becomes && withCollection(handle.schema.catalog, name, becomes);
  const own = { writes: [...records, moved], tag: "index", durability: "relaxed", becomes: catalog } as const;
  return aside(pace, commitOwn(database, handle, own));
}

const withCollection = (catalog: Catalog, name: string, collection: StoredCollection): Catalog => ({
  ...catalog,
  collections: { ...catalog.collections, [name]: collection },
});

/** Builds whatever there is to build, at once. */
export async function buildAll(database: Database): Promise<void> {
  for (const builder = new Builder(database); builder.isNeeded;) await builder.step();
}
