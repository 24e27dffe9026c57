import type { ByteKey, Seq, Stamp } from "../base/brand.ts";

/** One version of one key. */
export interface Version {
  readonly seq: Seq;
  readonly stamp: Stamp;
  /** `undefined` is a tombstone: from `seq` on the key is gone. */
  readonly payload: Uint8Array | undefined;
}

/** A version chain, or a part of one: versions of `key`, newest first. */
export interface KeyVersions {
  readonly key: ByteKey;
  readonly versions: readonly Version[];
}
