/**
 * The log on its medium: where it ends, what was appended, what is void.
 *
 * Entries lie in store `log` under the seq of their first commit. The *fence* is the last checkpoint: what lies at or
 * below it is void to every reader. It is read with every append, since a slow tab's `add` into the trimmed part of the
 * log does succeed: such an entry is void, never acknowledged, and swept with the next trim. The *incarnation* changes
 * whenever the log loses entries that were once readable (damage struck at recovery, deletion of the database), so
 * that a tab which still remembers them notices.
 */
import { type Seq, seq, type Stamp, stamp } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import type { OutsideRef } from "../codec/outside.ts";
import {
  type Durability,
  type Found,
  get,
  type Read,
  type ReserveUse,
  type Storage,
  type StoredValue,
  valueOf,
  type Write,
} from "../storage/contract.ts";
import { decodeEntry, entryChecksum, type LogEntry } from "./entry.ts";
import { openRow, sealRow } from "./row.ts";
import { areStaged, published, publishedStores, readStaged, type Staged } from "./staging.ts";

/** The end of the log as one tab knows it: the next entry continues here. */
export interface Head {
  readonly seq: Seq;
  /** Checksum of the entry that ends at `seq`. */
  readonly checksum: number;
  readonly stamp: Stamp;
}

export interface Fence extends Head {
  /** Drawn when the database is created: another one means that it was deleted and made anew. */
  readonly database: number;
  readonly incarnation: number;
}

/** Whether both speak of the same log: nothing that one of them has read was taken away since. */
export const sameLog = (a: Fence, b: Fence): boolean => a.database === b.database && a.incarnation === b.incarnation;

/** The fence lies in the log's own store, below the first entry: then an append touches that one store only. */
const fenceKey = 0;

export const encodeFence = (f: Fence): StoredValue =>
  sealRow(undefined, (out) => {
    out.u32(f.database);
    out.varint(f.incarnation);
    out.varint(f.seq);
    out.u32(f.checksum);
    out.varint(f.stamp);
  });

/** @throws CORRUPT */
export function decodeFence(bytes: Uint8Array): Fence {
  const r = openRow(bytes, undefined, "fence");
  return {
    database: r.u32(),
    incarnation: r.varint(),
    seq: seq(r.varint()),
    checksum: r.u32(),
    stamp: stamp(r.varint()),
  };
}

export const readFence: Read = get("log", fenceKey);
export const putFence = (f: Fence): Write => ({ kind: "put", store: "log", key: fenceKey, value: encodeFence(f) });
/** Removes the entries up to `at`, not the fence. */
export const trimLog = (at: Seq): Write => ({
  kind: "deleteRange",
  store: "log",
  range: { from: fenceKey + 1, to: at },
});

/** The reads that `followed` understands: the fence and all entries after `head`. */
export const tailReads = (head: Seq): readonly Read[] => [
  readFence,
  { kind: "range", store: "log", range: { from: head + 1 } },
];

export type Tail =
  /** `entries` continue `head` without a gap; `broken` tells that more lies behind a break in the chain. */
  | {
      readonly status: "follows";
      readonly entries: readonly LogEntry[];
      readonly broken: boolean;
      readonly fence: Fence;
    }
  /** The log was trimmed past `head`, or struck: whoever stands at `head` has to reload. */
  | { readonly status: "reload"; readonly fence: Fence | undefined };

/** Judges what `tailReads(head.seq)` found, for someone who stands at `head` and knows the log of `known`. */
export function followed(found: readonly Found[], head: Head, known: Fence): Tail {
  const row = valueOf(found[0]);
  const fence = row && decodeFence(row);
  if (!fence || !sameLog(fence, known) || fence.seq > head.seq) return { status: "reload", fence };
  const { entries, broken } = chainFrom(found[1]!, head);
  return { status: "follows", entries, broken, fence };
}

/** The entries that continue `head` one after the other, up to the first break. */
export function chainFrom(found: Found, head: Head): { entries: readonly LogEntry[]; broken: boolean } {
  const entries: LogEntry[] = [];
  let last = head.seq;
  let sum = head.checksum;
  for (const { key, value } of found) {
    // Void: below the fence, or astray within a group that took its position while its tab was elsewhere.
    if ((key as number) <= last) continue;
    const entry = key === last + 1 ? intact(value) : undefined;
    if (!entry || entry.firstSeq !== key || entry.previous !== sum) return { entries, broken: true };
    entries.push(entry);
    last = entry.lastSeq;
    sum = entry.checksum;
  }
  return { entries, broken: false };
}

/** The fence and all entries after it, and void ones before. */
export const wholeLog: readonly Read[] = tailReads(seq(fenceKey));

/**
 * Whether the log of `fence` is the one that somebody knew as `known`, and his head still in it: the entry that ended
 * there does so now. Of what was folded since, the incarnation alone vouches.
 */
export function holds(fence: Fence, log: Found, head: Head, known: Fence): boolean {
  if (!sameLog(fence, known)) return false;
  if (fence.seq > head.seq) return true;
  const isHead = (end: Seq, checksum: number): boolean => end === head.seq && checksum === head.checksum;
  return isHead(fence.seq, fence.checksum) || chainFrom(log, fence).entries.some((e) => isHead(e.lastSeq, e.checksum));
}

/**
 * Whether what lies behind the break, if anything, is only what tabs of a deleted namesake wrote after it was gone:
 * that is no damage, nobody was ever told that it counts.
 */
export function isOnlyStray(found: Found, lastGood: Seq, database: number): boolean {
  const behind = found.filter(({ key }) => (key as number) > lastGood);
  return behind.every(({ value }) => {
    const entry = intact(value);
    return entry !== undefined && entry.database !== database;
  });
}

/** Where the writes of entries behind `lastGood` lie, as far as these can be read: each is that entry's alone. */
export function bodiesBehind(found: Found, lastGood: Seq): readonly OutsideRef[] {
  return found.flatMap(({ key, value }) => ((key as number) > lastGood ? (intact(value)?.body ?? []) : []));
}

function intact(bytes: StoredValue): LogEntry | undefined {
  try {
    return decodeEntry(bytes);
  } catch (e) {
    if (isTidemarkError(e, "CORRUPT")) return undefined;
    throw e;
  }
}

export type Appended =
  | "appended"
  /** Another tab took this position. */
  | "clash"
  /** It was written below the fence: void, reload. */
  | "void"
  /** It was written into another incarnation of the log, where it may count: reload and see. */
  | "unsure"
  /** Nothing was written: what it refers to is not staged any more. */
  | "unstaged";

export interface AppendTerms {
  readonly durability: Durability;
  readonly reserve: ReserveUse;
}

/** Appends one encoded entry at `at`, pipelined with reading the fence. */
export async function append(
  storage: Storage,
  entry: StoredValue,
  at: Seq,
  known: Fence,
  terms: AppendTerms,
): Promise<Appended> {
  const done = await storage.commit({
    ...terms,
    reads: [readFence],
    writes: [{ kind: "add", store: "log", key: at, value: entry }],
  });
  if (done.status !== "committed") return "clash";
  const row = valueOf(done.found[0]);
  const fence = row && decodeFence(row);
  if (fence && sameLog(fence, known) && fence.seq < at) return "appended";
  // Void for good where the fence is past it, since that only rises, or where it strayed into another database. In
  // another incarnation of ours it may count: whoever reloads will see.
  const isVoid = !fence || fence.database !== known.database || fence.seq >= at;
  if (!isVoid) return "unsure";
  await withdraw(storage, at, entry);
  return "void";
}

/**
 * Appends an entry that refers to what is staged, and publishes that in the same transaction: see staging.ts. The fence
 * is looked at before anything is written, so nothing staged is ever published by an entry that is void.
 */
export async function appendStaged(
  storage: Storage,
  entry: StoredValue,
  at: Seq,
  known: Fence,
  terms: AppendTerms,
  staged: readonly Staged[],
): Promise<Appended> {
  let declined: Appended = "void";
  const done = await storage.commit({
    ...terms,
    stores: ["log", ...publishedStores(staged)],
    reads: [readFence, ...readStaged(staged)],
    writes: ([row, ...rows]) => {
      const bytes = valueOf(row);
      const fence = bytes && decodeFence(bytes);
      if (!fence || !sameLog(fence, known) || fence.seq >= at) return undefined;
      declined = "unstaged";
      if (!areStaged(rows)) return undefined;
      return [{ kind: "add", store: "log", key: at, value: entry }, ...published(staged)];
    },
  });
  if (done.status === "exists") return "clash";
  return done.status === "committed" ? "appended" : declined;
}

async function withdraw(storage: Storage, at: Seq, entry: StoredValue): Promise<void> {
  const key = at;
  await storage.commit({
    durability: "relaxed",
    isRepeatable: true,
    reserve: "all",
    stores: ["log"],
    reads: [get("log", key)],
    writes: ([row]) => {
      const stored = valueOf(row);
      const isOurs = stored !== undefined && entryChecksum(stored) === entryChecksum(entry);
      return isOurs ? [{ kind: "delete", store: "log", key }] : undefined;
    },
  });
}
