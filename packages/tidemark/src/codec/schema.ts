import type { TableId } from "../base/brand.ts";
import { either, fields, fieldsOf, flag, type Form, listOf, oneOf, optional, pair, real, text, whole } from "./form.ts";
import type { KeyPath } from "./path.ts";
import type { Retention } from "./retention.ts";

/** An index as declared. */
export interface IndexDefinition {
  readonly path: KeyPath;
  readonly unique: boolean;
  readonly multi: boolean;
}

export interface CollectionDefinition {
  readonly key: KeyPath;
  readonly indexes: Readonly<Record<string, IndexDefinition>>;
  /** Which superseded versions of its records are kept; absent: only what somebody may still read. */
  readonly retention?: Retention;
}

/** What a page declares. */
export interface Definition {
  /** For so long all collections keep what is superseded, whatever their own retention is; absent: as stored. */
  readonly keepForMs?: number;
  readonly version: number;
  readonly collections: Readonly<Record<string, CollectionDefinition>>;
  /** Names of collections to remove with all they hold, where they are there. */
  readonly dropCollections: readonly string[];
  /** Versions that the page has a migration to, ascending; and whether it fills a database that is made. */
  readonly migrations?: readonly number[];
  readonly seeds?: boolean;
}

export interface StoredIndex extends IndexDefinition {
  readonly table: TableId;
  /** Writes maintain it, but records of before are still missing from it. */
  readonly building?: true;
}

/** An index that was declared, and that the records there are do not allow. */
export interface FailedIndex extends IndexDefinition {
  readonly code: "CONSTRAINT" | "KEY_INVALID";
  readonly message: string;
  /** The index key that two records share, if that is why. */
  readonly key?: unknown;
}

export interface StoredCollection {
  readonly table: TableId;
  readonly key: KeyPath;
  readonly indexes: Readonly<Record<string, StoredIndex>>;
  /** Declared indexes that could not be built; declaring one again tries it again. */
  readonly failed?: Readonly<Record<string, FailedIndex>>;
  readonly retention?: Retention;
  /**
   * How often indexes were declared on its records. Each time a record may be written once more as it is: versions that
   * nobody wrote, and that retention must not count as if somebody had.
   */
  readonly builds?: number;
}

/** A collection whose records are migrated one by one: into these tables, until all are there. */
export interface Moving {
  readonly version: number;
  readonly collection: string;
  readonly into: StoredCollection;
}

export const retentionForm: Form<Retention> = fields<Retention>({
  latest: optional(whole),
  ranges: optional(listOf(pair(whole, whole))),
  forMs: optional(real),
});
const keyPath = either(text, listOf(text));
const indexFields = { path: keyPath, unique: flag, multi: flag };
const storedCollection = fields<StoredCollection>({
  table: whole,
  key: keyPath,
  indexes: fieldsOf(fields<StoredIndex>({ ...indexFields, table: whole, building: optional(oneOf(true)) })),
  failed: optional(
    fieldsOf(
      fields<Omit<FailedIndex, "key">>({ ...indexFields, code: oneOf("CONSTRAINT", "KEY_INVALID"), message: text }),
    ),
  ),
  retention: optional(retentionForm),
  builds: optional(whole),
});
/** A definition as a page sends it. */
export const definitionForm: Form<Definition> = fields<Definition>({
  version: whole,
  collections: fieldsOf(
    fields<CollectionDefinition>({
      key: keyPath,
      indexes: fieldsOf(fields<IndexDefinition>(indexFields)),
      retention: optional(retentionForm),
    }),
  ),
  dropCollections: listOf(text),
  keepForMs: optional(real),
  migrations: optional(listOf(whole)),
  seeds: optional(flag),
});
/** A catalog as stored. */
export const catalogForm: Form<Catalog> = fields<Catalog>({
  epoch: whole,
  version: whole,
  nextTable: whole,
  migrated: optional(whole),
  moving: optional(fields<Moving>({ version: whole, collection: text, into: storedCollection })),
  keepForMs: optional(real),
  collections: fieldsOf(storedCollection),
});

/** The lowest version of a program that may write. */
export const writableFrom = ({ version, moving }: Catalog): number => Math.max(version, moving?.version ?? 0);

/** What is stored: every collection and index declared so far, with the tables that hold them. */
export interface Catalog {
  /** Rises with every change; whoever names tables under another epoch is refused. */
  readonly epoch: number;
  readonly version: number;
  /** The next table number to give out; numbers are never used twice. */
  readonly nextTable: number;
  /** The version of the last migration that changed records: programs of before cannot read what is there now. */
  readonly migrated?: number;
  /** Programs of a lower version than its may not write any more. */
  readonly moving?: Moving;
  /** As declared; absent where that is 0. */
  readonly keepForMs?: number;
  readonly collections: Readonly<Record<string, StoredCollection>>;
}
