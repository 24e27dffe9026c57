import { byteKey, type ByteKey } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { decodeKey, keyEnd } from "../codec/key.ts";
import { extractIndexKeys } from "../codec/path.ts";
import {
  indexEntriesOf,
  recordValue,
  tableOf,
  tablePrefix,
  tablePrefixBytes,
  writeRecordHead,
} from "../codec/record.ts";
import type { Definition, StoredCollection } from "../codec/schema.ts";
import { decodeValue } from "../codec/value.ts";
import type { Handle } from "../mvcc/handles.ts";
import { nextEpoch } from "../mvcc/schema.ts";
import { mergeDeclaration, stageCatalog, tableRange } from "./catalog.ts";
import type { Database } from "./database.ts";

const maxAttempts = 20;
const defineHandle = Number.MIN_SAFE_INTEGER;

/**
 * Merges a declaration into the stored catalog and fills new indexes, in one transaction: of several tabs that declare
 * the same thing at once one does it, and the others find it done. `keepForMs`: what the tabs that are open declare of
 * that, for the longest counts. It is asked after the catalog was read, and once more after a change: who joined
 * between these found the catalog of before, and may have had nothing to change in it.
 */
export async function define(
  database: Database,
  definition: Definition,
  keepForMs: () => Promise<number> = () => Promise.resolve(0),
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const handle = await database.begin(defineHandle, {
      tracked: true,
      isolation: "serializable",
      fresh: attempt > 0,
      attempt: 0,
    });
    try {
      if (!(await stageChanges(handle, definition, keepForMs))) return;
      await database.commit(handle, "strict", "schema");
      if (definition.keepForMs === undefined) return;
    } catch (e) {
      if (!isTidemarkError(e, "CONFLICT") || attempt >= maxAttempts) throw e;
    } finally {
      await database.end(defineHandle);
    }
  }
}

async function stageChanges(
  handle: Handle,
  definition: Definition,
  keepForMs: () => Promise<number>,
): Promise<boolean> {
  // Should the schema change meanwhile, the commit is refused, as everybody's is.
  const { catalog: stored } = handle.schema;
  const { keepForMs: own } = definition;
  const declared = own === undefined ? definition : { ...definition, keepForMs: Math.max(own, await keepForMs()) };
  const merged = mergeDeclaration(stored, declared, nextEpoch(stored, handle.incarnation));
  if (!merged) return false;
  stageCatalog(handle, merged.catalog);
  for (const name of new Set(merged.build.map((b) => b.collection))) {
    await reindex(handle, name, merged.catalog.collections[name]!);
  }
  return true;
}

/** Writes every record of a collection again with the keys of all its present indexes. */
async function reindex(handle: Handle, name: string, collection: StoredCollection): Promise<void> {
  const records: { key: ByteKey; payload: Uint8Array }[] = [];
  await handle.scan(tableRange(collection.table), false, ({ key }, payload) => {
    records.push({ key, payload });
    return true;
  });
  const owners = new UniqueOwners(name, collection);
  for (const { key, payload: old } of records) {
    const [value] = await handle.values([key], [recordValue(old)]);
    const payload = withIndexKeys(old, decodeValue(value!), name, collection);
    const added = indexEntriesOf(key, payload);
    for (const entry of added) owners.claim(entry);
    const removed = indexEntriesOf(key, old).filter((e) => !added.includes(e));
    handle.stage({ kind: "put", key, payload }, { added, removed });
  }
}

/** The rules that judge commits do not know a new index yet, so its uniqueness is seen to while it is filled. */
class UniqueOwners {
  readonly #name: string;
  readonly #indexes: ReadonlyMap<number, string>;
  readonly #claimed = new Set<string>();

  constructor(name: string, { indexes }: StoredCollection) {
    this.#name = name;
    const unique = Object.entries(indexes).filter(([, index]) => index.unique);
    this.#indexes = new Map(unique.map(([index, { table }]) => [table, index]));
  }

  /** @throws CONSTRAINT when another record has this unique key. */
  claim(entry: ByteKey): void {
    const index = this.#indexes.get(tableOf(entry));
    if (index === undefined) return;
    const end = keyEnd(entry, tablePrefixBytes);
    const claim = entry.slice(0, end);
    if (!this.#claimed.has(claim)) {
      this.#claimed.add(claim);
      return;
    }
    const key = decodeKey(byteKey(entry.slice(tablePrefixBytes, end)));
    throw new TidemarkError(
      "CONSTRAINT",
      `Index '${index}' of '${this.#name}' is declared unique, but records share a key in it`,
      { collection: this.#name, index, key, constraint: "unique" },
    );
  }
}

/** A value out of line stays where it is: both versions of the record refer to it. */
function withIndexKeys(payload: Uint8Array, record: unknown, name: string, collection: StoredCollection): Uint8Array {
  const keys: ByteKey[] = [];
  for (const [index, { table, path, multi }] of Object.entries(collection.indexes)) {
    for (const k of extractIndexKeys(record, { path, multi }, `${name}.${index}`)) {
      keys.push(byteKey(tablePrefix(table) + k));
    }
  }
  const out = new ByteWriter(payload.length + 64);
  writeRecordHead(out, keys);
  out.bytes(recordValue(payload));
  return out.finish();
}
