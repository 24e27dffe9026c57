/**
 * A checkpoint: the log up to the head is folded into the uppermost level in use, under a floor, and trimmed. The
 * transaction that publishes the new blocks moves the fence too.
 */
import type { Seq } from "../base/brand.ts";
import type { Store } from "../mvcc/store.ts";
import { foldLevel } from "../segments/levels.ts";
import { deletesOf } from "../wal/chunks.ts";
import { type Fence, putFence, trimLog } from "../wal/log.ts";
import { rewrite, type RewriteOptions, type Rewritten } from "./rewrite.ts";
import type { Tenure } from "./tenure.ts";

export interface Checkpointed extends Rewritten {
  readonly fence: Fence;
}

/** `undefined`: there was nothing to fold, or the tenure is over. */
export async function checkpoint(
  store: Store,
  tenure: Tenure,
  floor: Seq,
  options: RewriteOptions,
): Promise<Checkpointed | undefined> {
  const { head, fence: before, manifest } = store;
  if (head.seq === before.seq) return undefined;
  const fence: Fence = { ...before, seq: head.seq, checksum: head.checksum, stamp: head.stamp };
  const bodies = store.bodiesThrough(fence.seq);
  const level = foldLevel(manifest, options.levels);
  const done = await rewrite(
    store,
    tenure,
    {
      changes: store.memtable.changes(fence.seq),
      above: [],
      level,
      floor,
      fence,
      edits: ({ removed, added }) => [{ level, removed, added }],
      alsoWrite: () => [putFence(fence), trimLog(fence.seq), ...bodies.flatMap((body) => deletesOf(body))],
    },
    options,
  );
  return done && { fence, ...done };
}
