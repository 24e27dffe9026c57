/**
 * Blocks that hold nothing but dead tables (dead-tables.ts) go as they are, by an edit of the manifest: clearing a
 * collection of any size is paid back without reading it. Only where a block refers to values out of line is it read,
 * for these go with it.
 *
 * A block at the border, which holds records of a live table too, stays until a fold or compaction rewrites it for
 * another reason, or the next full cycle looks at it; what is dead in it is dropped then. Until then at most two blocks a
 * level beside each stretch of dead tables are kept so.
 */
import { type OutsideRef, outsideLost } from "../codec/outside.ts";
import { tableOf, tablePrefix } from "../codec/record.ts";
import type { Store } from "../mvcc/store.ts";
import type { LoadBlocks } from "../segments/block-cursor.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import type { Block } from "../segments/block.ts";
import type { Level } from "../segments/level.ts";
import type { Manifest } from "../segments/manifest.ts";
import { unchanged } from "../segments/marks.ts";
import type { Stretch } from "./dead-tables.ts";
import type { Basis } from "./journal.ts";
import { Memoryless, type Tally } from "./strategy.ts";
import type { Tenure } from "./tenure.ts";
import { published, type WorkOptions } from "./work.ts";

/** One transaction deletes so many blocks at most. */
const maxStepBlocks = 1000;

/** Takes the next step, and answers what went. `undefined`: nothing is left, or the tenure is over. */
export function reclaim(store: Store, tenure: Tenure, basis: Basis, options: WorkOptions): Promise<Tally | undefined> {
  const terms = { kind: "clear", basis, fence: store.fence, reserve: "all" } as const;
  return published(store, tenure, terms, options, async ({ manifest, dead, removal, load, lose }) => {
    const removed = nextStep(manifest, dead, options.maxStoreBytes);
    const all = removed.flat();
    if (all.length === 0) return undefined;
    // THE DROP LINE of cleared tables. All keys of these blocks lie in tables that no view there is or will be may name
    // and no commit will ever write, by the catalogs at a seq that is at or below both the floor and the durable
    // checkpoint, and at every point below that (`liveTables` has the proof). They are of the log and manifest that the
    // publishing compares: if these were struck or replaced meanwhile, nothing is published.
    const also = lose(await referredTo(load, all));
    for (const info of all) removal.addBlock(info);
    return {
      edits: removed.map((blocks, level) => ({ level, removed: blocks, added: [] })),
      marks: unchanged,
      also,
      done: { scanned: removal.versions, versions: removal.versions, bytes: removal.bytes },
    };
  });
}

/** The same as a strategy. */
export const clearedTables = (store: Store): Memoryless =>
  new Memoryless("cleared tables", (tenure, basis, options) => reclaim(store, tenure, basis, options));

/** Per level, the blocks that go next. So many bytes of them may have to be read, or one block. */
function nextStep(
  { levels }: Manifest,
  dead: readonly Stretch[],
  maxReadBytes: number,
): readonly (readonly BlockInfo[])[] {
  let blocks = 0;
  let readBytes = 0;
  return levels.map((level) => {
    const removed: BlockInfo[] = [];
    for (const info of deadBlocks(level, dead)) {
      if (blocks === maxStepBlocks) break;
      if (info.outside > 0) {
        if (readBytes > 0 && readBytes + info.sizeBytes > maxReadBytes) continue; // in a later step
        readBytes += info.sizeBytes;
      }
      removed.push(info);
      blocks++;
    }
    return removed;
  });
}

/** The blocks, in order, whose keys all lie in dead tables. */
function* deadBlocks(level: Level, dead: readonly Stretch[]): Generator<BlockInfo, void> {
  for (const { from, to } of dead) {
    for (const info of level.blocks(level.findBeginning(tablePrefix(from)))) {
      if (tableOf(info.last.key) >= to) break;
      yield info;
    }
  }
}

/** The values out of line that go with these blocks. */
async function referredTo(load: LoadBlocks, infos: readonly BlockInfo[]): Promise<readonly OutsideRef[]> {
  const referring = infos.filter(({ outside }) => outside > 0);
  if (referring.length === 0) return [];
  return outsideLost((await load(referring)).flatMap(payloadsOf), []);
}

const payloadsOf = (block: Block): readonly (Uint8Array | undefined)[] =>
  Array.from({ length: block.count }, (_, i) => block.versionAt(i).payload);
