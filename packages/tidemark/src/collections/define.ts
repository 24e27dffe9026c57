import { isTidemarkError } from "../base/errors.ts";
import type { Catalog, Definition } from "../codec/schema.ts";
import type { Handle } from "../mvcc/handles.ts";
import { nextEpoch } from "../mvcc/schema.ts";
import { type IndexToBuild, mergeDeclaration, stageCatalog, tableRange, withIndexes } from "./catalog.ts";
import type { Database } from "./database.ts";

const maxAttempts = 20;
const defineHandle = Number.MIN_SAFE_INTEGER;

/**
 * Merges a declaration into the stored catalog, in one transaction: of several tabs that declare the same thing at once
 * one does it, and the others find it done. New indexes of what holds records already are left to be built.
 */
export async function define(database: Database, definition: Definition): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const handle = await database.begin(defineHandle, {
      tracked: true,
      isolation: "serializable",
      fresh: attempt > 0,
      attempt: 0,
    });
    try {
      if (await stageChanges(handle, definition)) await database.commit(handle, "strict", "schema");
      return;
    } catch (e) {
      if (!isTidemarkError(e, "CONFLICT") || attempt >= maxAttempts) throw e;
    } finally {
      await database.end(defineHandle);
    }
  }
}

async function stageChanges(handle: Handle, definition: Definition): Promise<boolean> {
  // Should the schema change meanwhile, the commit is refused, as everybody's is.
  const { catalog: stored } = handle.schema;
  const merged = mergeDeclaration(stored, definition, nextEpoch(stored, handle.incarnation));
  if (!merged) return false;
  stageCatalog(handle, await withoutEmpty(handle, merged.catalog, merged.build));
  return true;
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
