/** Compaction: while a level holds more than it may, some of its blocks go down, a small step at a time. */
import type { Seq } from "../base/brand.ts";
import type { Store } from "../mvcc/store.ts";
import { noChanges } from "../segments/changes.ts";
import { nextCompaction } from "../segments/levels.ts";
import { rewrite, type RewriteOptions, type Rewritten } from "./rewrite.ts";
import type { Tenure } from "./tenure.ts";

/** Takes the next step. `undefined`: there is none to take, or the tenure is over. */
export async function compact(
  store: Store,
  tenure: Tenure,
  floor: Seq,
  options: RewriteOptions,
): Promise<Rewritten | undefined> {
  const step = nextCompaction(store.manifest, options.levels);
  if (!step) return undefined;
  const { level, blocks, cursor } = step;
  return rewrite(
    store,
    tenure,
    {
      changes: noChanges,
      above: blocks,
      level: level + 1,
      floor,
      fence: store.fence,
      reserve: "all",
      edits: ({ removed, added }) => [
        { level, removed: blocks, added: [], cursor },
        { level: level + 1, removed, added },
      ],
      alsoWrite: () => [],
    },
    options,
  );
}
