// Figures as text.

/** The middle of the middle two; NaN of nothing. @param {readonly number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1] ?? Number.NaN, sorted[sorted.length >> 1] ?? Number.NaN];
  return (low + high) / 2;
}

/** @param {readonly number[]} all */
export function spread(all) {
  const ratios = all.filter(Number.isFinite); // one of nothing is none
  if (ratios.length === 0) return "–";
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  const middle = `**${digits(median(ratios))}**`;
  return ratios.length === 1 ? middle : `${middle} (${digits(least)}–${digits(most)})`;
}

/** @param {number} n */
export const digits = (n) => (n < 10 ? n.toFixed(2) : n < 100 ? n.toFixed(1) : grouped(n));

/** @param {number} ms */
export function time(ms) {
  if (Number.isNaN(ms)) return "–";
  if (ms >= 10_000) return `${digits(ms / 1000)} s`;
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** @param {number} n */
export const bytes = (n) => (Math.abs(n) < 2 ** 20 ? `${Math.round(n / 1024)} KB` : `${digits(n / 2 ** 20)} MB`);

/** @param {number} n */
export const rate = (n) => grouped(n);

/** @param {number} n */
export const grouped = (n) => String(Math.round(n)).replaceAll(/\B(?=(\d{3})+$)/g, " ");

/** @param {readonly string[]} head @param {readonly (readonly string[])[]} body */
export function table(head, body) {
  const widths = head.map((_, i) => Math.max(3, ...[head, ...body].map((row) => row[i]?.length ?? 0)));
  /** @param {readonly string[]} row */
  const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
