import { TidemarkError } from "../base/errors.ts";
import type { Failure } from "../protocol/messages.ts";

/** An error as plain data, which crosses between realms unchanged. */
export function failureOf(e: unknown): Failure {
  if (e instanceof TidemarkError) return { code: e.code, message: e.message, details: e.details };
  return { code: "INTERNAL", message: e instanceof Error ? e.message : String(e), details: {} };
}

/** What came from another realm is not what it may be. */
export const invalidOption = (option: string, expected: string): TidemarkError =>
  new TidemarkError("OPTIONS_INVALID", `'${option}' must be ${expected}`, { option });
