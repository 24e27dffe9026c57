/** A stream of bytes, taken in the lengths that its reader wants, whatever chunks it comes in. */
import { joined } from "../../base/bytes.ts";
import { TidemarkError } from "../../base/errors.ts";
import { abortable } from "../source.ts";

const none = new Uint8Array(0);

export class ByteSource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  #chunk: Uint8Array = none;
  #at = 0;
  #isDone = false;
  /** How many bytes were taken. */
  offset = 0;

  constructor(stream: ReadableStream<Uint8Array>, signal: AbortSignal | undefined) {
    this.#reader = stream.getReader();
    this.#signal = signal;
  }

  /** The next `length` bytes; fewer where the stream ends. What is gathered is what has come, not what was asked for. */
  async take(length: number): Promise<Uint8Array> {
    if (this.#at + length <= this.#chunk.length) return this.#taken(length);
    const pieces: Uint8Array[] = [];
    let left = length;
    while (left > 0 && (await this.#fill())) {
      const piece = this.#taken(Math.min(left, this.#chunk.length - this.#at));
      pieces.push(piece);
      left -= piece.length;
    }
    return joined(pieces, length - left);
  }

  /** What is at hand, or else the next chunk; `undefined` at the end. */
  async next(): Promise<Uint8Array | undefined> {
    return (await this.#fill()) ? this.#taken(this.#chunk.length - this.#at) : undefined;
  }

  /** Lets go of the stream. */
  async cancel(reason?: unknown): Promise<void> {
    if (!this.#isDone) await this.#reader.cancel(reason).catch(() => undefined);
    this.#reader.releaseLock();
  }

  #taken(length: number): Uint8Array {
    const piece = this.#chunk.subarray(this.#at, this.#at + length);
    this.#at += length;
    this.offset += length;
    return piece;
  }

  async #fill(): Promise<boolean> {
    while (this.#at === this.#chunk.length && !this.#isDone) {
      const { value, done } = await abortable(this.#signal, () => this.#reader.read());
      this.#isDone = done;
      if (done) break;
      if (Object.prototype.toString.call(value) !== "[object Uint8Array]") {
        throw new TidemarkError("OPTIONS_INVALID", "The stream to import must be one of bytes (Uint8Array)", {
          option: "stream",
        });
      }
      this.#chunk = value;
      this.#at = 0;
    }
    return this.#at < this.#chunk.length;
  }
}
