import type { Seq } from "../base/brand.ts";
import { assert } from "../base/errors.ts";
import type { Version } from "./version.ts";

/**
 * The versions of one key that must stay, given that nobody reads below `floor` any more.
 *
 * `versions` are newest first. `complete` says that no older version of the key survives anywhere else; without it a
 * tombstone stays, since it may be all that hides one. The result keeps the order and may be `versions` itself.
 */
export function retain(versions: readonly Version[], floor: Seq, complete: boolean): readonly Version[] {
  const seen = indexSeenAt(versions, floor);
  if (seen === versions.length) return versions;

  // THE DROP LINE. Let n be the newest version with n ≤ floor, at index `seen`; every version after it is older.
  // Whoever still reads, reads at some r ≥ floor: the floor was durably raised before it was handed down, every holder
  // stood at or above it then, and none may come in below it. A read at r sees the newest version ≤ r, and as
  // n ≤ floor ≤ r that is n or a newer one. So nobody can see what is older than n, now or later (VG1 a, b).
  // It would not do that V < floor and some newer version exists: if that one is above the floor, a reader at the
  // floor sees V. Snapshots are holders, so they too stand at or above the floor (VG1 c). Recovery needs none of it: whoever folds takes n and V from at or below the checkpoint that the same
  // batch makes durable (VG1 d).
  if (seen === 0 && complete && versions[0]!.payload === undefined && versions[0]!.seq < floor) {
    // The newest version is a tombstone that all readers are past. All it hides goes with it, here and now, and nothing
    // older exists elsewhere: without it a read at any r ≥ floor still finds no record (VG2).
    return [];
  }
  return seen + 1 === versions.length ? versions : versions.slice(0, seen + 1);
}

/** Index of the version that a read at `at` sees; `versions.length` if it sees none. */
function indexSeenAt(versions: readonly Version[], at: Seq): number {
  let seen = versions.length;
  for (let i = versions.length - 1; i >= 0; i--) {
    const { seq } = versions[i]!;
    assert(i === 0 || seq < versions[i - 1]!.seq, "a version chain is newest first");
    if (seq <= at) seen = i;
  }
  return seen;
}
