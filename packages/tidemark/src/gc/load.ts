/** Blocks that upkeep reads, as its manifest lists them. */
import type { BlockId } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Store } from "../mvcc/store.ts";
import type { Block } from "../segments/block.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import { aside, type Pace } from "../segments/pace.ts";
import type { Read } from "../storage/contract.ts";
import type { Tenure } from "./tenure.ts";

/** What was planned on is no more, or the tenure is over: begin again, if upkeep is still ours. */
export class LookAnew extends TidemarkError {
  constructor() {
    super("BUSY", "The stored blocks moved on meanwhile");
  }
}

/** @throws LookAnew where what lists them is old; CORRUPT where one is damaged or gone. */
export async function loadAll(
  store: Store,
  tenure: Tenure,
  infos: readonly BlockInfo[],
  pace: Pace,
): Promise<readonly Block[]> {
  // Only what storage takes is waiting; to check the blocks is work.
  const from = { read: (reads: readonly Read[]) => aside(pace, store.storage.read(reads)) };
  const blocks = await store.blocks.load(infos, infos.length, { isKept: false, from });
  const all: Block[] = [];
  for (const { id } of infos) all.push(blocks.get(id) ?? (await blame(store, tenure, id)));
  return all;
}

/** A listed block did not come: the list is old, because of this tenure or the one before it, or it is damaged or lost. */
async function blame(store: Store, tenure: Tenure, gone: BlockId): Promise<never> {
  if (!(await tenure.lasts())) throw new LookAnew();
  await store.reload();
  if (store.manifest.info(gone) === undefined) throw new LookAnew();
  throw new TidemarkError("CORRUPT", `Block ${gone} is listed but not stored`, { what: "block", id: gone });
}
