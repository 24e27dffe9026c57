/** A sweep as a piece of upkeep: what it comes to is published the same way, whoever asked for it. */
import { sweep, type SweepInput } from "../segments/sweep.ts";
import type { Proposal, Tools } from "./work.ts";

export interface SweptRuns {
  /** Versions looked at. */
  readonly scanned: number;
  /** How many blocks there are more. */
  readonly blocks: number;
  readonly change: Omit<Proposal<never>, "done">;
}

export async function swept(
  tools: Tools,
  what: Pick<SweepInput, "level" | "runs" | "isRewriting">,
): Promise<SweptRuns> {
  const { removed, added, lost, cleared, marks, scanned } = await sweep({ ...tools, ...what });
  return {
    scanned,
    blocks: added.length - removed.length,
    change: {
      edits: removed.length + added.length === 0 ? [] : [{ level: what.level, removed, added }],
      marks: { set: marks, cleared },
      also: tools.lose(lost),
    },
  };
}
