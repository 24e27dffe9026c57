/** Bytes over commits: every version kept whole, and what the database holds. */
import { html, nothing, svg, type SVGTemplateResult, type TemplateResult } from "lit";
import { formatBytes, formatCount } from "../format.ts";
import { byteTicks, countTicks, type Scale } from "./axis.ts";
import type { Point } from "./curves.ts";

export interface ChartOptions {
  /** What is known beforehand. */
  readonly expected: readonly Point[];
  readonly naive: readonly Point[];
  readonly held: readonly Point[];
  readonly scale: Scale;
  readonly widthPx: number;
  /** Right end of the commits' axis. */
  readonly commits: number;
}

const heightPx = 280;
const margin = { left: 58, right: 14, top: 12, bottom: 34 };
/** Where an axis ends at least, so that the first points do not look like a flood. */
const leastBytes = 1e6;

export function chart({ expected, naive, held, scale, widthPx, commits }: ChartOptions): TemplateResult {
  const most = Math.max(leastBytes, ...[expected, naive, held].map((points) => points.at(-1)?.bytes ?? 0));
  const ticks = byteTicks(most, scale);
  const [lowest, highest] = [ticks[0] ?? 0, ticks.at(-1) ?? most];
  const [right, bottom] = [widthPx - margin.right, heightPx - margin.bottom];
  const x = (n: number): number => margin.left + (n / commits) * (right - margin.left);
  const share = (bytes: number): number =>
    scale === "linear" ? bytes / highest : Math.log10(Math.max(lowest, bytes) / lowest) / Math.log10(highest / lowest);
  const y = (bytes: number): number => bottom - share(bytes) * (bottom - margin.top);
  const path = (points: readonly Point[]): string =>
    points.map((p) => `${x(p.commits).toFixed(1)},${y(p.bytes).toFixed(1)}`).join(" ");
  const curve = (kind: "naive" | "held", points: readonly Point[]): SVGTemplateResult | typeof nothing => {
    const last = points.at(-1);
    if (!last) return nothing;
    return svg`<polyline class="curve ${kind}" points=${path(points)}></polyline>
      <circle class="end ${kind}" cx=${x(last.commits)} cy=${y(last.bytes)} r="3.5"></circle>`;
  };
  return html`<svg
    class="chart"
    width=${widthPx}
    height=${heightPx}
    role="img"
    aria-label=${described(naive.at(-1), held.at(-1))}
  >
    ${ticks.map(
      (bytes) => svg`<line class="grid" x1=${margin.left} x2=${right} y1=${y(bytes)} y2=${y(bytes)}></line>
      <text class="tick" x=${margin.left - 8} y=${y(bytes) + 4} text-anchor="end">${axisBytes(bytes)}</text>`,
    )}
    ${countTicks(commits, widthPx < 480 ? 2 : 5).map(
      (n) => svg`<text class="tick" x=${x(n)} y=${bottom + 18}
        text-anchor=${n === 0 ? "start" : x(n) > right - 24 ? "end" : "middle"}>${formatCount(n)}</text>`,
    )}
    <text class="tick" x=${(margin.left + right) / 2} y=${heightPx - 2} text-anchor="middle">commits</text>
    ${expected.length > 0 ? svg`<polyline class="curve naive expected" points=${path(expected)}></polyline>` : nothing}
    ${curve("naive", naive)}${curve("held", held)}
  </svg>`;
}

/** Ticks are round, so no digits behind a point but where one is needed. */
const axisBytes = (bytes: number): string => formatBytes(bytes).replace(/\.0+(?=\D)/, "");

function described(naive: Point | undefined, held: Point | undefined): string {
  if (!naive || !held) return "Bytes over commits: nothing replayed yet";
  return `After ${formatCount(naive.commits)} commits: ${formatBytes(naive.bytes)} if every version were kept whole, ${formatBytes(held.bytes)} held by Tidemark`;
}
