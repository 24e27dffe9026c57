/**
 * What a connection opened anew shows (MV9). Block ids are unique within one database only, and seqs within one
 * incarnation of its log: before anything is read or committed by memory, the log has to be the one which that memory
 * is of, up to its head. The pin may be gone: the tab was evicted meanwhile, or the medium lost it. Then the tab needs
 * another one, and its views find out from the floor whether they still are held.
 */
import type { TabId } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { type Found, type Read, type Storage, valueOf } from "../storage/contract.ts";
import { decodeFence, type Fence, type Head, holds, putFence, wholeLog } from "../wal/log.ts";
import { readPin } from "./holders.ts";
import { succeeding } from "./recovery.ts";

export interface Remembered {
  readonly tab: TabId;
  readonly head: Head;
  readonly fence: Fence;
}

interface Shown {
  readonly fence: Fence;
  /** Whether all that is remembered of the log is still there. */
  readonly isIntact: boolean;
  readonly isPinned: boolean;
}

const readsFor = ({ tab }: Remembered): readonly Read[] => [...wholeLog, readPin(tab)];

function shown([row, log, pin]: readonly Found[], { head, fence: known }: Remembered): Shown | undefined {
  const bytes = valueOf(row);
  const fence = bytes && decodeFence(bytes);
  const isPinned = valueOf(pin) !== undefined;
  return fence && { fence, isPinned, isIntact: holds(fence, log ?? [], head, known) };
}

/** @throws CLOSED where nothing is there. */
export async function lookAtLog(storage: Storage, remembered: Remembered): Promise<Shown> {
  const there = shown(await storage.read(readsFor(remembered)), remembered);
  if (there) return there;
  throw new TidemarkError("CLOSED", "The database is gone from storage (cleared by the user or the browser)", {
    reason: "deleted",
  });
}

/**
 * The medium lost the end of the log while we remembered it: that is a new incarnation, and who else remembers it will
 * notice. Floor and pins stay, since what is lost is a suffix of all that was written: they speak of nothing lost.
 */
export async function beginIncarnation(storage: Storage, remembered: Remembered): Promise<void> {
  await storage.commit({
    durability: "strict",
    reserve: "all",
    stores: ["log"],
    reads: readsFor(remembered),
    writes: (found) => {
      const there = shown(found, remembered);
      const isLoss = there && !there.isIntact && there.fence.incarnation === remembered.fence.incarnation;
      return isLoss ? [putFence(succeeding(there.fence))] : undefined;
    },
  });
}
