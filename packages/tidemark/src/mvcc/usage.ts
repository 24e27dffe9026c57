/**
 * What is stored and in memory at one moment, by table. Taken synchronously, but for the blocks in which tables meet,
 * which are read after that, by the manifest of that moment.
 */
import type { Seq, TableId } from "../base/brand.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import type { BlockSource } from "../segments/block-source.ts";
import type { Manifest } from "../segments/manifest.ts";
import { countBlock, countListed, countUnread, type TableCount, TableCounts } from "../segments/table-counts.ts";
import type { PerTable } from "./ledger.ts";
import type { Store } from "./store.ts";

/** So many blocks are held at a time. */
const batchBlocks = 8;

export interface Moment {
  readonly head: Seq;
  readonly checkpoint: Seq;
  readonly log: Store["log"];
  readonly manifest: Manifest;
  readonly versions: number;
  readonly memtableBytes: number;
}

export interface TableUsage {
  readonly moment: Moment;
  readonly tables: ReadonlyMap<TableId, TableCount>;
  readonly superseded: PerTable;
  /** Whether what is in `tables` is exact: no block that should have been read is damaged. */
  readonly isExact: boolean;
}

export async function usageOf(store: Store): Promise<TableUsage> {
  for (;;) {
    const moment = momentOf(store);
    const superseded = store.ledger.perTable();
    const counts = new TableCounts(store.memtable.tables);
    const borders = countListed(moment.manifest, counts);
    const missing = await countBorders(store.blocks, borders, counts);
    if (missing.length > 0) {
      await store.reload();
      if (missing.some((info) => !store.manifest.has(info))) continue; // upkeep replaced it meanwhile
      for (const info of missing) countUnread(info, counts);
    }
    return { moment, tables: counts.all, superseded, isExact: missing.length === 0 };
  }
}

function momentOf({ head, checkpoint, log, manifest, memtable }: Store): Moment {
  const versions = memtable.versions + manifest.versions;
  return { head: head.seq, checkpoint, log, manifest, versions, memtableBytes: memtable.sizeBytes };
}

/** Answers those that are damaged or gone. They are not kept in the cache: nobody is about to read them again. */
async function countBorders(
  blocks: BlockSource,
  borders: readonly BlockInfo[],
  counts: TableCounts,
): Promise<readonly BlockInfo[]> {
  const missing: BlockInfo[] = [];
  for (let i = 0; i < borders.length; i += batchBlocks) {
    const batch = borders.slice(i, i + batchBlocks);
    const found = await blocks.load(batch, 0, { isKept: false });
    for (const info of batch) {
      const block = found.get(info.id);
      if (block) countBlock(block, counts);
      else missing.push(info);
    }
  }
  return missing;
}
