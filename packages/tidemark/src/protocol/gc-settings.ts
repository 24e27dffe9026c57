/** How garbage is collected: options of an opening and of a run. The page looks at them, and so does the worker. */
import { TidemarkError } from "../base/errors.ts";
import { type GenerationOptions, generationOptions } from "../codec/generations.ts";
import { maxRetentionDays } from "../codec/retention.ts";
import type { GcRunOptions } from "./gc.ts";
import { idleMomentMs } from "./messages.ts";
import { invalid, isFlag, isOneOf, isWholeWithin, isWithin, type OptionChecks } from "./options.ts";

export interface GcSettings {
  /**
   * By which argument old versions go. `"floor"` (default): those that nobody at or above the oldest reader sees,
   * snapshots included. `"interval"`: also those between two snapshots that neither of them sees.
   */
  readonly proof?: "floor" | "interval";
  /** A slice of background work takes at most so much of the worker's time, in ms from 1 to 50; default 4. */
  readonly budgetMs?: number;
  /**
   * Who keeps more than so many bytes of superseded versions from going is evicted: a tab that was frozen, or a view
   * left open. From 65 536 up, or `Infinity`; default 64 MB. Snapshots are never evicted by this.
   */
  readonly debtMaxBytes?: number;
  /** As `debtMaxBytes`, in commits since: from 1 up, or `Infinity`; default 100 000. */
  readonly debtMaxCommits?: number;
  /** Which garbage makes a run due. */
  readonly generations?: Partial<GenerationOptions>;
  /** `"manual"`: runs begin when they are asked for only. Default `"auto"`. What folding commits brings along goes anyway. */
  readonly mode?: "auto" | "manual";
  /**
   * All collections also keep what was superseded less than so many days ago, besides what their own `retention` keeps:
   * from 0 to 100 000. It is stored with the data, at first as 0, and only holds back. Left out, the stored one stays in
   * force; of tabs that are open at the same time the longest counts.
   */
  readonly mvccVersionRetentionDays?: number;
}

type Checks = OptionChecks<Omit<GcSettings, "generations">>;

const isWholeFrom = (least: number, v: unknown): boolean =>
  v === Infinity || (Number.isSafeInteger(v) && (v as number) >= least);

const minDebtBytes = 64 * 1024;
const sliceBudget = [isWithin(1, idleMomentMs), `a number from 1 to ${idleMomentMs}`] as const;
const checks: Checks = {
  proof: [isOneOf("floor", "interval"), `"floor" or "interval"`],
  budgetMs: sliceBudget,
  debtMaxBytes: [(v) => isWholeFrom(minDebtBytes, v), `a whole number of bytes from ${minDebtBytes} up, or Infinity`],
  debtMaxCommits: [(v) => isWholeFrom(1, v), "a whole number from 1 up, or Infinity"],
  mode: [isOneOf("auto", "manual"), `"auto" or "manual"`],
  mvccVersionRetentionDays: [isWithin(0, maxRetentionDays), `a number of days from 0 to ${maxRetentionDays}`],
};

export const gcRunChecks: OptionChecks<GcRunOptions> = {
  kind: [isOneOf("YOUNG_ONLY", "YOUNG_AND_MIDDLE", "FULL_GC"), `"YOUNG_ONLY", "YOUNG_AND_MIDDLE" or "FULL_GC"`],
  dryRun: [isFlag, "true or false"],
  deleteBatchSize: [isWholeWithin(1, 1_000_000), "a whole number from 1 to 1000000"],
  useSnapshot: [isFlag, "true or false"],
  budgetMs: sliceBudget,
};

/** The settings as given, in an object of our own. @throws OPTIONS_INVALID naming the option and its range */
export function checkedGcSettings(given: unknown): GcSettings {
  if (given === undefined) return {};
  if (typeof given !== "object" || given === null) throw invalid("gc", given, "an object");
  const { generations, ...rest } = given as GcSettings;
  for (const [option, value] of Object.entries(rest) as [keyof Checks, unknown][]) {
    if (!Object.hasOwn(checks, option)) {
      throw new TidemarkError("OPTIONS_INVALID", `There is no option 'gc.${option}'`, { option: `gc.${option}` });
    }
    const [isValid, expected] = checks[option];
    if (value !== undefined && !isValid(value)) throw invalid(`gc.${option}`, value, expected);
  }
  if (generations === undefined) return rest;
  generationOptions(generations);
  return { ...rest, generations: { ...generations } };
}
