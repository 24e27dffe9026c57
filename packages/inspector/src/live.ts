/** The page's live queries, and what the database reported. */
import { css, type CSSResult, html, type TemplateResult } from "lit";
import type { LiveDiagnostics, Reported } from "tidemark";
import { counted, formatCount, formatDuration, formatTime } from "./format.ts";
import type { Inspection, Sample } from "./inspection.ts";
import { define, empty, Panel } from "./panel.ts";

const mostShown = 100;

class Live extends Panel {
  protected override show(_: Sample, { database }: Inspection): TemplateResult {
    const { live, reported } = database.diagnostics();
    return html`<div class="stack">
      <section class="part" aria-labelledby="live-queries">
        <div class="heading">
          <h3 id="live-queries">Live queries of this handle</h3>
          <p class="note">
            They run again when a commit, in any tab, touches what they read; only results that differ are told.
          </p>
        </div>
        ${
          live.length === 0
            ? empty("No live query", "Nobody in this page subscribes to one on this handle.")
            : queryTable(live.toSorted((a, b) => b.runs - a.runs).slice(0, mostShown))
        }
        ${
          live.length > mostShown
            ? html`<p class="note">The ${mostShown} that ran most often, of ${formatCount(live.length)}.</p>`
            : ""
        }
      </section>
      <section class="part" aria-labelledby="live-reported">
        <div class="heading">
          <h3 id="live-reported">What it reported</h3>
          <p class="note">Errors, endings and advice, whether or not anybody listened; the last 50.</p>
        </div>
        ${
          reported.length === 0
            ? empty("Nothing was reported", "No error in the background, and no advice.")
            : reportedList(reported)
        }
      </section>
    </div>`;
  }
}

function queryTable(live: readonly LiveDiagnostics[]): TemplateResult {
  return html`<table role="table">
    <thead role="rowgroup">
      <tr role="row">
        <th role="columnheader" scope="col">Query</th>
        <th role="columnheader" scope="col" class="number">Subscribers</th>
        <th role="columnheader" scope="col" class="number">Runs</th>
        <th role="columnheader" scope="col" class="number">Told</th>
        <th role="columnheader" scope="col" class="number">Last run</th>
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${live.map(
        ({ query, subscribers, runs, told, isRunning, lastRunMs }) =>
          html`<tr role="row" data-query=${query}>
            <th role="rowheader" scope="row"><code>${query}</code></th>
            <td role="cell" class="number" data-name="Subscribers">${formatCount(subscribers)}</td>
            <td role="cell" class="number" data-name="Runs">${formatCount(runs)}</td>
            <td role="cell" class="number" data-name="Told">${formatCount(told)}</td>
            <td role="cell" class="number" data-name="Last run">
              ${isRunning ? "runs now" : lastRunMs === undefined ? "–" : formatDuration(lastRunMs)}
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function reportedList(reported: readonly Reported[]): TemplateResult {
  return html`<ol class="reported" aria-label=${counted(reported.length, "report")}>
    ${reported.toReversed().map(
      ({ at, event, code, message }) =>
        html`<li>
          <p>
            <span class="muted">${formatTime(at)}</span>
            <span class="tag ${event === "error" || event === "closed" ? "bad" : "warm"}">${event}</span>
            <code>${code}</code>
          </p>
          <p>${message}</p>
        </li>`,
    )}
  </ol>`;
}

export const liveStyles: CSSResult = css`
  .reported {
    display: grid;
    font-size: 13px;
  }

  .reported li {
    padding-block: 8px;
    border-block-start: 1px solid var(--line);
    overflow-wrap: anywhere;
  }
`;

define("tidemark-inspector-live", Live);
