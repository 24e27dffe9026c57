/**
 * What the log says was committed, as version chains: replayed from its entries alone, with no help of the engine's
 * memory or blocks. For the verifier, which compares with it what is stored.
 */
import { type ByteKey, type Seq, seq } from "../base/brand.ts";
import { msOf } from "../base/clock.ts";
import { indexEntriesOf } from "../codec/record.ts";
import type { Catalog } from "../codec/schema.ts";
import { catalogKey, decodeCatalog, emptyCatalog } from "../mvcc/schema.ts";
import type { LogEntry, LoggedWrite } from "../wal/entry.ts";

export interface Committed {
  readonly seq: Seq;
  readonly madeMs: number;
  /** `undefined`: the key is gone from here on. */
  readonly payload: Uint8Array | undefined;
}

const present = new Uint8Array(0);

export class Chains {
  /** Oldest first. */
  readonly #of = new Map<ByteKey, Committed[]>();
  #head: Seq = seq(0);

  get head(): Seq {
    return this.#head;
  }
  keys(): IterableIterator<ByteKey> {
    return this.#of.keys();
  }
  of(key: ByteKey): readonly Committed[] {
    return this.#of.get(key) ?? [];
  }

  /** `entry` is whole. What was there at its position or behind it was lost, or never counted. */
  add(entry: LogEntry): void {
    if (entry.firstSeq <= this.#head) this.cut(seq(entry.firstSeq - 1));
    for (const { seq: at, stamp, writes } of entry.commits) {
      for (const write of writes) {
        for (const [key, payload] of effectOf(write)) this.#put(key, { seq: at, madeMs: msOf(stamp), payload });
      }
    }
    this.#head = entry.lastSeq;
  }

  /** Forgets what lies behind `last`: a crash took it. */
  cut(last: Seq): void {
    if (last >= this.#head) return;
    for (const [key, chain] of this.#of) {
      while ((chain.at(-1)?.seq ?? 0) > last) chain.pop();
      if (chain.length === 0) this.#of.delete(key);
    }
    this.#head = last;
  }

  /** What a read at `r` finds. */
  at(key: ByteKey, r: number): Committed | undefined {
    return this.of(key).findLast(({ seq: c }) => c <= r);
  }

  catalogAt(r: number): Catalog {
    const found = this.at(catalogKey, r);
    return found ? decodeCatalog(found.payload) : emptyCatalog;
  }

  #put(key: ByteKey, version: Committed): void {
    const chain = this.#of.get(key);
    if (!chain) this.#of.set(key, [version]);
    else if (chain.at(-1)!.seq === version.seq) chain[chain.length - 1] = version;
    else chain.push(version);
  }
}

/** The record, and the index entries that come and go with it. */
function* effectOf({ key, payload, oldEntries }: LoggedWrite): Generator<readonly [ByteKey, Uint8Array | undefined]> {
  yield [key, payload?.slice()];
  const now = payload === undefined ? [] : indexEntriesOf(key, payload);
  for (const entry of now) if (!oldEntries.includes(entry)) yield [entry, present];
  for (const entry of oldEntries) if (!now.includes(entry)) yield [entry, undefined];
}
