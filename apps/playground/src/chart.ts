/** Two curves of bytes over commits, on a logarithmic scale: they part by orders of magnitude. */
import { html, svg, type SVGTemplateResult, type TemplateResult } from "lit";
import { formatBytes, formatCount } from "./format.ts";

export interface Point {
  readonly commits: number;
  readonly naive: number;
  readonly held: number;
}

export interface ChartOptions {
  readonly points: readonly Point[];
  readonly widthPx: number;
  /** Right end of the commits' axis. */
  readonly commits: number;
  /** The most the bytes' axis has to show. */
  readonly maxBytes: number;
}

const heightPx = 260;
const margin = { left: 58, right: 14, top: 12, bottom: 34 };
const lowestPower = 3;
const columns = 300;

/** A curve of bounded length: of the samples of one column the highest stays, and the newest is always its end. */
export class Curve {
  readonly #highest: Point[] = [];
  readonly #commits: number;
  #last: Point | undefined;

  /** `commits`: right end of the axis. */
  constructor(commits: number) {
    this.#commits = commits;
  }

  get points(): readonly Point[] {
    return this.#last ? [...this.#highest, this.#last] : [];
  }

  add(point: Point): void {
    const before = this.#highest.at(-1);
    this.#last = point;
    if (!before || this.#column(before) !== this.#column(point)) this.#highest.push(point);
    else if (point.held > before.held) this.#highest[this.#highest.length - 1] = point;
  }

  #column({ commits }: Point): number {
    return Math.floor((commits / this.#commits) * columns);
  }
}

export function chart({ points, widthPx, commits, maxBytes }: ChartOptions): TemplateResult {
  const highestPower = Math.max(lowestPower + 2, Math.ceil(Math.log10(Math.max(1, maxBytes))));
  const [right, bottom] = [widthPx - margin.right, heightPx - margin.bottom];
  const x = (n: number): number => margin.left + (n / commits) * (right - margin.left);
  const y = (bytes: number): number => {
    const power = Math.max(lowestPower, Math.log10(Math.max(1, bytes)));
    return bottom - ((power - lowestPower) / (highestPower - lowestPower)) * (bottom - margin.top);
  };
  const curve = (kind: "naive" | "held"): SVGTemplateResult => {
    const path = points.map((p) => `${x(p.commits).toFixed(1)},${y(p[kind]).toFixed(1)}`).join(" ");
    const last = points.at(-1);
    return svg`<polyline class="curve ${kind}" points=${path}></polyline>
      ${last ? svg`<circle class="end ${kind}" cx=${x(last.commits)} cy=${y(last[kind])} r="3.5"></circle>` : ""}`;
  };
  const powers = Array.from({ length: highestPower - lowestPower + 1 }, (_, i) => lowestPower + i);
  return html`<svg class="chart" width=${widthPx} height=${heightPx} role="img" aria-label=${described(points)}>
    ${powers.map(
      (p) => svg`<line class="grid" x1=${margin.left} x2=${right} y1=${y(10 ** p)} y2=${y(10 ** p)}></line>
      <text class="tick" x=${margin.left - 8} y=${y(10 ** p) + 4} text-anchor="end">${axisBytes(p)}</text>`,
    )}
    ${commitTicks(commits, widthPx).map(
      (n) => svg`<text class="tick" x=${x(n)} y=${bottom + 18}
        text-anchor=${n === 0 ? "start" : n === commits ? "end" : "middle"}>${formatCount(n)}</text>`,
    )}
    <text class="tick axis" x=${(margin.left + right) / 2} y=${heightPx - 2} text-anchor="middle">commits</text>
    ${curve("naive")}${curve("held")}
  </svg>`;
}

const axisBytes = (power: number): string =>
  `${10 ** (power % 3)} ${["B", "kB", "MB", "GB", "TB"][Math.floor(power / 3)]}`;

/** Round numbers from 0 on, as many as there is room for. */
function commitTicks(commits: number, widthPx: number): number[] {
  const least = commits / (widthPx < 480 ? 2 : 5);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * ([1, 2, 2.5, 5].find((m) => m * power >= least) ?? 10);
  return Array.from({ length: Math.floor(commits / step) + 1 }, (_, i) => i * step);
}

function described(points: readonly Point[]): string {
  const last = points.at(-1);
  if (!last) return "Bytes over commits: nothing replayed yet";
  return `After ${formatCount(last.commits)} commits: ${formatBytes(last.naive)} if every version were kept whole, ${formatBytes(last.held)} held by Tidemark`;
}
