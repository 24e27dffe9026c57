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
  IndexDefinition,
  StoredCollection,
  StoredIndex,
} from "../codec/schema.ts";
import type { Handle } from "../mvcc/handles.ts";
import type { Range } from "../mvcc/read-set.ts";
import { catalogKey, encodeCatalog } from "../mvcc/schema.ts";

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
    throw new TidemarkError(
      "SCHEMA_OUTDATED",
      `This page declares version ${declared.version}, the database has version ${stored.version}: reload the page to get the newer program`,
      { declared: declared.version, stored: stored.version },
    );
  }
  let { nextTable } = stored;
  const give = (): TableId => tableId(nextTable++);
  const build: IndexToBuild[] = [];
  const collections: Record<string, StoredCollection> = { ...stored.collections };
  const dropped = declared.dropCollections.filter((name) => Object.hasOwn(collections, name));
  for (const name of dropped) delete collections[name];
  const { keepForMs = stored.keepForMs ?? 0 } = declared;
  let isSame = declared.version === stored.version && dropped.length === 0 && keepForMs === (stored.keepForMs ?? 0);
  for (const [name, wanted] of Object.entries(declared.collections)) {
    const present = Object.hasOwn(stored.collections, name) ? stored.collections[name] : undefined;
    const merged = mergeCollection(name, present, wanted, give, build);
    if (merged === present) continue;
    collections[name] = merged;
    isSame = false;
  }
  if (isSame && stored.epoch > 0) return undefined;
  const catalog = { epoch, version: declared.version, nextTable, collections };
  return { catalog: keepForMs > 0 ? { ...catalog, keepForMs } : catalog, build };
}

/** The catalog after a clearing of collection `name`: it and its indexes begin anew, in tables nobody ever wrote to. */
export function cleared(stored: Catalog, name: string, epoch: number): Catalog {
  const present = stored.collections[name];
  assert(present !== undefined, "only a collection of the catalog is cleared");
  let { nextTable } = stored;
  const table = tableId(nextTable++);
  const indexes: Record<string, StoredIndex> = {};
  for (const [index, old] of Object.entries(present.indexes)) indexes[index] = { ...old, table: tableId(nextTable++) };
  return {
    ...stored,
    epoch,
    nextTable,
    collections: { ...stored.collections, [name]: { ...present, table, indexes } },
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
  const base = present ?? { table: give(), key: wanted.key, indexes: {} };
  const fresh: Record<string, StoredIndex> = {};
  for (const [index, definition] of Object.entries(wanted.indexes)) {
    const old = Object.hasOwn(base.indexes, index) ? base.indexes[index] : undefined;
    if (old && sameIndex(old, definition)) continue;
    fresh[index] = { ...definition, table: give() };
    if (present) build.push({ collection: name, index });
  }
  const { retention } = wanted;
  const isRetained = retention === undefined || (base.retention !== undefined && same(base.retention, retention));
  if (Object.keys(fresh).length === 0 && isRetained) return base;
  return { ...base, indexes: { ...base.indexes, ...fresh }, ...(isRetained ? {} : { retention }) };
}

/** Of what is plain data, made in one order. */
const same = (a: KeyPath | Retention, b: KeyPath | Retention): boolean => JSON.stringify(a) === JSON.stringify(b);
const sameIndex = (a: IndexDefinition, b: IndexDefinition): boolean =>
  same(a.path, b.path) && a.unique === b.unique && a.multi === b.multi;

/** Stages a catalog: it is what this transaction leaves. */
export function stageCatalog(handle: Handle, catalog: Catalog): void {
  handle.stage({ kind: "put", key: catalogKey, payload: encodeCatalog(catalog) }, { added: [], removed: [] });
}

/** All keys of a table. */
export const tableRange = (table: TableId): Range => {
  const from = tablePrefix(table);
  return { from, to: prefixEnd(from) };
};
