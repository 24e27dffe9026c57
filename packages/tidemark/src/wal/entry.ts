/**
 * A log entry: one group of commits, appended in one storage transaction.
 *
 *   envelope (magic "TMLG", checksum, format) ‖ u32 database ‖ u32 checksum of the entry before ‖ varint first seq
 *   ‖ varint commits ‖ text origin ‖ commits
 *   commit = varint id ‖ varint stamp ‖ text tag ‖ writes
 *   writes = varint n ‖ n × write
 *   write  = varint key length ‖ key ‖ varint superseded seq (0: none) ‖ unless that is 0: varint superseded bytes
 *            ‖ varint n ‖ n × (varint length ‖ old index entry) ‖ varint payload length + 1 (0: tombstone) ‖ payload
 *
 * Where the writes are too many for one small transaction, n is 0 in each commit, and at the end stands where their
 * `writes` lie, one after the other: varint id ‖ varint size of a value in store `blobs` (codec/outside.ts). They were
 * staged before, and this entry publishes them. What they supersede was not known then, and follows here (superseded.ts):
 *
 *   varint 0: too much for this entry, so nobody can say; or 1, and then up to the end what each of them supersedes
 *
 * Format 2 had no superseded bytes and nothing about staged writes; format 1 had no staged writes.
 *
 * The checksum covers all that follows it, so also the checksum of the entry before: entries form a chain, and a
 * missing, torn or foreign entry breaks it. The new index entries stand in the payload, the old ones beside it; from
 * both follow index maintenance, range validation and the waking of live queries without reading a value.
 */
import { type ByteKey, type Seq, seq, type Stamp, stamp, type TabId, tabId } from "../base/brand.ts";
import { ByteReader, ByteWriter, textBytes, varintBytes } from "../base/bytes.ts";
import type { StoredValue } from "../storage/contract.ts";
import { entryFormat } from "../codec/formats.ts";
import type { OutsideRef } from "../codec/outside.ts";
import { checksumAt, damaged, type Envelope, enveloped, envelopeBytes, formatAt, openEnvelope } from "./envelope.ts";
import {
  decodeSuperseded,
  encodeSuperseded,
  type Superseded,
  type SupersededReader,
  supersedesNone,
  unknownSuperseded,
} from "./superseded.ts";

const envelope: Envelope = { magic: 0x474c4d54, ...entryFormat };
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
  /** The seq whose version of this key it supersedes, 0 where there was none. `undefined`: nobody can say. */
  readonly supersedes: Seq | undefined;
  /** Length of the key and the payload of that version, 0 where there was none. `undefined`: nobody can say. */
  readonly supersededBytes: number | undefined;
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
  /** What the writes of `body` supersede, encoded; for `wholeEntry`. */
  readonly superseded: Uint8Array | undefined;
  /** Without their writes as long as `isWhole` is false. */
  readonly commits: readonly Commit[];
  readonly isWhole: boolean;
}

/**
 * `body`: where the writes of these commits lie as `encodeWrites` encoded them; `superseded`: what they supersede, as
 * `supersededThatFits` encoded it.
 */
export function encodeEntry(
  database: number,
  previous: number,
  origin: TabId,
  commits: readonly Commit[],
  body?: OutsideRef,
  superseded?: Uint8Array,
): StoredValue {
  return enveloped(envelope, (out) => {
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
    if (!body) return;
    out.varint(body.id);
    out.varint(body.sizeBytes);
    out.varint(superseded ? 1 : 0);
    if (superseded) out.bytes(superseded);
  });
}

/** What the staged writes of commits supersede, for their entry; `undefined` where that would become too large. */
export function supersededThatFits(
  origin: TabId,
  commits: readonly Commit[],
  body: OutsideRef,
): Uint8Array | undefined {
  const superseded = encodeSuperseded(commits.flatMap((c) => c.writes));
  const sizeBytes = envelopeBytes + 8 + entryBytes(origin, commits, body) + superseded.length;
  return sizeBytes <= maxEntryBytes ? superseded : undefined;
}

/**
 * The writes of commits, to be staged. What they supersede is left out: it changes whenever another tab commits to the
 * same keys, and they would have to be staged again.
 */
export function encodeWrites(commits: readonly Commit[]): StoredValue {
  const out = new ByteWriter(commits.reduce((n, c) => n + writesBytes(c.writes), 0));
  for (const { writes } of commits) putWrites(out, writes, none);
  return out.finish();
}
const none = seq(0);

/** The entry with its writes, as `encodeWrites` encoded them; payloads are views on `body`. @throws CORRUPT */
export function wholeEntry(entry: LogEntry, body: Uint8Array): LogEntry {
  const r = new ByteReader(body, "log entry");
  const known = entry.superseded && decodeSuperseded(entry.superseded);
  const commits = entry.commits.map((c): Commit => ({ ...c, writes: takeWrites(r, "staged", known) }));
  if (!r.done || known?.isDone === false) throw damaged(what, "goes on after its end");
  return { ...entry, commits, isWhole: true };
}

/** Commits of which nobody can say what they supersede. */
export const unaccounted = (commits: readonly Commit[]): readonly Commit[] =>
  commits.map((c) => ({
    ...c,
    writes: c.writes.map((w) => ({ ...w, supersedes: undefined, supersededBytes: undefined })),
  }));

/** Exactly how much follows the envelope and its two numbers: an entry is then written without a copy. */
function entryBytes(origin: TabId, commits: readonly Commit[], body: OutsideRef | undefined): number {
  let n = varintBytes(commits[0]!.seq) + varintBytes(commits.length) + textBytes(origin);
  for (const c of commits) {
    n += varintBytes(c.id) + varintBytes(c.stamp) + textBytes(c.tag) + (body ? 1 : writesBytes(c.writes));
  }
  return body ? n + varintBytes(body.id) + varintBytes(body.sizeBytes) + 1 : n;
}

/** How much the writes of one commit take in an entry, or at most where they are staged. */
export function writesBytes(writes: readonly LoggedWrite[]): number {
  let n = varintBytes(writes.length);
  for (const w of writes) n += writeBytes(w);
  return n;
}

function writeBytes({ key, supersedes = none, supersededBytes = 0, oldEntries, payload }: LoggedWrite): number {
  let n = varintBytes(key.length) + key.length + varintBytes(supersedes) + varintBytes(oldEntries.length);
  if (supersedes !== none) n += varintBytes(supersededBytes);
  for (const k of oldEntries) n += varintBytes(k.length) + k.length;
  return n + payloadBytes(payload);
}

const payloadBytes = (payload: Uint8Array | undefined): number =>
  payload === undefined ? 1 : varintBytes(payload.length + 1) + payload.length;

/** `instead`: in place of what each of them supersedes. */
function putWrites(out: ByteWriter, writes: readonly LoggedWrite[], instead?: Seq): void {
  beginWrites(out, writes.length);
  for (const w of writes) putWrite(out, w, instead ?? w.supersedes ?? none);
}

/** One by one what `encodeWrites` writes of a commit whose keys are all new: first how many there are. */
export const beginWrites = (out: ByteWriter, count: number): void => out.varint(count);
export const putNewWrite = (out: ByteWriter, { key, payload }: NewWrite): void =>
  putWrite(out, { key, payload, supersededBytes: 0, oldEntries: noEntries }, none);
/** How much `putNewWrite` writes. */
export const newWriteBytes = ({ key, payload }: NewWrite): number =>
  varintBytes(key.length) + key.length + 2 + payloadBytes(payload);
type NewWrite = Pick<LoggedWrite, "key" | "payload">;
const noEntries: readonly ByteKey[] = [];

function putWrite(
  out: ByteWriter,
  { key, supersededBytes, oldEntries, payload }: Omit<LoggedWrite, "supersedes">,
  supersedes: Seq,
): void {
  out.varint(key.length);
  out.key(key);
  out.varint(supersedes);
  if (supersedes !== none) out.varint(supersededBytes ?? 0);
  out.varint(oldEntries.length);
  for (const k of oldEntries) {
    out.varint(k.length);
    out.key(k);
  }
  if (payload === undefined) out.varint(0);
  else {
    out.varint(payload.length + 1);
    out.bytes(payload);
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
  const count = r.count();
  if (count === 0 || firstSeq > Number.MAX_SAFE_INTEGER - count) throw damaged(what, "has no commits");
  const origin = tabId(r.text());
  const isAccounted = bytes[formatAt]! >= accountedFormat;
  const commits = Array.from({ length: count }, (_, i): Commit => ({
    seq: seq(firstSeq + i),
    ...takeCommit(r, isAccounted ? "accounted" : "old"),
  }));
  const body = r.done ? undefined : { id: r.varint(), sizeBytes: r.varint() };
  const superseded = body && isAccounted && r.varint() === 1 ? r.take(bytes.length - r.at) : undefined;
  if (!r.done) throw damaged(what, "goes on after its end");
  return {
    database,
    firstSeq: seq(firstSeq),
    lastSeq: seq(firstSeq + count - 1),
    previous,
    checksum: entryChecksum(bytes),
    origin,
    sizeBytes: bytes.length + (body?.sizeBytes ?? 0),
    body,
    superseded,
    commits,
    isWhole: body === undefined,
  };
}

/** The first format in which a write says how large is what it supersedes. */
const accountedFormat = 3;

/** How writes stand: with all that they supersede; without its size, as they did once; or without any of it. */
type Layout = "accounted" | "old" | "staged";

const takeCommit = (r: ByteReader, layout: Layout): Omit<Commit, "seq"> => ({
  id: r.varint(),
  stamp: stamp(r.varint()),
  tag: r.text(),
  writes: takeWrites(r, layout),
});

/** `known`: what staged writes supersede, one after the other. */
function takeWrites(r: ByteReader, layout: Layout, known?: SupersededReader): readonly LoggedWrite[] {
  const writes: LoggedWrite[] = [];
  for (let n = r.varint(); n > 0; n--) {
    const key = r.key(r.varint());
    const logged = takeSuperseded(r, layout);
    const { supersedes, supersededBytes } = known ? known.next() : logged;
    const oldEntries: ByteKey[] = [];
    for (let m = r.varint(); m > 0; m--) oldEntries.push(r.key(r.varint()));
    const length = r.varint();
    const payload = length === 0 ? undefined : r.take(length - 1);
    writes.push({ key, supersedes, supersededBytes, oldEntries, payload });
  }
  return writes;
}

function takeSuperseded(r: ByteReader, layout: Layout): Superseded {
  const supersedes = seq(r.varint());
  if (layout === "staged") return unknownSuperseded;
  if (supersedes === none) return supersedesNone;
  return { supersedes, supersededBytes: layout === "accounted" ? r.varint() : undefined };
}
