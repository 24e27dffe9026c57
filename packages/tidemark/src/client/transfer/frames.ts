/**
 * The native export format, as docs/formats/export.md writes it down: a magic number and a version, then frames, each
 * with a checksum that begins with the one before it, so that a frame lost, repeated or moved is damage too.
 */
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { checksum } from "../../base/checksum.ts";
import { TidemarkError } from "../../base/errors.ts";
import type { IndexDefinition } from "../../codec/schema.ts";
import type { KeyPath } from "../../codec/path.ts";
import type { DamageReport } from "../../protocol/messages.ts";
import type { ByteSource } from "./byte-source.ts";

/** "\x89TMEX\r\n\x1a": whatever takes the stream for text breaks it at once. */
const magic: Uint8Array = new Uint8Array([0x89, 0x54, 0x4d, 0x45, 0x58, 0x0d, 0x0a, 0x1a]);
const formatVersion = 1;

export const frameType = { header: 1, records: 2, trailer: 3, piece: 4 } as const;
export type FrameType = (typeof frameType)[keyof typeof frameType];

/** No frame is longer; what an untrusted stream says is checked against it before anything is gathered. */
export const maxFrameBytes: number = 256 * 1024 * 1024;

export interface ExportedCollection {
  readonly name: string;
  readonly key: KeyPath;
  readonly indexes: Readonly<Record<string, IndexDefinition>>;
}
export interface Header {
  readonly name: string;
  readonly version: number;
  /** The commit sequence of the state exported. */
  readonly seq: number;
  readonly kind: "export" | "salvage";
  readonly collections: readonly ExportedCollection[];
}
export interface Trailer {
  /** Records of each collection, in the order of the header. */
  readonly records: readonly number[];
  /** Of a salvage: what could not be read. */
  readonly damage?: readonly DamageReport[];
}

export interface Frame {
  readonly type: number;
  readonly payload: Uint8Array;
  /** Where it begins in the stream. */
  readonly offset: number;
}

/** Makes the bytes of one stream, frame by frame. */
export class FrameWriter {
  #checksum = 0;

  preamble(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(magic.length + 4);
    out.bytes(magic);
    out.u32(formatVersion);
    return out.finish();
  }

  frame(type: FrameType, payload: Uint8Array): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(payload.length + 16);
    out.u8(type);
    out.varint(payload.length);
    out.bytes(payload);
    this.#checksum = checksum(out.written(), this.#checksum);
    out.u32(this.#checksum);
    return out.finish();
  }
}

/** @throws FORMAT_UNSUPPORTED, CORRUPT naming the byte `offset` of the frame that is damaged or missing. */
export async function* framesOf(source: ByteSource): AsyncGenerator<Frame, void> {
  await readPreamble(source);
  let before = 0;
  for (let isLast = false; !isLast;) {
    const { offset } = source;
    const frame = await readFrame(source, before);
    if (!frame) throw damaged("The stream ends before its last frame", offset);
    before = frame.checksum;
    isLast = frame.type === frameType.trailer;
    yield { type: frame.type, payload: frame.payload, offset };
  }
  if ((await source.take(1)).length > 0) throw damaged("The stream goes on behind its last frame", source.offset - 1);
}

async function readPreamble(source: ByteSource): Promise<void> {
  const found = await source.take(magic.length);
  if (found.length < magic.length || found.some((b, i) => b !== magic[i])) {
    throw new TidemarkError(
      "FORMAT_UNSUPPORTED",
      "This stream is no export of Tidemark; is its `format` another one?",
      {
        found: "another format",
        supported: formatVersion,
        offset: 0,
      },
    );
  }
  const bytes = await source.take(4);
  if (bytes.length < 4) throw damaged("The stream ends before its first frame", magic.length);
  const version = new ByteReader(bytes, "export").u32();
  if (version === formatVersion) return;
  throw new TidemarkError(
    "FORMAT_UNSUPPORTED",
    `This export is of format ${version}; this build reads ${formatVersion}`,
    {
      found: version,
      supported: formatVersion,
      offset: magic.length,
    },
  );
}

interface Checked {
  readonly type: number;
  readonly payload: Uint8Array;
  readonly checksum: number;
}

async function readFrame(source: ByteSource, before: number): Promise<Checked | undefined> {
  const { offset } = source;
  const head = new ByteWriter(10);
  let length = 0;
  for (let i = 0, scale = 1; ; i++) {
    const byte = await source.take(1);
    if (byte.length === 0) return undefined;
    head.bytes(byte);
    if (i === 0) continue; // the type
    length += (byte[0]! & 0x7f) * scale;
    scale *= 0x80;
    if (length > maxFrameBytes || i > 5) throw damaged("A frame says that it is longer than any may be", offset);
    if (byte[0]! < 0x80) break;
  }
  const rest = await source.take(length + 4);
  if (rest.length < length + 4) return undefined;
  const whole = new ByteWriter(head.length + length);
  whole.bytes(head.written());
  whole.bytes(rest.subarray(0, length));
  const sum = checksum(whole.written(), before);
  if (sum !== new ByteReader(rest, "export", length).u32()) {
    throw damaged("A frame is not what its checksum says", offset);
  }
  return { type: head.written()[0]!, payload: rest.subarray(0, length), checksum: sum };
}

export const damaged = (message: string, offset: number, cause?: unknown): TidemarkError =>
  new TidemarkError("CORRUPT", `${message} (byte ${offset})`, { what: "export", offset }, cause);
