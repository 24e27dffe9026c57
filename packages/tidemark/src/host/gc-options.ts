import { generationOptions } from "../codec/generations.ts";
import { msOfDays } from "../codec/retention.ts";
import type { GcManagerOptions } from "../gc/manager.ts";
import { defaultDebt } from "../gc/floor.ts";
import type { GcSettings } from "../protocol/gc-settings.ts";

/** What is to be declared for all collections: for so long they keep what is superseded. Absent: nothing is. */
export const keepForMsOf = ({ mvccVersionRetentionDays: days }: GcSettings): number | undefined =>
  days === undefined ? undefined : msOfDays(days);

/** How garbage is collected, as the page that opened asks for it. */
export const collectionOf = ({
  proof,
  debtMaxBytes,
  debtMaxCommits,
  generations,
  mode,
}: GcSettings): GcManagerOptions => ({
  proof: proof ?? "floor",
  debt: { maxBytes: debtMaxBytes ?? defaultDebt.maxBytes, maxCommits: debtMaxCommits ?? defaultDebt.maxCommits },
  generations: generationOptions(generations),
  isAutomatic: mode !== "manual",
});
