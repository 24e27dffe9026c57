/** When which part of the store is due for garbage collection: options, by their user and by whoever goes by them. */
import { TidemarkError } from "../base/errors.ts";

export interface GenerationOptions {
  /** Reclaimable versions in a generation that make a run of it due; defaults 10 000, 50 000 and 100 000. */
  readonly youngSize: number;
  readonly middleSize: number;
  readonly oldSize: number;
  /** How often the young generation is looked at, and how often everything; defaults 5 minutes and 24 hours. */
  readonly youngEveryMinutes: number;
  readonly fullEveryHours: number;
  /** How long garbage of a generation may lie; defaults 1 hour, 7 days and 3 months (of 30 days). */
  readonly youngAgeHours: number;
  readonly middleAgeDays: number;
  readonly oldAgeMonths: number;
  /** From this share of the room on, whatever is reclaimable is due; default 0.9. */
  readonly pressureAt: number;
  /** From this share of the stored bytes on, reclaimable ones are due; default 0.15, so that they stay below a fifth. */
  readonly garbageAt: number;
  /** Sizes, times and ages count a tenth; default off. */
  readonly aggressiveMode: boolean;
}

export const defaultGenerations: GenerationOptions = {
  youngSize: 10_000,
  middleSize: 50_000,
  oldSize: 100_000,
  youngEveryMinutes: 5,
  fullEveryHours: 24,
  youngAgeHours: 1,
  middleAgeDays: 7,
  oldAgeMonths: 3,
  pressureAt: 0.9,
  garbageAt: 0.15,
  aggressiveMode: false,
};

const counts = ["youngSize", "middleSize", "oldSize"] as const;
const spans = ["youngEveryMinutes", "fullEveryHours", "youngAgeHours", "middleAgeDays", "oldAgeMonths"] as const;
const maxSpan = 100_000;

/** Options as given, with the defaults for the rest. @throws OPTIONS_INVALID naming the option and its range */
export function generationOptions(given: Partial<GenerationOptions> = {}): GenerationOptions {
  if (typeof given !== "object" || given === null) throw invalid("", given, "an object");
  const unknown = Object.keys(given).find((o) => !Object.hasOwn(defaultGenerations, o));
  if (unknown !== undefined)
    throw invalid(unknown, given[unknown as keyof GenerationOptions], "left out: it is unknown");
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  const options: GenerationOptions = { ...defaultGenerations, ...Object.fromEntries(set) };
  for (const o of counts) {
    if (!Number.isSafeInteger(options[o]) || options[o] < 1) throw invalid(o, options[o], "a whole number from 1 on");
  }
  for (const o of spans) {
    if (!(isNumber(options[o]) && options[o] > 0 && options[o] <= maxSpan)) {
      throw invalid(o, options[o], `a number above 0 and up to ${maxSpan}`);
    }
  }
  const { aggressiveMode } = options;
  for (const o of ["pressureAt", "garbageAt"] as const) {
    if (!(isNumber(options[o]) && options[o] > 0 && options[o] <= 1)) {
      throw invalid(o, options[o], "a number above 0 and up to 1");
    }
  }
  if (typeof aggressiveMode !== "boolean") throw invalid("aggressiveMode", aggressiveMode, "true or false");
  return options;
}

const isNumber = (value: unknown): value is number => typeof value === "number";

function invalid(name: string, value: unknown, expected: string): TidemarkError {
  const option = name === "" ? "gc.generations" : `gc.generations.${name}`;
  return new TidemarkError("OPTIONS_INVALID", `'${option}' is ${String(value)}, but must be ${expected}`, { option });
}
