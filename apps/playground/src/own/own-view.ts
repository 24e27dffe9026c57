/** A visitor's own file: imported by the library, and shown as it is stored. */
import { html, nothing, render, type TemplateResult } from "lit";
import { loadDataFile } from "../data-file.ts";
import { formatBytes, formatCount, formatDuration } from "../format.ts";
import { onceNear } from "../in-sight.ts";
import { failed, loadingRows } from "../placeholders.ts";
import { bring } from "./bring.ts";
import { forget, type Numbered, own, type Source } from "./database.ts";
import { cellOf, columnsOf } from "./table.ts";

const rowsAtOnce = 50;

interface Found {
  readonly rows: readonly Numbered[];
  readonly count: number;
  readonly source: Source | undefined;
  readonly tookMs: number;
}

export class OwnView {
  readonly #root: HTMLElement;
  #importing: AbortController | undefined;
  #arrived = 0;
  #found: Found | undefined;
  #search = "";
  #limit = rowsAtOnce;
  #stop: (() => void) | undefined;
  #error: unknown;
  #isOver = false;

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  show(): void {
    this.#render();
    onceNear(this.#root, () => this.#watch());
  }

  /** What is there, now and after each change. */
  #watch(): void {
    this.#stop?.();
    const [search, limit] = [this.#search.toLowerCase(), this.#limit];
    const live = own.live(async (view): Promise<Found> => {
      const startedAt = performance.now();
      const all = view.collection("records").where();
      const wanted =
        search === "" ? all : all.filter(({ value }) => JSON.stringify(value).toLowerCase().includes(search));
      const [rows, count, source] = await Promise.all([
        wanted.limit(limit).toArray(),
        wanted.count(),
        view.collection("sources").get("source"),
      ]);
      return { rows, count, source, tookMs: performance.now() - startedAt };
    });
    const subscription = live.subscribe({
      next: (found) => {
        this.#found = found;
        this.#render();
      },
      error: (e) => this.#fail(e),
    });
    this.#stop = () => subscription.unsubscribe();
  }

  async #bring(file: File): Promise<void> {
    const importing = new AbortController();
    this.#importing?.abort();
    this.#importing = importing;
    this.#error = undefined;
    this.#arrived = 0;
    this.#search = "";
    this.#limit = rowsAtOnce;
    // Counting through what arrives by the thousand would only hold it up.
    this.#stop?.();
    this.#render();
    try {
      await bring(
        file,
        (records) => {
          this.#arrived = records;
          this.#render();
        },
        importing.signal,
      );
    } catch (e) {
      if (!importing.signal.aborted) this.#error = e;
    } finally {
      if (this.#importing === importing) this.#importing = undefined;
      this.#watch();
      this.#render();
    }
  }

  async #bringSample(): Promise<void> {
    const response = await loadDataFile("airports.csv");
    await this.#bring(new File([await response.blob()], "airports.csv"));
  }

  #fail(error: unknown): void {
    this.#error = error;
    this.#render();
  }

  #take(files: FileList | null | undefined): void {
    const file = files?.[0];
    if (file) void this.#bring(file);
  }

  #render(): void {
    render(
      html`<div
          class="drop ${this.#isOver ? "is-over" : ""}"
          data-test="own-drop"
          @dragover=${(e: DragEvent) => this.#hover(e, true)}
          @dragleave=${(e: DragEvent) => this.#hover(e, false)}
          @drop=${(e: DragEvent) => {
            this.#hover(e, false);
            this.#take(e.dataTransfer?.files);
          }}
        >
          <label class="button primary"
            >Choose a file<input
              type="file"
              class="out-of-sight"
              data-test="own-file"
              accept=".json,.geojson,.ndjson,.jsonl,.csv,application/json,text/csv"
              @change=${(e: Event) => {
                const input = e.currentTarget as HTMLInputElement;
                this.#take(input.files);
                input.value = ""; // so that the same file can be chosen again
              }}
          /></label>
          <p>JSON, NDJSON or CSV, or drop it here. It stays in this browser.</p>
          <button
            type="button"
            data-test="own-sample"
            @click=${() => void this.#bringSample().catch((e: unknown) => this.#fail(e))}
          >
            Try airports.csv
          </button>
        </div>
        ${this.#error === undefined ? nothing : this.#failure()}
        <p class="verdict" role="status" data-test="own-verdict">${this.#verdict()}</p>
        ${this.#importing ? loadingRows : this.#contents()}`,
      this.#root,
    );
  }

  #hover(e: DragEvent, isOver: boolean): void {
    e.preventDefault();
    if (isOver === this.#isOver) return;
    this.#isOver = isOver;
    this.#render();
  }

  #failure(): TemplateResult {
    const retry = (): void => {
      this.#error = undefined;
      this.#render();
    };
    return failed("The file could not be imported to its end.", this.#error, retry, "All right");
  }

  #verdict(): TemplateResult | string {
    if (this.#importing) {
      return html`${formatCount(this.#arrived)} records so far…
        <button type="button" class="link" data-test="own-cancel" @click=${() => this.#importing?.abort()}>
          Stop
        </button>`;
    }
    const { source } = this.#found ?? {};
    if (!source) return "What you bring is imported by the library, a batch at a time, and searched where it lies.";
    const { name, format, bytes, records, importMs } = source;
    return html`<b>${name}</b>: ${formatCount(records)} records from ${formatBytes(bytes)} of ${format.toUpperCase()},
      in ${formatDuration(importMs)}.
      <button type="button" class="link" data-test="own-forget" @click=${() => void forget()}>Remove it</button>`;
  }

  #contents(): TemplateResult | typeof nothing {
    const found = this.#found;
    if (!found || (found.count === 0 && this.#search === "")) return nothing;
    const { rows, count, tookMs } = found;
    const columns = columnsOf(rows.map(({ value }) => value));
    return html`<form
        class="controls"
        role="search"
        aria-label="Your records"
        @submit=${(e: Event) => e.preventDefault()}
      >
        <label class="grow"
          >Anywhere in a record
          <input
            type="search"
            data-test="own-search"
            autocomplete="off"
            .value=${this.#search}
            @input=${(e: Event) => {
              this.#search = (e.currentTarget as HTMLInputElement).value;
              this.#limit = rowsAtOnce;
              this.#watch();
            }}
          />
        </label>
        <p class="note found">
          <span data-test="own-count">${formatCount(count)}</span> found in ${formatDuration(tookMs)}
        </p>
      </form>
      <div class="scroll" role="region" aria-label="Your records" tabindex="0">
        ${
          rows.length === 0
            ? html`<p class="empty">No record has that in it.</p>`
            : html`<table data-test="own-table">
                  <thead>
                    <tr>
                      ${columns.map((column) => html`<th scope="col">${column}</th>`)}
                    </tr>
                  </thead>
                  <tbody>
                    ${rows.map(
                      ({ value }) =>
                        html`<tr>
                          ${columns.map((column) => html`<td>${cellOf(value, column)}</td>`)}
                        </tr>`,
                    )}
                  </tbody>
                </table>
                ${rows.length < count ? this.#more() : nothing}`
        }
      </div>`;
  }

  #more(): TemplateResult {
    return html`<button
      type="button"
      class="more"
      @click=${() => {
        this.#limit += rowsAtOnce;
        this.#watch();
      }}
    >
      Show ${rowsAtOnce} more
    </button>`;
  }
}
