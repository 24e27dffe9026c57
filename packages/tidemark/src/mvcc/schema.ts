/**
 * The schema as views, commits and upkeep see it. The catalog is one record of system table 0, so it is versioned,
 * logged and atomic with everything else: a view reads by the catalog of its seq, and a commit is judged by the newest.
 *
 * A table is the life of a collection's records, or of one index, between two clearings. Its number is given out once;
 * when a catalog leaves it out, it is gone for every view at or above that catalog's seq.
 */
import { type ByteKey, byteKey, type Seq, type TableId, tableId } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { decodeKey, encodeKey, keyEnd } from "../codec/key.ts";
import { recordValue, tableOf, tablePrefix, tablePrefixBytes, writeRecordHead } from "../codec/record.ts";
import { type Catalog, catalogForm, type StoredCollection } from "../codec/schema.ts";
import { checkedForm } from "../codec/form.ts";
import { decodeValue, encodeValue } from "../codec/value.ts";
import type { Reader } from "./reader.ts";

export const systemTable: TableId = tableId(0);
export const catalogKey: ByteKey = byteKey(tablePrefix(systemTable) + encodeKey("catalog", "catalog"));
/** Where commits that advance the floor say so: see read-floor.ts. */
export const floorKey: ByteKey = byteKey(tablePrefix(systemTable) + encodeKey("floor", "floor"));

export const emptyCatalog: Catalog = { epoch: 0, version: 0, nextTable: 1, collections: {} };

export function encodeCatalog(catalog: Catalog): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  writeRecordHead(out, []);
  encodeValue(catalog, out, "catalog");
  return out.finish();
}

/** @throws CORRUPT */
export const decodeCatalog = (payload: Uint8Array | undefined): Catalog =>
  payload ? checkedForm(decodeValue(recordValue(payload)), catalogForm, "catalog") : emptyCatalog;

/** The catalog that a view at `at` reads by. */
export const catalogAt = async (reader: Reader, at: Seq): Promise<Catalog> =>
  decodeCatalog((await reader.get(catalogKey, at))?.payload);

/** So many epochs belong to one incarnation of the log. */
const epochsPerIncarnation = 2 ** 20;

/**
 * The epoch of the catalog that follows `stored`. None is ever used for two different catalogs, even where the end of
 * the log was struck and the same seqs, and table numbers, are given out again.
 */
export const nextEpoch = (stored: Catalog, incarnation: number): number =>
  Math.max(stored.epoch + 1, incarnation * epochsPerIncarnation);

/**
 * The tables that may be named under this catalog, the system's included.
 *
 * For reclaiming (gc/dead-tables.ts), of the catalog C visible at the floor or below it: a table below `C.nextTable` that
 * is not live in C can never be read again, whatever its versions are. Proof:
 *  1. Every view there is or will be reads at some r ≥ floor, and may name only tables that are live in the catalog of
 *     r, or that its own transaction gave out. (A request under another epoch than its view's is refused.)
 *  2. A number becomes live only by being given out, by a transaction whose view is at some r ≥ floor; it is then at
 *     least the `nextTable` of the catalog of r, and `nextTable` never falls: at least `C.nextTable`.
 *  3. So what is live at r, or given out there, is live in C or not below `C.nextTable`.
 * Nor is it ever written again: a commit by another epoch than the newest catalog's is refused. Tables from
 * `C.nextTable` on count as live: the floor knows nothing about them yet. And C has to be durable where it is relied on:
 * the catalog at the floor or at the checkpoint that is published with the dropping, whichever is lower, since a
 * clearing that is only in the log may yet be struck with the log's end.
 */
export function liveTables(catalog: Catalog): ReadonlySet<TableId> {
  const tables = new Set([systemTable]);
  for (const [, { table, indexes }] of collectionsIn(catalog)) {
    tables.add(table);
    for (const index of Object.values(indexes)) tables.add(index.table);
  }
  return tables;
}

/** With the one whose records are on their way. */
const collectionsIn = ({ collections, moving }: Catalog): readonly (readonly [string, StoredCollection])[] => [
  ...Object.entries(collections),
  ...(moving ? [[moving.collection, moving.into] as const] : []),
];

/** What a key is in the user's terms. Names beginning with $ are no collection's. */
export interface Described {
  readonly collection: string;
  readonly index?: string;
  readonly key: unknown;
}

/** A catalog, and what is asked of it often. */
export class Schema {
  readonly catalog: Catalog;
  /** Tables that may be named under it. */
  readonly tables: ReadonlySet<TableId>;
  /** Tables of unique indexes. */
  readonly unique: ReadonlySet<TableId>;

  constructor(catalog: Catalog) {
    this.catalog = catalog;
    this.tables = liveTables(catalog);
    const indexes = collectionsIn(catalog).flatMap(([, c]) => Object.values(c.indexes));
    this.unique = new Set(indexes.flatMap((i) => (i.unique ? [i.table] : [])));
  }

  get epoch(): number {
    return this.catalog.epoch;
  }

  describe(key: ByteKey): Described {
    const table = tableOf(key);
    for (const [collection, stored] of collectionsIn(this.catalog)) {
      if (stored.table === table) return { collection, key: decodeKey(byteKey(key.slice(tablePrefixBytes))) };
      for (const [index, { table: of }] of Object.entries(stored.indexes)) {
        if (of !== table) continue;
        return {
          collection,
          index,
          key: decodeKey(byteKey(key.slice(tablePrefixBytes, keyEnd(key, tablePrefixBytes)))),
        };
      }
    }
    if (key === floorKey) return { collection: "$floor", key: undefined };
    return { collection: table === systemTable ? "$catalog" : "$cleared", key: undefined };
  }
}
