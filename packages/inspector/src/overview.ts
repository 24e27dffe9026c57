/** What the database holds, where its marks stand, and who looks after it. */
import { css, type CSSResult, html, type TemplateResult } from "lit";
import type { GcExplanation, Metrics } from "tidemark";
import { counted, formatBytes, formatCount, orUnknown, shortId } from "./format.ts";
import type { Inspection, Sample } from "./inspection.ts";
import { define, empty, Panel } from "./panel.ts";
import { type CollectionRow, collectionRows, storedBytes } from "./usage.ts";

class Overview extends Panel {
  protected override show(sample: Sample, { database }: Inspection): TemplateResult {
    const { metrics } = sample;
    const rows = collectionRows(metrics);
    return html`<div class="stack">
      ${tiles(sample)}
      <section class="part" aria-labelledby="overview-collections">
        <div class="heading">
          <h3 id="overview-collections">Collections</h3>
          <p class="note">
            ${
              metrics.isExact
                ? "Figures are exact as of the last look."
                : "Not all garbage of this database is known yet, so counts of records may be off."
            }
          </p>
        </div>
        ${
          rows.length === 0
            ? empty("No collections yet", `“${database.name}” declares none, or has not been written to.`)
            : table(rows, metrics)
        }
      </section>
      <section class="part" aria-labelledby="overview-rest">
        <h3 id="overview-rest">Besides collections</h3>
        ${besides(metrics)}
      </section>
      <section class="part" aria-labelledby="overview-tabs">
        <h3 id="overview-tabs">Tabs that have it open</h3>
        ${tabs(sample.explanation)}
      </section>
    </div>`;
  }
}

function tiles({ metrics, explanation, estimate }: Sample): TemplateResult {
  const { head, floor, holders, reclaimable } = explanation;
  const tabCount = holders.filter(({ kind }) => kind === "pin").length;
  const tile = (name: string, figure: string, note: string, test: string): TemplateResult =>
    html`<div>
      <dt>${name}</dt>
      <dd data-test=${test}>${figure}</dd>
      <dd>${note}</dd>
    </div>`;
  return html`<dl class="tiles">
    ${tile("Head", formatCount(head), "the last commit", "head")}
    ${tile("Floor", formatCount(floor), `${counted(head - floor, "commit")} below the head`, "floor")}
    ${tile("Fence", formatCount(metrics.checkpoint), `${counted(metrics.logEntries, "entry", "entries")} in the log`, "fence")}
    ${tile("Stored", formatBytes(storedBytes(metrics)), `${formatBytes(reclaimable)} of it can go now`, "stored")}
    ${tile("This origin", orUnknown(estimate?.usage, formatBytes), `of ${orUnknown(estimate?.quota, formatBytes)}, the browser says`, "estimate")}
    ${tile("Upkeep", metrics.upkeep ? "This tab" : "Another tab", `${counted(tabCount, "tab")} have it open`.replace("tab have", "tab has"), "upkeep")}
  </dl>`;
}

function table(rows: readonly CollectionRow[], { isExact }: Metrics): TemplateResult {
  const largest = Math.max(1, ...rows.map((row) => row.recordBytes + row.indexBytes));
  const about = isExact ? "" : "about ";
  return html`<table role="table">
    <thead role="rowgroup">
      <tr role="row">
        <th role="columnheader" scope="col">Collection</th>
        <th role="columnheader" scope="col" class="number">Records</th>
        <th role="columnheader" scope="col" class="number">Bytes of records</th>
        <th role="columnheader" scope="col" class="number">of indexes</th>
        <th role="columnheader" scope="col" class="number">out of line</th>
        <th role="columnheader" scope="col" class="number">Versions</th>
        <th role="columnheader" scope="col" class="number">Garbage</th>
        <th role="columnheader" scope="col" class="number">Tombstones</th>
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows.map(
        (row) =>
          html`<tr role="row" data-collection=${row.name}>
            <th role="rowheader" scope="row">
              <code>${row.name}</code>
              <span class="share" aria-hidden="true"
                ><i .style=${`width: ${((row.recordBytes + row.indexBytes) / largest) * 100}%`}></i
              ></span>
            </th>
            <td role="cell" class="number" data-name="Records">${about}${formatCount(row.records)}</td>
            <td role="cell" class="number" data-name="Bytes of records">${formatBytes(row.recordBytes)}</td>
            <td role="cell" class="number" data-name="Bytes of indexes">
              ${row.indexes === 0 ? "no index" : formatBytes(row.indexBytes)}
            </td>
            <td role="cell" class="number" data-name="Out of line">${orUnknown(row.blobBytes, formatBytes)}</td>
            <td role="cell" class="number" data-name="Versions">${formatCount(row.versions)}</td>
            <td role="cell" class="number" data-name="Garbage">
              ${
                row.superseded === 0
                  ? "none"
                  : html`${about}${formatCount(row.superseded)}<small>${formatBytes(row.supersededBytes)}</small>`
              }
            </td>
            <td role="cell" class="number" data-name="Tombstones">${formatCount(row.tombstones)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function besides({
  cleared,
  system,
  logBytes,
  logEntries,
  blobBytes,
  metaBytes,
  reserveBytes,
  memtableBytes,
}: Metrics): TemplateResult {
  const rows: readonly (readonly [name: string, figure: string, note: string])[] = [
    [
      "Log",
      formatBytes(logBytes),
      `${counted(logEntries, "entry", "entries")} not folded into blocks yet; of no collection until then`,
    ],
    ["In memory", formatBytes(memtableBytes), "versions of those entries, ready to be read"],
    [
      "Cleared and dropped",
      formatBytes(cleared.bytes),
      `${counted(cleared.versions, "version")} of what was cleared, waiting to go`,
    ],
    [
      "Schema and floor",
      formatBytes(system.bytes),
      `${counted(system.versions, "version")} of the database's own records`,
    ],
    ["Values out of line", formatBytes(blobBytes), "values larger than a block, of all collections"],
    ["Manifest and rows", formatBytes(metaBytes), "which blocks there are, who holds what"],
    ["Reserve", formatBytes(reserveBytes), "room for deletes when the disk is full"],
  ];
  return html`<dl class="besides">
    ${rows.map(
      ([name, figure, note]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${figure}</dd>
          <dd>${note}</dd>
        </div>`,
    )}
  </dl>`;
}

function tabs({ holders, upkeep }: GcExplanation): TemplateResult {
  const pins = holders.filter(({ kind }) => kind === "pin");
  return html`<ul class="tabs-open">
    ${pins.map(
      ({ owner, isSelf = false, seq, behind }) =>
        html`<li>
          <code title=${owner}>${shortId(owner)}</code>
          ${isSelf ? html`<span class="tag good">this tab</span>` : ""}
          ${owner === upkeep ? html`<span class="tag">does upkeep</span>` : ""}
          <span class="muted">may read from ${formatCount(seq)} on, ${counted(behind, "commit")} behind</span>
        </li>`,
    )}
    ${pins.length === 0 ? html`<li class="muted">None that is known.</li>` : ""}
    ${upkeep === undefined ? html`<li class="muted">Upkeep goes from one tab to another just now.</li>` : ""}
  </ul>`;
}

export const overviewStyles: CSSResult = css`
  .share {
    display: block;
    width: 100%;
    max-width: 140px;
    height: 4px;
    margin-block: 4px 2px;
    border-radius: 2px;
    background: var(--sunk);
  }

  .share i {
    display: block;
    min-width: 2px;
    height: 100%;
    border-radius: 2px;
    background: var(--accent);
  }

  .besides {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr));
    gap: 12px 28px;
  }

  .besides > div {
    display: grid;
    grid-template-columns: 1fr auto;
    gap: 0 12px;
    align-content: start;
    padding-block-start: 8px;
    border-block-start: 1px solid var(--line);
  }

  .besides dt {
    font-size: 13px;
    font-weight: 550;
  }

  .besides dd {
    font-size: 13px;
    white-space: nowrap;
  }

  .besides dd + dd {
    grid-column: 1 / -1;
    color: var(--muted);
    font-size: 12.5px;
    white-space: normal;
    text-wrap: pretty;
  }

  .tabs-open {
    display: grid;
    gap: 8px;
    font-size: 13px;
  }

  .tabs-open li {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 10px;
    align-items: baseline;
  }
`;

define("tidemark-inspector-overview", Overview);
