/** As much as one likes is written; shown is what that does to the page, and to the disk. */
import { html, nothing, render, type TemplateResult } from "lit";
import { isTidemarkError, type Metrics } from "tidemark";
import { formatBytes, formatCount, formatDuration, median, quantile } from "../format.ts";
import { failed } from "../placeholders.ts";
import { storedBytes } from "../surface/sampler.ts";
import { stress } from "./database.ts";
import { commitBytes, fill } from "./fill.ts";
import { LongestFrame } from "./longest-frame.ts";

const sizes = [25, 100, 500, 2000]; // MB
/** Figures are read this often at most: they are not what is measured. */
const lookMs = 300;

type State = "idle" | "writing" | "emptying";

export class StressView {
  readonly #root: HTMLElement;
  readonly #frames = new LongestFrame();
  #state: State = "idle";
  #megabytes = 25;
  #running: AbortController | undefined;
  #commits: number[] = [];
  #metrics: Metrics | undefined;
  #estimate: StorageEstimate | undefined;
  #said = "Nothing is written before you say so.";
  #error: unknown;

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  show(): void {
    this.#render();
  }

  async #write(): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    this.#begin("writing");
    this.#commits = [];
    this.#frames.start();
    let lookedAt = 0;
    const committed = (tookMs: number): void => {
      this.#commits.push(tookMs);
      if (performance.now() - lookedAt < lookMs) return;
      lookedAt = performance.now();
      this.#look().catch((e: unknown) => this.#fail(e));
    };
    await fill(this.#megabytes * 1e6, committed, running.signal);
    this.#frames.stop();
    this.#said = running.signal.aborted ? "Stopped." : "Written, and each commit acknowledged.";
    await this.#end();
  }

  async #empty(): Promise<void> {
    this.#begin("emptying");
    const startedAt = performance.now();
    const before = this.#metrics && storedBytes(this.#metrics);
    await stress.collection("filling").clear();
    await stress.gc.run();
    await this.#end();
    const went = before === undefined ? "" : `, and ${formatBytes(before)} are ${this.#storedText()}`;
    this.#said = `Emptied in ${formatDuration(performance.now() - startedAt)}${went}.`;
    this.#render();
  }

  async #persist(): Promise<void> {
    this.#said = (await stress.storage.persist())
      ? "The browser will not clear this origin's data by itself."
      : "The browser keeps to itself when it clears this origin's data.";
    this.#render();
  }

  #begin(state: State): void {
    this.#error = undefined;
    this.#state = state;
    this.#said = "";
    this.#render();
  }

  async #end(): Promise<void> {
    this.#running = undefined;
    this.#state = "idle";
    await this.#look();
  }

  async #look(): Promise<void> {
    [this.#metrics, this.#estimate] = await Promise.all([stress.storage.metrics(), navigator.storage.estimate()]);
    this.#render();
  }

  #fail(error: unknown): void {
    this.#frames.stop();
    this.#running = undefined;
    this.#state = "idle";
    this.#error = error;
    this.#render();
  }

  #act(step: () => Promise<void>): () => void {
    return () => void step.call(this).catch((e: unknown) => this.#fail(e));
  }

  #storedText(): string {
    return this.#metrics ? formatBytes(storedBytes(this.#metrics)) : "–";
  }

  #render(): void {
    render(
      html`${this.#controls()} ${this.#error === undefined ? nothing : this.#failure()}
        <progress
          max=${this.#megabytes * 1e6}
          .value=${this.#commits.length * commitBytes}
          aria-label="Written of what was asked for"
        ></progress>
        ${this.#figures()} ${this.#quota()}
        <p class="verdict" role="status" data-test="stress-verdict">${this.#said}</p>`,
      this.#root,
    );
  }

  #controls(): TemplateResult {
    const isBusy = this.#state !== "idle";
    return html`<form class="controls" @submit=${(e: Event) => e.preventDefault()}>
      <div class="buttons">
        ${
          this.#state === "writing"
            ? html`<button type="button" data-test="stress-stop" @click=${() => this.#running?.abort()}>Stop</button>`
            : html`<button
                type="button"
                class="primary"
                data-test="stress-start"
                ?disabled=${isBusy}
                @click=${this.#act(() => this.#write())}
              >
                Write
              </button>`
        }
      </div>
      <label class="grow"
        >How much
        <select
          data-test="stress-size"
          ?disabled=${isBusy}
          @change=${(e: Event) => {
            this.#megabytes = Number((e.currentTarget as HTMLSelectElement).value);
            this.#commits = [];
            this.#render();
          }}
        >
          ${sizes.map((mb) => html`<option value=${mb}>${formatBytes(mb * 1e6)}</option>`)}
        </select>
      </label>
      <div class="buttons">
        <button type="button" data-test="stress-empty" ?disabled=${isBusy} @click=${this.#act(() => this.#empty())}>
          ${this.#state === "emptying" ? "Emptying…" : "Empty it"}
        </button>
        <button type="button" data-test="stress-persist" @click=${this.#act(() => this.#persist())}>
          Ask the browser to keep it
        </button>
      </div>
    </form>`;
  }

  #failure(): TemplateResult {
    if (!isTidemarkError(this.#error, "QUOTA_EXCEEDED")) {
      return failed(
        "The writing ended.",
        this.#error,
        this.#act(() => this.#write()),
      );
    }
    return failed(
      "The browser gives no more room.",
      `${formatBytes(this.#commits.length * commitBytes)} of it are written and can be read, and deleting still works.`,
      this.#act(() => this.#empty()),
      "Empty it",
    );
  }

  #figures(): TemplateResult {
    const commits = this.#commits;
    const totalMs = commits.reduce((a, b) => a + b, 0);
    const shown = (ms: number | undefined): string => (ms === undefined ? "–" : formatDuration(ms));
    const rate = totalMs === 0 ? "–" : `${formatBytes((commits.length * commitBytes * 1000) / totalMs)}/s`;
    return html`<dl class="figures six">
      <div>
        <dt>Written</dt>
        <dd data-test="stress-written">${formatBytes(commits.length * commitBytes)}</dd>
      </div>
      <div>
        <dt>While committing</dt>
        <dd>${rate}</dd>
      </div>
      <div>
        <dt>A commit of 1 MB</dt>
        <dd>${shown(median(commits))}</dd>
      </div>
      <div>
        <dt>99 % of them within</dt>
        <dd>${shown(quantile(commits, 0.99))}</dd>
      </div>
      <div>
        <dt>This page's longest frame</dt>
        <dd data-test="stress-frame">${commits.length === 0 ? "–" : formatDuration(this.#frames.ms)}</dd>
      </div>
      <div>
        <dt>Stored now</dt>
        <dd data-test="stress-bytes" data-bytes=${this.#metrics ? storedBytes(this.#metrics) : nothing}>
          ${this.#storedText()}
        </dd>
      </div>
    </dl>`;
  }

  #quota(): TemplateResult {
    const { usage, quota } = this.#estimate ?? {};
    const records = this.#metrics?.collections["filling"]?.records;
    const known = usage !== undefined && quota !== undefined;
    return html`<p class="note">
      ${
        known
          ? html`The browser's own estimate for this origin, all databases together: ${formatBytes(usage)} of
            ${formatBytes(quota)}, ${((usage / quota) * 100).toFixed(1)} %.`
          : "What the browser gives this origin is asked for when you write."
      }
      ${records ? html`Versions of records in this database: ${formatCount(records.versions)}.` : nothing}
    </p>`;
  }
}
