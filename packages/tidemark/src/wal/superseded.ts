/**
 * What staged writes supersede, as it stands in their entry. Writes that follow on one another and supersede versions of
 * one seq, as those of a bulk write do, make a run:
 *
 *   run = varint writes passed over since the last run, which supersede nothing ‖ varint n ‖ varint superseded seq
 *         ‖ n × varint superseded bytes
 */
import { type Seq, seq } from "../base/brand.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";

export interface Superseded {
  readonly supersedes: Seq | undefined;
  readonly supersededBytes: number | undefined;
}

export const unknownSuperseded: Superseded = { supersedes: undefined, supersededBytes: undefined };
export const supersedesNone: Superseded = { supersedes: seq(0), supersededBytes: 0 };

export function encodeSuperseded(writes: readonly Superseded[]): Uint8Array {
  const out = new ByteWriter();
  let passed = 0;
  for (let i = 0; i < writes.length;) {
    const c = writes[i]!.supersedes ?? 0;
    if (c === 0) {
      passed++;
      i++;
      continue;
    }
    const start = i;
    while (writes[i]?.supersedes === c) i++;
    out.varint(passed);
    out.varint(i - start);
    out.varint(c);
    for (let j = start; j < i; j++) out.varint(writes[j]!.supersededBytes ?? 0);
    passed = 0;
  }
  return out.finish();
}

export const decodeSuperseded = (bytes: Uint8Array): SupersededReader => new SupersededReader(bytes);

/** Tells of one write after the other. Running over the end is damage. */
export class SupersededReader {
  readonly #r: ByteReader;
  #passed = 0;
  #left = 0;
  #c: Seq = seq(0);

  constructor(bytes: Uint8Array) {
    this.#r = new ByteReader(bytes, "log entry");
    this.#run();
  }

  /** Whether all runs are used up. */
  get isDone(): boolean {
    return this.#left === 0 && this.#passed === 0 && this.#r.done;
  }

  /** Of the next write. @throws CORRUPT */
  next(): Superseded {
    if (this.#passed > 0) {
      this.#passed--;
      return supersedesNone;
    }
    if (this.#left === 0) return supersedesNone;
    const told = { supersedes: this.#c, supersededBytes: this.#r.varint() };
    if (--this.#left === 0) this.#run();
    return told;
  }

  #run(): void {
    if (this.#r.done) return;
    this.#passed = this.#r.varint();
    this.#left = this.#r.varint();
    this.#c = seq(this.#r.varint());
  }
}
