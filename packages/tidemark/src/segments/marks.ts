/**
 * Marks: which blocks hold versions that something in a level above supersedes. Nobody reads a block to learn that: the
 * fold that brings the superseding versions marks it. A mark says from which floor on looking at the block may gain
 * something; a sweep, which has whole chains at hand, takes it away. Where something stays that is superseded from above
 * it leaves one that is never due, since then the block's own figures say when: the next sweep looks above as well.
 */
import type { BlockId } from "../base/brand.ts";
import type { BlockInfo } from "./block-info.ts";
import type { Wake } from "./rule.ts";

export type Marks = ReadonlyMap<BlockId, Wake>;

export interface MarkChange {
  readonly set: readonly (readonly [BlockId, Wake])[];
  /** Blocks that were looked at with all of their chains. */
  readonly cleared: ReadonlySet<BlockId>;
}

export const noMarks: Marks = new Map();
export const unchanged: MarkChange = { set: [], cleared: new Set() };

/** The marks after an edit: what took a marked block's place has its mark, unless that was cleared. */
export function nextMarks(
  marks: Marks,
  { set, cleared }: MarkChange,
  removed: readonly BlockInfo[],
  added: readonly BlockInfo[],
): Marks {
  if (marks.size === 0 && set.length === 0) return marks;
  const next = new Map(marks);
  for (const id of cleared) next.delete(id);
  const stays = new Set(added.map(({ id }) => id));
  for (const { id, first, last, due: own, pinned } of removed) {
    const marked = next.get(id);
    if (marked === undefined || stays.has(id)) continue;
    next.delete(id);
    // A merge does not know what is superseded from above, so the heirs' figures do not say what those before them did.
    const due = pinned > 0 ? 0 : Math.min(marked, own);
    for (const heir of added) {
      if (heir.first.key <= last.key && heir.last.key >= first.key) mark(next, heir.id, due);
    }
  }
  for (const [id, due] of set) mark(next, id, due);
  return next;
}

function mark(marks: Map<BlockId, Wake>, id: BlockId, due: Wake): void {
  marks.set(id, Math.min(due, marks.get(id) ?? due));
}
