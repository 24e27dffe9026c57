import { isTidemarkError } from "../base/errors.ts";
import type { Catalog, Definition } from "../codec/schema.ts";
import type { Handle } from "../mvcc/handles.ts";
import { nextEpoch, Schema } from "../mvcc/schema.ts";
import { type IndexToBuild, mergeDeclaration, stageCatalog, tableRange, withIndexes } from "./catalog.ts";
import type { Database } from "./database.ts";

const maxAttempts = 20;
const defineHandle = Number.MIN_SAFE_INTEGER;

type KeepForMs = () => Promise<number>;
const none: KeepForMs = () => Promise.resolve(0);

/** What only the page can do: it has to, before the database is what it declares. */
export interface Pending {
  readonly kind: "seed" | "migrate";
  /** The version that is stored; 0: the database was made a moment ago. */
  readonly from: number;
}

/**
 * Merges a declaration into the stored catalog, in one transaction: of several tabs that declare the same thing at once
 * one does it, and the others find it done. New indexes of what holds records already are left to be built. Where
 * records are to be migrated, or a new database to be filled, that is answered, and nothing is done. `keepForMs`: what
 * the tabs that are open declare of that, for the longest counts. It is asked after the catalog was read, and once more
 * after a change: who joined between these found the catalog of before, and may have had nothing to change in it.
 * @throws SCHEMA_OUTDATED, OPTIONS_INVALID
 */
export async function define(
  database: Database,
  definition: Definition,
  keepForMs: KeepForMs = none,
): Promise<Pending | undefined> {
  for (let attempt = 0; ; attempt++) {
    const handle = await database.begin(defineHandle, {
      tracked: true,
      isolation: "serializable",
      fresh: attempt > 0,
      attempt: 0,
    });
    try {
      const pending = pendingOf(handle.schema.catalog, definition);
      if (pending) return pending;
      if (!(await stageDefinition(handle, definition, keepForMs))) return undefined;
      await database.commit(handle, "strict", "schema");
      if (definition.keepForMs === undefined) return undefined;
    } catch (e) {
      if (!isTidemarkError(e, "CONFLICT") || attempt >= maxAttempts) throw e;
    } finally {
      await database.end(defineHandle);
    }
  }
}

function pendingOf({ epoch, version: from }: Catalog, definition: Definition): Pending | undefined {
  const { version, migrations = [], seeds = false } = definition;
  if (epoch === 0) return seeds ? { kind: "seed", from } : undefined;
  return migrations.some((to) => to > from && to <= version) ? { kind: "migrate", from } : undefined;
}

/** As `define`, within a transaction of the page, up to a version; what is to be dropped goes when `drops` says so. */
export function defineIn(
  handle: Handle,
  definition: Definition,
  version: number,
  drops: boolean,
  keepForMs: KeepForMs,
): Promise<{ readonly catalog: Catalog; readonly from: number }> {
  return handle.inOrder(async () => {
    const { version: from } = handle.schema.catalog;
    if (from > version) return { catalog: handle.schema.catalog, from }; // another tab is past it
    const dropCollections = drops ? definition.dropCollections : [];
    const catalog = await stageDefinition(handle, { ...definition, version, dropCollections }, keepForMs);
    if (catalog) handle.useSchema(new Schema(catalog));
    return { catalog: handle.schema.catalog, from };
  });
}

async function stageDefinition(
  handle: Handle,
  definition: Definition,
  keepForMs: KeepForMs,
): Promise<Catalog | undefined> {
  // Should the schema change meanwhile, the commit is refused, as everybody's is.
  const { catalog: stored } = handle.schema;
  const { keepForMs: own } = definition;
  const declared = own === undefined ? definition : { ...definition, keepForMs: Math.max(own, await keepForMs()) };
  const merged = mergeDeclaration(stored, declared, nextEpoch(stored, handle.incarnation));
  if (!merged) return undefined;
  const { version, migrations = [] } = definition;
  const isMigrated = stored.epoch > 0 && migrations.some((to) => to > stored.version && to <= version);
  const catalog = await withoutEmpty(handle, merged.catalog, merged.build);
  const staged = isMigrated ? { ...catalog, migrated: version } : catalog;
  stageCatalog(handle, staged);
  return staged;
}

/** Where there are no records there is nothing to build. */
async function withoutEmpty(handle: Handle, catalog: Catalog, build: readonly IndexToBuild[]): Promise<Catalog> {
  const collections = { ...catalog.collections };
  for (const name of new Set(build.map((b) => b.collection))) {
    const stored = collections[name]!;
    let isEmpty = true;
    await handle.scan(tableRange(stored.table), false, () => (isEmpty = false));
    const tables = Object.values(stored.indexes).map((i) => i.table);
    if (isEmpty) collections[name] = withIndexes(stored, new Set(tables));
  }
  return { ...catalog, collections };
}
