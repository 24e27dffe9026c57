/**
 * The read floor: no view that is not on a hold of its own reads below it. It rises by commits in the log, and whoever
 * applies one learns it. The row beside the log is what a transaction compares: it is written with the entry.
 */
import { type Seq, seq } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { recordValue, writeRecordHead } from "../codec/record.ts";
import { decodeValue, encodeValue } from "../codec/value.ts";
import { type Found, get, type Read, valueOf, type Write } from "../storage/contract.ts";
import { checkedForm, fields, listOf, text, whole } from "../codec/form.ts";
import { openRow, putRow } from "../wal/row.ts";

export interface ReadFloor {
  readonly seq: Seq;
  /** The commit that recorded it last; 0 where none did. */
  readonly logSeq: Seq;
  /** The record before that; 0 where there was none. */
  readonly previousLogSeq: Seq;
  /** The last one there was. */
  readonly eviction: Eviction | undefined;
}

export interface Eviction {
  readonly by: string;
  /** The commit that recorded it. */
  readonly logSeq: Seq;
}

const noFloor: ReadFloor = { seq: seq(0), logSeq: seq(0), previousLogSeq: seq(0), eviction: undefined };

const key = "floor";
export const readFloor: Read = get("meta", key);

export const putFloor = ({ seq: at, logSeq, previousLogSeq, eviction }: ReadFloor): Write =>
  putRow(key, (out) => {
    out.varint(at);
    out.varint(logSeq);
    out.varint(previousLogSeq);
    if (!eviction) return;
    out.varint(eviction.logSeq);
    out.text(eviction.by);
  });

/** @throws CORRUPT */
export function floorIn(found: Found | undefined): ReadFloor {
  const bytes = valueOf(found);
  if (!bytes) return noFloor;
  const row = openRow(bytes, key, "floor");
  const at = seq(row.varint());
  if (row.done) return { ...noFloor, seq: at }; // of before its advances were commits
  const [logSeq, previousLogSeq] = [seq(row.varint()), seq(row.varint())];
  const eviction = row.done ? undefined : { logSeq: seq(row.varint()), by: row.text() };
  return { seq: at, logSeq, previousLogSeq, eviction };
}

/** The one that was recorded later, of one log. */
export function laterFloor(a: ReadFloor, b: ReadFloor): ReadFloor {
  if (a.logSeq !== b.logSeq) return a.logSeq > b.logSeq ? a : b;
  return a.seq >= b.seq ? a : b;
}

/** As it is where the log was struck behind `lastGood`. */
export function loweredFloor({ eviction, ...floor }: ReadFloor, lastGood: Seq): ReadFloor {
  const down = (at: Seq): Seq => (at > lastGood ? lastGood : at);
  return {
    seq: down(floor.seq),
    logSeq: down(floor.logSeq),
    previousLogSeq: down(floor.previousLogSeq),
    eviction: eviction && { ...eviction, logSeq: down(eviction.logSeq) },
  };
}

/** What one commit says of the floor: a record of the system's table (`floorKey` in schema.ts). */
export interface FloorRecord {
  readonly floor: number;
  /** Rows of dead tabs that went with it, by key. */
  readonly released: readonly string[];
  /** Rows of tabs that may be alive. */
  readonly evicted: readonly string[];
  /** Who had it done. */
  readonly by: string;
  /** Digest of the holders that are left. */
  readonly holders: number;
  /** Its commit's stamp. */
  readonly at: number;
}

export function encodeFloorRecord(record: FloorRecord): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  writeRecordHead(out, []);
  encodeValue(record, out, "floor");
  return out.finish();
}

const form = fields<FloorRecord>({
  floor: whole,
  released: listOf(text),
  evicted: listOf(text),
  by: text,
  holders: whole,
  at: whole,
});
/** @throws CORRUPT */
export const decodeFloorRecord = (payload: Uint8Array): FloorRecord =>
  checkedForm(decodeValue(recordValue(payload)), form, "record of the floor");

/** The floor after `record`, committed at `logSeq`. */
export function floorAfter(before: ReadFloor, record: FloorRecord, logSeq: Seq): ReadFloor {
  const { floor, evicted, by } = record;
  const eviction = evicted.length > 0 ? { by, logSeq } : before.eviction;
  return { seq: seq(floor), logSeq, previousLogSeq: before.logSeq, eviction };
}
