/** What the two databases hold, and the two things one may do to them as a whole. */
import { html, nothing, render, type TemplateResult } from "lit";
import { deleteDatabase, type Metrics } from "tidemark";
import { atlas, atlasName, typing, typingName } from "../databases.ts";
import { formatBytes, formatCount, formatDuration, messageOf } from "../format.ts";
import { heldName } from "../hold/database.ts";
import { neighboursName } from "../neighbours/database.ts";
import { ownName } from "../own/database.ts";
import { reload } from "../page-address.ts";
import { stressName } from "../stress/database.ts";
import { whileInSight } from "../in-sight.ts";
import { writesName } from "../kill/database.ts";
import type { Sampler } from "./sampler.ts";
import { TideGauge } from "./tide-gauge.ts";

const rows: readonly (readonly [label: string, id: string, show: (m: Metrics) => string])[] = [
  ["Upkeep", "upkeep", (m) => (m.upkeep ? "this tab" : "another tab")],
  ["Head", "head", (m) => formatCount(m.head)],
  ["Checkpoint", "checkpoint", (m) => formatCount(m.checkpoint)],
  ["Log entries", "log-entries", (m) => formatCount(m.logEntries)],
  ["Log", "log-bytes", (m) => formatBytes(m.logBytes)],
  ["Blocks", "blocks", (m) => formatCount(m.blocks)],
  ["In blocks", "block-bytes", (m) => formatBytes(m.blockBytes)],
  ["Versions", "versions", (m) => formatCount(m.versions)],
];

/** Of all databases of this page. */
const names = [atlasName, typingName, heldName, stressName, neighboursName, ownName, writesName];

type Name = "atlas" | "typing";

export class Panel {
  readonly #root: HTMLElement;
  readonly #samplers: Readonly<Record<Name, Sampler>>;
  readonly #onDelete: () => void;
  readonly #gauge: TideGauge;
  readonly #metrics: Partial<Record<Name, Metrics>> = {};
  #isBusy = false;
  #asksToDelete = false;
  #message = "";

  /** `onDelete` is called before the databases are deleted from here. */
  constructor(root: HTMLElement, samplers: Readonly<Record<Name, Sampler>>, onDelete: () => void) {
    this.#root = root;
    this.#samplers = samplers;
    this.#onDelete = onDelete;
    this.#render();
    this.#gauge = new TideGauge(root.querySelector("canvas")!, 100_000);
    whileInSight(root, () => this.#watch());
  }

  say(message: string): void {
    this.#message = message;
    this.#render();
  }

  #watch(): () => void {
    const stops = (["atlas", "typing"] as const).map((name) =>
      this.#samplers[name].look({
        next: ({ at, metrics }) => {
          this.#metrics[name] = metrics;
          const bytes = this.#logBytes();
          if (bytes !== undefined) this.#gauge.add({ at, bytes });
          this.#render();
        },
        error: (e) => this.say(messageOf(e)),
      }),
    );
    return () => {
      for (const stop of stops) stop();
    };
  }

  async #checkpoint(): Promise<void> {
    this.#isBusy = true;
    this.#render();
    const startedAt = performance.now();
    try {
      await Promise.all([atlas.checkpoint(), typing.checkpoint()]);
      this.#message = `Checkpoint done in ${formatDuration(performance.now() - startedAt)}.`;
    } catch (e) {
      this.#message = `The checkpoint failed. ${messageOf(e)}`;
    } finally {
      this.#isBusy = false;
      this.#render();
    }
  }

  async #deleteAll(): Promise<void> {
    this.#isBusy = true;
    this.#render();
    this.#onDelete();
    try {
      await Promise.all(names.map((name) => deleteDatabase(name)));
      reload();
    } catch (e) {
      this.#isBusy = false;
      this.say(`Deleting failed. ${messageOf(e)} Reload the page to go on.`);
    }
  }

  #logBytes(): number | undefined {
    const { atlas: a, typing: t } = this.#metrics;
    return a && t && a.logBytes + t.logBytes;
  }

  #render(): void {
    const logBytes = this.#logBytes();
    render(
      html`<div class="surface">
          <div class="level">
            <dl class="figures">
              <div class="main-figure">
                <dt>In both logs, last minute</dt>
                <dd data-test="log-level">${logBytes === undefined ? "–" : formatBytes(logBytes)}</dd>
              </div>
            </dl>
            <canvas class="gauge" role="img" aria-label="Bytes in the logs over the last minute"></canvas>
          </div>
          <table>
            <thead>
              <tr>
                <td></td>
                <th scope="col">Airports</th>
                <th scope="col">Typing</th>
              </tr>
            </thead>
            <tbody>
              ${rows.map(
                ([label, id, show]) =>
                  html`<tr>
                    <th scope="row">${label}</th>
                    ${this.#cell(id, "atlas", show)}${this.#cell(id, "typing", show)}
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>
        <div class="buttons">
          <button
            type="button"
            data-test="checkpoint"
            ?disabled=${this.#isBusy || logBytes === undefined}
            @click=${() => void this.#checkpoint()}
          >
            Checkpoint now
          </button>
          ${this.#deletion()}
        </div>
        <p class="panel-message" role="status" data-test="panel-message">${this.#message}</p>`,
      this.#root,
    );
  }

  #cell(id: string, database: Name, show: (m: Metrics) => string): TemplateResult {
    const metrics = this.#metrics[database];
    return html`<td data-test="${database}-${id}">${metrics ? show(metrics) : "–"}</td>`;
  }

  #deletion(): TemplateResult {
    const ask = (asks: boolean) => (): void => {
      this.#asksToDelete = asks;
      this.#render();
    };
    return this.#asksToDelete
      ? html`<button
            type="button"
            class="danger"
            data-test="delete-yes"
            ?disabled=${this.#isBusy}
            @click=${() => void this.#deleteAll()}
          >
            Yes, delete it all
          </button>
          ${this.#isBusy ? nothing : html`<button type="button" data-test="delete-no" @click=${ask(false)}>Keep it</button>`}`
      : html`<button type="button" data-test="delete" @click=${ask(true)}>Delete everything</button>`;
  }
}
