import type { TableId } from "../base/brand.ts";
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
}

export interface StoredIndex extends IndexDefinition {
  readonly table: TableId;
}

export interface StoredCollection {
  readonly table: TableId;
  readonly key: KeyPath;
  readonly indexes: Readonly<Record<string, StoredIndex>>;
  readonly retention?: Retention;
}

/** What is stored: every collection and index declared so far, with the tables that hold them. */
export interface Catalog {
  /** Rises with every change; whoever names tables under another epoch is refused. */
  readonly epoch: number;
  readonly version: number;
  /** The next table number to give out; numbers are never used twice. */
  readonly nextTable: number;
  /** As declared; absent where that is 0. */
  readonly keepForMs?: number;
  readonly collections: Readonly<Record<string, StoredCollection>>;
}
