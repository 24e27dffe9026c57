/** How numbers are written: exact where they are small, short where they are large, a unit never on a line of its own. */
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const nbsp = "\u00a0";

export const formatCount = (n: number): string => whole.format(n);

/** `3 commits`, `1 commit`. */
export const counted = (n: number, one: string, many: string = `${one}s`): string =>
  `${formatCount(n)}${nbsp}${n === 1 ? one : many}`;

const units = ["KB", "MB", "GB", "TB"] as const;

/** In units of 1024, as `describeGc` writes them. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return counted(bytes, "byte");
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  if (Math.round(value) === 1024 && power < units.length) return `1.0${nbsp}${units[power]}`;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}${nbsp}${units[power - 1]}`;
}

/** What nobody can tell is told as such, never as 0. */
export const orUnknown = <T>(value: T | undefined, format: (value: T) => string): string =>
  value === undefined ? "unknown" : format(value);

export function formatDuration(ms: number): string {
  if (ms < 0.0995) return `${Math.round(ms * 1000)}${nbsp}µs`;
  if (ms < 9.95) return `${ms.toFixed(1)}${nbsp}ms`;
  if (ms < 999.5) return `${Math.round(ms)}${nbsp}ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}${nbsp}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${nbsp}min ${seconds % 60}${nbsp}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)}${nbsp}h ${minutes % 60}${nbsp}min`;
  return counted(Math.round(minutes / 1440), "day");
}

/** With milliseconds and in the local zone: `14:03:07.250`, and with the date where that is not today's. */
export function formatTime(at: number, now: number = Date.now()): string {
  const [date, today] = [new Date(at), new Date(now)];
  const two = (n: number): string => String(n).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  if (date.toDateString() === today.toDateString()) return `${time}.${String(date.getMilliseconds()).padStart(3, "0")}`;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}${nbsp}${time}`;
}

/** Random ids are told apart by their beginning; the whole stands in a title. */
export const shortId = (id: string): string => (id.length > 12 ? `${id.slice(0, 8)}…` : id);

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
