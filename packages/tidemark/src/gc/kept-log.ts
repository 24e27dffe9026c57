/** Upkeep of what is kept of the log below its fence (wal/kept.ts): moved out of the way, and dropped once it is consumed. */
import type { Seq } from "../base/brand.ts";
import { holdersIn, readConsumers } from "../mvcc/holders.ts";
import { type Found, type Read, type Storage, valueOf, type Write } from "../storage/contract.ts";
import { deletesOf } from "../wal/chunks.ts";
import {
  deleteKept,
  endOf,
  entryIn,
  firstAppended,
  firstKept,
  type Kept,
  keptIn,
  keptKey,
  putKept,
  readKept,
} from "../wal/kept.ts";
import { decodeFence, type Fence, readFence } from "../wal/log.ts";
import type { Tenure } from "./tenure.ts";

/** No storage transaction of ours moves more (MV11), but for one entry, of 56 KB at most. */
const maxStepBytes = 256 * 1024;
const maxStepEntries = 64;

const situationReads: readonly Read[] = [readFence, readKept, readConsumers];

interface Situation {
  readonly fence: Fence;
  readonly kept: Kept;
  /** The lowest position that somebody stands at. */
  readonly needed: number;
}

function situationIn([fenceRow, keptRow, consumerRows]: readonly Found[]): Situation | undefined {
  const bytes = valueOf(fenceRow);
  const kept = keptIn(keptRow);
  return bytes && kept && { fence: decodeFence(bytes), kept, needed: neededBy(consumerRows) };
}

const neededBy = (consumerRows: Found | undefined): number =>
  Math.min(Infinity, ...holdersIn([[], [], [], consumerRows ?? []]).map((h) => h.seq));

/**
 * For the transaction that moves the fence from `before` to `to`: the writes that `trim` the log, or where a consumer
 * still needs some of it, those that keep it.
 */
export function trimmedOrKept(
  [keptRow, consumerRows]: readonly Found[],
  before: Fence,
  to: Seq,
  trim: readonly Write[],
): readonly Write[] {
  const kept = keptIn(keptRow);
  if (kept) return [];
  return neededBy(consumerRows) < to ? [putKept({ from: before, to: before, sizeBytes: 0 })] : trim;
}
/** The reads that it understands. */
export const keepingReads: readonly Read[] = [readKept, readConsumers];

/**
 * Moves what a fold left in its place, and drops what every consumer has had, in small steps. Where nothing is kept that
 * is one look. Whatever step is the last one done, all that somebody needs is there.
 */
export async function tidyKept(storage: Storage, tenure: Tenure): Promise<void> {
  for (;;) {
    const now = situationIn(await storage.read(situationReads));
    const step = now && stepFor(now);
    if (!step) return;
    const first = step === moved ? firstAppended : firstKept;
    const [seen] = await storage.read([first(0, maxStepEntries)]);
    const rows = first(0, within(seen!));
    const written = await tenure.write(
      "relaxed",
      [...situationReads, rows],
      (found) => {
        const situation = situationIn(found);
        const writes = situation && stepFor(situation) === step ? step(situation, found.at(-1)!) : [];
        return writes.length === 0 ? undefined : writes;
      },
      ["log", "meta", "blobs"],
    );
    if (!written) return;
  }
}

/** How many of these go in one step. */
function within(rows: Found): number {
  let sizeBytes = 0;
  const end = rows.findIndex(({ value }) => (sizeBytes += value.length) > maxStepBytes);
  return end < 0 ? maxStepEntries : Math.max(1, end);
}

/** What is to be done next, if anything. */
function stepFor({ fence, kept: { from, to }, needed }: Situation): typeof moved | undefined {
  if (to.seq < fence.seq) return moved;
  return from.seq < needed || from.seq >= to.seq ? dropped : undefined;
}

/** The first entries that lie below the fence, each moved, or gone where nobody needs it. */
function moved({ fence, kept, needed }: Situation, rows: Found): readonly Write[] {
  const writes: Write[] = [];
  let { from, to, sizeBytes } = kept;
  for (const { key, value } of rows) {
    if ((key as number) > fence.seq) break;
    writes.push({ kind: "delete", store: "log", key });
    const entry = key === to.seq + 1 ? entryIn(value) : undefined;
    // Void: astray below the fence, or within a group.
    if (!entry || entry.previous !== to.checksum) continue;
    const isUnneeded = from.seq === to.seq && entry.lastSeq <= needed;
    to = endOf(entry);
    if (isUnneeded) {
      from = to;
      if (entry.body) writes.push(...deletesOf(entry.body));
    } else {
      sizeBytes += entry.sizeBytes;
      writes.push({ kind: "put", store: "log", key: keptKey(key as number), value });
    }
  }
  // The chain is broken: whoever stands before that has to begin anew.
  if (writes.length === 0) return allLost(fence);
  return [...writes, putKept({ from, to, sizeBytes })];
}

/** The oldest kept entries gone, as far as everybody has had them; with the last of them the mark. */
function dropped({ fence, kept, needed }: Situation, rows: Found): readonly Write[] {
  if (kept.from.seq >= kept.to.seq || rows.length === 0) return [deleteKept];
  const writes: Write[] = [];
  let { from, sizeBytes } = kept;
  for (const { value } of rows) {
    const entry = entryIn(value);
    if (!entry) return allLost(fence);
    if (entry.lastSeq > needed) break;
    writes.push({ kind: "delete", store: "log", key: keptKey(entry.firstSeq) });
    if (entry.body) writes.push(...deletesOf(entry.body));
    from = endOf(entry);
    sizeBytes -= entry.sizeBytes;
  }
  if (writes.length === 0) return writes;
  return [...writes, from.seq >= kept.to.seq ? deleteKept : putKept({ ...kept, from, sizeBytes })];
}

const allLost = (fence: Fence): readonly Write[] => [
  { kind: "deleteRange", store: "log", range: { from: keptKey(1), to: -1 } },
  putKept({ from: fence, to: fence, sizeBytes: 0 }),
];
