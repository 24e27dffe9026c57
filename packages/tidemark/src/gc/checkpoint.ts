/**
 * A checkpoint: the log up to the head is folded into the uppermost level in use, under a floor, and trimmed. The
 * transaction that publishes the new blocks moves the fence too.
 *
 * New blocks take room before the log and the blocks they replace give theirs. So on a full disk a checkpoint goes by
 * parts, each as small as it has to be to do with what is kept in reserve, and gives that back before the next.
 */
import { isTidemarkError } from "../base/errors.ts";
import type { Store } from "../mvcc/store.ts";
import { foldLevel } from "../segments/levels.ts";
import type { Basis } from "./journal.ts";
import type { ReserveUse } from "../storage/contract.ts";
import { deletesOf } from "../wal/chunks.ts";
import { type Fence, type Head, putFence, sameLog, trimLog } from "../wal/log.ts";
import { rewrite, type Rewritten } from "./rewrite.ts";
import type { Tenure } from "./tenure.ts";
import type { WorkOptions } from "./work.ts";

/** On a full disk no more of the log is folded at once. It meets blocks besides, so this is less than the reserve. */
const maxPartBytes = 256 * 1024;

export interface Checkpointed extends Rewritten {
  readonly fence: Fence;
}

/** `undefined`: there was nothing to fold, or the tenure is over. @throws QUOTA_EXCEEDED where there is no room at all */
export async function checkpoint(
  store: Store,
  tenure: Tenure,
  basis: Basis,
  options: WorkOptions,
): Promise<Checkpointed | undefined> {
  const { head, fence } = store;
  if (head.seq === fence.seq) return undefined;
  await store.memtable.order(options.pace);
  try {
    return await fold(store, tenure, basis, head, "keep", options);
  } catch (e) {
    if (!isTidemarkError(e, "QUOTA_EXCEEDED")) throw e;
    return await foldByParts(store, tenure, basis, options);
  }
}

/** Up to the head, or as far as there is room. */
async function foldByParts(
  store: Store,
  tenure: Tenure,
  basis: Basis,
  options: WorkOptions,
): Promise<Checkpointed | undefined> {
  const { head, fence: before } = store;
  let done: Checkpointed | undefined;
  let maxBytes = maxPartBytes;
  // In another incarnation of the log the floor would have to be asked for anew.
  while (store.fence.seq < head.seq && sameLog(store.fence, before)) {
    const { end, sizeBytes } = store.logWithin(maxBytes);
    try {
      const part = await fold(store, tenure, basis, end, "all", options);
      if (!part) break;
      done = done ? both(done, part) : part;
    } catch (e) {
      maxBytes = sizeBytes / 2;
      const isLeast = store.logWithin(maxBytes).end.seq >= end.seq;
      if (!isTidemarkError(e, "QUOTA_EXCEEDED")) throw e;
      if (!isLeast) continue;
      if (!done) throw e;
      break;
    }
  }
  return done;
}

async function fold(
  store: Store,
  tenure: Tenure,
  basis: Basis,
  { seq, checksum, stamp }: Head,
  reserve: ReserveUse,
  options: WorkOptions,
): Promise<Checkpointed | undefined> {
  const { fence: before, manifest } = store;
  const fence: Fence = { ...before, seq, checksum, stamp };
  const bodies = store.bodiesThrough(fence.seq);
  const level = foldLevel(manifest, options.levels);
  const done = await rewrite(
    store,
    tenure,
    {
      kind: "fold",
      changes: store.memtable.changes(fence.seq),
      above: [],
      staysAbove: undefined,
      level,
      basis,
      fence,
      reserve,
      edits: ({ removed, added }) => [{ level, removed, added }],
      alsoWrite: () => [putFence(fence)],
      trim: [trimLog(fence.seq), ...bodies.flatMap((body) => deletesOf(body))],
    },
    options,
  );
  return done && { fence, ...done };
}

const both = (a: Checkpointed, b: Checkpointed): Checkpointed => ({
  fence: b.fence,
  dropped: { versions: a.dropped.versions + b.dropped.versions, bytes: a.dropped.bytes + b.dropped.bytes },
  written: { blocks: a.written.blocks + b.written.blocks, bytes: a.written.bytes + b.written.bytes },
});
