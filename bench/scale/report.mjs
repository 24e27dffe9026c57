// Rows of figures, judged where there is a goal, and as a table.

/**
 * @typedef {object} Row
 * @property {string} what
 * @property {string} value
 * @property {string} [goal]
 * @property {boolean} [met]
 */
/** @typedef {{ at: string, settings: string, rows: readonly Row[] }} Outcome */

/** A figure nobody set a goal for. @param {string} what @param {string} value @returns {Row} */
export const figure = (what, value) => ({ what, value });

/**
 * A figure that is to be at most so much.
 * @param {string} what @param {number} is @param {number} limit @param {(n: number) => string} shown
 * @returns {Row}
 */
export const atMost = (what, is, limit, shown) => ({
  what,
  value: shown(is),
  goal: `≤ ${shown(limit)}`,
  met: is <= limit,
});

/**
 * A figure that is to be at least so much.
 * @param {string} what @param {number} is @param {number} limit @param {(n: number) => string} shown
 * @returns {Row}
 */
export const atLeast = (what, is, limit, shown) => ({
  what,
  value: shown(is),
  goal: `≥ ${shown(limit)}`,
  met: is >= limit,
});

/** @param {number | undefined} bytes */
export const megabytes = (bytes) => (bytes === undefined ? "–" : `${short(bytes / 2 ** 20)} MB`);
/** @param {number | undefined} ms */
export const time = (ms) => {
  if (ms === undefined) return "–";
  if (ms >= 10_000) return `${short(ms / 1000)} s`;
  return ms < 1 ? `${Math.round(ms * 1000)} µs` : `${short(ms)} ms`;
};
/** @param {number} n */
export const times = (n) => `${short(n)} ×`;
/** @param {number} n */
export const grouped = (n) => String(Math.round(n)).replaceAll(/\B(?=(\d{3})+$)/g, " ");
/** @param {number} n */
const short = (n) => (n < 10 ? n.toFixed(2) : n < 100 ? n.toFixed(1) : String(Math.round(n)));

/** @param {readonly number[]} values */
export const median = (values) => quantile(values, 0.5);
/** @param {readonly number[]} values @param {number} share */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
/** @param {readonly number[]} values */
export const most = (values) => values.reduce((a, b) => Math.max(a, b), 0);

/** @param {string} title @param {Outcome} outcome */
export function section(title, { at, settings, rows }) {
  const cells = rows.map(({ what, value, goal = "", met }) => [
    what,
    value,
    goal,
    met === undefined ? "" : met ? "met" : "**missed**",
  ]);
  return `### ${title}\n\n${at.slice(0, 10)}. ${settings}\n\n${table(["", "measured", "goal", ""], cells)}\n`;
}

/** @param {readonly string[]} head @param {readonly (readonly string[])[]} body */
function table(head, body) {
  const widths = head.map((_, i) => Math.max(3, ...[head, ...body].map((row) => row[i]?.length ?? 0)));
  /** @param {readonly string[]} row */
  const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
