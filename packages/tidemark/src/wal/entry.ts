/**
 * A log entry: one group of commits, appended in one storage transaction. docs/formats/log.md states the bytes.
 *
 *   u32 magic+format ‖ u32 checksum ‖ u32 checksum of the entry before ‖ varint first seq ‖ varint commits
 *   ‖ text origin ‖ commits
 *   commit = varint id ‖ varint stamp ‖ text tag ‖ varint writes ‖ writes
 *   write  = varint key length ‖ key ‖ varint superseded seq ‖ varint n ‖ n × (varint length ‖ old index entry)
 *            ‖ varint payload length + 1 (0: tombstone) ‖ payload
 *
 * The checksum covers all that follows it, so also the checksum of the entry before: entries form a chain, and a
 * missing, torn or foreign entry breaks it. The new index entries stand in the payload, the old ones beside it; from
 * both follow index maintenance, range validation and the waking of live queries without reading a value.
 */
import { type ByteKey, type Seq, seq, type Stamp, stamp, type TabId, tabId } from "../base/brand.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { checksum } from "../base/checksum.ts";
import { TidemarkError } from "../base/errors.ts";
import type { StoredValue } from "../storage/contract.ts";

const magic = 0x01_4c_4d_54; // "TML", format 1
const headBytes = 12;

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
  readonly firstSeq: Seq;
  readonly lastSeq: Seq;
  readonly previous: number;
  readonly checksum: number;
  readonly origin: TabId;
  readonly sizeBytes: number;
  readonly commits: readonly Commit[];
}

export function encodeEntry(previous: number, origin: TabId, commits: readonly Commit[]): StoredValue {
  let estimate = 256;
  for (const c of commits) for (const w of c.writes) estimate += 64 + w.key.length * 2 + (w.payload?.length ?? 0);
  const out = new ByteWriter(estimate);
  out.u32(magic);
  out.u32(0);
  out.u32(previous);
  out.varint(commits[0]!.seq);
  out.varint(commits.length);
  out.text(origin);
  for (const c of commits) encodeCommit(out, c);
  out.patchU32(4, checksum(out.written(8)));
  return out.finish();
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
export const entryChecksum = (bytes: Uint8Array): number => new ByteReader(bytes, "log entry", 4).u32();

/**
 * Decodes and verifies one entry; payloads are views on `bytes`.
 * @throws CORRUPT when a byte is not what was written; FORMAT_UNSUPPORTED for another format's entry.
 */
export function decodeEntry(bytes: Uint8Array): LogEntry {
  const r = new ByteReader(bytes, "log entry");
  const head = r.u32();
  if (bytes.length < headBytes || (head & 0xff_ff_ff) !== (magic & 0xff_ff_ff)) {
    throw new TidemarkError("CORRUPT", "This is not a log entry", { what: "log entry" });
  }
  const sum = r.u32();
  if (checksum(bytes.subarray(8)) !== sum) {
    throw new TidemarkError("CORRUPT", "A log entry does not match its checksum", { what: "log entry" });
  }
  if (head !== magic) {
    throw new TidemarkError("FORMAT_UNSUPPORTED", `Log entry of format ${head >>> 24}; this build reads 1`, {
      found: head >>> 24,
      supported: 1,
    });
  }
  const previous = r.u32();
  const firstSeq = r.varint();
  const count = r.varint();
  const origin = tabId(r.text());
  const commits: Commit[] = [];
  for (let i = 0; i < count; i++) commits.push(decodeCommit(r, seq(firstSeq + i)));
  const lastSeq = seq(firstSeq + count - 1);
  return { firstSeq: seq(firstSeq), lastSeq, previous, checksum: sum, origin, sizeBytes: bytes.length, commits };
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
