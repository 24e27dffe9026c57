/** The swap that ends each piece of upkeep: one small strict transaction replaces the manifest, and what goes with it. */
import type { BlockId } from "../base/brand.ts";
import type { GarbageLedger } from "../mvcc/ledger.ts";
import { putLedger } from "../mvcc/ledger-row.ts";
import type { Store } from "../mvcc/store.ts";
import { decodeRoot, type Manifest } from "../segments/manifest.ts";
import { putManifest, readRoot } from "../segments/manifest-rows.ts";
import { aside, type Pace } from "../segments/pace.ts";
import { valueOf, type Write } from "../storage/contract.ts";
import { decodeFence, type Fence, readFence, sameLog } from "../wal/log.ts";
import { keepingReads, trimmedOrKept } from "./kept-log.ts";
import { noted, readKeepers } from "./keepers.ts";
import type { Tenure } from "./tenure.ts";

export interface Publication {
  /** What the work was done on: it is published only if that is still what is stored. */
  readonly before: { readonly manifest: Manifest; readonly fence: Fence };
  /** The ledger is as of that fence. */
  readonly next: { readonly manifest: Manifest; readonly fence: Fence; readonly ledger: GarbageLedger };
  /** Blocks that the next manifest does not list. */
  readonly gone: readonly BlockId[];
  readonly also: readonly Write[];
  /** Where the fence moves: what trims the log behind it, unless a consumer still needs some of that. */
  readonly trim: readonly Write[] | undefined;
  /** What keeps versions in blocks that the next manifest lists, and nothing else would. */
  readonly keeps: readonly string[];
  /** Whether blocks go from level to level. */
  readonly isMoving: boolean;
  readonly pace: Pace;
}

/**
 * False: the tenure is over, or what it was done on is no more. Where a connection was lost and nobody can say whether
 * it was published, the manifest's version tells: while this tenure lasts, nobody else moves it on.
 */
export async function publish(
  store: Store,
  tenure: Tenure,
  { before, next, gone, also, trim, keeps, isMoving, pace }: Publication,
): Promise<boolean> {
  let isTried = false;
  let isFound = false;
  const toldBefore = store.ledger.told;
  // Made here, and not inside the transaction: that is waiting, which no slice counts.
  const writes = [
    ...putManifest(before.manifest, next.manifest),
    putLedger(next.ledger),
    ...also,
    ...gone.map((id): Write => ({ kind: "delete", store: "blocks", key: id })),
  ];
  const committed = tenure.write("strict", [readFence, readRoot, readKeepers, ...keepingReads], (found) => {
    const [fenceRow, rootRow, keepersRow, ...keeping] = found;
    const [fenceBytes, rootBytes] = [valueOf(fenceRow), valueOf(rootRow)];
    const version = rootBytes && decodeRoot(rootBytes).version;
    isFound = isTried && version === next.manifest.version;
    if (isFound) return undefined;
    const present = fenceBytes && decodeFence(fenceBytes);
    if (!present || !sameLog(present, before.fence) || present.seq !== before.fence.seq) return undefined;
    if (version !== before.manifest.version) return undefined;
    isTried = true;
    const trimmed = trim ? trimmedOrKept(keeping, before.fence, next.fence.seq, trim) : [];
    return [...writes, ...trimmed, ...noted(keepersRow, keeps, isMoving)];
  });
  const written = await aside(pace, committed);
  if (!written && !isFound) return false;
  // Another tab's edit cannot have come between: this tenure lasts. But a reload may have seen ours already.
  if (store.ledger.told !== toldBefore) next.ledger.points(store.ledger.told);
  store.install(next.manifest, next.fence, next.ledger);
  store.blocks.forget(gone);
  return true;
}
