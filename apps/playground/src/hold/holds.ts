/** Two ways to hold a state, and how to let it go. */
import { isTidemarkError } from "tidemark";
import type { held } from "./database.ts";

export interface Hold {
  release(): Promise<void>;
}

const snapshotName = "before the edits";

export const holds = {
  view: async (db: typeof held): Promise<Hold> => {
    const view = await db.readView();
    return { release: async () => view.release() };
  },
  snapshot: async ({ snapshots }: typeof held): Promise<Hold> => {
    // One of an earlier visit is still there: snapshots outlive tabs.
    await snapshots.delete(snapshotName).catch((e: unknown) => {
      if (!isTidemarkError(e, "NOT_FOUND")) throw e;
    });
    await snapshots.create(snapshotName);
    return { release: () => snapshots.delete(snapshotName) };
  },
};

export type Kind = keyof typeof holds;
