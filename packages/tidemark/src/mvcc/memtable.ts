import type { ByteKey, Seq, TableId } from "../base/brand.ts";
import { assert } from "../base/errors.ts";
import { outsideOf } from "../codec/outside.ts";
import { tableOf } from "../codec/record.ts";
import type { ChangeSource } from "../segments/changes.ts";
import type { Pace } from "../segments/pace.ts";
import type { TableCount } from "../segments/table-counts.ts";
import { inlineBytes, type KeyVersions, type Version } from "../segments/version.ts";
import { SortedKeys } from "./sorted-keys.ts";

interface Chain extends Version {
  readonly older: Chain | undefined;
}

/** What one version costs in memory besides its key and payload; an estimate. */
const versionOverheadBytes = 64;

/** The log since the checkpoint, in memory: per key its version chain, keys in order. */
export class Memtable {
  #chains = new Map<ByteKey, Chain>();
  readonly #keys = new SortedKeys();
  /** What was written in which order: the seqs, ascending, and beside them the keys. */
  #seqs: Seq[] = [];
  #written: ByteKey[] = [];
  #versions = 0;
  #sizeBytes = 0;
  #outsideBytes = 0;
  /** The same by table, counted as versions come and go: whoever asks need not look at them all. */
  #tables = new Map<TableId, Tally>();

  get versions(): number {
    return this.#versions;
  }

  /** Estimated memory held. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Of the values that its versions refer to. */
  get outsideBytes(): number {
    return this.#outsideBytes;
  }

  /** By table, as of now; `bytes` as in `sizeBytes`. */
  get tables(): readonly (readonly [TableId, TableCount])[] {
    return [...this.#tables].map(([table, tally]) => [table, { ...tally }]);
  }

  /** Answers whether this commit had not written the key yet. */
  put(key: ByteKey, version: Version): boolean {
    const older = this.#chains.get(key);
    assert(older === undefined || older.seq <= version.seq, "versions of a key arrive in commit order");
    const { seq, stamp, payload, supersedes } = version;
    const isAgain = older?.seq === seq;
    if (isAgain) this.#count(key, older.payload, -1); // one commit writes a key once; the last word counts
    this.#chains.set(key, { seq, stamp, payload, supersedes, older: isAgain ? older.older : older });
    if (older === undefined) this.#keys.add(key);
    this.#seqs.push(seq);
    this.#written.push(key);
    this.#count(key, payload, 1);
    return !isAgain;
  }

  newest(key: ByteKey): Version | undefined {
    return this.#chains.get(key);
  }

  /** The newest version with seq ≤ `at`. */
  find(key: ByteKey, at: Seq): Version | undefined {
    let chain = this.#chains.get(key);
    while (chain !== undefined && chain.seq > at) chain = chain.older;
    return chain;
  }

  /** All versions with seq ≤ `at`, newest first. */
  chain(key: ByteKey, at: Seq): readonly Version[] {
    const versions: Version[] = [];
    for (let c = this.#chains.get(key); c !== undefined; c = c.older) if (c.seq <= at) versions.push(c);
    return versions;
  }

  /** Keys k with from ≤ k < to that have any version. */
  keys(from: ByteKey, to: ByteKey | undefined, reverse: boolean): Generator<ByteKey, void> {
    return this.#keys.range(from, to, reverse);
  }

  /** Whether no key k with from ≤ k < to has any version. */
  isEmptyWithin(from: ByteKey, to: ByteKey | undefined): boolean {
    return this.#versions === 0 || this.#keys.range(from, to, false).next().done === true;
  }

  /** Before a fold: puts the keys in order, in slices. */
  order(pace: Pace): Promise<void> {
    return this.#keys.presort(pace);
  }

  /** All versions with seq ≤ `at`, as a fold takes them: keys ascending, newest first. */
  changes(at: Seq): ChangeSource {
    return { read: (from, limit) => this.#changes(from, limit, at) };
  }

  #changes(from: ByteKey, limit: number, at: Seq): readonly KeyVersions[] {
    const found: KeyVersions[] = [];
    for (const key of this.#keys.range(from, undefined, false)) {
      const versions = this.chain(key, at);
      if (versions.length > 0 && found.push({ key, versions }) === limit) break;
    }
    return found;
  }

  /** Forgets all versions with seq ≤ `at`: blocks hold them now. Costs what is left, not what goes. */
  dropThrough(at: Seq): void {
    const from = this.#seqs.findLastIndex((s) => s <= at) + 1;
    this.#seqs = this.#seqs.slice(from);
    this.#written = this.#written.slice(from);
    const chains = this.#chains;
    this.#chains = new Map();
    this.#keys.reset([]);
    this.#versions = 0;
    this.#sizeBytes = 0;
    this.#outsideBytes = 0;
    this.#tables = new Map();
    for (const key of this.#written) {
      if (this.#chains.has(key)) continue;
      this.#chains.set(key, this.#cut(key, chains.get(key)!, at));
      this.#keys.add(key);
    }
  }

  /** The chain without versions with seq ≤ `at`; its newest is above that. */
  #cut(key: ByteKey, chain: Chain, at: Seq): Chain {
    const older = chain.older !== undefined && chain.older.seq > at ? this.#cut(key, chain.older, at) : undefined;
    this.#count(key, chain.payload, 1);
    const { seq, stamp, payload, supersedes } = chain;
    return { seq, stamp, payload, supersedes, older };
  }

  /** `sign`: 1 for a version that comes, −1 for one that goes. */
  #count(key: ByteKey, payload: Uint8Array | undefined, sign: 1 | -1): void {
    const bytes = sign * cost(key, payload);
    const outsideBytes = sign * ((payload && outsideOf(payload)?.sizeBytes) ?? 0);
    this.#versions += sign;
    this.#sizeBytes += bytes;
    this.#outsideBytes += outsideBytes;
    const tally = this.#tallyOf(tableOf(key));
    tally.versions += sign;
    if (payload === undefined) tally.tombstones += sign;
    tally.bytes += bytes;
    tally.outsideBytes += outsideBytes;
  }

  #tallyOf(table: TableId): Tally {
    let tally = this.#tables.get(table);
    if (tally === undefined) {
      tally = { versions: 0, tombstones: 0, bytes: 0, outsideBytes: 0 };
      this.#tables.set(table, tally);
    }
    return tally;
  }
}

interface Tally {
  versions: number;
  tombstones: number;
  bytes: number;
  outsideBytes: number;
}

const cost = (key: ByteKey, payload: Uint8Array | undefined): number =>
  versionOverheadBytes + inlineBytes(key, payload);
