/**
 * Data of an IndexedDB database that Dexie made, read by IndexedDB itself: Dexie is not needed for it, nor anything that
 * its declaration says, since all of that is in the database.
 */
import { TidemarkError } from "../../base/errors.ts";
import type { KeyPath } from "../../codec/path.ts";
import type { IndexDefinition } from "../../codec/schema.ts";
import type { Database } from "../database.ts";
import { isEqual, isPlain } from "../equality.ts";
import { checkOptions, invalid, type OptionChecks, signalCheck } from "../../protocol/options.ts";
import type { Declarations } from "../types.ts";
import { Batch } from "./batch.ts";
import { conflictCheck, functionCheck } from "./checks.ts";
import type { ImportOptions, ImportProgress, ImportReport } from "./options.ts";
import { roughBytes } from "./rough-bytes.ts";

/** A table as its database has it; `key` and `indexes` are what `collection()` takes. */
export interface DexieTable {
  /** `undefined`: keys are not in the records. To import them name a field for them: `keyField`. */
  readonly key: KeyPath | undefined;
  /** Whether numbers were given out as keys ("++id"). Tidemark gives out none: set keys of new records yourself. */
  readonly autoIncrement: boolean;
  readonly indexes: Readonly<Record<string, IndexDefinition>>;
}

export interface DexieDescription {
  readonly name: string;
  /** As Dexie counts. */
  readonly version: number;
  readonly tables: Readonly<Record<string, DexieTable>>;
}

export interface DexieTableOptions {
  /** Where its records go; default: the collection of the same name. */
  readonly collection?: string;
  /** The field that gets the key, in a table whose keys are not in its records. */
  readonly keyField?: string;
  /** What is written instead of each record; `undefined` passes it over. */
  readonly map?: (record: unknown) => object | undefined;
}

export interface DexieImportOptions {
  /** The tables to import, and where to. Default: all, each into the collection of its name. */
  readonly collections?: Readonly<Record<string, string | DexieTableOptions>>;
  /** The field that gets the key, in every table whose keys are not in its records. */
  readonly keyField?: string;
  /** Of a record whose key is taken; default "replace", so that an import that was broken off is simply made again. */
  readonly onConflict?: ImportOptions["onConflict"];
  /** Called after each batch. */
  readonly progress?: (progress: DexieImportProgress) => void;
  readonly signal?: AbortSignal;
}

export interface DexieImportProgress extends ImportProgress {
  readonly table: string;
}

/** A batch is read of about so many bytes, by what the one before took a record, and of so many records at most. */
const batchBytes = 256 * 1024;
const [firstRecords, maxRecords] = [32, 2000];

const isName = (value: unknown): boolean => typeof value === "string" && value !== "";
const checks: OptionChecks<DexieImportOptions> = {
  collections: [(v) => typeof v === "object" && v !== null, "an object: by table, the name of a collection or options"],
  keyField: [isName, "the name of a field"],
  onConflict: conflictCheck,
  progress: functionCheck,
  signal: signalCheck,
};
const tableChecks: OptionChecks<DexieTableOptions> = {
  collection: [isName, "the name of a collection"],
  keyField: [isName, "the name of a field"],
  map: functionCheck,
};

/** What to declare for the data of a Dexie database. @throws NOT_FOUND where there is none of that name */
export async function describeDexie(name: string): Promise<DexieDescription> {
  const source = await openSource(name);
  try {
    return description(source);
  } finally {
    source.close();
  }
}

/**
 * Copies the records of a Dexie database, which stays as it is, in batches each of which is written whole or not at all.
 * Nothing else should write to it meanwhile: what is written behind the batch that is read is not seen.
 * @throws NOT_FOUND, OPTIONS_INVALID, UNKNOWN_NAME before anything is written; CONSTRAINT, KEY_INVALID,
 * VALUE_UNSUPPORTED naming the table of what was refused, STORAGE_LOST, or the signal's reason.
 */
export async function importFromDexie<C extends Declarations>(
  database: Database<C>,
  dexieName: string,
  options: DexieImportOptions = {},
): Promise<ImportReport> {
  checkOptions("importFromDexie()", options, checks);
  options.signal?.throwIfAborted();
  const source = await openSource(dexieName, options.signal);
  try {
    const target = database as unknown as Database<Declarations>;
    const copies = copiesOf(description(source), target, options);
    const running = new DexieImport(source, target, options);
    for (const copy of copies) await running.run(copy);
    return running.report;
  } finally {
    source.close();
  }
}

interface Copy {
  readonly table: string;
  readonly collection: string;
  readonly keyField: string | undefined;
  readonly map: DexieTableOptions["map"];
}

function copiesOf(
  { name, tables }: DexieDescription,
  database: Database<Declarations>,
  { collections, keyField: fieldOfAll }: DexieImportOptions,
): readonly Copy[] {
  const chosen = Object.entries(collections ?? Object.fromEntries(Object.keys(tables).map((table) => [table, table])));
  return chosen.map(([table, into]) => {
    if (!Object.hasOwn(tables, table)) {
      throw new TidemarkError("UNKNOWN_NAME", `The Dexie database '${name}' has no table '${table}'`, { table });
    }
    const asked: DexieTableOptions = typeof into === "string" ? { collection: into } : into;
    checkOptions(`collections.${table}`, asked, tableChecks);
    const { collection = table, keyField = fieldOfAll, map } = asked;
    database.collection(collection); // refuses what is not declared
    const isInline = tables[table]!.key !== undefined;
    if (!isInline && keyField === undefined) {
      throw invalid("keyField", keyField, `named for the table '${table}', whose keys are not in its records`);
    }
    return { table, collection, keyField: isInline ? undefined : keyField, map };
  });
}

function description(source: IDBDatabase): DexieDescription {
  const names = [...source.objectStoreNames];
  const tables: [string, DexieTable][] = [];
  if (names.length > 0) {
    const tx = source.transaction(names, "readonly");
    for (const table of names) {
      const store = tx.objectStore(table);
      const indexes = [...store.indexNames].map((index) => {
        const { keyPath, unique, multiEntry } = store.index(index);
        return [index, { path: keyPath, unique, multi: multiEntry }] as const;
      });
      const key = (store.keyPath ?? undefined) as KeyPath | undefined;
      tables.push([table, { key, autoIncrement: store.autoIncrement, indexes: Object.fromEntries(indexes) }]);
    }
  }
  return { name: source.name, version: source.version / 10, tables: Object.fromEntries(tables) };
}

class DexieImport {
  readonly #source: IDBDatabase;
  readonly #database: Database<Declarations>;
  readonly #options: DexieImportOptions;
  readonly #written = new Map<string, number>();
  #done: ImportProgress = { records: 0, skipped: 0, position: 0 };

  constructor(source: IDBDatabase, database: Database<Declarations>, options: DexieImportOptions) {
    this.#source = source;
    this.#database = database;
    this.#options = options;
  }

  get report(): ImportReport {
    return { ...this.#done, collections: Object.fromEntries(this.#written) };
  }

  async run(copy: Copy): Promise<void> {
    const { signal } = this.#options;
    this.#written.set(copy.collection, this.#written.get(copy.collection) ?? 0);
    let count = firstRecords;
    for (let after: IDBValidKey | undefined; ;) {
      signal?.throwIfAborted();
      const { keys, values } = await this.#read(copy.table, after, count);
      if (keys.length === 0) return;
      after = keys.at(-1)!;
      const sizeBytes = values.reduce<number>((n, v) => n + roughBytes(v), 0);
      await this.#write(copy, keys, values);
      if (keys.length < count) return;
      const fitting = Math.floor((batchBytes * keys.length) / Math.max(1, sizeBytes));
      count = Math.max(1, Math.min(fitting, maxRecords, count * 4));
    }
  }

  async #read(table: string, after: IDBValidKey | undefined, count: number): Promise<Rows> {
    try {
      const store = this.#source.transaction(table, "readonly").objectStore(table);
      const range = after === undefined ? null : IDBKeyRange.lowerBound(after, true);
      const [keys, values] = await Promise.all([
        resultOf(store.getAllKeys(range, count)),
        resultOf(store.getAll(range, count) as IDBRequest<unknown[]>),
      ]);
      return { keys, values };
    } catch (e) {
      throw new TidemarkError(
        "STORAGE_LOST",
        `The table '${table}' could not be read: ${(e as Error).message}`,
        { table },
        e,
      );
    }
  }

  async #write(
    { table, collection, keyField, map }: Copy,
    keys: readonly IDBValidKey[],
    values: unknown[],
  ): Promise<void> {
    const { onConflict = "replace", progress } = this.#options;
    const batch = new Batch();
    for (const [i, value] of values.entries()) {
      const keyed = keyField === undefined ? value : withKey(value, keyField, keys[i]!, table);
      const made = map ? map(keyed) : keyed;
      if (made !== undefined) batch.add(collection, made, 0, { table, key: keys[i] });
    }
    const written = [...(await batch.write(this.#database, onConflict)).values()].reduce((n, of) => n + of, 0);
    const { records, skipped, position } = this.#done;
    this.#written.set(collection, this.#written.get(collection)! + written);
    this.#done = {
      records: records + written,
      skipped: skipped + keys.length - written,
      position: position + keys.length,
    };
    progress?.({ ...this.#done, table });
  }
}

interface Rows {
  readonly keys: readonly IDBValidKey[];
  readonly values: unknown[];
}

function withKey(value: unknown, keyField: string, key: IDBValidKey, table: string): object {
  const refused = (what: string): TidemarkError =>
    new TidemarkError("VALUE_UNSUPPORTED", `A record of '${table}' ${what}`, { table, key });
  // A field would be lost on a Map or a Blob, or they on it.
  if (!isPlain(value))
    throw refused(`is ${kindOf(value)}, not a plain object; leave this table out, or copy it by hand`);
  if (Object.hasOwn(value, keyField) && !isEqual(value[keyField], key))
    throw refused(`has a field '${keyField}' that is not its key; name another one as keyField`);
  return { ...value, [keyField]: key };
}

const kindOf = (value: unknown): string =>
  typeof value === "object" ? Object.prototype.toString.call(value).slice("[object ".length, -1) : typeof value;

/** It waits for as long as an upgrade of the database waits for other tabs, unless the signal ends that. */
function openSource(name: string, signal?: AbortSignal): Promise<IDBDatabase> {
  if (typeof indexedDB === "undefined") {
    throw new TidemarkError("ENVIRONMENT", "There is no IndexedDB here to import from", { missing: "indexedDB" });
  }
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name);
    const abort = (): void => reject(signal!.reason);
    signal?.addEventListener("abort", abort);
    let isNew = false;
    opening.onupgradeneeded = () => {
      isNew = true;
      opening.transaction!.abort(); // looking for it must not make it
    };
    opening.onerror = () =>
      reject(
        isNew
          ? new TidemarkError("NOT_FOUND", `There is no database '${name}'`, { name })
          : new TidemarkError("STORAGE_LOST", `The database '${name}' could not be opened`, { name }, opening.error),
      );
    opening.onsuccess = () => {
      const source = opening.result;
      signal?.removeEventListener("abort", abort);
      if (signal?.aborted) return source.close(); // nobody waits for it any more
      source.onversionchange = () => source.close(); // never in the way of who upgrades or deletes it
      resolve(source);
    };
  });
}

const resultOf = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("A request of IndexedDB failed"));
  });
