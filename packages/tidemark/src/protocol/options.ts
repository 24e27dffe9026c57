/** Options as they come from a program, or from another realm: looked at one by one, before anything is done. */
import { TidemarkError } from "../base/errors.ts";
import { didYouMean } from "../base/suggest.ts";

/** Whether a value is one, and what it must be. */
export type OptionCheck = readonly [(value: unknown) => boolean, string];
export type OptionChecks<T> = { readonly [O in keyof T]-?: OptionCheck };

/** `what` has these options. @throws OPTIONS_INVALID naming the option */
export function checkOptions<T extends object>(what: string, options: T, checks: OptionChecks<T>): void {
  if (typeof options !== "object" || options === null) throw invalid("options", options, "an object");
  for (const [option, value] of Object.entries(options) as [keyof T & string, unknown][]) {
    if (!Object.hasOwn(checks, option)) {
      throw unknownOption(what, option, Object.keys(checks));
    }
    const [isValid, expected] = checks[option];
    if (value !== undefined && !isValid(value)) throw invalid(option, value, expected);
  }
}

export function areOptions<T extends object>(options: unknown, checks: OptionChecks<T>): options is T {
  try {
    checkOptions("", options as T, checks);
    return true;
  } catch {
    return false;
  }
}

export const isOneOf =
  (...all: readonly unknown[]) =>
  (v: unknown): boolean =>
    all.includes(v);
export const isWholeWithin =
  (from: number, to: number) =>
  (v: unknown): boolean =>
    Number.isSafeInteger(v) && (v as number) >= from && (v as number) <= to;
export const isWithin =
  (from: number, to: number) =>
  (v: unknown): boolean =>
    typeof v === "number" && v >= from && v <= to;
/** @throws OPTIONS_INVALID */
export function checkedCount(option: string, n: number): number {
  if (!Number.isSafeInteger(n) || n < 0) throw invalid(option, n, "a whole number from 0 up");
  return n;
}
export const isFlag: (v: unknown) => boolean = isOneOf(true, false);

export const signalCheck: OptionCheck = [
  (v) => typeof (v as { throwIfAborted?: unknown } | null)?.throwIfAborted === "function",
  "an AbortSignal",
];

export function unknownOption(what: string, option: string, options: Iterable<string>): TidemarkError {
  const message = `${what} has no option '${option}'${didYouMean(option, options)}`;
  return new TidemarkError("OPTIONS_INVALID", message, { option });
}

export function invalid(option: string, value: unknown, expected: string): TidemarkError {
  return new TidemarkError("OPTIONS_INVALID", `Option ${option} must be ${expected}; it is ${shown(value)}`, {
    option,
  });
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}
