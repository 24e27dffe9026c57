/**
 * A log entry: one group of commits, appended in one storage transaction.
 *
 *   envelope (magic "TMLG", checksum, format) ‖ u32 database ‖ u32 checksum of the entry before ‖ varint first seq
 *   ‖ varint commits ‖ text origin ‖ commits
 *   commit = varint id ‖ varint stamp ‖ text tag ‖ writes
 *   writes = varint n ‖ n × write
 *   write  = varint key length ‖ key ‖ varint superseded seq ‖ varint n ‖ n × (varint length ‖ old index entry)
 *            ‖ varint payload length + 1 (0: tombstone) ‖ payload
 *
 * Where the writes are too many for one small transaction, n is 0 in each commit, and at the end stands where their
 * `writes` lie, one after the other: varint id ‖ varint size of a value in store `blobs` (codec/outside.ts). They were
 * staged before, and this entry publishes them. (Format 1 knew no such entries.)
 *
 * The checksum covers all that follows it, so also the checksum of the entry before: entries form a chain, and a
 * missing, torn or foreign entry breaks it. The new index entries stand in the payload, the old ones beside it; from
 * both follow index maintenance, range validation and the waking of live queries without reading a value.
 */
import { type ByteKey, type Seq, seq, type Stamp, stamp, type TabId, tabId } from "../base/brand.ts";
import { ByteReader, ByteWriter, textBytes, varintBytes } from "../base/bytes.ts";
import type { StoredValue } from "../storage/contract.ts";
import type { OutsideRef } from "../codec/outside.ts";
import {
  beginEnvelope,
  checksumAt,
  damaged,
  type Envelope,
  envelopeBytes,
  openEnvelope,
  sealEnvelope,
} from "./envelope.ts";

const envelope: Envelope = { magic: 0x474c4d54, format: 2, oldest: 1 };
const what = { what: "log entry" };

/**
 * Larger entries are staged. Chromium keeps values of 64 KB or more in files of their own, which a later strict
 * transaction may not make durable (decision 14); and no transaction of ours should be large.
 */
export const maxEntryBytes: number = 56 * 1024;

export interface LoggedWrite {
  readonly key: ByteKey;
  /** `undefined`: the key is deleted. */
  readonly payload: Uint8Array | undefined;
  /** The seq whose version of this key it supersedes; 0 where there was none, or where the writes were staged. */
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
  /** With what lies out of line. */
  readonly sizeBytes: number;
  /** Where its writes lie, if they do not stand in the entry itself. */
  readonly body: OutsideRef | undefined;
  /** Without their writes as long as `isWhole` is false. */
  readonly commits: readonly Commit[];
  readonly isWhole: boolean;
}

/** `body`: where the writes of these commits lie as `encodeWrites` encoded them. */
export function encodeEntry(
  database: number,
  previous: number,
  origin: TabId,
  commits: readonly Commit[],
  body?: OutsideRef,
): StoredValue {
  const out = new ByteWriter(envelopeBytes + 8 + entryBytes(origin, commits, body));
  beginEnvelope(out, envelope);
  out.u32(database);
  out.u32(previous);
  out.varint(commits[0]!.seq);
  out.varint(commits.length);
  out.text(origin);
  for (const { id, stamp: made, tag, writes } of commits) {
    out.varint(id);
    out.varint(made);
    out.text(tag);
    if (body) out.varint(0);
    else putWrites(out, writes);
  }
  if (body) {
    out.varint(body.id);
    out.varint(body.sizeBytes);
  }
  return sealEnvelope(out);
}

/**
 * The writes of commits, to be staged. What they supersede is left out: it changes whenever another tab commits to the
 * same keys, and they would have to be staged again.
 */
export function encodeWrites(commits: readonly Commit[]): StoredValue {
  const out = new ByteWriter(commits.reduce((n, c) => n + writesBytes(c.writes), 0));
  for (const { writes } of commits) putWrites(out, writes, unknown);
  return out.finish();
}
const unknown = seq(0);

/** The entry with its writes, as `encodeWrites` encoded them; payloads are views on `body`. @throws CORRUPT */
export function wholeEntry(entry: LogEntry, body: Uint8Array): LogEntry {
  const r = new ByteReader(body, "log entry");
  const commits = entry.commits.map((c): Commit => ({ ...c, writes: takeWrites(r) }));
  if (!r.done) throw damaged(what, "goes on after its end");
  return { ...entry, commits, isWhole: true };
}

/** Exactly how much follows the envelope and its two numbers: an entry is then written without a copy. */
function entryBytes(origin: TabId, commits: readonly Commit[], body: OutsideRef | undefined): number {
  let n = varintBytes(commits[0]!.seq) + varintBytes(commits.length) + textBytes(origin);
  for (const c of commits) {
    n += varintBytes(c.id) + varintBytes(c.stamp) + textBytes(c.tag) + (body ? 1 : writesBytes(c.writes));
  }
  return body ? n + varintBytes(body.id) + varintBytes(body.sizeBytes) : n;
}

/** How much the writes of one commit take in an entry, or at most where they are staged. */
export function writesBytes(writes: readonly LoggedWrite[]): number {
  let n = varintBytes(writes.length);
  for (const w of writes) n += writeBytes(w);
  return n;
}

function writeBytes({ key, supersedes, oldEntries, payload }: LoggedWrite): number {
  let n = varintBytes(key.length) + key.length + varintBytes(supersedes) + varintBytes(oldEntries.length);
  for (const k of oldEntries) n += varintBytes(k.length) + k.length;
  return n + (payload === undefined ? 1 : varintBytes(payload.length + 1) + payload.length);
}

/** `supersedes`: in place of what each of them has. */
function putWrites(out: ByteWriter, writes: readonly LoggedWrite[], supersedes?: Seq): void {
  out.varint(writes.length);
  for (const w of writes) {
    out.varint(w.key.length);
    out.key(w.key);
    out.varint(supersedes ?? w.supersedes);
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
  const commits = Array.from({ length: count }, (_, i): Commit => ({ seq: seq(firstSeq + i), ...takeCommit(r) }));
  const body = r.done ? undefined : { id: r.varint(), sizeBytes: r.varint() };
  return {
    database,
    firstSeq: seq(firstSeq),
    lastSeq: seq(firstSeq + count - 1),
    previous,
    checksum: entryChecksum(bytes),
    origin,
    sizeBytes: bytes.length + (body?.sizeBytes ?? 0),
    body,
    commits,
    isWhole: body === undefined,
  };
}

const takeCommit = (r: ByteReader): Omit<Commit, "seq"> => ({
  id: r.varint(),
  stamp: stamp(r.varint()),
  tag: r.text(),
  writes: takeWrites(r),
});

function takeWrites(r: ByteReader): readonly LoggedWrite[] {
  const writes: LoggedWrite[] = [];
  for (let n = r.varint(); n > 0; n--) {
    const key = r.key(r.varint());
    const supersedes = seq(r.varint());
    const oldEntries: ByteKey[] = [];
    for (let m = r.varint(); m > 0; m--) oldEntries.push(r.key(r.varint()));
    const length = r.varint();
    writes.push({ key, supersedes, oldEntries, payload: length === 0 ? undefined : r.take(length - 1) });
  }
  return writes;
}
