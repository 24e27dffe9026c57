/**
 * What is stored, table by table. Keys begin with their table, so within a level each table is one stretch: what lies
 * between two borders is counted by the manifest alone, in whole pages where it can be, and only the block in which one
 * table ends and another begins has to be read. There are fewer of these in a level than tables.
 */
import type { TableId } from "../base/brand.ts";
import { outsideOf } from "../codec/outside.ts";
import { tableOf } from "../codec/record.ts";
import type { BlockInfo } from "./block-info.ts";
import type { Block } from "./block.ts";
import type { Level } from "./level.ts";
import type { Manifest } from "./manifest.ts";
import type { PageSummary } from "./page.ts";

export interface TableCount {
  readonly versions: number;
  /** How many of them are tombstones. */
  readonly tombstones: number;
  readonly bytes: number;
  /** Of the values that they refer to, each as often as it is referred to; `undefined` where nobody has looked. */
  readonly outsideBytes: number | undefined;
}

export const noCount: TableCount = { versions: 0, tombstones: 0, bytes: 0, outsideBytes: 0 };

export const sumOf = (a: TableCount, b: TableCount): TableCount => ({
  versions: a.versions + b.versions,
  tombstones: a.tombstones + b.tombstones,
  bytes: a.bytes + b.bytes,
  outsideBytes:
    a.outsideBytes === undefined || b.outsideBytes === undefined ? undefined : a.outsideBytes + b.outsideBytes,
});

export class TableCounts {
  readonly #tables: Map<TableId, TableCount>;

  /** Goes on from what is counted already. */
  constructor(counted: Iterable<readonly [TableId, TableCount]> = []) {
    this.#tables = new Map(counted);
  }

  of(table: TableId): TableCount {
    return this.#tables.get(table) ?? noCount;
  }

  get all(): ReadonlyMap<TableId, TableCount> {
    return this.#tables;
  }

  add(table: TableId, count: TableCount): void {
    this.#tables.set(table, sumOf(this.of(table), count));
  }
}

/** Counts what the manifest alone can tell, and answers the blocks that have to be read: those that hold several tables. */
export function countListed({ filled }: Manifest, counts: TableCounts): readonly BlockInfo[] {
  return filled.flatMap((level) => countLevel(level, counts));
}

/** A page that begins in the table in which it ends is counted by its summary: it need not be decoded. */
function countLevel({ pages }: Level, counts: TableCounts): readonly BlockInfo[] {
  const borders: BlockInfo[] = [];
  let begunIn: TableId | undefined; // a page begins behind the last key before it, which may be another table's
  for (const page of pages) {
    const table = tableOf(page.last.key);
    if (table === begunIn) counts.add(table, ofPage(page));
    else for (const info of page.infos) if (!countWithin(info, counts)) borders.push(info);
    begunIn = table;
  }
  return borders;
}

/** Whether the block lies in one table; then it is counted. */
function countWithin(info: BlockInfo, counts: TableCounts): boolean {
  const table = tableOf(info.first.key);
  if (table !== tableOf(info.last.key)) return false;
  counts.add(table, ofBlock(info));
  return true;
}

/** Summaries do not say whether anything in the page has its value out of line. */
const ofPage = ({ versions, tombstones, sizeBytes }: PageSummary): TableCount => ({
  versions,
  tombstones,
  bytes: sizeBytes,
  outsideBytes: undefined,
});

const ofBlock = ({ count, tombstones, sizeBytes, outside }: BlockInfo): TableCount => ({
  versions: count,
  tombstones,
  bytes: sizeBytes,
  outsideBytes: outside === 0 ? 0 : undefined,
});

/** Counts a block version by version. What it takes beside them, its head, is the first table's. */
export function countBlock(block: Block, counts: TableCounts): void {
  let headBytes = block.sizeBytes;
  for (let i = 0; i < block.count; i++) {
    const payload = block.payloadAt(i);
    const bytes = block.entryBytesAt(i);
    headBytes -= bytes;
    counts.add(tableOf(block.keyAt(i)), countOf(payload, bytes));
  }
  counts.add(tableOf(block.keyAt(0)), { ...noCount, bytes: headBytes });
}

/** Counts a block that cannot be read as if all of it were its first table's. */
export function countUnread(info: BlockInfo, counts: TableCounts): void {
  counts.add(tableOf(info.first.key), ofBlock(info));
}

/** One version that takes so many bytes. */
const countOf = (payload: Uint8Array | undefined, bytes: number): TableCount => ({
  versions: 1,
  tombstones: payload === undefined ? 1 : 0,
  bytes,
  outsideBytes: (payload && outsideOf(payload)?.sizeBytes) ?? 0,
});
