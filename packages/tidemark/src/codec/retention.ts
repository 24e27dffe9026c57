/**
 * Retention: versions that stay although nobody could see them any more. It holds single versions back and never makes
 * one reclaimable; it does not bound the floor.
 */
import { TidemarkError } from "../base/errors.ts";

/** What is stored of a policy, in the catalog. A version stays if any part of it says so. */
export interface Retention {
  /** The newest so many versions of a key, tombstones counted. */
  readonly latest?: number;
  /** What is visible at any seq s with from ≤ s ≤ to, for each of these. */
  readonly ranges?: readonly (readonly [from: number, to: number])[];
  /** What was superseded less than this ago. */
  readonly forMs?: number;
}

const dayMs = 24 * 60 * 60 * 1000;
export const maxRetentionDays = 100_000;
export const msOfDays = (days: number): number => Math.round(days * dayMs);

/** What either keeps. */
export const bothOf = (a: Retention, b: Retention): Retention => ({
  ...most("latest", a.latest, b.latest),
  ...(a.ranges || b.ranges ? { ranges: [...(a.ranges ?? []), ...(b.ranges ?? [])] } : {}),
  ...most("forMs", a.forMs, b.forMs),
});

const made = new WeakSet<object>();
/** Unlike `instanceof` this leaves the class to the pages that make one. */
export const isPolicy = (value: unknown): value is RetentionPolicy => made.has(value as object);

/** Which superseded versions of a collection's records are kept for `history`. Policies are values: combine with `and`. */
export class RetentionPolicy {
  readonly retention: Retention;

  private constructor(retention: Retention) {
    this.retention = retention;
    made.add(this);
  }

  /** The newest `n` versions of each record, deletions counted. @throws OPTIONS_INVALID unless a whole number from 1 up */
  static keepLatestN(n: number): RetentionPolicy {
    if (!isWhole(n) || n < 1) throw invalid("keepLatestN", n, "a whole number from 1 up");
    return new RetentionPolicy({ latest: n });
  }

  /** The versions that are visible at these commit sequences. @throws OPTIONS_INVALID */
  static keepVersions(seqs: readonly number[]): RetentionPolicy {
    const ok = Array.isArray(seqs) && seqs.every((s) => isWhole(s));
    if (!ok) throw invalid("keepVersions", seqs, "a list of commit sequences, whole numbers from 0 up");
    return new RetentionPolicy({ ranges: [...new Set(seqs)].toSorted((a, b) => a - b).map((s) => [s, s] as const) });
  }

  /** The versions that are visible at any commit sequence s with `from` ≤ s ≤ `to`. @throws OPTIONS_INVALID */
  static keepRange(from: number, to: number): RetentionPolicy {
    if (!isWhole(from) || !isWhole(to) || to < from)
      throw invalid("keepRange", [from, to], "two commit sequences, the second not below the first");
    return new RetentionPolicy({ ranges: [[from, to]] });
  }

  /**
   * Versions superseded within the last `days`, by the stamp of what superseded them, as of the last full hour.
   * @throws OPTIONS_INVALID
   */
  static keepFor(days: number): RetentionPolicy {
    if (typeof days !== "number" || !(days >= 0) || days > maxRetentionDays)
      throw invalid("keepFor", days, `a number of days from 0 to ${maxRetentionDays}`);
    return new RetentionPolicy({ forMs: msOfDays(days) });
  }

  /** What any of the policies keeps. */
  static union(...policies: readonly RetentionPolicy[]): RetentionPolicy {
    return policies.reduce((all, policy) => all.and(policy), new RetentionPolicy({}));
  }

  /** What this policy keeps, and what the other one keeps. */
  and({ retention: other }: RetentionPolicy): RetentionPolicy {
    return new RetentionPolicy(bothOf(this.retention, other));
  }
}

const isWhole = (n: unknown): boolean => Number.isSafeInteger(n) && (n as number) >= 0;

const most = (name: "latest" | "forMs", a: number | undefined, b: number | undefined): Retention =>
  a === undefined && b === undefined ? {} : { [name]: Math.max(a ?? 0, b ?? 0) };

const invalid = (policy: string, value: unknown, expected: string): TidemarkError =>
  new TidemarkError("OPTIONS_INVALID", `RetentionPolicy.${policy} takes ${expected}; it got ${JSON.stringify(value)}`, {
    option: policy,
  });
