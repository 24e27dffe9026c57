/**
 * Blocks that hold nothing but dead tables (dead-tables.ts) go as they are, by an edit of the manifest: clearing a
 * collection of any size is paid back without reading it. Only where a block refers to values out of line is it read,
 * for these go with it.
 *
 * A block at the border, which holds records of a live table too, stays until a fold or compaction rewrites it for
 * another reason; what is dead in it is dropped then (segments/merge.ts). That may be never: at most two blocks a level
 * beside each stretch of dead tables are kept so.
 */
import type { Seq } from "../base/brand.ts";
import { type OutsideRef, outsideLost } from "../codec/outside.ts";
import { tableOf, tablePrefix } from "../codec/record.ts";
import type { Store } from "../mvcc/store.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import type { Block } from "../segments/block.ts";
import type { Level } from "../segments/level.ts";
import type { Manifest } from "../segments/manifest.ts";
import { deletesOf } from "../wal/chunks.ts";
import { deadTables, isIn, type Stretch } from "./dead-tables.ts";
import { loadAll, tenureIsOver } from "./load.ts";
import { publish } from "./publish.ts";
import type { RewriteOptions } from "./rewrite.ts";
import type { Tenure } from "./tenure.ts";

/** One transaction deletes so many blocks at most. */
const maxStepBlocks = 1000;

/** Takes the next step, and answers how many blocks went. `undefined`: none is left, or the tenure is over. */
export async function reclaim(
  store: Store,
  tenure: Tenure,
  floor: Seq,
  { maxStoreBytes }: RewriteOptions,
): Promise<number | undefined> {
  const { manifest, fence } = store;
  const ledger = store.ledger.through(fence.seq, floor);
  const dead = await deadTables(store, floor, fence.seq);
  const removed = nextStep(manifest, dead, maxStoreBytes);
  const all = removed.flat();
  if (all.length === 0) return undefined;
  try {
    // THE DROP LINE of cleared tables. All keys of these blocks lie in tables that no view there is or will be may name
    // and no commit will ever write, by the catalog at a seq that is at or below both the floor and the durable
    // checkpoint (`liveTables` has the proof). That catalog is of the log and manifest taken above: if these were struck
    // or replaced meanwhile, nothing is published.
    const lost = await referredTo(store, tenure, all);
    const edits = removed.map((blocks, level) => ({ level, removed: blocks, added: [] }));
    ledger.forget((table) => isIn(dead, table));
    const next = { manifest: manifest.edit(edits, () => tenure.newBlockId()), fence, ledger };
    const gone = all.map(({ id }) => id);
    const also = lost.flatMap((ref) => deletesOf(ref));
    const published = await publish(store, tenure, { before: { manifest, fence }, next, gone, also });
    return published ? gone.length : undefined;
  } catch (e) {
    if (e === tenureIsOver) return undefined;
    throw e;
  }
}

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
async function referredTo(store: Store, tenure: Tenure, infos: readonly BlockInfo[]): Promise<readonly OutsideRef[]> {
  const referring = infos.flatMap(({ id, outside }) => (outside > 0 ? [id] : []));
  if (referring.length === 0) return [];
  return outsideLost((await loadAll(store, tenure, referring)).flatMap(payloadsOf), []);
}

const payloadsOf = (block: Block): readonly (Uint8Array | undefined)[] =>
  Array.from({ length: block.count }, (_, i) => block.versionAt(i).payload);
