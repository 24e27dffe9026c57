/**
 * Expected failures. Each carries a stable code and details to act on; docs/errors.md says, per code, what happened,
 * what is safe and what to do. Bugs throw INTERNAL.
 */
export const errorCodes = [
  "CONFLICT",
  "CONSTRAINT",
  "NOT_FOUND",
  "VALIDATION",
  "VALUE_UNSUPPORTED",
  "KEY_INVALID",
  "UNKNOWN_NAME",
  "OPTIONS_INVALID",
  "TRANSACTION_INVALID",
  "VIEW_RELEASED",
  "READ_VIEW_EVICTED",
  "QUOTA_EXCEEDED",
  "CORRUPT",
  "STORAGE_LOST",
  "SCHEMA_OUTDATED",
  "FORMAT_UNSUPPORTED",
  "MIGRATION_FAILED",
  "RESYNC_REQUIRED",
  "STRATEGY_MISMATCH",
  "BUSY",
  "CLOSED",
  "ENVIRONMENT",
  "INTERNAL",
] as const;

export type ErrorCode = (typeof errorCodes)[number];
/** Plain data only, so that it crosses from worker to page unchanged. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

export class TidemarkError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "TidemarkError";
    this.code = code;
    this.details = details;
  }
}

/** Whether `e` is a failure of ours and, if `code` is given, this one. */
export function isTidemarkError(e: unknown, code?: ErrorCode): e is TidemarkError {
  return e instanceof TidemarkError && (code === undefined || e.code === code);
}

/** A bug in Tidemark, or memory that is not what we wrote. Stays on in production. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new TidemarkError("INTERNAL", `Tidemark broke its own rule: ${what}`);
}
