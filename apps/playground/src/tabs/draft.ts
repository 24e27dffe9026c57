/** A document that all tabs share: every input is one commit, and what another tab types is seen here, with its time. */
import { html, render, svg, type TemplateResult } from "lit";
import { type TypedDocument, typing } from "../databases.ts";
import { formatCount, formatDuration, median, messageOf } from "../format.ts";
import { nextFrame } from "../next-frame.ts";
import { isFromAnotherTab, isFromHere, stampNow } from "../stamp.ts";

/** Bars in the strip, and commits the median is taken of. */
const kept = 60;

export class Draft {
  readonly #root: HTMLElement;
  readonly #area: HTMLTextAreaElement;
  readonly #figures: HTMLElement;
  #latencies: number[] = [];
  #commits = 0;
  #fromAnotherTabMs: number | undefined;
  #error: unknown;

  constructor(root: HTMLElement) {
    this.#root = root;
    render(
      html`<textarea
          data-test="draft-text"
          aria-label="The document"
          spellcheck="false"
          disabled
          placeholder="Opening…"
          @input=${() => this.#typed()}
        ></textarea>
        <div class="draft-figures"></div>`,
      root,
    );
    this.#area = root.querySelector("textarea")!;
    this.#figures = root.querySelector<HTMLElement>(".draft-figures")!;
    this.#render();
  }

  start(): void {
    typing
      .live((view) => view.collection("documents").get("draft"))
      .subscribe({
        next: (document) => this.#received(document),
        error: (e) => this.#failed(e),
      });
  }

  #received(document: TypedDocument | undefined): void {
    if (this.#area.disabled) {
      this.#area.disabled = false;
      this.#area.placeholder = "Type here.";
      this.#area.value = document?.text ?? "";
    } else if (document && !isFromHere(document.edited)) {
      this.#replaceText(document.text);
    }
    if (document && isFromAnotherTab(document.edited)) void this.#timeArrival(document);
  }

  /** Another tab's text, with the cursor left where it was. */
  #replaceText(text: string): void {
    const { selectionStart, selectionEnd } = this.#area;
    this.#area.value = text;
    if (document.activeElement === this.#area) this.#area.setSelectionRange(selectionStart, selectionEnd);
  }

  async #timeArrival({ edited }: TypedDocument): Promise<void> {
    this.#fromAnotherTabMs = (await nextFrame()) - edited.at;
    this.#render();
  }

  #typed(): void {
    const startedAt = performance.now();
    typing
      .collection("documents")
      .put({ id: "draft", text: this.#area.value, edited: stampNow() })
      .then(
        () => this.#committed(performance.now() - startedAt),
        (e: unknown) => this.#failed(e),
      );
  }

  #committed(latencyMs: number): void {
    this.#commits++;
    this.#error = undefined;
    this.#latencies = [...this.#latencies, latencyMs].slice(-kept);
    this.#render();
  }

  #failed(error: unknown): void {
    this.#error = error;
    this.#render();
  }

  #render(): void {
    const shown = (ms: number | undefined): string => (ms === undefined ? "–" : formatDuration(ms));
    this.#root.classList.toggle("has-failed", this.#error !== undefined);
    render(
      html`<dl class="figures">
          <div class="main-figure">
            <dt>From key there to screen here</dt>
            <dd data-test="draft-arrival">${shown(this.#fromAnotherTabMs)}</dd>
          </div>
          <div>
            <dt>Commit here</dt>
            <dd data-test="draft-last">${shown(this.#latencies.at(-1))}</dd>
          </div>
          <div>
            <dt>Median; <span data-test="draft-commits">${formatCount(this.#commits)}</span> commits</dt>
            <dd data-test="draft-median">${shown(median(this.#latencies))}</dd>
          </div>
        </dl>
        ${this.#error === undefined ? this.#strip() : this.#failure()}`,
      this.#figures,
    );
  }

  #failure(): TemplateResult {
    return html`<p class="failure" role="alert">
      <b>Your last change is not saved.</b> ${messageOf(this.#error)} Typing on tries again.
    </p>`;
  }

  #strip(): TemplateResult {
    const highest = Math.max(4, ...this.#latencies);
    const bars = this.#latencies.map((ms, i) => {
      const height = Math.max(1, (ms / highest) * 28);
      return svg`<rect x=${i * 4} y=${30 - height} width="3" height=${height} rx="1"></rect>`;
    });
    return html`<svg
      class="strip"
      viewBox="0 0 ${kept * 4} 30"
      preserveAspectRatio="none"
      role="img"
      aria-label="How long each of your last ${kept} commits took"
    >
      ${bars}
    </svg>`;
  }
}
