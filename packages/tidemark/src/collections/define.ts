import { byteKey, type ByteKey } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { isTidemarkError } from "../base/errors.ts";
import { extractIndexKeys } from "../codec/path.ts";
import { indexEntriesOf, recordValue, tablePrefix, writeRecordHead } from "../codec/record.ts";
import type { Definition, StoredCollection } from "../codec/schema.ts";
import { decodeValue } from "../codec/value.ts";
import type { Handle } from "../mvcc/handles.ts";
import { catalogKey, decodeCatalog, encodeCatalog, mergeDeclaration, tableRange } from "./catalog.ts";
import type { Database } from "./database.ts";

const maxAttempts = 20;
const defineHandle = Number.MIN_SAFE_INTEGER;

/**
 * Merges a declaration into the stored catalog and fills new indexes, in one transaction: of several tabs that declare
 * the same thing at once one does it, and the others find it done.
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
      if (await stageChanges(handle, definition)) await database.commit(handle, database.epoch, "strict", "schema");
      return;
    } catch (e) {
      if (!isTidemarkError(e, "CONFLICT") || attempt >= maxAttempts) throw e;
    } finally {
      await database.end(defineHandle);
    }
  }
}

async function stageChanges(handle: Handle, definition: Definition): Promise<boolean> {
  const [payload] = await handle.getMany([catalogKey]);
  const merged = mergeDeclaration(decodeCatalog(payload), definition);
  if (!merged) return false;
  handle.stage({ kind: "put", key: catalogKey, payload: encodeCatalog(merged.catalog) }, { added: [], removed: [] });
  for (const name of new Set(merged.build.map((b) => b.collection))) {
    await reindex(handle, name, merged.catalog.collections[name]!);
  }
  return true;
}

/** Writes every record of a collection again with the keys of all its present indexes. */
async function reindex(handle: Handle, name: string, collection: StoredCollection): Promise<void> {
  const records: { key: ByteKey; payload: Uint8Array }[] = [];
  await handle.scan(tableRange(collection.table), false, (key, payload) => {
    records.push({ key, payload });
    return true;
  });
  for (const { key, payload: old } of records) {
    const payload = withIndexKeys(old, name, collection);
    const added = indexEntriesOf(key, payload);
    const removed = indexEntriesOf(key, old).filter((e) => !added.includes(e));
    handle.stage({ kind: "put", key, payload }, { added, removed });
  }
}

function withIndexKeys(payload: Uint8Array, name: string, collection: StoredCollection): Uint8Array {
  const encoded = recordValue(payload);
  const record = decodeValue(encoded);
  const keys: ByteKey[] = [];
  for (const [index, { table, path, multi }] of Object.entries(collection.indexes)) {
    for (const k of extractIndexKeys(record, { path, multi }, `${name}.${index}`)) {
      keys.push(byteKey(tablePrefix(table) + k));
    }
  }
  const out = new ByteWriter(payload.length + 64);
  writeRecordHead(out, keys);
  out.bytes(encoded);
  return out.finish();
}
