import type { ByteKey, Seq, Stamp } from "../base/brand.ts";
import { outsideOf } from "../codec/outside.ts";

/** One version of one key. */
export interface Version {
  readonly seq: Seq;
  readonly stamp: Stamp;
  /** `undefined` is a tombstone: from `seq` on the key is gone. */
  readonly payload: Uint8Array | undefined;
  /**
   * In memory: the seq of the version that it supersedes, 0 where there is none. Of the oldest one of a chain in memory
   * it tells whether older ones lie in blocks. `undefined`: there may be some. Blocks do not say.
   */
  readonly supersedes?: Seq | undefined;
}

/** What a version itself takes, without a value that it only refers to. */
export const inlineBytes = (key: ByteKey, payload: Uint8Array | undefined): number =>
  key.length + (payload?.length ?? 0);

/** What a version keeps: with its value, wherever that lies. Versions of a record that share one count it each. */
export const versionBytes = (key: ByteKey, payload: Uint8Array | undefined): number =>
  inlineBytes(key, payload) + (payload === undefined ? 0 : (outsideOf(payload)?.sizeBytes ?? 0));

/** A version chain, or a part of one: versions of `key`, newest first. */
export interface KeyVersions {
  readonly key: ByteKey;
  readonly versions: readonly Version[];
}
