/**
 * How the catalog changes: by what pages declare, and by clearing. Changing it never needs IndexedDB's `versionchange`.
 * Declarations merge additively: what a page does not declare stays, unless it says that it is to be dropped; of what both
 * have, only retention is replaced.
 */
import { type TableId, tableId } from "../base/brand.ts";
import { assert, TidemarkError } from "../base/errors.ts";
import { prefixEnd } from "../codec/key.ts";
import type { KeyPath } from "../codec/path.ts";
import type { Retention } from "../codec/retention.ts";
import { tablePrefix } from "../codec/record.ts";
import type {
  Catalog,
  CollectionDefinition,
  Definition,
  FailedIndex,
  IndexDefinition,
  StoredCollection,
  StoredIndex,
} from "../codec/schema.ts";
import type { Handle } from "../mvcc/handles.ts";
import type { Range } from "../mvcc/read-set.ts";
import { catalogKey, encodeCatalog, nextEpoch, Schema } from "../mvcc/schema.ts";

/** An index that has to be filled from the records there are. */
export interface IndexToBuild {
  readonly collection: string;
  readonly index: string;
}

/**
 * The catalog after `declared` is merged into `stored`, as `epoch`; `undefined` where nothing changes.
 * @throws SCHEMA_OUTDATED for an older data version; OPTIONS_INVALID where a collection's key path differs.
 */
export function mergeDeclaration(
  stored: Catalog,
  declared: Definition,
  epoch: number,
): { readonly catalog: Catalog; readonly build: readonly IndexToBuild[] } | undefined {
  if (declared.version < stored.version) {
    throw outdated(declared.version, stored.version);
  }
  let { nextTable } = stored;
  const give = (): TableId => tableId(nextTable++);
  const build: IndexToBuild[] = [];
  const collections: Record<string, StoredCollection> = { ...stored.collections };
  const dropped = declared.dropCollections.filter((name) => Object.hasOwn(collections, name));
  for (const name of dropped) delete collections[name];
  // Whoever is past a migration that is under way has another way to its version.
  const { moving, keepForMs: keptForMs = 0, ...settled } = stored;
  const isPast = moving !== undefined && declared.version >= moving.version;
  const { keepForMs = keptForMs } = declared;
  let isSame = declared.version === stored.version && dropped.length === 0 && !isPast && keepForMs === keptForMs;
  for (const [name, wanted] of Object.entries(declared.collections)) {
    const present = Object.hasOwn(stored.collections, name) ? stored.collections[name] : undefined;
    const merged = mergeCollection(name, present, wanted, give, build);
    if (merged === present) continue;
    collections[name] = merged;
    isSame = false;
  }
  if (isSame && stored.epoch > 0) return undefined;
  const catalog = {
    ...settled,
    ...(moving && !isPast ? { moving } : {}),
    epoch,
    version: declared.version,
    nextTable,
    ...(keepForMs > 0 ? { keepForMs } : {}),
    collections,
  };
  return { catalog, build };
}

export const outdated = (declared: number, stored: number): TidemarkError =>
  new TidemarkError(
    "SCHEMA_OUTDATED",
    `This page declares version ${declared}, the database has version ${stored}: reload the page to get the newer program`,
    { declared, stored },
  );

/** The catalog after a clearing of collection `name`: it and its indexes begin anew, in tables nobody ever wrote to. */
export function cleared(stored: Catalog, name: string, epoch: number): Catalog {
  const present = stored.collections[name];
  assert(present !== undefined, "only a collection of the catalog is cleared");
  let { nextTable } = stored;
  const table = tableId(nextTable++);
  const indexes: Record<string, StoredIndex> = {};
  for (const [index, { building: _, ...old }] of Object.entries(present.indexes)) {
    indexes[index] = { ...old, table: tableId(nextTable++) }; // there is nothing to build any more
  }
  const { builds: _, ...kept } = present;
  return {
    ...stored,
    epoch,
    nextTable,
    collections: { ...stored.collections, [name]: { ...kept, table, indexes } },
  };
}

function mergeCollection(
  name: string,
  present: StoredCollection | undefined,
  wanted: CollectionDefinition,
  give: () => TableId,
  build: IndexToBuild[],
): StoredCollection {
  if (present && !same(present.key, wanted.key)) {
    throw new TidemarkError(
      "OPTIONS_INVALID",
      `collections.${name}.key is ${JSON.stringify(wanted.key)}, but its stored records have ${JSON.stringify(present.key)} as key; a key path cannot change`,
      { option: `collections.${name}.key`, declared: wanted.key, stored: present.key },
    );
  }
  const base: StoredCollection = present ?? { table: give(), key: wanted.key, indexes: {} };
  const fresh: Record<string, StoredIndex> = {};
  for (const [index, definition] of Object.entries(wanted.indexes)) {
    const old = Object.hasOwn(base.indexes, index) ? base.indexes[index] : undefined;
    if (old && sameIndex(old, definition)) continue;
    fresh[index] = { ...definition, table: give(), ...(present ? { building: true } : {}) };
    if (present) build.push({ collection: name, index });
  }
  const { retention } = wanted;
  const isRetained = retention === undefined || (base.retention !== undefined && same(base.retention, retention));
  if (Object.keys(fresh).length === 0 && isRetained) return base;
  const { failed = {}, builds = 0, ...rest } = base;
  const isBuilding = present !== undefined && Object.keys(fresh).length > 0;
  const allBuilds = builds + (isBuilding ? 1 : 0);
  const stillFailed = Object.entries(failed).filter(([index]) => !Object.hasOwn(fresh, index));
  return {
    ...rest,
    indexes: { ...base.indexes, ...fresh },
    ...(stillFailed.length === 0 ? {} : { failed: Object.fromEntries(stillFailed) }),
    ...(isRetained ? {} : { retention }),
    ...(allBuilds === 0 ? {} : { builds: allBuilds }),
  };
}

/** Every index that is being built. */
export const buildingIn = ({ collections }: Catalog): readonly IndexToBuild[] =>
  Object.entries(collections).flatMap(([collection, { indexes }]) =>
    Object.entries(indexes).flatMap(([index, { building }]) => (building ? [{ collection, index }] : [])),
  );

/** The collection when the indexes of these tables are built, and one could not be. */
export function withIndexes(
  { indexes, failed = {}, ...rest }: StoredCollection,
  ready: ReadonlySet<TableId>,
  failure?: { readonly index: string; readonly why: FailedIndex },
): StoredCollection {
  const left = Object.entries(indexes).filter(([index]) => index !== failure?.index);
  const now = left.map(([index, { building, ...stored }]): readonly [string, StoredIndex] => [
    index,
    building && !ready.has(stored.table) ? { ...stored, building } : stored,
  ]);
  const allFailed = { ...failed, ...(failure ? { [failure.index]: failure.why } : {}) };
  return {
    ...rest,
    indexes: Object.fromEntries(now),
    ...(Object.keys(allFailed).length === 0 ? {} : { failed: allFailed }),
  };
}

/** Of what is plain data, made in one order. */
const same = (a: KeyPath | Retention, b: KeyPath | Retention): boolean => JSON.stringify(a) === JSON.stringify(b);
const sameIndex = (a: IndexDefinition, b: IndexDefinition): boolean =>
  same(a.path, b.path) && a.unique === b.unique && a.multi === b.multi;

/** Stages a catalog: it is what this transaction leaves. */
export function stageCatalog(handle: Handle, catalog: Catalog): void {
  handle.stage({ kind: "put", key: catalogKey, payload: encodeCatalog(catalog) }, { added: [], removed: [] });
}

/** Clears a collection in a transaction, which goes on by the catalog that is answered. */
export function stageCleared(handle: Handle, collection: string): Catalog {
  const { catalog: before } = handle.schema;
  handle.emptied.range(tableRange(before.collections[collection]!.table));
  const catalog = cleared(before, collection, nextEpoch(before, handle.incarnation));
  handle.useSchema(new Schema(catalog));
  stageCatalog(handle, catalog);
  return catalog;
}

/** All keys of a table. */
export const tableRange = (table: TableId): Range => {
  const from = tablePrefix(table);
  return { from, to: prefixEnd(from) };
};
