/** A list of any length, of which only what is in sight is there. One of its rows is the chosen one. */
import { css, type CSSResult, html, type PropertyDeclarations, type PropertyValues, type TemplateResult } from "lit";
import { define, LightElement } from "./panel.ts";
import type { Records } from "./records.ts";
import { preview } from "./tree.ts";
import { keyText } from "./versions.ts";
import { type Scrolled, scrollTo, windowOf } from "./window.ts";

const rowPx = 30;

class RecordList extends LightElement {
  static override properties: PropertyDeclarations = {
    records: { attribute: false },
    name: { attribute: false },
    /** Changes whenever the records did. */
    revision: { attribute: false },
    chosen: { attribute: false },
    scrollTopPx: { state: true },
    viewportPx: { state: true },
  };
  declare records: Records | undefined;
  declare name: string;
  declare revision: number;
  /** A position. */
  declare chosen: number;
  declare scrollTopPx: number;
  declare viewportPx: number;
  #sizes: ResizeObserver | undefined;

  constructor() {
    super();
    this.name = "";
    this.chosen = -1;
    this.scrollTopPx = 0;
    this.viewportPx = 360;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#sizes?.disconnect();
    this.#sizes = undefined;
  }

  protected override updated(changed: PropertyValues<this>): void {
    const box = this.#box;
    if (box && !this.#sizes) {
      this.#sizes = new ResizeObserver(() => (this.viewportPx = box.clientHeight || this.viewportPx));
      this.#sizes.observe(box);
    }
    if (box && changed.has("records")) box.scrollTop = 0;
    if (box && changed.has("chosen") && this.chosen >= 0) box.scrollTop = scrollTo(this.chosen, this.#scrolled);
  }

  get #box(): HTMLElement | null {
    return this.querySelector<HTMLElement>(".records");
  }

  get #scrolled(): Scrolled {
    const { viewportPx, scrollTopPx: scrollTop } = this;
    return { total: this.records?.total ?? 0, rowPx, viewportPx, scrollTop };
  }

  protected override render(): TemplateResult {
    const { heightPx, first, count, topPx } = windowOf(this.#scrolled);
    const rows = Array.from({ length: Math.max(0, count) }, (_, i) => this.#row(first + i));
    const isShown = this.chosen >= first && this.chosen < first + count;
    return html`<div
      class="records"
      role="listbox"
      tabindex="0"
      aria-label="Records of ${this.name}"
      aria-activedescendant=${isShown ? `record-${this.chosen}` : ""}
      @scroll=${(e: Event) => (this.scrollTopPx = (e.target as HTMLElement).scrollTop)}
      @keydown=${this.#pressed}
    >
      <div class="records-all" role="presentation" .style=${`height: ${heightPx}px`}>
        <div class="records-seen" role="presentation" .style=${`transform: translateY(${topPx}px)`}>${rows}</div>
      </div>
    </div>`;
  }

  #row(position: number): TemplateResult {
    const row = this.records?.at(position);
    const total = this.records?.total ?? 0;
    return html`<div
      class="record"
      role="option"
      id="record-${position}"
      aria-selected=${position === this.chosen ? "true" : "false"}
      aria-posinset=${position + 1}
      aria-setsize=${total}
      @click=${() => this.#choose(position)}
    >
      ${
        row
          ? html`<code class="record-key">${keyText(row.key)}</code
              ><span class="record-text">${preview(row.record, 160)}</span>`
          : html`<i class="record-wait" aria-hidden="true"></i>`
      }
    </div>`;
  }

  readonly #pressed = (e: KeyboardEvent): void => {
    const total = this.records?.total ?? 0;
    const page = Math.max(1, Math.floor(this.viewportPx / rowPx) - 1);
    const now = this.chosen;
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: now + 1,
      ArrowUp: now < 0 ? 0 : now - 1,
      PageDown: now + page,
      PageUp: now - page,
      Home: 0,
      End: total - 1,
    };
    const to = moves[e.key];
    if (to === undefined || total === 0) return;
    e.preventDefault();
    this.#choose(Math.min(Math.max(0, to), total - 1));
  };

  #choose(position: number): void {
    this.dispatchEvent(new CustomEvent("choose", { detail: position }));
  }
}

export const listStyles: CSSResult = css`
  .records {
    height: 360px;
    overflow: auto;
    border: 1px solid var(--line);
    border-radius: 8px;
    overscroll-behavior: contain;
  }

  .records:focus-visible {
    outline-offset: -2px;
  }

  .records-all {
    position: relative;
    overflow: hidden;
  }

  .records-seen {
    position: absolute;
    inset: 0 0 auto;
  }

  .record {
    display: flex;
    gap: 12px;
    align-items: center;
    height: ${rowPx}px;
    padding-inline: 10px;
    overflow: hidden;
    border-block-end: 1px solid var(--line);
    font-size: 13px;
    line-height: ${rowPx - 1}px;
    white-space: nowrap;
    cursor: pointer;
  }

  .record:hover {
    background: var(--sunk);
  }

  .record[aria-selected="true"] {
    background: var(--water);
    box-shadow: inset 3px 0 var(--accent);
  }

  .record-key {
    flex: none;
    max-width: 45%;
    overflow: hidden;
    text-overflow: ellipsis;
    overflow-wrap: normal;
  }

  .record-text {
    min-width: 0;
    overflow: hidden;
    color: var(--muted);
    font-family: var(--mono);
    font-size: 12px;
    text-overflow: ellipsis;
  }

  .record-wait {
    width: 60%;
    height: 10px;
    border-radius: 4px;
    background: var(--sunk);
  }
`;

define("tidemark-inspector-list", RecordList);
