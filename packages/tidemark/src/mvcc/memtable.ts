import type { ByteKey, Seq } from "../base/brand.ts";
import { assert } from "../base/errors.ts";
import type { KeyVersions, Version } from "../segments/version.ts";
import { SortedKeys } from "./sorted-keys.ts";

interface Chain extends Version {
  readonly older: Chain | undefined;
}

/** What one version costs in memory besides its key and payload; an estimate. */
const versionOverheadBytes = 64;

/** The log since the checkpoint, in memory: per key its version chain, keys in order. */
export class Memtable {
  readonly #chains = new Map<ByteKey, Chain>();
  readonly #keys = new SortedKeys();
  #versions = 0;
  #sizeBytes = 0;

  get versions(): number {
    return this.#versions;
  }

  /** Estimated memory held. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  put(key: ByteKey, version: Version): void {
    const older = this.#chains.get(key);
    assert(older === undefined || older.seq <= version.seq, "versions of a key arrive in commit order");
    if (older?.seq === version.seq) this.#forget(key, older); // one commit writes a key once; the last word counts
    const { seq, stamp, payload } = version;
    this.#chains.set(key, { seq, stamp, payload, older: older?.seq === seq ? older.older : older });
    if (older === undefined) this.#keys.add(key);
    this.#versions++;
    this.#sizeBytes += cost(key, payload);
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

  /** Keys k with from ≤ k < to that have any version. */
  keys(from: ByteKey, to: ByteKey | undefined, reverse: boolean): Generator<ByteKey, void> {
    return this.#keys.range(from, to, reverse);
  }

  /** All versions with seq ≤ `at`, as a fold takes them: keys ascending, newest first. */
  through(at: Seq): readonly KeyVersions[] {
    const all: KeyVersions[] = [];
    for (const key of this.#keys.range("" as ByteKey, undefined, false)) {
      const versions: Version[] = [];
      for (let c = this.#chains.get(key); c !== undefined; c = c.older) if (c.seq <= at) versions.push(c);
      if (versions.length > 0) all.push({ key, versions });
    }
    return all;
  }

  /** Forgets all versions with seq ≤ `at`: blocks hold them now. */
  dropThrough(at: Seq): void {
    const left: ByteKey[] = [];
    for (const key of this.#keys.range("" as ByteKey, undefined, false)) {
      const kept = this.#cut(key, this.#chains.get(key), at);
      if (kept === undefined) this.#chains.delete(key);
      else {
        this.#chains.set(key, kept);
        left.push(key);
      }
    }
    this.#keys.reset(left);
  }

  clear(): void {
    this.#chains.clear();
    this.#keys.reset([]);
    this.#versions = 0;
    this.#sizeBytes = 0;
  }

  #cut(key: ByteKey, chain: Chain | undefined, at: Seq): Chain | undefined {
    const kept: Chain[] = [];
    for (let c = chain; c !== undefined; c = c.older) {
      if (c.seq > at) kept.push(c);
      else this.#forget(key, c);
    }
    let rebuilt: Chain | undefined;
    for (const c of kept.toReversed()) rebuilt = { seq: c.seq, stamp: c.stamp, payload: c.payload, older: rebuilt };
    return rebuilt;
  }

  #forget(key: ByteKey, version: Version): void {
    this.#versions--;
    this.#sizeBytes -= cost(key, version.payload);
  }
}

const cost = (key: ByteKey, payload: Uint8Array | undefined): number =>
  versionOverheadBytes + key.length + (payload?.length ?? 0);
