/**
 * Upkeep's work on blocks: a merge (segments/merge.ts), staged in small transactions that nobody refers to yet, and then
 * published by one small strict transaction that swaps the manifest. Before it everything is as it was; after it
 * everything is merged; nothing in between.
 */
import type { BlockId, Seq, TableId } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Store } from "../mvcc/store.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import type { Block } from "../segments/block.ts";
import { decodeRoot, type Manifest, type ManifestEdit } from "../segments/manifest.ts";
import { putManifest, readRoot } from "../segments/manifest-rows.ts";
import { defaultMaxStoreBytes, defaultTargetBytes, merge, type Merged, type MergeInput } from "../segments/merge.ts";
import { defaultLevels, type LevelOptions } from "../segments/levels.ts";
import { headlong, type Pace } from "../segments/pace.ts";
import { type Found, valueOf, type Write } from "../storage/contract.ts";
import { deletesOf } from "../wal/chunks.ts";
import { decodeFence, type Fence, readFence, sameLog } from "../wal/log.ts";
import type { Tenure } from "./tenure.ts";

export interface RewriteOptions {
  readonly targetBytes: number;
  readonly maxStoreBytes: number;
  readonly levels: LevelOptions;
  readonly pace: Pace;
  /** Whether nobody at or above the floor can look at this table at all. */
  readonly isDead: (table: TableId) => boolean;
}

export const defaultRewrite: RewriteOptions = {
  targetBytes: defaultTargetBytes,
  maxStoreBytes: defaultMaxStoreBytes,
  levels: defaultLevels,
  pace: headlong,
  isDead: () => false,
};

/** What goes where: `above` leaves the level over `level`, and with the changes becomes part of it. */
export interface Rewrite extends Pick<MergeInput, "changes" | "above"> {
  readonly level: number;
  readonly floor: Seq;
  edits(merged: Merged): readonly ManifestEdit[];
  /** What the manifest's new state implies besides; where the fence moves, that is its new place. */
  readonly fence: Fence;
  alsoWrite(): readonly Write[];
}

export interface Rewritten {
  readonly dropped: Merged["dropped"];
  readonly written: Merged["written"];
}

/** `undefined`: the tenure is over, or what it was planned on is no more; look anew. */
export async function rewrite(
  store: Store,
  tenure: Tenure,
  what: Rewrite,
  options: RewriteOptions,
): Promise<Rewritten | undefined> {
  const { manifest: before, fence } = store;
  const staged: BlockId[] = [];
  let published = false;
  try {
    const merged = await merge(mergeInput(store, tenure, what, options, staged));
    const next = before.edit(what.edits(merged), () => tenure.newBlockId());
    const gone = goneFrom([...what.above, ...merged.removed], merged.added);
    const also = [...what.alsoWrite(), ...merged.lost.flatMap((ref) => deletesOf(ref))];
    published = await publish(tenure, { before, next, fence, gone, also });
    if (!published) return undefined;
    // Another tab's edit cannot have come between: this tenure lasts. But a reload may have seen ours already.
    store.install(next, what.fence);
    store.blocks.forget(gone);
    return { dropped: merged.dropped, written: merged.written };
  } catch (e) {
    if (e === tenureIsOver) return undefined;
    throw e;
  } finally {
    if (!published) await unstage(tenure, staged, before);
  }
}

/** What was moved is both removed and added: it stays. */
function goneFrom(removed: readonly BlockInfo[], added: readonly BlockInfo[]): readonly BlockId[] {
  const kept = new Set(added.map(({ id }) => id));
  return removed.flatMap(({ id }) => (kept.has(id) ? [] : [id]));
}

function mergeInput(
  store: Store,
  tenure: Tenure,
  { changes, above, level, floor }: Rewrite,
  { targetBytes, maxStoreBytes, pace, isDead }: RewriteOptions,
  staged: BlockId[],
): MergeInput {
  const { levels } = store.manifest;
  return {
    changes,
    above,
    level: levels[level]!,
    below: levels.slice(level + 1),
    floor,
    isDead,
    targetBytes,
    maxStoreBytes,
    pace,
    newBlockId: () => tenure.newBlockId(),
    load: (ids) => loadAll(store, tenure, ids),
    store: async (blocks) => {
      staged.push(...blocks.map((b) => b.id));
      const writes = blocks.map((b): Write => ({ kind: "put", store: "blocks", key: b.id, value: b.bytes }));
      if (!(await tenure.write("relaxed", [], () => writes, ["blocks"]))) throw tenureIsOver;
    },
  };
}

interface Publication {
  readonly before: Manifest;
  readonly next: Manifest;
  readonly fence: Fence;
  readonly gone: readonly BlockId[];
  readonly also: readonly Write[];
}

function publish(tenure: Tenure, { before, next, fence, gone, also }: Publication): Promise<boolean> {
  return tenure.write("strict", [readFence, readRoot], ([fenceRow, rootRow]) => {
    const [fenceBytes, rootBytes] = [valueOf(fenceRow), valueOf(rootRow)];
    const present = fenceBytes && decodeFence(fenceBytes);
    if (!present || !sameLog(present, fence) || present.seq !== fence.seq) return undefined;
    if (!rootBytes || decodeRoot(rootBytes).version !== before.version) return undefined;
    return [
      ...putManifest(before, next),
      ...also,
      ...gone.map((id): Write => ({ kind: "delete", store: "blocks", key: id })),
    ];
  });
}

/**
 * What was staged and not published goes again, at once: a full disk must not stay full of it. Unless the publishing
 * went through without our being told: then the manifest has moved on, and it stays for the next tenure to judge.
 */
async function unstage(tenure: Tenure, staged: readonly BlockId[], before: Manifest): Promise<void> {
  if (staged.length === 0) return;
  const deletes = ([row]: readonly Found[]): readonly Write[] | undefined => {
    const bytes = valueOf(row);
    if (!bytes || decodeRoot(bytes).version !== before.version) return undefined;
    return staged.map((id): Write => ({ kind: "delete", store: "blocks", key: id }));
  };
  await tenure.write("relaxed", [readRoot], deletes, ["blocks"]).catch(() => undefined); // the next tenure sweeps
}

/** Begin again, if upkeep is still ours. */
const tenureIsOver = new TidemarkError("BUSY", "Another tab has taken over upkeep");

async function loadAll(store: Store, tenure: Tenure, ids: readonly BlockId[]): Promise<readonly Block[]> {
  const blocks = await store.blocks.load(ids, ids.length);
  const all: Block[] = [];
  for (const id of ids) all.push(blocks.get(id) ?? (await blame(store, tenure, id)));
  return all;
}

/** A listed block did not come: the list is old, because of this tenure or the one before it, or it is damaged or lost. */
async function blame(store: Store, tenure: Tenure, gone: BlockId): Promise<never> {
  if (!(await tenure.lasts())) throw tenureIsOver;
  await store.reload();
  if (store.manifest.info(gone) === undefined) throw tenureIsOver;
  throw new TidemarkError("CORRUPT", `Block ${gone} is listed but not stored`, { what: "block", id: gone });
}
