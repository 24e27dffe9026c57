/** How this page writes numbers; a number and its unit stay on one line. */
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const formatCount = (n: number): string => whole.format(n);

const units = ["B", "kB", "MB", "GB"];

/** Decimal units: 1 kB is 1000 bytes. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}\u00a0${units[unit]}`;
}

export function formatDuration(ms: number): string {
  if (ms < 9.95) return `${ms.toFixed(1)}\u00a0ms`;
  if (ms < 999.5) return `${ms.toFixed(0)}\u00a0ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)}\u00a0s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}\u00a0min ${seconds % 60}\u00a0s`;
}

export function formatTimes(factor: number): string {
  return factor < 9.95 ? factor.toFixed(1) : whole.format(Number(factor.toPrecision(2)));
}

/** The value that a share of them does not exceed. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (values: readonly number[]): number | undefined => quantile(values, 0.5);

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
