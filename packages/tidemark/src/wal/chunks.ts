/**
 * Values out of line, as they lie in store `blobs`: chunks, each an envelope (magic "TMCH", checksum, format) around its
 * key and a part of the value. The key says that it is no other's; format 1 did not have it. Immutable, and there as long
 * as any version that somebody can read refers to them.
 */
import { ByteReader, ByteWriter, joined, varintBytes } from "../base/bytes.ts";
import { type ErrorDetails, isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { ValueBytes } from "../codec/aside.ts";
import { chunkFormat } from "../codec/formats.ts";
import { bytesAt, chunkAt, chunksOf, type OutsideRef, outsideIn, slotsOf } from "../codec/outside.ts";
import { Splitter } from "../codec/splitter.ts";
import {
  get,
  type Found,
  type Read,
  type Storage,
  type StoredValue,
  valueOf,
  type Write,
} from "../storage/contract.ts";
import {
  beginEnvelope,
  damaged,
  type Envelope,
  envelopeBytes,
  formatOf,
  openEnvelope,
  sealEnvelope,
} from "./envelope.ts";

const envelope: Envelope = { magic: 0x48434d54, ...chunkFormat };
const what = "value";
/** So many are read at a time: no storage transaction moves more than about 256 KB (MV11). */
const chunksAtOnce = 4;
/** Larger values are not in memory whole: large blobs of theirs stand aside. */
const maxWholeBytes = 1024 * 1024;

/** So much room is made at once, since a reference may claim any size. */
const maxRoomBytes = 16 * 1024 * 1024;

export function encodeChunk(key: number, part: Uint8Array): StoredValue {
  const out = new ByteWriter(envelopeBytes + varintBytes(key) + part.length);
  beginEnvelope(out, envelope);
  out.varint(key);
  out.bytes(part);
  return sealEnvelope(out);
}

/** For the transaction that drops the last version which refers to it. */
export function deletesOf(ref: OutsideRef): readonly Write[] {
  const { from, to } = slotsOf(ref);
  return [{ kind: "deleteRange", store: "blobs", range: { from, to: to - 1 } }];
}

/** One chunk of the value at a position. */
interface Wanted {
  readonly position: number;
  readonly key: number;
  readonly lengthBytes: number;
}

/**
 * The values themselves, where some are references.
 * @throws CORRUPT with the `position` of one that is damaged or not there.
 */
export async function loadOutside<Value extends Uint8Array | undefined>(
  storage: Pick<Storage, "read">,
  values: readonly Value[],
): Promise<readonly (Value | ValueBytes)[]> {
  if (!values.some((v) => v && outsideIn(v))) return values;
  const loaded: (Value | ValueBytes)[] = [...values];
  const small: { readonly ref: OutsideRef; readonly position: number }[] = [];
  for (const [position, value] of values.entries()) {
    const ref = value && outsideIn(value);
    if (ref && ref.sizeBytes > maxWholeBytes) loaded[position] = await loadSplit(storage, ref, position);
    else if (ref) small.push({ ref, position });
  }
  const whole = await loadValues(
    storage,
    small.map(({ ref }) => ref),
    (n) => small[n]!.position,
  );
  for (const [n, { position }] of small.entries()) loaded[position] = whole[n]!;
  return loaded;
}

/** A large value, with large blobs aside. The next chunks are on their way while one's are taken. */
async function loadSplit(storage: Pick<Storage, "read">, ref: OutsideRef, position: number): Promise<ValueBytes> {
  const splitter = new Splitter(ref.sizeBytes, maxRoomBytes);
  const count = chunksOf(ref.sizeBytes);
  const readFrom = (first: number): Promise<readonly Found[]> => {
    const some = Array.from({ length: Math.min(chunksAtOnce, count - first) }, (_, i) => chunkAt(ref, first + i));
    const reading = storage.read(some.map(({ key }) => get("blobs", key)));
    reading.catch(() => undefined); // awaited below, unless something fails before
    return reading;
  };
  let reading = readFrom(0);
  for (let i = 0; i < count; i += chunksAtOnce) {
    const found = await reading;
    if (i + chunksAtOnce < count) reading = readFrom(i + chunksAtOnce);
    for (const [j, one] of found.entries()) {
      const { key, from, to } = chunkAt(ref, i + j);
      splitter.push(partIn(one, { key, lengthBytes: to - from }, { what, id: key, position }));
    }
  }
  return splitter.finish();
}

/**
 * What a value takes is set aside when all of it is there: a reference may claim any size.
 * @throws CORRUPT with the `position`, as `positionOf` gives it, of one that is damaged or not there.
 */
export async function loadValues(
  storage: Pick<Storage, "read">,
  refs: readonly OutsideRef[],
  positionOf: (n: number) => number = (n) => n,
): Promise<readonly Uint8Array[]> {
  const parts = refs.map((): Uint8Array[] => []);
  for (let some, wanted = wantedOf(refs); (some = someOf(wanted)).length > 0;) {
    const found = await storage.read(some.map(({ key }) => get("blobs", key)));
    for (const [j, w] of some.entries()) {
      parts[w.position]!.push(partIn(found[j], w, { what, id: w.key, position: positionOf(w.position) }));
    }
  }
  return refs.map(({ sizeBytes }, n) => joined(parts[n]!, sizeBytes));
}

function* wantedOf(refs: readonly OutsideRef[]): Generator<Wanted, void> {
  for (const [position, ref] of refs.entries()) {
    for (let i = 0; i < chunksOf(ref.sizeBytes); i++) {
      const { key, from, to } = chunkAt(ref, i);
      yield { position, key, lengthBytes: to - from };
    }
  }
}

function someOf(wanted: Iterator<Wanted, void>): readonly Wanted[] {
  const some: Wanted[] = [];
  while (some.length < chunksAtOnce) {
    const { value } = wanted.next();
    if (value === undefined) break;
    some.push(value);
  }
  return some;
}

/** What a chunk holds: a view of what was read. @throws CORRUPT with `details` */
function partIn(
  found: Found | undefined,
  { key, lengthBytes }: Pick<Wanted, "key" | "lengthBytes">,
  details: ErrorDetails,
): Uint8Array {
  const bytes = valueOf(found);
  if (!bytes) throw new TidemarkError("CORRUPT", "A part of a value is not stored", details);
  openEnvelope(bytes, envelope, details);
  const r = new ByteReader(bytes, what, envelopeBytes);
  if (formatOf(bytes) > 1 && r.varint() !== key) throw damaged(details, "has a part of another one");
  if (bytes.length !== r.at + lengthBytes) throw damaged(details, "has a part of another length");
  return bytes.subarray(r.at);
}

/** What is wrong with a value out of line; `undefined` for nothing. Reads a part of it at a time. */
export async function faultOfOutside(storage: Storage, ref: OutsideRef): Promise<string | undefined> {
  const details = { what };
  for (let i = 0; i < chunksOf(ref.sizeBytes); i++) {
    const { key, from, to } = chunkAt(ref, i);
    const [found] = await storage.read([get("blobs", key)]);
    try {
      partIn(found, { key, lengthBytes: to - from }, details);
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
