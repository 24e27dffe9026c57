/** The metrics of a database as rows of a table. */
import type { Metrics, Usage } from "tidemark";
import { counted, formatCount } from "./format.ts";

/** How many records there are: what is neither a tombstone nor superseded. */
export const liveCount = ({ versions, tombstones, superseded }: Usage): number =>
  Math.max(0, versions - tombstones - superseded);

export interface CollectionRow {
  readonly name: string;
  readonly records: number;
  readonly recordBytes: number;
  readonly indexes: number;
  readonly indexBytes: number;
  readonly versions: number;
  readonly superseded: number;
  readonly supersededBytes: number;
  readonly tombstones: number;
  /** Out of line; absent where only reading blocks would tell. */
  readonly blobBytes: number | undefined;
}

/** Largest first. */
export function collectionRows({ collections }: Metrics): CollectionRow[] {
  return Object.entries(collections)
    .map(([name, { records, indexes }]) => {
      const ofIndexes = Object.values(indexes);
      const sum = (of: (usage: Usage) => number): number => ofIndexes.reduce((n, usage) => n + of(usage), of(records));
      return {
        name,
        records: liveCount(records),
        recordBytes: records.bytes,
        indexes: ofIndexes.length,
        indexBytes: ofIndexes.reduce((n, { bytes }) => n + bytes, 0),
        versions: sum(({ versions }) => versions),
        superseded: sum(({ superseded }) => superseded),
        supersededBytes: sum(({ supersededBytes }) => supersededBytes),
        tombstones: sum(({ tombstones }) => tombstones),
        blobBytes: records.blobBytes,
      };
    })
    .toSorted((a, b) => b.recordBytes + b.indexBytes - (a.recordBytes + a.indexBytes) || (a.name < b.name ? -1 : 1));
}

export interface StoredPart {
  readonly name: string;
  readonly bytes: number;
  readonly note: string;
}

/** What the database has in its stores; `memtableBytes` lies in the log and is not counted again. */
export function storedParts({
  blockBytes,
  blocks,
  logBytes,
  logEntries,
  blobBytes,
  metaBytes,
  reserveBytes,
}: Metrics): StoredPart[] {
  return [
    { name: "Blocks", bytes: blockBytes, note: `${formatCount(blocks)} sorted blocks of versions` },
    { name: "Log", bytes: logBytes, note: `${counted(logEntries, "entry", "entries")} not folded into blocks yet` },
    { name: "Values out of line", bytes: blobBytes, note: "values larger than a block, in chunks" },
    { name: "Manifest and rows", bytes: metaBytes, note: "which blocks there are, the floor, holders" },
    { name: "Reserve", bytes: reserveBytes, note: "room kept for deletes on a full disk" },
  ];
}

export const storedBytes = (metrics: Metrics): number => storedParts(metrics).reduce((n, { bytes }) => n + bytes, 0);

/** At most `most` cells, each of which stands for the same number of blocks. */
export function cellsOf(blocks: number, most: number): { readonly cells: number; readonly each: number } {
  const each = Math.max(1, Math.ceil(blocks / most));
  return { cells: Math.ceil(blocks / each), each };
}
