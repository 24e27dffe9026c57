/**
 * Many values encoded at once. Calling TextEncoder for each record costs more than making its JSON; so where all are
 * flat and ASCII, which is nearly always, their texts are joined and encoded in one call, and characters are bytes.
 */
import type { ByteWriter } from "../base/bytes.ts";
import { flatten } from "./flat.ts";
import { toJsonPatched } from "./text.ts";
import { plainKind, richKind } from "./value.ts";

const encoder = new TextEncoder();

export class Texts {
  readonly #bytes: Uint8Array;
  readonly #ends: readonly number[];
  readonly #isRich: readonly boolean[];

  private constructor(bytes: Uint8Array, ends: readonly number[], isRich: readonly boolean[]) {
    this.#bytes = bytes;
    this.#ends = ends;
    this.#isRich = isRich;
  }

  /** `undefined` where one of them needs `encodeValue`. */
  static of(values: readonly unknown[]): Texts | undefined {
    if (toJsonPatched()) return undefined;
    const texts: string[] = [];
    const ends: number[] = [];
    const isRich: boolean[] = [];
    let end = 0;
    for (const value of values) {
      const flat = flatten(value);
      if (!flat) return undefined;
      texts.push(flat.text);
      ends.push((end += flat.text.length));
      isRich.push(flat.isRich);
    }
    const bytes = new Uint8Array(end);
    const { read, written } = encoder.encodeInto(texts.join(""), bytes);
    return read === end && written === end ? new Texts(bytes, ends, isRich) : undefined;
  }

  /** Appends value `i` as `encodeValue` would. */
  write(i: number, into: ByteWriter): void {
    const from = i === 0 ? 0 : this.#ends[i - 1]!;
    const to = this.#ends[i]!;
    if (this.#isRich[i] === true) {
      into.u8(richKind);
      into.varint(to - from);
    } else into.u8(plainKind);
    into.bytes(this.#bytes.subarray(from, to));
  }
}
