import { type ByteKey, byteKey } from "../base/brand.ts";
import type { KeyVersions } from "./version.ts";

/** New versions in key order, as a memtable holds them, read a few keys at a time. */
export interface ChangeSource {
  /** The first keys at or after `from`, at most `limit`, with their new versions, newest first. */
  read(from: ByteKey, limit: number): readonly KeyVersions[];
}

export const noChanges: ChangeSource = { read: () => [] };

const readAtOnce = 256;

/** Walks a source of changes. */
export class ChangeCursor {
  readonly #source: ChangeSource;
  #read: readonly KeyVersions[];
  #next = 0;

  constructor(source: ChangeSource) {
    this.#source = source;
    this.#read = source.read(byteKey(""), readAtOnce);
  }

  get key(): ByteKey | undefined {
    return this.#read[this.#next]?.key;
  }

  /** The change it stands at; goes on to the next. */
  take(): KeyVersions {
    const change = this.#read[this.#next++]!;
    if (this.#next === this.#read.length && this.#next === readAtOnce) {
      this.#read = this.#source.read(byteKey(`${change.key}\0`), readAtOnce);
      this.#next = 0;
    }
    return change;
  }

  /** Whether any key k with from ≤ k ≤ to changes. `from` is at or after the key it stands at. */
  meets(from: ByteKey, to: ByteKey): boolean {
    const key = this.key;
    if (key === undefined || key > to) return false;
    const [first] = key >= from ? [this.#read[this.#next]] : this.#source.read(from, 1);
    return first !== undefined && first.key <= to;
  }
}
