/** What the two databases hold, and the two things one may do to them as a whole. */
import { html, nothing, render, type TemplateResult } from "lit";
import { deleteDatabase, type Metrics } from "tidemark";
import { atlas, atlasName, typing, typingName } from "./databases.ts";
import { formatBytes, formatCount, formatDuration, messageOf } from "./format.ts";
import type { Sample, Sampler } from "./sampler.ts";
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

export class Panel {
  readonly #root: HTMLElement;
  readonly #sampler: Sampler;
  readonly #onDelete: () => void;
  #gauge: TideGauge | undefined;
  #sample: Sample | undefined;
  #isBusy = false;
  #asksToDelete = false;
  #message = "";

  /** `onDelete` is called before the databases are deleted from here. */
  constructor(root: HTMLElement, sampler: Sampler, onDelete: () => void) {
    this.#root = root;
    this.#sampler = sampler;
    this.#onDelete = onDelete;
    sampler.subscribe((sample) => {
      this.#sample = sample;
      this.#gauge?.add({ at: sample.at, bytes: sample.atlas.logBytes + sample.typing.logBytes });
      this.#render();
    });
    this.#render();
    this.#gauge = new TideGauge(root.querySelector("canvas")!);
  }

  say(message: string): void {
    this.#message = message;
    this.#render();
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
    this.#sampler.stop();
    try {
      await Promise.all([deleteDatabase(atlasName), deleteDatabase(typingName)]);
      location.reload();
    } catch (e) {
      this.#isBusy = false;
      this.say(`Deleting failed. ${messageOf(e)} Reload the page to go on.`);
    }
  }

  #render(): void {
    render(
      html`<h2>Under the surface</h2>
        <div class="gauge">
          <canvas role="img" aria-label="Bytes in the logs over the last minute"></canvas>
          <p>
            The logs, last minute:
            <b data-test="log-level">${this.#sample ? formatBytes(this.#logBytes(this.#sample)) : "–"}</b>
          </p>
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
        <div class="buttons">
          <button
            type="button"
            data-test="checkpoint"
            ?disabled=${this.#isBusy || !this.#sample}
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

  #logBytes({ atlas: a, typing: t }: Sample): number {
    return a.logBytes + t.logBytes;
  }

  #cell(id: string, database: "atlas" | "typing", show: (m: Metrics) => string): TemplateResult {
    return html`<td data-test="${database}-${id}">${this.#sample ? show(this.#sample[database]) : "–"}</td>`;
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
