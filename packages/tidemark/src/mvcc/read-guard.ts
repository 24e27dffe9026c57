/**
 * Read guards (TB5). A tab that was evicted while it slept may not know it, and what its views read may be collected.
 * So each view has a guard:
 *
 *   - Whatever a view fetches from storage is fetched together with the row that says whether the view still is held, in
 *     one transaction, and is believed only if it is.
 *   - What is at hand already is looked at only where, by all that this tab knows, the view still is held.
 *
 * The second is enough for right answers. Say the manifest at hand was published under floor F, so that versions which
 * nobody at F or above can see may be missing in it. It came with a state read, which reads the floor in the same
 * transaction, or by a publication of our own, which follows an advance that we applied: either way the floor known is
 * at least F. A view at r passes the guard where r ≥ floor known ≥ F, and what it looks for is there. The first tells a
 * tab early, and tells eviction from damage where blocks or values are gone.
 */
import type { Seq } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { type Found, get, type Read, type Storage } from "../storage/contract.ts";
import { floorIn, type ReadFloor, readFloor } from "./read-floor.ts";

export interface ReadGuard {
  /** Where the view fetches. Its reads @throw READ_VIEW_EVICTED */
  readonly storage: Pick<Storage, "read">;
  /** By what is known now. @throws READ_VIEW_EVICTED */
  check(): void;
}

/** A point hold of this tab: its row stays until it is released, or somebody evicts it. */
export interface Hold {
  readonly id: string;
  readonly seq: Seq;
  isGone: boolean;
}

/** What guards need of a store. */
export interface Guarded {
  readonly storage: Storage;
  readonly floor: ReadFloor;
  learnFloor(floor: ReadFloor): void;
  /** A view found out that it is held no more. */
  evicted(): void;
}

/** The guard of a view at `at`, on a hold of its own or within the tab's pin. */
export function guardOf(store: Guarded, at: Seq, hold: Hold | undefined): ReadGuard {
  const refuse = (): never => {
    store.evicted();
    throw readViewEvicted(at, store.floor);
  };
  const check = (): void => {
    if (hold ? hold.isGone : store.floor.seq > at) refuse();
  };
  const along: readonly Read[] = hold ? [readFloor, get("meta", hold.id)] : [readFloor];
  const judge = ([floorRow, holdRow]: readonly Found[]): void => {
    store.learnFloor(floorIn(floorRow));
    if (hold && holdRow?.length === 0) hold.isGone = true;
    check();
  };
  const read = async (reads: readonly Read[]): Promise<readonly Found[]> => {
    const found = await store.storage.read([...reads, ...along]);
    judge(found.slice(reads.length));
    return found.slice(0, reads.length);
  };
  return { storage: { read }, check };
}

function readViewEvicted(viewSeq: Seq, { seq: floor, logSeq, eviction }: ReadFloor): TidemarkError {
  return new TidemarkError(
    "READ_VIEW_EVICTED",
    "This read view was evicted: this tab held back what others could reclaim. Open a new one to read again",
    { viewSeq, floor, evictedBy: eviction?.by, logSeq: eviction?.logSeq ?? logSeq },
  );
}
