/** Lines over time, drawn by uPlot, which is loaded with the first of them. */
import { css, type CSSResult, html, type PropertyDeclarations, type TemplateResult } from "lit";
import type uPlot from "uplot";
import { define, LightElement } from "./panel.ts";

export interface Line {
  readonly name: string;
  /** A custom property of a colour. */
  readonly color: string;
  readonly values: readonly number[];
  /** Filled down to the bottom with this custom property. */
  readonly fill?: string;
  readonly isDashed?: boolean;
}

export interface ChartData {
  /** In s since 1970. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** Whether round numbers are those of powers of two. */
  readonly isBytes?: boolean;
  /** A step stays until the next point, a slope leads to it. */
  readonly isStepped: boolean;
  /** What it shows, for whoever does not see it. */
  readonly label: string;
  readonly startsAtZero: boolean;
}

const powersOfTwo = Array.from({ length: 50 }, (_, power) => 2 ** power);
/** Labels of time name seconds, so two within one would read the same. */
const wholeSeconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400];
const whole = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();
const heightPx = 200;
const font = '12px ui-sans-serif, system-ui, "Liberation Sans", sans-serif';

class Chart extends LightElement {
  static override properties: PropertyDeclarations = {
    data: { attribute: false },
    hovered: { state: true },
    problem: { state: true },
  };
  declare data: ChartData | undefined;
  /** The point under the pointer. */
  declare hovered: number | undefined;
  declare problem: unknown;
  #plot: uPlot | undefined;
  #isMaking = false;
  #sizes: ResizeObserver | undefined;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#sizes?.disconnect();
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#isMaking = false;
  }

  protected override updated(): void {
    if (!this.isConnected || !this.data) return;
    if (this.#plot) this.#plot.setData(this.#columns());
    else void this.#make().catch((e: unknown) => (this.problem = e));
  }

  #columns(): uPlot.AlignedData {
    const { times = [], lines = [] } = this.data ?? {};
    // A single point is no line: it is drawn as one second of the same.
    const isSingle = times.length === 1;
    const stretch = (list: readonly number[], by: number): number[] =>
      isSingle ? [list[0]! - by, list[0]!] : (list as number[]);
    return [stretch(times, 1), ...lines.map(({ values }) => stretch(values, 0))];
  }

  async #make(): Promise<void> {
    if (this.#isMaking) return;
    this.#isMaking = true;
    const { default: Plot } = await import("uplot");
    const place = this.querySelector<HTMLElement>(".plot");
    if (!this.isConnected || !place || !this.data) {
      this.#isMaking = false;
      return;
    }
    this.#plot = new Plot(this.#options(Plot, place.clientWidth), this.#columns(), place);
    this.#sizes = new ResizeObserver(() => {
      if (place.clientWidth > 0) this.#plot?.setSize({ width: place.clientWidth, height: heightPx });
    });
    this.#sizes.observe(place);
  }

  #options(Plot: typeof uPlot, width: number): uPlot.Options {
    const { lines, format, isStepped, startsAtZero, isBytes = false } = this.data!;
    const color = (name: string) => (): string => getComputedStyle(this).getPropertyValue(name).trim();
    const stepped = Plot.paths.stepped?.({ align: 1 });
    const axis = {
      stroke: color("--muted"),
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
      font,
    };
    return {
      width,
      height: heightPx,
      padding: [8, 30, 0, 0], // half a label of time may stand beyond the last point
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 7 } },
      scales: {
        y: {
          range: (_, low, high) => {
            const room = Math.max(1, (high - low) * 0.08);
            return startsAtZero ? [0, Math.max(1, high * 1.08)] : [Math.max(0, low - room), high + room];
          },
        },
      },
      axes: [
        { ...axis, space: 90, size: 30, incrs: wholeSeconds, values: (_, at) => at.map((s) => clock(s)) },
        {
          ...axis,
          space: 42,
          incrs: isBytes ? powersOfTwo : whole,
          gap: 6,
          size: (_, values) => axisWidth(values),
          values: (_, at) => at.map((v) => format(v)),
        },
      ],
      series: [
        {},
        ...lines.map(({ name, color: stroke, fill, isDashed }) => ({
          label: name,
          stroke: color(stroke),
          width: 2,
          points: { show: false },
          ...(fill && { fill: color(fill) }),
          ...(isDashed && { dash: [5, 4] }),
          ...(isStepped && stepped && { paths: stepped }),
        })),
      ],
      hooks: { setCursor: [(plot) => (this.hovered = plot.cursor.idx ?? undefined)] },
    };
  }

  protected override render(): TemplateResult {
    const { data } = this;
    const at = this.hovered ?? -1;
    return html`<ul class="legend">
        ${data?.lines.map(
          ({ name, color, values, isDashed }) =>
            html`<li>
              <i
                .style=${`border-color: var(${color}); border-style: ${isDashed ? "dashed" : "solid"}`}
                aria-hidden="true"
              ></i>
              ${name} <b>${orDash(values.at(at), data.format)}</b>
            </li>`,
        )}
        <li class="muted">${this.hovered === undefined ? "now" : `at ${clock(data?.times.at(at) ?? 0)}`}</li>
      </ul>
      ${
        this.problem === undefined
          ? html`<div class="plot" role="img" aria-label=${data?.label ?? ""}></div>`
          : html`<p class="plot note">The chart could not be loaded; the figures above are those of now.</p>`
      }`;
  }
}

const orDash = (value: number | undefined, format: (value: number) => string): string =>
  value === undefined ? "–" : format(value);

function clock(seconds: number): string {
  const date = new Date(seconds * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
}

/** As wide as its longest label. */
const axisWidth = (values: readonly string[] | null): number =>
  14 + 7 * Math.max(4, ...(values ?? []).map(({ length }) => length));

export const chartStyles: CSSResult = css`
  tidemark-inspector-chart {
    display: grid;
    gap: 8px;
    min-width: 0;
  }

  .legend {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 20px;
    font-size: 13px;
  }

  .legend i {
    display: inline-block;
    width: 16px;
    margin-inline-end: 4px;
    border-block-start: 3px solid;
    vertical-align: middle;
  }

  .legend b {
    font-weight: 600;
  }

  .plot {
    position: relative;
    height: ${heightPx}px;
    overflow: hidden;
  }

  .uplot {
    position: absolute;
    inset: 0 auto auto 0;
    width: min-content;
  }

  .u-wrap {
    position: relative;
    user-select: none;
  }

  .u-over,
  .u-under {
    position: absolute;
  }

  .uplot canvas {
    position: relative;
    display: block;
    width: 100%;
    height: 100%;
  }

  .u-cursor-x,
  .u-cursor-pt {
    position: absolute;
    inset: 0 auto auto 0;
    pointer-events: none;
    will-change: transform;
  }

  .u-cursor-x {
    height: 100%;
    border-inline-end: 1px dashed var(--line-strong);
  }

  .u-cursor-pt {
    border-radius: 50%;
  }

  .u-axis,
  .u-select {
    position: absolute;
    pointer-events: none;
  }

  .u-off {
    display: none;
  }
`;

define("tidemark-inspector-chart", Chart);
