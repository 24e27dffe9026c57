/**
 * A log entry: one group of commits, appended in one storage transaction.
 *
 *   envelope (magic "TMLG", checksum, format) ‖ u32 database ‖ u32 checksum of the entry before ‖ varint first seq
 *   ‖ varint commits ‖ text origin ‖ commits
 *   commit = varint id ‖ varint stamp ‖ text tag ‖ varint writes ‖ writes
 *   write  = varint key length ‖ key ‖ varint superseded seq ‖ varint n ‖ n × (varint length ‖ old index entry)
 *            ‖ varint payload length + 1 (0: tombstone) ‖ payload
 *
 * The checksum covers all that follows it, so also the checksum of the entry before: entries form a chain, and a
 * missing, torn or foreign entry breaks it. The new index entries stand in the payload, the old ones beside it; from
 * both follow index maintenance, range validation and the waking of live queries without reading a value.
 */
import { type ByteKey, type Seq, seq, type Stamp, stamp, type TabId, tabId } from "../base/brand.ts";
import { ByteReader, ByteWriter, textBytes, varintBytes } from "../base/bytes.ts";
import type { StoredValue } from "../storage/contract.ts";
import { beginEnvelope, type Envelope, envelopeBytes, openEnvelope, sealEnvelope, checksumAt } from "./envelope.ts";

const envelope: Envelope = { magic: 0x474c4d54, format: 1 };
const what = { what: "log entry" };

export interface LoggedWrite {
  readonly key: ByteKey;
  /** `undefined`: the key is deleted. */
  readonly payload: Uint8Array | undefined;
  /** The seq whose version of this key it supersedes; 0 where there was none. */
  readonly supersedes: Seq;
  /** Full keys of the index entries the superseded version had. */
  readonly oldEntries: readonly ByteKey[];
}

export interface Commit {
  readonly seq: Seq;
  readonly stamp: Stamp;
  /** Number of this commit in its origin, for finding out what became of it. */
  readonly id: number;
  readonly tag: string;
  readonly writes: readonly LoggedWrite[];
}

export interface LogEntry {
  /** The number of the database it was written for: of a deleted one it may stray into its namesake. */
  readonly database: number;
  readonly firstSeq: Seq;
  readonly lastSeq: Seq;
  readonly previous: number;
  readonly checksum: number;
  readonly origin: TabId;
  readonly sizeBytes: number;
  readonly commits: readonly Commit[];
}

export function encodeEntry(
  database: number,
  previous: number,
  origin: TabId,
  commits: readonly Commit[],
): StoredValue {
  const out = new ByteWriter(envelopeBytes + 8 + bodyBytes(origin, commits));
  beginEnvelope(out, envelope);
  out.u32(database);
  out.u32(previous);
  out.varint(commits[0]!.seq);
  out.varint(commits.length);
  out.text(origin);
  for (const c of commits) encodeCommit(out, c);
  return sealEnvelope(out);
}

/** Exactly how much follows the envelope and its two numbers: a large entry is then written without a copy. */
function bodyBytes(origin: TabId, commits: readonly Commit[]): number {
  let n = varintBytes(commits[0]!.seq) + varintBytes(commits.length) + textBytes(origin);
  for (const c of commits) {
    n += varintBytes(c.id) + varintBytes(c.stamp) + textBytes(c.tag) + varintBytes(c.writes.length);
    for (const w of c.writes) n += writeBytes(w);
  }
  return n;
}

function writeBytes({ key, supersedes, oldEntries, payload }: LoggedWrite): number {
  let n = varintBytes(key.length) + key.length + varintBytes(supersedes) + varintBytes(oldEntries.length);
  for (const k of oldEntries) n += varintBytes(k.length) + k.length;
  return n + (payload === undefined ? 1 : varintBytes(payload.length + 1) + payload.length);
}

function encodeCommit(out: ByteWriter, c: Commit): void {
  out.varint(c.id);
  out.varint(c.stamp);
  out.text(c.tag);
  out.varint(c.writes.length);
  for (const w of c.writes) {
    out.varint(w.key.length);
    out.key(w.key);
    out.varint(w.supersedes);
    out.varint(w.oldEntries.length);
    for (const k of w.oldEntries) {
      out.varint(k.length);
      out.key(k);
    }
    if (w.payload === undefined) out.varint(0);
    else {
      out.varint(w.payload.length + 1);
      out.bytes(w.payload);
    }
  }
}

/** The checksum of an entry's bytes, as the next entry chains it. */
export const entryChecksum = (bytes: Uint8Array): number => new ByteReader(bytes, "log entry", checksumAt).u32();

/**
 * Decodes and verifies one entry; payloads are views on `bytes`.
 * @throws CORRUPT when a byte is not what was written; FORMAT_UNSUPPORTED for another format's entry.
 */
export function decodeEntry(bytes: Uint8Array): LogEntry {
  openEnvelope(bytes, envelope, what);
  const r = new ByteReader(bytes, "log entry", envelopeBytes);
  const database = r.u32();
  const previous = r.u32();
  const firstSeq = r.varint();
  const count = r.varint();
  const origin = tabId(r.text());
  const commits: Commit[] = [];
  for (let i = 0; i < count; i++) commits.push(decodeCommit(r, seq(firstSeq + i)));
  const lastSeq = seq(firstSeq + count - 1);
  return {
    database,
    firstSeq: seq(firstSeq),
    lastSeq,
    previous,
    checksum: entryChecksum(bytes),
    origin,
    sizeBytes: bytes.length,
    commits,
  };
}

function decodeCommit(r: ByteReader, at: Seq): Commit {
  const id = r.varint();
  const made = stamp(r.varint());
  const tag = r.text();
  const writes: LoggedWrite[] = [];
  for (let n = r.varint(); n > 0; n--) {
    const key = r.key(r.varint());
    const supersedes = seq(r.varint());
    const oldEntries: ByteKey[] = [];
    for (let m = r.varint(); m > 0; m--) oldEntries.push(r.key(r.varint()));
    const length = r.varint();
    writes.push({ key, supersedes, oldEntries, payload: length === 0 ? undefined : r.take(length - 1) });
  }
  return { seq: at, stamp: made, id, tag, writes };
}
