/** Records in the native format. */
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { isTidemarkError, TidemarkError } from "../../base/errors.ts";
import { type Aside, readBytes, sizeOf, type ValueBytes } from "../../codec/aside.ts";
import { decodeValue, encodeValue } from "../../codec/value.ts";
import { Splitter } from "../../codec/splitter.ts";
import type { DamageReport } from "../../protocol/messages.ts";
import { blobsOf } from "../blobs.ts";
import type { ByteSource } from "./byte-source.ts";
import { type Incoming, type RecordReader, type RecordWriter, upToFailure } from "./formats.ts";
import { damaged, type Frame, framesOf, frameType, FrameWriter, type Header, type Trailer } from "./frames.ts";

/** A frame of records is sent off when it holds so much. */
const frameBytes = 60 * 1024;
/** A larger record comes in pieces, so that neither side ever has all of it in memory. */
const maxWholeBytes = 1024 * 1024;
const pieceBytes = 240 * 1024;

export class NativeWriter implements RecordWriter {
  readonly #frames = new FrameWriter();
  readonly #header: Header;
  readonly #counts: number[];

  constructor(header: Header) {
    this.#header = header;
    this.#counts = header.collections.map(() => 0);
  }

  begin(): readonly Uint8Array[] {
    return [this.#frames.preamble(), this.#frames.frame(frameType.header, encoded(this.#header))];
  }

  async *write(collection: number, values: readonly unknown[]): AsyncGenerator<Uint8Array, void> {
    const { name } = this.#header.collections[collection]!;
    const one = new ByteWriter(512);
    let body = new ByteWriter(frameBytes + 4096);
    let count = 0;
    const framed = (): Uint8Array => {
      const payload = new ByteWriter(body.length + 16);
      payload.varint(collection);
      payload.varint(count);
      payload.bytes(body.written());
      this.#counts[collection]! += count;
      body = new ByteWriter(frameBytes + 4096);
      count = 0;
      return this.#frames.frame(frameType.records, payload.written());
    };
    for (const value of values) {
      const bytes = await encodedRecord(value, one, name);
      const size = sizeOf(bytes);
      if (count > 0 && body.length + size > frameBytes) yield framed();
      if (size > maxWholeBytes) {
        yield* this.#pieces(collection, bytes, size);
        continue;
      }
      body.varint(size);
      body.bytes(await readBytes(bytes, 0, size));
      count++;
    }
    if (count > 0) yield framed();
  }

  async *#pieces(collection: number, value: ValueBytes, size: number): AsyncGenerator<Uint8Array, void> {
    const read = (from: number): Promise<Uint8Array> => {
      const reading = readBytes(value, from, Math.min(size, from + pieceBytes));
      reading.catch(() => undefined); // awaited below, unless the reader of the stream has enough
      return reading;
    };
    let reading = read(0);
    for (let from = 0; from < size; from += pieceBytes) {
      const bytes = await reading;
      if (from + pieceBytes < size) reading = read(from + pieceBytes); // while this one is on its way
      const payload = new ByteWriter(bytes.length + 16);
      payload.varint(collection);
      payload.varint(size - from);
      payload.bytes(bytes);
      yield this.#frames.frame(frameType.piece, payload.written());
    }
    this.#counts[collection]!++;
  }

  end(damage: readonly DamageReport[] | undefined): readonly Uint8Array[] {
    const trailer: Trailer = { records: this.#counts, ...(damage ? { damage } : {}) };
    return [this.#frames.frame(frameType.trailer, encoded(trailer))];
  }
}

/** Its bytes are those of `into` until that is used again. */
async function encodedRecord(value: unknown, into: ByteWriter, where: string): Promise<ValueBytes> {
  const aside: Aside[] = [];
  into.reset();
  const small = encodeValue(value, into, where, undefined, aside);
  if (small.length > 0) encodeValue(value, into, where, await blobsOf(small, where), aside);
  return aside.length === 0 ? into.written() : { bytes: into.written(), aside };
}

function encoded(value: unknown): Uint8Array {
  const out = new ByteWriter(1024);
  encodeValue(value, out, "export");
  return out.written();
}

/** Told of what stands around the records: of the header before any of them comes. */
export interface NativeListener {
  begun(header: Header): void;
  ended(trailer: Trailer): void;
}

/** @throws FORMAT_UNSUPPORTED, CORRUPT */
export async function* readNative(source: ByteSource, listener: NativeListener): RecordReader {
  let header: Header | undefined;
  const counts: number[] = [];
  let pieced: PiecedRecord | undefined;
  for await (const frame of framesOf(source)) {
    const { type, offset } = frame;
    if (header === undefined) {
      if (type !== frameType.header) throw damaged("The first frame is no header", offset);
      header = parsed(frame, isHeader);
      listener.begun(header);
    } else if (type === frameType.piece) {
      pieced ??= new PiecedRecord(header, frame);
      pieced.take(frame);
      if (!pieced.isWhole) continue;
      yield [pieced.record()];
      counts[pieced.number] = (counts[pieced.number] ?? 0) + 1;
      pieced = undefined;
    } else if (pieced) {
      throw damaged("A frame comes between the pieces of a record", offset);
    } else if (type === frameType.records) {
      yield* upToFailure(recordsOf(frame, header, counts), (record) => record);
    } else if (type === frameType.trailer) {
      const trailer = parsed(frame, isTrailer);
      const isWhole = header.collections.every((_, i) => trailer.records[i] === (counts[i] ?? 0));
      if (!isWhole) throw damaged("There are not as many records as the last frame says", offset);
      listener.ended(trailer);
    } else if (type === frameType.header) {
      throw damaged("A second header follows", offset);
    } else {
      throw new TidemarkError(
        "FORMAT_UNSUPPORTED",
        `This export holds frames of a kind ${type} that is not known here`,
        {
          found: type,
          supported: frameType.piece,
          offset,
        },
      );
    }
  }
}

/** A record that comes in pieces; what of it is large blobs is not kept in memory. */
class PiecedRecord {
  readonly number: number;
  readonly #collection: string;
  readonly #offset: number;
  readonly #sizeBytes: number;
  readonly #splitter: Splitter;
  #leftBytes: number;

  /** By its first frame. @throws CORRUPT */
  constructor({ collections }: Header, { payload, offset }: Frame) {
    const r = new ByteReader(payload, "export");
    this.number = r.varint();
    this.#sizeBytes = this.#leftBytes = r.varint();
    this.#offset = offset;
    const collection = collections[this.number]?.name;
    if (collection === undefined) throw damaged("A frame is of a collection that the header does not list", offset);
    this.#collection = collection;
    this.#splitter = new Splitter(this.#sizeBytes, maxWholeBytes);
  }

  get isWhole(): boolean {
    return this.#leftBytes === 0;
  }

  /** @throws CORRUPT where it is not the next one */
  take({ payload, offset }: Frame): void {
    const r = new ByteReader(payload, "export");
    const isNext = r.varint() === this.number && r.varint() === this.#leftBytes;
    const piece = payload.subarray(r.at);
    if (!isNext || piece.length === 0 || piece.length > this.#leftBytes) {
      throw damaged("A frame is not the next piece of its record", offset);
    }
    this.#leftBytes -= piece.length;
    located(offset, () => this.#splitter.push(piece));
  }

  record(): Incoming {
    const offset = this.#offset;
    const bytes = located(offset, () => this.#splitter.finish());
    const value = (): unknown => located(offset, () => decodeValue(bytes));
    return { collection: this.#collection, sizeBytes: this.#sizeBytes, place: { offset }, value };
  }
}

function* recordsOf({ payload, offset }: Frame, { collections }: Header, counts: number[]): Generator<Incoming, void> {
  try {
    const r = new ByteReader(payload, "export");
    const number = r.varint();
    const collection = collections[number]?.name;
    if (collection === undefined) throw damaged("A frame is of a collection that the header does not list", offset);
    const count = r.varint();
    for (let i = 0; i < count; i++) {
      const bytes = r.take(r.varint());
      yield { collection, sizeBytes: bytes.length, place: { offset }, value: () => valueIn(bytes, offset) };
    }
    if (!r.done) throw damaged("A frame holds more than its records", offset);
    counts[number] = (counts[number] ?? 0) + count;
  } catch (e) {
    throw isTidemarkError(e, "CORRUPT") && e.details["offset"] === undefined ? damaged(e.message, offset, e) : e;
  }
}

const valueIn = (bytes: Uint8Array, offset: number): unknown => located(offset, () => decodeValue(bytes));

/** Damage that is found is told with the frame it is in. */
function located<T>(offset: number, work: () => T): T {
  try {
    return work();
  } catch (e) {
    throw isTidemarkError(e, "CORRUPT") ? damaged(e.message, offset, e) : e;
  }
}

function parsed<T>({ payload, offset }: Frame, is: (value: unknown) => value is T): T {
  const value = valueIn(payload, offset);
  if (!is(value)) throw damaged("A frame does not say what it must", offset);
  return value;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

const isHeader = (value: unknown): value is Header =>
  isObject(value) &&
  Array.isArray(value["collections"]) &&
  value["collections"].every((c: unknown) => isObject(c) && typeof c["name"] === "string");

const isTrailer = (value: unknown): value is Trailer =>
  isObject(value) &&
  Array.isArray(value["records"]) &&
  (value["damage"] === undefined || Array.isArray(value["damage"]));
