/** Compaction: while a level holds more than it may, some of its blocks go down, a small step at a time. */
import type { Store } from "../mvcc/store.ts";
import { noChanges } from "../segments/changes.ts";
import { nextCompaction } from "../segments/levels.ts";
import type { Basis } from "./journal.ts";
import { rewrite, type Rewritten } from "./rewrite.ts";
import type { Tenure } from "./tenure.ts";
import type { WorkOptions } from "./work.ts";

/** Takes the next step. `undefined`: there is none to take, or the tenure is over. */
export async function compact(
  store: Store,
  tenure: Tenure,
  basis: Basis,
  options: WorkOptions,
): Promise<Rewritten | undefined> {
  const step = nextCompaction(store.manifest, options.levels);
  if (!step) return undefined;
  const { level, blocks, staysAbove, cursor } = step;
  return rewrite(
    store,
    tenure,
    {
      kind: "compact",
      changes: noChanges,
      above: blocks,
      staysAbove,
      level: level + 1,
      basis,
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
