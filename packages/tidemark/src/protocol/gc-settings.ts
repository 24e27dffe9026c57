/** How a database collects garbage: options of its opening, looked at by the page, and by the worker before it believes them. */
import { TidemarkError } from "../base/errors.ts";
import { type GenerationOptions, generationOptions } from "../codec/generations.ts";
import { idleMomentMs } from "./messages.ts";

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
}

type Checks = {
  readonly [O in Exclude<keyof GcSettings, "generations">]-?: readonly [(v: unknown) => boolean, string];
};

const isWholeFrom = (least: number, v: unknown): boolean =>
  v === Infinity || (Number.isSafeInteger(v) && (v as number) >= least);

const minDebtBytes = 64 * 1024;
const checks: Checks = {
  proof: [(v) => v === "floor" || v === "interval", `"floor" or "interval"`],
  budgetMs: [(v) => typeof v === "number" && v >= 1 && v <= idleMomentMs, `a number from 1 to ${idleMomentMs}`],
  debtMaxBytes: [(v) => isWholeFrom(minDebtBytes, v), `a whole number of bytes from ${minDebtBytes} up, or Infinity`],
  debtMaxCommits: [(v) => isWholeFrom(1, v), "a whole number from 1 up, or Infinity"],
  mode: [(v) => v === "auto" || v === "manual", `"auto" or "manual"`],
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

function invalid(option: string, value: unknown, expected: string): TidemarkError {
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  return new TidemarkError("OPTIONS_INVALID", `Option ${option} must be ${expected}; it is ${shown}`, { option });
}
