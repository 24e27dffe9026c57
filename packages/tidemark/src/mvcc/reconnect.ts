/**
 * What a connection opened anew shows (MV9). Block ids are unique within one database only, and seqs within one
 * incarnation of its log: before anything is read or committed by memory, the log has to be the one which that memory
 * is of, up to its head.
 */
import { TidemarkError } from "../base/errors.ts";
import { type Found, type Storage, valueOf } from "../storage/contract.ts";
import { decodeFence, type Fence, type Head, holds, putFence, wholeLog } from "../wal/log.ts";
import { succeeding } from "./recovery.ts";

interface Shown {
  readonly fence: Fence;
  /** Whether the log is `known`'s, with `head` in it. */
  readonly isIntact: boolean;
}

function shown([row, log]: readonly Found[], head: Head, known: Fence): Shown | undefined {
  const bytes = valueOf(row);
  const fence = bytes && decodeFence(bytes);
  return fence && { fence, isIntact: holds(fence, log ?? [], head, known) };
}

/** @throws CLOSED where nothing is there. */
export async function lookAtLog(storage: Storage, head: Head, known: Fence): Promise<Shown> {
  const there = shown(await storage.read(wholeLog), head, known);
  if (there) return there;
  throw new TidemarkError("CLOSED", "The database is gone from storage (cleared by the user or the browser)", {
    reason: "deleted",
  });
}

/**
 * The medium lost the end of the log while we remembered it: that is a new incarnation, and who else remembers it will
 * notice. Floor and pins stay, since what is lost is a suffix of all that was written: they speak of nothing lost.
 */
export async function beginIncarnation(storage: Storage, head: Head, known: Fence): Promise<void> {
  await storage.commit({
    durability: "strict",
    stores: ["log"],
    reads: wholeLog,
    writes: (found) => {
      const there = shown(found, head, known);
      const isLoss = there && !there.isIntact && there.fence.incarnation === known.incarnation;
      return isLoss ? [putFence(succeeding(there.fence))] : undefined;
    },
  });
}
