/**
 * Upkeep's work on blocks: a merge (segments/merge.ts), staged in small transactions that nobody refers to yet, and then
 * published by one small strict transaction that swaps the manifest. Before it everything is as it was; after it
 * everything is merged; nothing in between.
 */
import type { BlockId, Seq } from "../base/brand.ts";
import type { GarbageLedger } from "../mvcc/ledger.ts";
import { systemTable } from "../mvcc/schema.ts";
import type { Store } from "../mvcc/store.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import { decodeRoot, type Manifest, type ManifestEdit } from "../segments/manifest.ts";
import { readRoot } from "../segments/manifest-rows.ts";
import { defaultMaxStoreBytes, defaultTargetBytes, merge, type Merged, type MergeInput } from "../segments/merge.ts";
import { defaultLevels, type LevelOptions } from "../segments/levels.ts";
import type { Dropped } from "../segments/dropped.ts";
import { headlong, type Pace } from "../segments/pace.ts";
import { type Found, type ReserveUse, valueOf, type Write } from "../storage/contract.ts";
import { deletesOf } from "../wal/chunks.ts";
import type { Fence } from "../wal/log.ts";
import { deadTables, isIn, type Stretch } from "./dead-tables.ts";
import { loadAll, tenureIsOver } from "./load.ts";
import { publish } from "./publish.ts";
import type { Tenure } from "./tenure.ts";

export interface RewriteOptions {
  readonly targetBytes: number;
  readonly maxStoreBytes: number;
  readonly levels: LevelOptions;
  readonly pace: Pace;
}

export const defaultRewrite: RewriteOptions = {
  targetBytes: defaultTargetBytes,
  maxStoreBytes: defaultMaxStoreBytes,
  levels: defaultLevels,
  pace: headlong,
};

/** A browser may keep larger values in files of their own, which a later strict transaction need not flush. */
const maxRelaxedBytes = 60 * 1024;

/** What goes where: `above` leaves the level over `level`, and with the changes becomes part of it. */
export interface Rewrite extends Pick<MergeInput, "changes" | "above"> {
  readonly level: number;
  readonly floor: Seq;
  /** What of it may be taken on a full disk for what is staged; all of it goes back as that is published. */
  readonly reserve: ReserveUse;
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
  const { manifest, fence } = store;
  const ledger = store.ledger.through(what.fence.seq, what.floor);
  const staged: BlockId[] = [];
  let published = false;
  try {
    // By the catalog of the log and manifest taken above: if these are replaced meanwhile, nothing is published.
    const dead = await deadTables(store, what.floor, what.fence.seq);
    const merged = await merge(mergeInput(store, tenure, { ...what, manifest, ledger, dead, staged }, options));
    ledger.forget((table) => isIn(dead, table));
    const next = { manifest: manifest.edit(what.edits(merged), () => tenure.newBlockId()), fence: what.fence, ledger };
    const gone = goneFrom([...what.above, ...merged.removed], merged.added);
    const also = [...what.alsoWrite(), ...merged.lost.flatMap((ref) => deletesOf(ref))];
    published = await publish(store, tenure, { before: { manifest, fence }, next, gone, also });
    if (!published) return undefined;
    return { dropped: merged.dropped, written: merged.written };
  } catch (e) {
    if (e === tenureIsOver) return undefined;
    throw e;
  } finally {
    if (!published) await unstage(tenure, staged, manifest);
  }
}

/** What was moved is both removed and added: it stays. */
function goneFrom(removed: readonly BlockInfo[], added: readonly BlockInfo[]): readonly BlockId[] {
  const kept = new Set(added.map(({ id }) => id));
  return removed.flatMap(({ id }) => (kept.has(id) ? [] : [id]));
}

interface Work extends Rewrite {
  readonly manifest: Manifest;
  /** What is dropped is taken out of it. */
  readonly ledger: GarbageLedger;
  readonly dead: readonly Stretch[];
  /** Blocks stored so far that nothing refers to yet. */
  readonly staged: BlockId[];
}

function mergeInput(
  store: Store,
  tenure: Tenure,
  { changes, above, level, floor, manifest: { levels }, ledger, dead, staged, reserve }: Work,
  { targetBytes, maxStoreBytes, pace }: RewriteOptions,
): MergeInput {
  return {
    changes,
    above,
    level: levels[level]!,
    below: levels.slice(level + 1),
    floor,
    isDead: (table) => isIn(dead, table),
    onDropped: dropsFrom(ledger),
    targetBytes,
    maxStoreBytes,
    pace,
    newBlockId: () => tenure.newBlockId(),
    load: (ids) => loadAll(store, tenure, ids),
    store: async (blocks, isLast) => {
      staged.push(...blocks.map((b) => b.id));
      const writes = blocks.map((b): Write => ({ kind: "put", store: "blocks", key: b.id, value: b.bytes }));
      // The last ones bring all that was staged to the disk here, where no commit waits for it, and not in the swap.
      const isStrict = isLast || blocks.some((b) => b.bytes.length > maxRelaxedBytes);
      const durability = isStrict ? "strict" : "relaxed";
      if (!(await tenure.write(durability, [], () => writes, ["blocks"], reserve))) throw tenureIsOver;
    },
  };
}

/** The system's table has no garbage that counts. */
const dropsFrom =
  (ledger: GarbageLedger) =>
  ({ table, c, n, bytes }: Dropped): void => {
    if (table !== systemTable) ledger.drop(c, n, bytes, table);
  };

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
