/** The answer to `metrics`: figures of the engine in the user's terms. */
import type { TableId } from "../base/brand.ts";
import type { Database } from "../collections/database.ts";
import type { Catalog } from "../codec/schema.ts";
import { floorIn, readFloor } from "../mvcc/read-floor.ts";
import { liveTables, systemTable } from "../mvcc/schema.ts";
import { type TableUsage, usageOf } from "../mvcc/usage.ts";
import type { CollectionUsage, Metrics, SliceFigures, Usage } from "../protocol/metrics.ts";
import { noCount, sumOf } from "../segments/table-counts.ts";
import { readReserve, reserveBytes } from "../storage/reserve.ts";
import { readChunkKeys, storedBytes } from "../wal/chunks.ts";

interface Tended {
  readonly isHere: boolean;
  readonly slices: SliceFigures;
}

export async function metrics(database: Database, upkeep: Tended): Promise<Metrics> {
  const { store } = database;
  const allMeta = { kind: "range", store: "meta", range: {} } as const;
  const [floorRow, meta, chunks, reserve] = await store.storage.read([readFloor, allMeta, readChunkKeys, readReserve]);
  const usage = await usageOf(store);
  const { moment } = usage;
  const blobBytes = storedBytes(chunks);
  return {
    head: moment.head,
    floor: floorIn(floorRow).seq,
    checkpoint: moment.checkpoint,
    logEntries: moment.log.entries,
    logBytes: moment.log.sizeBytes,
    blocks: moment.manifest.blocks,
    blockBytes: moment.manifest.sizeBytes,
    levels: moment.manifest.filled.map(({ length, sizeBytes, versions }) => {
      return { blocks: length, bytes: sizeBytes, versions };
    }),
    blobBytes,
    metaBytes: (meta ?? []).reduce((n, e) => n + e.value.length, 0),
    reserveBytes: reserveBytes(reserve),
    versions: moment.versions,
    memtableBytes: moment.memtableBytes,
    upkeep: upkeep.isHere,
    slices: upkeep.slices,
    // By the schema of now: what was cleared since that moment counts as cleared.
    ...new Named(usage, blobBytes > 0).by(database.schema.catalog),
  };
}

type NamedUsage = Pick<Metrics, "collections" | "cleared" | "system" | "isExact">;

/** The usage of tables, by the names that a catalog gives them. */
class Named {
  readonly #usage: TableUsage;
  /** Where nothing lies out of line, no block refers to anything there, read or not. */
  readonly #hasOutside: boolean;

  constructor(usage: TableUsage, hasOutside: boolean) {
    this.#usage = usage;
    this.#hasOutside = hasOutside;
  }

  by(catalog: Catalog): NamedUsage {
    const { tables, superseded, isExact } = this.#usage;
    const { moving: _, ...settled } = catalog; // records on their way count as cleared
    const live = liveTables(settled);
    const gone = [...new Set([...tables.keys(), ...superseded.tables.keys()])].filter((table) => !live.has(table));
    const collections = Object.entries(catalog.collections).map(([name, { table, indexes }]) => {
      const ofIndexes = Object.entries(indexes).map(([index, stored]) => [index, this.#entries(stored.table)] as const);
      const usage: CollectionUsage = { records: this.#records([table]), indexes: Object.fromEntries(ofIndexes) };
      return [name, usage] as const;
    });
    return {
      collections: Object.fromEntries(collections),
      cleared: this.#records(gone),
      system: this.#entries(systemTable),
      isExact: isExact && superseded.isExact,
    };
  }

  /** Of tables that have no values out of line. */
  #entries(table: TableId): Usage {
    const { blobBytes: _, ...usage } = this.#records([table]);
    return usage;
  }

  #records(of: readonly TableId[]): Usage {
    const { tables, superseded } = this.#usage;
    const { versions, tombstones, bytes, outsideBytes } = of.reduce(
      (sum, table) => sumOf(sum, tables.get(table) ?? noCount),
      noCount,
    );
    const figures = of.flatMap((table) => superseded.tables.get(table) ?? []);
    const blobBytes = outsideBytes ?? (this.#hasOutside ? undefined : 0);
    return {
      versions,
      tombstones,
      superseded: figures.reduce((n, f) => n + f.versions, 0),
      supersededBytes: figures.reduce((n, f) => n + f.bytes, 0),
      bytes,
      ...(blobBytes === undefined ? {} : { blobBytes }),
    };
  }
}
