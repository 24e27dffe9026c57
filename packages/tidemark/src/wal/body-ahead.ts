/**
 * The body of a log entry, stored while its writes still come in. It stands on an assumption, that none of its keys is
 * there yet, so that no judging is needed to know what it will say. Nobody refers to what is staged; where the commit
 * turns out to write something else, this is discarded and the commit stages its own.
 */
import { ByteWriter, varintBytes } from "../base/bytes.ts";
import { chunkAt, chunksOf, type OutsideRef, slotsPerChunk } from "../codec/outside.ts";
import type { Write } from "../codec/record.ts";
import { encodeChunk } from "./chunks.ts";
import { beginWrites, newWriteBytes, putNewWrite } from "./entry.ts";
import type { StagedBody } from "./group-commit.ts";
import { chunksPerBatch, maxChunksPerRow, type RowPart, writeParts } from "./stage-values.ts";
import type { Piece, Staged, Staging } from "./staging.ts";

/** So much room is made at once: what is expected is a claim. */
const maxRoomBytes = 8 * 1024 * 1024;

/** What is thought of a batch before most of it is there. */
export interface Expected {
  /** Exactly so many writes. */
  readonly count: number;
  /** At most about so many bytes: what exceeds it is not staged ahead. */
  readonly maxBytes: number;
}

export class BodyAhead {
  readonly #staging: Staging;
  readonly #out: ByteWriter;
  readonly #count: number;
  readonly #maxBytes: number;
  #taken = 0;
  #isComplete = false;
  #isOff = false;
  #more: () => void = () => undefined;
  readonly #staged: Promise<Staged | undefined>;
  #body: Uint8Array | undefined;
  #isGivenAway = false;

  private constructor(staging: Staging, { count, maxBytes }: Expected) {
    this.#staging = staging;
    this.#count = count;
    this.#maxBytes = maxBytes;
    this.#out = new ByteWriter(Math.min(maxBytes, maxRoomBytes));
    beginWrites(this.#out, count);
    this.#staged = this.#stage().catch(() => undefined); // whoever needs it stages it anew, and hears why not
  }

  /** `undefined` where one row cannot name it all. */
  static begin(staging: Staging, expected: Expected): BodyAhead | undefined {
    const maxBytes = expected.maxBytes + varintBytes(expected.count);
    return chunksOf(maxBytes) > maxChunksPerRow ? undefined : new BodyAhead(staging, { ...expected, maxBytes });
  }

  /** Appends writes, none of which deletes. */
  put(writes: readonly Write[]): void {
    if (this.#isOff) return;
    const sizeBytes = writes.reduce((n, w) => n + newWriteBytes(w), 0);
    if (this.#taken + writes.length > this.#count || this.#out.length + sizeBytes > this.#maxBytes) return this.off();
    for (const w of writes) putNewWrite(this.#out, w);
    this.#taken += writes.length;
    this.#more();
  }

  /** No more is stored; what is goes. */
  off(): void {
    this.#isOff = true;
    this.#more();
  }

  /** All writes are there. Answers the body, if it is one. */
  complete(): Uint8Array | undefined {
    if (this.#taken !== this.#count) this.off();
    if (this.#isOff) return undefined;
    this.#isComplete = true;
    this.#body = this.#out.written();
    this.#more();
    return this.#body;
  }

  /** Once: what is staged, for whoever asks to publish or to discard. `undefined` where it could not be staged. */
  async take(): Promise<StagedBody | undefined> {
    const bytes = this.#body;
    if (this.#isGivenAway || !bytes) return undefined;
    this.#isGivenAway = true;
    const row = await this.#staged;
    return row && { bytes, ref: { id: row.from, sizeBytes: bytes.length }, staged: [row] };
  }

  /** Discards what nobody took. */
  async drop(): Promise<void> {
    if (this.#isGivenAway) return;
    this.#isGivenAway = true;
    this.off();
    const row = await this.#staged;
    if (row) await this.#staging.discard([row]);
  }

  /** Resolves to what is staged when all of it is, and to nothing where it came to nothing. */
  async #stage(): Promise<Staged | undefined> {
    const row = await this.#staging.reserve("blobs", chunksOf(this.#maxBytes) * slotsPerChunk);
    const isWritten = await writeParts(this.#staging, this.#parts(row)).then(
      () => true,
      () => false,
    );
    if (isWritten && !this.#isOff) return row;
    await this.#staging.discard([row]);
    return undefined;
  }

  /** Chunks as they fill. The last part is what the row ends with. */
  async *#parts(row: Staged): AsyncGenerator<RowPart, void> {
    for (let first = 0, isLast = false; !isLast;) {
      const last = await this.#chunksFrom(first);
      if (last === undefined) return;
      isLast = this.#isComplete && last === chunksOf(this.#out.length);
      const to = isLast ? row.to : row.from + last * slotsPerChunk;
      yield { row, from: row.from + first * slotsPerChunk, to, pieces: this.#pieces(row.from, first, last) };
      first = last;
    }
  }

  /** Waits until a batch of chunks is full, or all there is is there; up to where. `undefined`: no more. */
  async #chunksFrom(first: number): Promise<number | undefined> {
    while (!this.#isOff) {
      const sizeBytes = this.#out.length;
      const isFull = chunksOf(sizeBytes + 1) > first + chunksPerBatch;
      if (isFull || this.#isComplete) return Math.min(first + chunksPerBatch, chunksOf(sizeBytes));
      await new Promise<void>((resolve) => (this.#more = resolve));
    }
    return undefined;
  }

  #pieces(id: number, first: number, last: number): readonly Piece[] {
    const bytes = this.#out.written();
    const ref: OutsideRef = { id, sizeBytes: bytes.length };
    return Array.from({ length: last - first }, (_, i) => {
      const { key, from, to } = chunkAt(ref, first + i);
      return { id: key, value: encodeChunk(key, bytes.subarray(from, to)) };
    });
  }
}
