/** Where the bytes lie: the log, the blocks of each level, and how that grew while somebody looked. */
import { css, type CSSResult, html, type TemplateResult } from "lit";
import type { Metrics } from "tidemark";
import type { ChartData } from "./chart.ts";
import { counted, formatBytes, formatCount, orUnknown } from "./format.ts";
import type { Inspection, Sample } from "./inspection.ts";
import { define, empty, Panel } from "./panel.ts";
import { cellsOf, storedBytes, storedParts } from "./usage.ts";

const mostCells = 400;

class Storage extends Panel {
  protected override show({ metrics, estimate }: Sample, { growth }: Inspection): TemplateResult {
    const stored = storedBytes(metrics);
    return html`<div class="stack">
      <section class="part" aria-labelledby="storage-growth">
        <div class="heading">
          <h3 id="storage-growth">Growth</h3>
          <p class="note">Since the inspector was opened.</p>
        </div>
        <tidemark-inspector-chart .data=${chartOf(growth, metrics)}></tidemark-inspector-chart>
      </section>
      <section class="part" aria-labelledby="storage-parts">
        <div class="heading">
          <h3 id="storage-parts">What is stored</h3>
          <p class="note">
            ${formatBytes(stored)} in all. The browser says ${orUnknown(estimate?.usage, formatBytes)} for the whole
            origin, and gives room back when it sees fit.
          </p>
        </div>
        <dl class="parts">
          ${storedParts(metrics).map(
            ({ name, bytes, note }) =>
              html`<div>
                <dt>${name}</dt>
                <dd class="bytes">${formatBytes(bytes)}</dd>
                <dd class="bar" aria-hidden="true">
                  <i .style=${`width: ${stored === 0 ? 0 : (bytes / stored) * 100}%`}></i>
                </dd>
                <dd class="muted">${note}</dd>
              </div>`,
          )}
        </dl>
      </section>
      <section class="part" aria-labelledby="storage-levels">
        <div class="heading">
          <h3 id="storage-levels">Blocks by level</h3>
          <p class="note">Newest on top. A level holds an eighth of the one below it before it is merged down.</p>
        </div>
        ${levels(metrics)}
      </section>
    </div>`;
  }
}

function levels({ levels: filled, logEntries, logBytes, memtableBytes }: Metrics): TemplateResult {
  const each = cellsOf(Math.max(1, ...filled.map(({ blocks }) => blocks)), mostCells).each;
  return html`<ol class="levels">
      <li>
        <p>
          <b>Log and memory</b>
          <span class="muted"
            >${counted(logEntries, "entry", "entries")}, ${formatBytes(logBytes)}; ${formatBytes(memtableBytes)} of
            versions in memory</span
          >
        </p>
      </li>
      ${filled.map(
        ({ blocks, bytes, versions }, i) =>
          html`<li data-level=${i}>
            <p>
              <b>Level ${i + 1}</b>
              <span class="muted"
                >${counted(blocks, "block")}, ${formatBytes(bytes)}, ${formatBytes(bytes / Math.max(1, blocks))} each;
                ${counted(versions, "version")}</span
              >
            </p>
            <div class="cells" aria-hidden="true">
              ${Array.from({ length: Math.ceil(blocks / each) }, () => html`<i></i>`)}
            </div>
          </li>`,
      )}
    </ol>
    ${
      filled.length === 0
        ? empty("No blocks yet", "Commits stay in the log until enough of them can be folded.")
        : html`<p class="note">A square is ${each === 1 ? "one block" : `${formatCount(each)} blocks`}.</p>`
    }`;
}

function chartOf(growth: Inspection["growth"], { blockBytes, logBytes, blobBytes }: Metrics): ChartData {
  return {
    times: growth.times,
    format: formatBytes,
    isBytes: true,
    isStepped: false,
    startsAtZero: true,
    label: `Blocks take ${formatBytes(blockBytes)}, the log ${formatBytes(logBytes)}, values out of line ${formatBytes(blobBytes)}`,
    lines: [
      { name: "Blocks", color: "--accent", values: growth.of("blocks"), fill: "--water" },
      { name: "Log", color: "--second", values: growth.of("log") },
      { name: "Values out of line", color: "--third", values: growth.of("blobs"), isDashed: true },
    ],
  };
}

export const storageStyles: CSSResult = css`
  .parts {
    display: grid;
    gap: 10px;
  }

  .parts > div {
    display: grid;
    grid-template-columns: 10rem 5.5rem minmax(0, 1fr);
    gap: 0 14px;
    align-items: center;
    font-size: 13px;
  }

  .parts dt {
    font-weight: 550;
  }

  .parts .bytes {
    text-align: end;
  }

  .parts .bar {
    height: 8px;
    border-radius: 2px;
    background: var(--sunk);
  }

  .parts .bar i {
    display: block;
    height: 100%;
    border-radius: 2px;
    background: var(--accent);
  }

  .parts .muted {
    grid-column: 3;
    font-size: 12.5px;
  }

  .levels {
    display: grid;
    gap: 12px;
    font-size: 13px;
  }

  .levels li {
    display: grid;
    gap: 6px;
  }

  .levels b {
    margin-inline-end: 6px;
    font-weight: 600;
  }

  .cells {
    display: flex;
    flex-wrap: wrap;
    gap: 2px;
  }

  .cells i {
    width: 9px;
    height: 9px;
    border-radius: 2px;
    background: var(--accent);
  }

  .levels li:nth-child(n + 3) .cells i {
    opacity: 0.75;
  }

  @container inspector (width < 520px) {
    .parts > div {
      grid-template-columns: minmax(0, 1fr) auto;
    }

    .parts .bar,
    .parts .muted {
      grid-column: 1 / -1;
    }
  }
`;

define("tidemark-inspector-storage", Storage);
