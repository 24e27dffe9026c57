/**
 * What is kept of the log below its fence, for whoever has yet to be told of it.
 *
 * Below the fence the log is void to every reader that opens, follows or recovers. What a consumer still needs of it
 * moves to keys below the fence's own, where only a feed looks: so opening reads as much as if nothing were kept. The
 * *mark* says which stretch there is. A fold that finds a consumer behind it writes the mark and leaves the entries where
 * they are; upkeep moves them afterwards, a few at a time, and drops from the front what nobody needs any more.
 */
import { type Seq, seq, stamp } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import { type Found, get, type Read, type StoredValue, valueOf, type Write } from "../storage/contract.ts";
import { decodeEntry, type LogEntry } from "./entry.ts";
import type { Head } from "./log.ts";
import { openRow, putRow } from "./row.ts";

/** Kept entries lie under their first seq less this: in the same order, and all of them below the fence's key. */
const offset = 2 ** 52;
export const keptKey = (at: number): number => at - offset;
export const seqOfKept = (key: number): Seq => seq(key + offset);

export interface Kept {
  /** All that follows is there, up to the fence. */
  readonly from: Head;
  /** Up to here it was moved; what follows, up to the fence, still lies where it was appended. */
  readonly to: Head;
  /** What lies between the two, bodies included. */
  readonly sizeBytes: number;
}

const markKey = "kept-log";
export const readKept: Read = get("meta", markKey);
export const deleteKept: Write = { kind: "delete", store: "meta", key: markKey };

export const putKept = ({ from, to, sizeBytes }: Kept): Write =>
  putRow(markKey, (out) => {
    for (const { seq: at, checksum, stamp: made } of [from, to]) {
      out.varint(at);
      out.u32(checksum);
      out.varint(made);
    }
    out.varint(sizeBytes);
  });

/** `undefined`: the log begins at its fence. @throws CORRUPT */
export function keptIn(found: Found | undefined): Kept | undefined {
  const bytes = valueOf(found);
  if (!bytes) return undefined;
  const row = openRow(bytes, markKey, "kept log");
  const head = (): Head => ({ seq: seq(row.varint()), checksum: row.u32(), stamp: stamp(row.varint()) });
  return { from: head(), to: head(), sizeBytes: row.varint() };
}

/** The first entries of the log where they were appended, void ones among them. */
export const firstAppended = (after: number, limit: number): Read => ({
  kind: "range",
  store: "log",
  range: { from: after + 1 },
  limit,
});

/** The kept entries that begin behind `after`. */
export const firstKept = (after: number, limit: number): Read => ({
  kind: "range",
  store: "log",
  range: { from: keptKey(after + 1), to: -1 },
  limit,
});

/** `undefined`: it is damaged. */
export function entryIn(bytes: StoredValue): LogEntry | undefined {
  try {
    return decodeEntry(bytes);
  } catch (e) {
    if (isTidemarkError(e, "CORRUPT")) return undefined;
    throw e;
  }
}

export const endOf = ({ lastSeq, checksum, commits }: LogEntry): Head => ({
  seq: lastSeq,
  checksum,
  stamp: commits.at(-1)!.stamp,
});
