/**
 * What a table holds, as bytes.
 *
 * Every key starts with its table's number (4 bytes, big-endian), so all tables share one ordered key space:
 *
 *   record key  = table ‖ primary key
 *   index entry = index table ‖ index key ‖ primary key        (payload empty)
 *
 * A record's payload carries its index keys before its value, so that whoever supersedes it knows which index
 * entries die, and nobody below the client ever decodes a value:
 *
 *   payload = varint n ‖ n × (varint length ‖ index table ‖ index key) ‖ value
 */
import { type ByteKey, byteKey, type TableId, tableId } from "../base/brand.ts";
import { ByteReader, type ByteWriter } from "../base/bytes.ts";
import { TidemarkError } from "../base/errors.ts";
import { type Aside, asideForm, Dealer, noneAside } from "./aside.ts";

export const tablePrefixBytes = 4;

export function tablePrefix(id: TableId): ByteKey {
  return byteKey(String.fromCharCode((id >>> 24) & 0xff, (id >>> 16) & 0xff, (id >>> 8) & 0xff, id & 0xff));
}

export function tableOf(key: ByteKey): TableId {
  const high = (key.charCodeAt(0) << 24) | (key.charCodeAt(1) << 16);
  return tableId((high | (key.charCodeAt(2) << 8) | key.charCodeAt(3)) >>> 0);
}

/** The payload of an index entry: being there is all it says. */
export const presence: Uint8Array = new Uint8Array(0);

/** Writes the part of a payload before its value. `indexKeys`: index table ‖ index key. */
export function writeRecordHead(into: ByteWriter, indexKeys: readonly ByteKey[]): void {
  into.varint(indexKeys.length);
  for (const k of indexKeys) {
    into.varint(k.length);
    into.key(k);
  }
}

/** The full keys of the index entries of record `key` with this payload. */
export function indexEntriesOf(key: ByteKey, payload: Uint8Array): readonly ByteKey[] {
  if (payload.length === 0 || payload[0] === 0) return none;
  const r = new ByteReader(payload, "record");
  const n = r.varint();
  const primary = key.slice(tablePrefixBytes);
  const entries: ByteKey[] = [];
  for (let i = 0; i < n; i++) entries.push(byteKey(r.key(r.varint()) + primary));
  return entries;
}
const none: readonly ByteKey[] = [];

/** The encoded value within a payload: a view. */
export const recordValue = (payload: Uint8Array): Uint8Array => payload.subarray(valueStart(payload));

/** Where the value begins. Every record that is read or written passes here, so nothing is allocated for it. */
export function valueStart(payload: Uint8Array): number {
  let at = 1;
  let n = payload[0]!;
  if (n >= 0x80) return valueBehindMany(payload);
  for (; n > 0; n--) {
    const length = payload[at]!;
    if (!(length < 0x80)) return valueBehindMany(payload); // also where it ends too early
    at += 1 + length;
  }
  return at;
}

/** Where there are many index keys, or long ones. */
function valueBehindMany(payload: Uint8Array): number {
  const r = new ByteReader(payload, "record");
  for (let n = r.varint(); n > 0; n--) r.take(r.varint());
  return r.at;
}

export type WriteKind = "put" | "add" | "delete";

/** One intended write. `add` demands that the key is not there. */
export interface Write {
  readonly kind: WriteKind;
  readonly key: ByteKey;
  /** Absent for `delete`. */
  readonly payload: Uint8Array | undefined;
  /** Large blobs of the value that the payload lacks, on their way in: such a value goes out of line. */
  readonly aside?: readonly Aside[] | undefined;
}

/** Writes on their way to the engine, as `readWrites` reads them, and the blobs that stand aside of their bytes. */
export interface WriteBatch {
  readonly writes: Uint8Array;
  readonly aside?: readonly Aside[] | undefined;
}

/** The next of a long batch of puts and adds, on its way while the rest is still made. */
export interface WritePart {
  /** A number of the sender's choice. */
  readonly upload: number;
  /** From 0 on. */
  readonly position: number;
  /** Of the whole: so many writes, and at most about so many bytes. */
  readonly count: number;
  readonly maxBytes: number;
  readonly writes: Uint8Array;
}

/** A batch of writes, or the end of one: what has come in parts stands before `writes`. */
export interface EndingBatch extends WriteBatch {
  readonly upload?: { readonly id: number; readonly parts: number } | undefined;
}

const kinds: readonly WriteKind[] = ["put", "add", "delete"];

/** Appends the head of one write to a batch of writes on their way to the engine; a payload of `payloadBytes` follows. */
export function writeWriteHead(into: ByteWriter, kind: WriteKind, key: ByteKey, payloadBytes: number): void {
  into.u8(kinds.indexOf(kind));
  into.varint(key.length);
  into.key(key);
  if (kind !== "delete") into.varint(payloadBytes);
}

/** Reads a batch of writes; payloads are views on its bytes. @throws CORRUPT */
export function readWrites({ writes: bytes, aside = noneAside }: WriteBatch): readonly Write[] {
  const r = new ByteReader(bytes, what);
  if (!asideForm(aside)) throw somethingElse(0);
  const writes: Write[] = [];
  const dealer = new Dealer(aside);
  while (!r.done) {
    const kind = kinds[r.u8()];
    const key = r.key(r.varint());
    if (kind === undefined || key.length < tablePrefixBytes) throw somethingElse(r.at);
    const payload = kind === "delete" ? undefined : r.take(r.varint());
    const own = payload ? dealer.deal(r.at - payload.length, r.at) : noneAside;
    writes.push(own.length === 0 ? { kind, key, payload } : { kind, key, payload, aside: own });
  }
  if (!dealer.isDone) throw somethingElse(r.at);
  return writes;
}
const what = "batch of writes";
const somethingElse = (at: number): TidemarkError =>
  new TidemarkError("CORRUPT", `A ${what} holds something else`, { what, at });
