/** The floor against the head over time, and by name who holds it back. */
import { css, type CSSResult, html, type PropertyDeclarations, type TemplateResult } from "lit";
import type { GcAdvance, GcHolder } from "tidemark";
import type { ChartData } from "./chart.ts";
import { counted, formatBytes, formatCount, formatTime, messageOf, shortId } from "./format.ts";
import { effectOf, explain, kindOf, nameOf, remedyOf } from "./holders.ts";
import type { Extra, Inspection, Sample } from "./inspection.ts";
import { define, empty, Panel } from "./panel.ts";

class Floor extends Panel {
  static override properties: PropertyDeclarations = {
    explained: { state: true },
    confirming: { state: true },
    busy: { state: true },
    outcome: { state: true },
  };
  static override readonly extras: readonly Extra[] = ["advances"];
  /** Ids of holders. */
  declare explained: string | undefined;
  declare confirming: string | undefined;
  declare busy: string | undefined;
  declare outcome: { readonly text: string; readonly isFailure: boolean } | undefined;

  protected override show({ explanation, advances }: Sample, { floor }: Inspection): TemplateResult {
    const { holders, reclaimable, head } = explanation;
    return html`<div class="stack">
      <section class="part" aria-labelledby="floor-chart">
        <div class="heading">
          <h3 id="floor-chart">The floor against the head</h3>
          <p class="note">
            Since the inspector was opened. Nobody reads below the floor, so what was replaced there can go.
          </p>
        </div>
        <tidemark-inspector-chart .data=${chartOf(floor, explanation.floor, head)}></tidemark-inspector-chart>
      </section>
      <section class="part" aria-labelledby="floor-holders">
        <div class="heading">
          <h3 id="floor-holders">Who holds it back</h3>
          <p class="note">
            <span class=${this.outcome?.isFailure ? "bad" : "good"} role="status" data-test="floor-outcome"
              >${this.outcome?.text ?? ""}</span
            >
            <span data-test="reclaimable">${formatBytes(reclaimable)} can go now, with the next run.</span>
          </p>
        </div>
        ${
          holders.length === 0
            ? empty("Nobody holds anything back", "No tab, snapshot or consumer needs an old version.")
            : html`<ol class="holders">
                ${holders.map((holder) => this.#holder(holder, Math.max(...holders.map((h) => h.bytesHeld))))}
              </ol>`
        }
      </section>
      <section class="part" aria-labelledby="floor-advances">
        <h3 id="floor-advances">The last times it rose</h3>
        ${advanceTable(advances)}
      </section>
    </div>`;
  }

  #holder(holder: GcHolder, largest: number): TemplateResult {
    const { id, seq, behind, bytesHeld, frees, owner } = holder;
    const isExplained = this.explained === id;
    const part = (n: number): string => `width: ${largest === 0 ? 0 : (n / largest) * 100}%`;
    return html`<li class="holder" data-holder=${id} data-kind=${holder.kind}>
      <div class="holder-what">
        <p><b title=${owner}>${nameOf(holder)}</b> <span class="tag">${kindOf(holder)}</span></p>
        <p class="muted">
          at ${formatCount(seq)}, ${counted(behind, "commit")} behind;
          <span data-test="effect">${effectOf(holder)}</span>
        </p>
      </div>
      <div class="buttons">
        <button
          type="button"
          aria-expanded=${isExplained ? "true" : "false"}
          @click=${() => (this.explained = isExplained ? undefined : id)}
        >
          Explain
        </button>
        ${this.#remedy(holder)}
      </div>
      <span class="held" aria-hidden="true"><i .style=${part(bytesHeld)}></i><b .style=${part(frees)}></b></span>
      ${isExplained ? html`<p class="note explanation">${explain(holder)} ${consequence(holder)}</p>` : ""}
    </li>`;
  }

  #remedy(holder: GcHolder): TemplateResult | string {
    const { id, owner } = holder;
    const name = nameOf(holder);
    const isBusy = this.busy !== undefined;
    const button = (text: string, test: string, act: () => void, kind = ""): TemplateResult =>
      html`<button type="button" class=${kind} data-test=${test} ?disabled=${isBusy} @click=${act}>${text}</button>`;
    switch (remedyOf(holder)) {
      case "delete":
        return button("Delete snapshot", "delete-snapshot", () =>
          this.#act(id, `${name} was deleted`, holder, () => this.database?.snapshots.delete(owner)),
        );
      case "checkpoint":
        return button("Fold the log", "fold", () =>
          this.#act(id, "The log was folded", holder, () => this.database?.checkpoint()),
        );
      case "evict":
        if (this.confirming !== id) return button("Evict…", "evict", () => (this.confirming = id));
        return html`<span class="ask" role="group" aria-label="Evict ${name}?">
          ${button(
            "Evict: its views fail",
            "evict-yes",
            () => this.#act(id, `${name} was evicted`, holder, () => this.database?.gc.evict(id)),
            "danger",
          )}
          ${button("Keep", "evict-no", () => (this.confirming = undefined))}
        </span>`;
      default:
        return "";
    }
  }

  #act(id: string, done: string, { frees }: GcHolder, act: () => Promise<void> | undefined): void {
    this.busy = id;
    this.outcome = undefined;
    Promise.resolve(act())
      .then(
        () =>
          (this.outcome = {
            text: frees > 0 ? `${done}: ${formatBytes(frees)} can go.` : `${done}.`,
            isFailure: false,
          }),
        (e: unknown) => (this.outcome = { text: messageOf(e), isFailure: true }),
      )
      .finally(() => {
        this.busy = undefined;
        this.confirming = undefined;
        this.inspection?.look();
      });
  }
}

function consequence(holder: GcHolder): string {
  if (holder.bytesHeld === 0) return "No old version stays for it.";
  const held = `${formatBytes(holder.bytesHeld)} of old versions stay for it`;
  return holder.frees === 0
    ? `${held}, and for others too: releasing it alone would free nothing.`
    : `${held}; without it ${formatBytes(holder.frees)} could go.`;
}

function chartOf(series: Inspection["floor"], floor: number, head: number): ChartData {
  return {
    times: series.times,
    format: formatCount,
    isStepped: true,
    startsAtZero: false,
    label: `The floor is ${formatCount(floor)}, the head ${formatCount(head)}: ${counted(head - floor, "commit")} apart`,
    lines: [
      { name: "Head", color: "--second", values: series.of("head") },
      { name: "Fence", color: "--third", values: series.of("fence"), isDashed: true },
      { name: "Floor", color: "--accent", values: series.of("floor"), fill: "--water" },
    ],
  };
}

function advanceTable(advances: readonly GcAdvance[] | undefined): TemplateResult {
  if (!advances) return html`<p class="note">Looking…</p>`;
  if (advances.length === 0) return empty("Not yet", "The floor rises when the log is folded; that comes with use.");
  return html`<table role="table">
    <thead role="rowgroup">
      <tr role="row">
        <th role="columnheader" scope="col">When</th>
        <th role="columnheader" scope="col" class="number">Floor</th>
        <th role="columnheader" scope="col">By</th>
        <th role="columnheader" scope="col">Who went</th>
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${advances.slice(0, 8).map(
        ({ at, floor, by, released, evicted }) =>
          html`<tr role="row">
            <td role="cell" class="keep" data-name="When">${formatTime(at)}</td>
            <td role="cell" class="number" data-name="Floor">${formatCount(floor)}</td>
            <td role="cell" data-name="By"><code title=${by}>${shortId(by)}</code></td>
            <td role="cell" data-name="Who went">${gone(released, evicted)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function gone(released: readonly string[], evicted: readonly string[]): string {
  const list = [...evicted.map((id) => `${shortHolder(id)}, evicted`), ...released.map(shortHolder)];
  return list.length === 0 ? "nobody" : list.join("; ");
}

const shortHolder = (id: string): string => id.split("/").map(shortId).join("/");

export const floorStyles: CSSResult = css`
  .holders {
    display: grid;
  }

  .holder {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    gap: 8px 16px;
    align-items: start;
    padding-block: 12px;
    border-block-start: 1px solid var(--line);
    overflow-wrap: anywhere;
  }

  .holder-what {
    display: grid;
    gap: 2px;
    font-size: 13px;
  }

  .holder-what b {
    font-size: 14px;
    font-weight: 600;
  }

  .held {
    position: relative;
    grid-column: 1 / -1;
    height: 6px;
    border-radius: 3px;
    background: var(--sunk);
  }

  .held > * {
    position: absolute;
    inset: 0 auto 0 0;
    border-radius: 3px;
    background: var(--line-strong);
  }

  .held > b {
    background: var(--accent);
  }

  .explanation {
    grid-column: 1 / -1;
  }

  .ask {
    display: inline-flex;
    flex-wrap: wrap;
    gap: 8px;
  }

  .note .good:not(:empty) {
    color: var(--accent);
  }

  .note .bad:not(:empty) {
    color: var(--danger);
  }

  @container inspector (width < 520px) {
    .holder {
      grid-template-columns: minmax(0, 1fr);
    }
  }
`;

define("tidemark-inspector-floor", Floor);
