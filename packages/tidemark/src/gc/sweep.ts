/**
 * What dead tabs have staged and never published goes. A row of theirs names it; rows are read before the locks are
 * asked for, since a tab takes its lock before it writes anything: what is found without a lock then is a dead tab's
 * for good. That it was not published is not known from there: each discard asks that itself, in the transaction that
 * deletes (wal/staging.ts has the proof). So a tab that published its last words and died loses nothing, and of two
 * tabs that sweep at once each row falls to one.
 */
import type { TabId } from "../base/brand.ts";
import type { Storage } from "../storage/contract.ts";
import { discard, readStaging, stagingIn } from "../wal/staging.ts";
import { type GcStrategy, nothingDone, type StepOutcome, type Tally } from "./strategy.ts";

/** @returns how many rows there were to discard. */
export async function sweepStaging(storage: Storage, lockedTabs: () => Promise<ReadonlySet<TabId>>): Promise<number> {
  const [found] = await storage.read([readStaging]);
  const all = stagingIn(found);
  if (all.length === 0) return 0;
  const live = await lockedTabs();
  const left = all.filter(({ tab }) => !live.has(tab));
  for (const staged of left) await discard(storage, staged);
  return left.length;
}

/** The same as a strategy. What was staged is no version of anything yet, so nothing is counted. */
export class Leftovers implements GcStrategy {
  readonly name = "leftovers";
  readonly #storage: Storage;
  readonly #lockedTabs: () => Promise<ReadonlySet<TabId>>;

  constructor(storage: Storage, lockedTabs: () => Promise<ReadonlySet<TabId>>) {
    this.#storage = storage;
    this.#lockedTabs = lockedTabs;
  }

  plan(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async step(): Promise<StepOutcome> {
    await sweepStaging(this.#storage, this.#lockedTabs);
    return "over";
  }

  report(): Tally {
    return nothingDone;
  }
}
