/**
 * A migration record by record, for more of them than one transaction should hold. What the page makes of them goes into
 * new tables, a slice at a time, with a cursor in the same commit. Nobody reads these until the catalog names them in
 * place of the old ones, with the new version, in the commit of the last slice: so readers see all of it or nothing, one
 * that dies is followed by another at the cursor, and one that fails leaves only tables that nobody names. While it goes
 * on programs of before may read, and not write.
 */
import { byteKey, type ByteKey, tableId } from "../base/brand.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { readWrites, recordValue, tablePrefix, type Write, type WriteBatch } from "../codec/record.ts";
import type { Catalog, Definition, Moving, StoredCollection, StoredIndex } from "../codec/schema.ts";
import { encodeKey } from "../codec/key.ts";
import { packValues, type Values } from "../codec/values.ts";
import { type BuildState, decodeBuildState, encodeBuildState } from "../mvcc/build-state.ts";
import { conflict } from "../mvcc/group.ts";
import type { Handle } from "../mvcc/handles.ts";
import { systemTable } from "../mvcc/schema.ts";
import { countOf, nextRecords } from "./building.ts";
import type { Database } from "./database.ts";
import { commitOwn } from "./own-commit.ts";

const moveHandle = Number.MIN_SAFE_INTEGER + 3;
const sliceRecords = 512;
const maxAttempts = 20;

/** The next records to migrate, and where they go. */
export interface Slice {
  readonly values: Values;
  readonly into: StoredCollection;
  readonly epoch: number;
  /** The cursor before and behind them; absent: the beginning, and the end. */
  readonly after: ByteKey | undefined;
  readonly last: ByteKey | undefined;
  readonly done: number;
  readonly total: number;
}

export interface Moved extends WriteBatch, Pick<Slice, "epoch" | "after" | "last" | "done" | "total"> {
  readonly version: number;
}

/** So long as another tab comes in between it is done again. */
async function atHead<T>(database: Database, work: (handle: Handle) => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    const options = { tracked: false, isolation: "snapshot", schema: database.schema } as const;
    const handle = database.handles.open(moveHandle, options);
    try {
      return await work(handle);
    } catch (e) {
      if (!isTidemarkError(e, "CONFLICT") || attempt >= maxAttempts) throw e;
      await database.store.follow();
    } finally {
      database.handles.close(moveHandle);
    }
  }
}

/** Begins the migration to `version`, unless it is under way or done. @throws UNKNOWN_NAME */
export function beginMove(
  database: Database,
  definition: Definition,
  version: number,
  collection: string,
): Promise<void> {
  return atHead(database, async (handle) => {
    const { catalog } = handle.schema;
    if (catalog.version >= version || catalog.moving?.version === version) return;
    if (!Object.hasOwn(catalog.collections, collection)) {
      throw new TidemarkError("UNKNOWN_NAME", `There is no collection '${collection}'`, { collection });
    }
    const { failed: _, ...stored } = catalog.collections[collection]!;
    let { nextTable } = catalog;
    const table = tableId(nextTable++);
    const indexes: Record<string, StoredIndex> = {};
    const wanted = { ...stored.indexes, ...definition.collections[collection]?.indexes };
    for (const [index, { path, unique, multi }] of Object.entries(wanted)) {
      indexes[index] = { path, unique, multi, table: tableId(nextTable++) };
    }
    const moving: Moving = { version, collection, into: { ...stored, table, indexes } };
    await commit(database, handle, [], { ...catalog, nextTable, moving });
  });
}

/** What is to be migrated next; `undefined` where nothing is any more. */
export function readSlice(database: Database, version: number): Promise<Slice | undefined> {
  return atHead(database, async (handle) => {
    const { catalog } = handle.schema;
    if (catalog.moving?.version !== version) return undefined;
    const { into, collection } = catalog.moving;
    const { table } = catalog.collections[collection]!;
    const state = await stateIn(handle, into);
    const { records, last } = await nextRecords(handle, table, state?.after, sliceRecords);
    const keys = records.map((r) => r.key);
    const values = packValues(
      await handle.values(
        keys,
        records.map((r) => recordValue(r.payload)),
      ),
    );
    const done = (state?.done ?? 0) + records.length;
    const total = Math.max(done, state?.total ?? (await countOf(database, table)));
    return { values, into, epoch: catalog.epoch, after: state?.after, last, done, total };
  });
}

/** Stores what became of a slice. @throws CONFLICT where another tab has, CONSTRAINT */
export async function writeSlice(database: Database, moved: Moved): Promise<void> {
  const { version, epoch, after, last, done, total } = moved;
  const { schema } = database;
  const { moving, collections } = schema.catalog;
  const handle = database.handles.open(moveHandle, { tracked: false, isolation: "snapshot", schema });
  try {
    const state = moving && (await stateIn(handle, moving.into));
    if (moving?.version !== version || epoch !== schema.epoch || state?.after !== after) {
      throw conflict("another tab migrates, too", "other");
    }
    const cursor = moveKey(moving.into);
    const writes = readWrites(moved);
    if (last !== undefined) {
      const next: BuildState = { indexes: [], after: last, done, total };
      return await commit(database, handle, [...writes, { kind: "put", key: cursor, payload: encodeBuildState(next) }]);
    }
    const { moving: _, ...catalog } = schema.catalog;
    const { collection, into } = moving;
    const end = { ...catalog, version, migrated: version, collections: { ...collections, [collection]: into } };
    await commit(database, handle, [...writes, { kind: "delete", key: cursor, payload: undefined }], end);
  } finally {
    database.handles.close(moveHandle);
  }
}

/** Gives it up: what it stored so far belongs to nobody. */
export function cancelMove(database: Database, version: number): Promise<void> {
  return atHead(database, async (handle) => {
    const { moving, ...catalog } = handle.schema.catalog;
    if (moving?.version !== version) return;
    await commit(database, handle, [{ kind: "delete", key: moveKey(moving.into), payload: undefined }], catalog);
  });
}

const moveKey = ({ table }: StoredCollection): ByteKey =>
  byteKey(tablePrefix(systemTable) + encodeKey(["move", table], "move"));

async function stateIn(handle: Handle, into: StoredCollection): Promise<BuildState | undefined> {
  const [payload] = await handle.fetch([moveKey(into)]);
  return payload && decodeBuildState(payload);
}

/** Commits one step; where the catalog becomes another one it is to last. */
function commit(
  database: Database,
  handle: Handle,
  writes: readonly Write[],
  becomes?: Omit<Catalog, "epoch">,
): Promise<void> {
  const durability = becomes ? "strict" : "relaxed";
  return commitOwn(database, handle, { writes, tag: "schema", durability, becomes });
}
