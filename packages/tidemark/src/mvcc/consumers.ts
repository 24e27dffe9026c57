/**
 * Consumers of the feed of changes: each a holder with a name, whose row is the last commit that it acknowledged. What
 * follows that stays in the log, and the floor stays at or below it, so that what a commit changed, and what it changed
 * it from, can be read. Who was evicted leaves a note, and is told when it comes back.
 */
import type { Seq } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { get, type Read, type Storage, valueOf, type Write } from "../storage/contract.ts";
import { decodeFence, type Fence, readFence, sameLog } from "../wal/log.ts";
import { keptIn, readKept } from "../wal/kept.ts";
import { consumerId, deleteRow, putHold, seqIn } from "./holders.ts";
import { floorIn, readFloor } from "./read-floor.ts";

const lapsedId = (name: string): string => `lapsed/${name}`;

/** Written in place of the row of one that is evicted. */
export const putLapsed = (name: string, at: Seq): Write => putHold(lapsedId(name), at);

export const readConsumer = (name: string): Read => get("meta", consumerId(name));
const readLapsed = (name: string): Read => get("meta", lapsedId(name));

/** What a feed can begin at: the reads, and what they say. */
export const readReach: readonly Read[] = [readFence, readKept, readFloor];

/** The lowest position from which all that follows is there; `undefined`: there is no database. */
export function reachIn(
  found: Parameters<typeof keptIn>[0][],
): { readonly from: Seq; readonly fence: Fence } | undefined {
  const bytes = valueOf(found[0]);
  if (!bytes) return undefined;
  const fence = decodeFence(bytes);
  const kept = keptIn(found[1]);
  const floor = floorIn(found[2]).seq;
  const from = kept ? kept.from.seq : fence.seq;
  return { from: from > floor ? from : floor, fence };
}

/** Who is asked for what is gone has to begin with the records themselves. */
export function resyncRequired(consumer: string | undefined, position: number, floor: number): TidemarkError {
  const who = consumer === undefined ? "This feed" : `The consumer ${JSON.stringify(consumer)}`;
  const again =
    consumer === undefined ? "{ after: view.seq }" : `{ consumer: ${JSON.stringify(consumer)}, after: view.seq }`;
  return new TidemarkError(
    "RESYNC_REQUIRED",
    `${who} stands at ${position}, and changes are kept from ${floor} on. Read everything in a view, await db.readView({ fresh: true }), and go on from there with changes(${again})`,
    { consumer, position, floor },
  );
}

/**
 * Registers a consumer, or finds it: at `after` where that is given, else where it left off, else at the head. In one
 * transaction with what says that all behind that is there.
 * @throws RESYNC_REQUIRED where it was evicted, or what follows `after` is gone; OPTIONS_INVALID beyond the head
 */
export async function openConsumer(
  storage: Storage,
  name: string,
  after: Seq | undefined,
  head: Seq,
  known: Fence,
): Promise<Seq> {
  let outcome: Seq | TidemarkError | undefined;
  await storage.commit({
    durability: "strict",
    isRepeatable: true,
    reserve: "all",
    stores: ["log", "meta"],
    reads: [...readReach, readConsumer(name), readLapsed(name)],
    writes: (found) => {
      outcome = undefined;
      const reach = reachIn([...found]);
      if (!reach || !sameLog(reach.fence, known)) return undefined;
      const [present, lapsed] = [valueOf(found[3]), valueOf(found[4])];
      const former = present && seqIn(present, consumerId(name), "consumer");
      const left = lapsed && seqIn(lapsed, lapsedId(name), "consumer");
      if (left !== undefined && after === undefined) outcome = resyncRequired(name, left, reach.from);
      else {
        const position = after ?? former ?? (head > reach.from ? head : reach.from);
        outcome = position < reach.from ? resyncRequired(name, position, reach.from) : position;
      }
      if (outcome instanceof TidemarkError) return undefined;
      if (present && after === undefined) return undefined;
      return [putHold(consumerId(name), outcome), ...(lapsed ? [deleteRow(lapsedId(name))] : [])];
    },
  });
  if (outcome instanceof TidemarkError) throw outcome;
  // The log lost its end, or was folded anew, while we looked: the caller reloads and asks again.
  if (outcome === undefined) throw new TidemarkError("BUSY", "The log changed while a feed of changes began on it", {});
  return outcome;
}

/** Raises a consumer's position, never lowers it. Tells whether some of the log was kept for it. @throws RESYNC_REQUIRED where it was evicted */
export async function acknowledge(
  storage: Storage,
  name: string,
  to: Seq,
  durability: "relaxed" | "strict",
): Promise<boolean> {
  let [isGone, isFreeing] = [false, false];
  let floor = 0;
  await storage.commit({
    durability,
    isRepeatable: true,
    reserve: "all",
    stores: ["log", "meta"],
    reads: [...readReach, readConsumer(name)],
    writes: (found) => {
      const present = valueOf(found[3]);
      isGone = present === undefined;
      const reach = reachIn([...found]);
      floor = reach?.from ?? 0;
      isFreeing = false;
      if (!present || !reach) return undefined;
      const before = seqIn(present, consumerId(name), "consumer");
      if (before >= to) return undefined;
      isFreeing = before < reach.fence.seq;
      return [putHold(consumerId(name), to)];
    },
  });
  if (isGone) throw resyncRequired(name, to, floor);
  return isFreeing;
}
