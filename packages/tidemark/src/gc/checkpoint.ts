/**
 * A checkpoint: the log up to the head is folded into blocks under a floor, published, and trimmed. New blocks are
 * staged in small transactions that nobody refers to yet; one small strict transaction then swaps the manifest, moves
 * the fence and deletes the folded log and the replaced blocks. Before it everything is as it was; after it everything
 * is folded; nothing in between.
 */
import type { Seq } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { putManifest } from "../mvcc/recovery.ts";
import type { Store } from "../mvcc/store.ts";
import { defaultTargetBytes, fold, type FoldResult } from "../segments/fold.ts";
import { valueOf, type Write } from "../storage/contract.ts";
import { decodeFence, type Fence, putFence, readFence, sameLog } from "../wal/log.ts";
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
  const folded = await foldThrough(store, tenure, fence.seq, floor);
  if (!folded) return undefined;
  const published = await tenure.write("strict", [readFence], ([row]) => {
    const bytes = valueOf(row);
    const present = bytes && decodeFence(bytes);
    if (!present || !sameLog(present, before) || present.seq !== before.seq) return undefined;
    return [
      putManifest(folded.manifest),
      putFence(fence),
      { kind: "deleteRange", store: "log", range: { to: fence.seq } },
      ...folded.removed.map((id): Write => ({ kind: "delete", store: "blocks", key: id })),
    ];
  });
  if (!published) return undefined;
  if (store.manifest === manifest) store.install(folded.manifest, fence);
  else await store.reload();
  store.blocks.forget(folded.removed);
  return { fence, dropped: folded.dropped, written: folded.written };
}

async function foldThrough(store: Store, tenure: Tenure, upTo: Seq, floor: Seq): Promise<FoldResult | undefined> {
  try {
    return await fold({
      manifest: store.manifest,
      changes: store.memtable.through(upTo),
      floor,
      targetBytes: defaultTargetBytes,
      newBlockId: () => tenure.newBlockId(),
      load: async (ids) => {
        const blocks = await store.blocks.load(ids);
        return ids.map((id) => blocks.get(id) ?? deposed());
      },
      store: async (blocks) => {
        const staged = await tenure.write("relaxed", [], () =>
          blocks.map((b): Write => ({ kind: "put", store: "blocks", key: b.id, value: b.bytes })),
        );
        if (!staged) deposed();
      },
    });
  } catch (e) {
    if (e === tenureIsOver) return undefined;
    throw e;
  }
}

const tenureIsOver = new TidemarkError("BUSY", "Another tab has taken over upkeep");

function deposed(): never {
  throw tenureIsOver;
}
