/**
 * A checkpoint: the log up to the head is folded into blocks under a floor, published, and trimmed. New blocks are
 * staged in small transactions that nobody refers to yet; one small strict transaction then swaps the manifest, moves
 * the fence and deletes the folded log and the replaced blocks. Before it everything is as it was; after it everything
 * is folded; nothing in between.
 */
import type { BlockId, Seq } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { putManifest, readManifest } from "../mvcc/recovery.ts";
import type { Store } from "../mvcc/store.ts";
import { Manifest } from "../segments/manifest.ts";
import { defaultTargetBytes, fold, type FoldResult } from "../segments/fold.ts";
import { type Found, valueOf, type Write } from "../storage/contract.ts";
import { decodeFence, type Fence, putFence, readFence, sameLog, trimLog } from "../wal/log.ts";
import type { Tenure } from "./tenure.ts";

export interface Checkpointed {
  readonly fence: Fence;
  readonly dropped: FoldResult["dropped"];
  readonly written: FoldResult["written"];
}

/** `undefined`: there was nothing to fold, or the tenure is over. */
export async function checkpoint(store: Store, tenure: Tenure, floor: Seq): Promise<Checkpointed | undefined> {
  const { head, fence: before, manifest } = store;
  if (head.seq === before.seq) return undefined;
  const fence: Fence = { ...before, seq: head.seq, checksum: head.checksum, stamp: head.stamp };
  const staged: BlockId[] = [];
  let published = false;
  try {
    const folded = await foldThrough(store, tenure, fence.seq, floor, staged);
    published = await publish(tenure, folded, before, fence);
    if (!published) return undefined;
    if (store.manifest === manifest) store.install(folded.manifest, fence);
    else await store.reload();
    store.blocks.forget(folded.removed);
    return { fence, dropped: folded.dropped, written: folded.written };
  } catch (e) {
    if (e === tenureIsOver) return undefined;
    throw e;
  } finally {
    if (!published) await unstage(tenure, staged);
  }
}

function publish(tenure: Tenure, folded: FoldResult, before: Fence, fence: Fence): Promise<boolean> {
  return tenure.write("strict", [readFence], ([row]) => {
    const bytes = valueOf(row);
    const present = bytes && decodeFence(bytes);
    if (!present || !sameLog(present, before) || present.seq !== before.seq) return undefined;
    return [
      putManifest(folded.manifest),
      putFence(fence),
      trimLog(fence.seq),
      ...folded.removed.map((id): Write => ({ kind: "delete", store: "blocks", key: id })),
    ];
  });
}

/**
 * What was staged and not published goes again, at once: a full disk must not stay full of it. What a publishing
 * whose outcome we were not told has listed after all, stays.
 */
async function unstage(tenure: Tenure, staged: readonly BlockId[]): Promise<void> {
  if (staged.length === 0) return;
  const deletes = ([row]: readonly Found[]): readonly Write[] => {
    const bytes = valueOf(row);
    const listed = new Set(bytes ? Manifest.decode(bytes).blocks.map((b) => b.id) : []);
    return staged.flatMap((id): readonly Write[] =>
      listed.has(id) ? [] : [{ kind: "delete", store: "blocks", key: id }],
    );
  };
  await tenure.write("relaxed", [readManifest], deletes, ["blocks"]).catch(() => undefined); // the next tenure sweeps
}

function foldThrough(store: Store, tenure: Tenure, upTo: Seq, floor: Seq, staged: BlockId[]): Promise<FoldResult> {
  return fold({
    manifest: store.manifest,
    changes: store.memtable.through(upTo),
    floor,
    targetBytes: defaultTargetBytes,
    newBlockId: () => tenure.newBlockId(),
    load: async (ids) => {
      const blocks = await store.blocks.load(ids);
      const gone = ids.find((id) => !blocks.has(id));
      if (gone !== undefined) await blame(store, tenure, gone);
      return ids.map((id) => blocks.get(id)!);
    },
    store: async (blocks) => {
      staged.push(...blocks.map((b) => b.id));
      const written = await tenure.write(
        "relaxed",
        [],
        () => blocks.map((b): Write => ({ kind: "put", store: "blocks", key: b.id, value: b.bytes })),
        ["blocks"],
      );
      if (!written) throw tenureIsOver;
    },
  });
}

/** Begin again, if upkeep is still ours. */
const tenureIsOver = new TidemarkError("BUSY", "Another tab has taken over upkeep");

/** A listed block did not come: the list is old, because of this tenure or the one before it, or it is damaged or lost. */
async function blame(store: Store, tenure: Tenure, gone: BlockId): Promise<never> {
  if (!(await tenure.lasts())) throw tenureIsOver;
  await store.reload();
  if (!store.manifest.blocks.some((b) => b.id === gone)) throw tenureIsOver;
  await store.blocks.load([gone]); // damage says so itself
  throw new TidemarkError("CORRUPT", `Block ${gone} is listed but not stored`, { what: "block", id: gone });
}
