/**
 * Takes the bytes of a value as they come, a piece at a time, and sets its large blobs aside: what was taken of these is
 * in the platform's keeping at once, and only the rest in memory. How large each of them is stands in the text that a rich
 * value begins with.
 */
import { ByteWriter } from "../base/bytes.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Aside, ValueBytes } from "./aside.ts";
import { maxInlineBytes } from "./outside.ts";
import { type BlobLike, platform } from "./platform.ts";
import { type Attachment, attachmentsIn } from "./unpack.ts";
import { headEnd } from "./value.ts";

/** About so much of a blob becomes one of the blobs that it is made of: browsers pass that much on without a file. */
const pieceBytes = 240 * 1024;

interface Stretch extends Attachment {
  left: number;
}

export class Splitter {
  readonly #sizeBytes: number;
  readonly #maxRoomBytes: number;
  /** The value's bytes without those of blobs that stand aside. */
  #kept = new ByteWriter(64 * 1024);
  readonly #aside: Aside[] = [];
  /** What follows the text; `undefined` while that is not there. */
  #stretches: readonly Stretch[] | undefined;
  #next = 0;
  #pieces: BlobLike[] = [];
  #parts: Uint8Array[] = [];
  #partBytes = 0;

  /** `maxRoomBytes`: no more room is made at once, where it is not sure that so much will come. */
  constructor(sizeBytes: number, maxRoomBytes: number = Infinity) {
    this.#sizeBytes = sizeBytes;
    this.#maxRoomBytes = maxRoomBytes;
  }

  /** The next bytes; who gives them leaves them as they are. @throws CORRUPT */
  push(bytes: Uint8Array): void {
    if (this.#stretches) return this.#take(bytes, this.#stretches);
    this.#kept.bytes(bytes);
    const head = this.#kept.written();
    const end = headEnd(head);
    if (end === undefined || end > head.length) return;
    const attachments = end === head.length || platform.Blob === undefined ? [] : attachmentsIn(head.subarray(0, end));
    this.#stretches = attachments.map((a) => ({ ...a, left: a.lengthBytes }));
    const asideBytes = attachments.reduce((n, a) => n + (isAside(a) ? a.lengthBytes : 0), 0);
    const room = Math.min(Math.max(this.#sizeBytes - asideBytes, end), this.#maxRoomBytes);
    this.#kept = new ByteWriter(room);
    this.#kept.bytes(head.subarray(0, end));
    this.#take(head.subarray(end), this.#stretches);
  }

  /** The value. @throws CORRUPT where it ends within a blob */
  finish(): ValueBytes {
    if (this.#pieces.length > 0 || this.#parts.length > 0) throw endsEarly();
    const bytes = this.#kept.finish();
    return this.#aside.length === 0 ? bytes : { bytes, aside: this.#aside };
  }

  #take(bytes: Uint8Array, stretches: readonly Stretch[]): void {
    for (let from = 0; from < bytes.length;) {
      const stretch = stretches[this.#next];
      const part = bytes.subarray(from, stretch && from + stretch.left);
      from += part.length;
      if (!stretch) this.#kept.bytes(part);
      else if (this.#takeOf(stretch, part) === 0) this.#next++;
    }
  }

  /** Answers how much of the stretch is still to come. */
  #takeOf(stretch: Stretch, part: Uint8Array): number {
    stretch.left -= part.length;
    if (!isAside(stretch)) {
      this.#kept.bytes(part);
      return stretch.left;
    }
    this.#parts.push(part);
    this.#partBytes += part.length;
    if (stretch.left === 0 || this.#partBytes >= pieceBytes) this.#pieceDone();
    if (stretch.left === 0) {
      const blob = this.#pieces.length === 1 ? this.#pieces[0]! : blobOf(this.#pieces);
      this.#aside.push({ at: this.#kept.length, blob });
      this.#pieces = [];
    }
    return stretch.left;
  }

  #pieceDone(): void {
    this.#pieces.push(blobOf(this.#parts));
    this.#parts = [];
    this.#partBytes = 0;
  }
}

const isAside = ({ isBlob, lengthBytes }: Attachment): boolean => isBlob && lengthBytes > maxInlineBytes;

const blobOf = (parts: readonly (Uint8Array | BlobLike)[]): BlobLike => new platform.Blob!(parts, { type: "" });

const endsEarly = (): TidemarkError =>
  new TidemarkError("CORRUPT", "A stored value ends within a blob", { what: "value" });
