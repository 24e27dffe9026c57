/** Upkeep's merges (segments/merge.ts), of folds and compaction alike, published like all its work. */
import type { Store } from "../mvcc/store.ts";
import type { ManifestEdit } from "../segments/manifest.ts";
import { merge, type Merged, type MergeInput } from "../segments/merge.ts";
import type { Write } from "../storage/contract.ts";
import type { Tenure } from "./tenure.ts";
import { published, type WorkOptions, type WorkTerms } from "./work.ts";

/** What goes where: `above` leaves the level over `level`, and with the changes becomes part of it. */
export interface Rewrite extends WorkTerms, Pick<MergeInput, "changes" | "above" | "staysAbove"> {
  readonly level: number;
  edits(merged: Merged): readonly ManifestEdit[];
  /** What the manifest's new state implies besides; where the fence moves, that is its new place. */
  alsoWrite(): readonly Write[];
  /** As in `Publication`. */
  readonly trim?: readonly Write[];
}

export interface Rewritten {
  readonly dropped: { readonly versions: number; readonly bytes: number };
  readonly written: Merged["written"];
}

/** `undefined`: the tenure is over, or what it was planned on is no more; look anew. */
export function rewrite(
  store: Store,
  tenure: Tenure,
  what: Rewrite,
  options: WorkOptions,
): Promise<Rewritten | undefined> {
  return published(store, tenure, what, options, async ({ manifest: { levels }, ...tools }) => {
    const { changes, above, staysAbove, level } = what;
    const below = levels.slice(level + 1);
    const merged = await merge({ ...tools, changes, above, staysAbove, level: levels[level]!, below });
    const also = [...what.alsoWrite(), ...tools.lose(merged.lost)];
    const { versions, bytes } = tools.removal;
    return {
      edits: what.edits(merged),
      marks: { set: merged.marks, cleared: new Set() },
      also,
      trim: what.trim,
      done: { dropped: { versions, bytes }, written: merged.written },
    };
  });
}
