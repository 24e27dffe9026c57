/**
 * The catalog: which collections and indexes there are, and in which tables. It is one record of system table 0, so it
 * is versioned, logged and atomic with everything else, and changing it never needs IndexedDB's `versionchange`.
 * Declarations merge additively: what a page does not declare stays.
 */
import { type ByteKey, byteKey, type TableId, tableId } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { TidemarkError } from "../base/errors.ts";
import { encodeKey, prefixEnd } from "../codec/key.ts";
import type { KeyPath } from "../codec/path.ts";
import { recordValue, tablePrefix, writeRecordHead } from "../codec/record.ts";
import type {
  Catalog,
  CollectionDefinition,
  Definition,
  IndexDefinition,
  StoredCollection,
  StoredIndex,
} from "../codec/schema.ts";
import { decodeValue, encodeValue } from "../codec/value.ts";
import type { Range } from "../mvcc/read-set.ts";

export const catalogKey: ByteKey = byteKey(tablePrefix(tableId(0)) + encodeKey("catalog", "catalog"));

export const emptyCatalog: Catalog = { epoch: 0, version: 0, nextTable: 1, collections: {} };

export function encodeCatalog(catalog: Catalog): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  writeRecordHead(out, []);
  encodeValue(catalog, out, "catalog");
  return out.finish();
}

export const decodeCatalog = (payload: Uint8Array | undefined): Catalog =>
  payload ? (decodeValue(recordValue(payload)) as Catalog) : emptyCatalog;

/** An index that has to be filled from the records there are. */
export interface IndexToBuild {
  readonly collection: string;
  readonly index: string;
}

/**
 * The catalog after `declared` is merged into `stored`; `undefined` where nothing changes.
 * @throws SCHEMA_OUTDATED for an older data version; OPTIONS_INVALID where a collection's key path differs.
 */
export function mergeDeclaration(
  stored: Catalog,
  declared: Definition,
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
  for (const [name, wanted] of Object.entries(declared.collections)) {
    const present = Object.hasOwn(stored.collections, name) ? stored.collections[name] : undefined;
    const merged = mergeCollection(name, present, wanted, give, build);
    if (merged !== present) collections[name] = merged;
  }
  const unchanged = nextTable === stored.nextTable && declared.version === stored.version && stored.epoch > 0;
  if (unchanged) return undefined;
  return { catalog: { epoch: stored.epoch + 1, version: declared.version, nextTable, collections }, build };
}

function mergeCollection(
  name: string,
  present: StoredCollection | undefined,
  wanted: CollectionDefinition,
  give: () => TableId,
  build: IndexToBuild[],
): StoredCollection {
  if (present && !samePath(present.key, wanted.key)) {
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
  if (Object.keys(fresh).length === 0) return base;
  return { ...base, indexes: { ...base.indexes, ...fresh } };
}

const samePath = (a: KeyPath, b: KeyPath): boolean => JSON.stringify(a) === JSON.stringify(b);
const sameIndex = (a: IndexDefinition, b: IndexDefinition): boolean =>
  samePath(a.path, b.path) && a.unique === b.unique && a.multi === b.multi;

/** All keys of a table. */
export const tableRange = (table: TableId): Range => {
  const from = tablePrefix(table);
  return { from, to: prefixEnd(from) };
};
