import { type ByteKey, type Seq, seq, type TableId } from "../base/brand.ts";
import { tableOf } from "../codec/record.ts";
import { type Version, versionBytes } from "./version.ts";

/** A version that is no tombstone, was superseded, and is stored no longer. */
export interface Dropped {
  readonly table: TableId;
  /** When it was committed; 0 for index entries, of which whoever ends one does not know. */
  readonly c: Seq;
  /** The seq of the next newer version of its chain. */
  readonly n: Seq;
  readonly bytes: number;
}

/** Those of `versions` that are not among `kept`; both newest first. */
export function dropped(key: ByteKey, versions: readonly Version[], kept: readonly Version[]): readonly Dropped[] {
  if (kept.length === versions.length) return none;
  const gone: Dropped[] = [];
  let next = 0;
  for (const [i, { seq: c, payload }] of versions.entries()) {
    if (kept[next]?.seq === c) next++;
    else if (i > 0 && payload) {
      // The payload of an index entry is empty, and that of a record never is.
      const made = payload.length === 0 ? seq(0) : c;
      gone.push({ table: tableOf(key), c: made, n: versions[i - 1]!.seq, bytes: versionBytes(key, payload) });
    }
  }
  return gone;
}

const none: readonly Dropped[] = [];
