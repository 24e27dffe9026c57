/**
 * Values out of line, as they lie in store `blobs`: chunks, each an envelope (magic "TMCH", checksum, format) around a
 * part of the value. Immutable, and there as long as any version that somebody can read refers to them.
 */
import { ByteWriter } from "../base/bytes.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { chunkFormat } from "../codec/formats.ts";
import { bytesAt, chunkAt, chunksOf, type OutsideRef, outsideIn, slotsOf } from "../codec/outside.ts";
import {
  get,
  type Found,
  type Read,
  type Storage,
  type StoredValue,
  valueOf,
  type Write,
} from "../storage/contract.ts";
import { beginEnvelope, damaged, type Envelope, envelopeBytes, openEnvelope, sealEnvelope } from "./envelope.ts";

const envelope: Envelope = { magic: 0x48434d54, ...chunkFormat };
const what = "value";
/** So many are read at a time: no storage transaction moves more than about 256 KB (MV11). */
const chunksAtOnce = 4;

export function encodeChunk(part: Uint8Array): StoredValue {
  const out = new ByteWriter(envelopeBytes + part.length);
  beginEnvelope(out, envelope);
  out.bytes(part);
  return sealEnvelope(out);
}

/** For the transaction that drops the last version which refers to it. */
export function deletesOf(ref: OutsideRef): readonly Write[] {
  const { from, to } = slotsOf(ref);
  return [{ kind: "deleteRange", store: "blobs", range: { from, to: to - 1 } }];
}

interface Wanted {
  readonly key: number;
  readonly lengthBytes: number;
  /** Where its bytes go. */
  readonly into: Uint8Array;
}

/**
 * The values themselves, where some are references.
 * @throws CORRUPT with the `position` of one that is damaged or not there.
 */
export async function loadOutside<Value extends Uint8Array | undefined>(
  storage: Pick<Storage, "read">,
  values: readonly Value[],
): Promise<readonly (Value | Uint8Array)[]> {
  if (!values.some((v) => v && outsideIn(v))) return values;
  const refs = values.map((value) => value && outsideIn(value));
  const loaded = await loadValues(
    storage,
    refs.filter((ref) => ref !== undefined),
    (n) => nth(refs, n),
  );
  let next = 0;
  return values.map((value, i) => (refs[i] ? loaded[next++]! : value));
}

/** Position of the n-th that is there. */
function nth(refs: readonly unknown[], n: number): number {
  let left = n;
  return refs.findIndex((ref) => ref !== undefined && left-- === 0);
}

/** @throws CORRUPT with the `position`, as `positionOf` gives it, of one that is damaged or not there. */
export async function loadValues(
  storage: Pick<Storage, "read">,
  refs: readonly OutsideRef[],
  positionOf: (n: number) => number = (n) => n,
): Promise<readonly Uint8Array[]> {
  const values = refs.map(({ sizeBytes }) => new Uint8Array(sizeBytes));
  const wanted = refs.flatMap((ref, n) => wantedOf(ref, values[n]!).map((w) => ({ ...w, n })));
  for (let i = 0; i < wanted.length; i += chunksAtOnce) {
    const some = wanted.slice(i, i + chunksAtOnce);
    const found = await storage.read(some.map(({ key }) => get("blobs", key)));
    for (const [j, w] of some.entries()) take(w, found[j], { what, id: w.key, position: positionOf(w.n) });
  }
  return values;
}

const wantedOf = (ref: OutsideRef, whole: Uint8Array): readonly Wanted[] =>
  Array.from({ length: chunksOf(ref.sizeBytes) }, (_, i) => {
    const { key, from, to } = chunkAt(ref, i);
    return { key, lengthBytes: to - from, into: whole.subarray(from, to) };
  });

function take(
  { lengthBytes, into }: Wanted,
  found: Found | undefined,
  details: Readonly<Record<string, unknown>>,
): void {
  const bytes = valueOf(found);
  if (!bytes) throw new TidemarkError("CORRUPT", "A part of a value is not stored", details);
  openEnvelope(bytes, envelope, details);
  if (bytes.length !== envelopeBytes + lengthBytes) throw damaged(details, "has a part of another length");
  into.set(bytes.subarray(envelopeBytes));
}

/** What is wrong with a value out of line; `undefined` for nothing. Reads a part of it at a time. */
export async function faultOfOutside(storage: Storage, ref: OutsideRef): Promise<string | undefined> {
  const details = { what };
  for (let i = 0; i < chunksOf(ref.sizeBytes); i++) {
    const { key, from, to } = chunkAt(ref, i);
    const [found] = await storage.read([get("blobs", key)]);
    try {
      take({ key, lengthBytes: to - from, into: new Uint8Array(to - from) }, found, details);
    } catch (e) {
      if (isTidemarkError(e, "CORRUPT")) return e.message;
      throw e;
    }
  }
  return undefined;
}

/** The keys of all chunks. Below 0 the store holds what is not a value. */
export const readChunkKeys: Read = { kind: "keys", store: "blobs", range: { from: 0 } };

/** About how many bytes of values lie out of line, published or staged, by what `readChunkKeys` found. */
export const storedBytes = (found: Found | undefined): number =>
  (found ?? []).reduce((n, { key }) => n + bytesAt(key as number), 0);
