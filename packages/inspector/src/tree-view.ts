/** A value to read: a disclosure for each list and object, children a hundred at a time. */
import { css, type CSSResult, html, type PropertyDeclarations, type TemplateResult } from "lit";
import { formatCount } from "./format.ts";
import { define, LightElement } from "./panel.ts";
import { childrenOf, kindOfValue, leaf, preview, sizeOf } from "./tree.ts";

const atOnce = 100;
const mostText = 2000;

class Tree extends LightElement {
  static override properties: PropertyDeclarations = {
    name: { attribute: false },
    value: { attribute: false },
    isOpen: { state: true },
    shown: { state: true },
  };
  declare name: string;
  declare value: unknown;
  declare isOpen: boolean;
  /** Of the children, or of the characters of a text. */
  declare shown: number;

  constructor() {
    super();
    this.name = "";
    this.isOpen = false;
    this.shown = 1;
  }

  protected override render(): TemplateResult {
    const { name, value } = this;
    const label = name === "" ? "" : html`<span class="field">${name}</span>`;
    const size = sizeOf(value);
    if (size === 0) return html`<div class="leaf">${label} ${this.#leaf()}</div>`;
    const count = `${formatCount(size)} ${kindOfValue(value) === "list" ? (size === 1 ? "item" : "items") : size === 1 ? "field" : "fields"}`;
    return html`<details ?open=${this.isOpen} @toggle=${this.#toggled}>
      <summary>${label} <span class="muted">${this.isOpen ? count : preview(value, 72)}</span></summary>
      ${this.isOpen ? this.#children(size) : ""}
    </details>`;
  }

  readonly #toggled = (e: Event): void => {
    if (e.target === e.currentTarget) this.isOpen = (e.target as HTMLDetailsElement).open;
  };

  #children(size: number): TemplateResult {
    const most = this.shown * atOnce;
    return html`<div class="children">
      ${childrenOf(this.value, 0, most).map(
        (child) => html`<tidemark-inspector-tree .name=${child.name} .value=${child.value}></tidemark-inspector-tree>`,
      )}
      ${size > most ? this.#more(`${formatCount(Math.min(atOnce, size - most))} more of ${formatCount(size)}`) : ""}
    </div>`;
  }

  #leaf(): TemplateResult {
    const { value } = this;
    const most = this.shown * mostText;
    const isLong = typeof value === "string" && value.length > most;
    const text = isLong ? `${leaf(value.slice(0, most), most)}…` : leaf(value, most);
    return html`<code class="value ${kindOfValue(value)}">${text}</code> ${
        isLong ? this.#more(`More of ${formatCount(value.length)} characters`) : ""
      }`;
  }

  #more(text: string): TemplateResult {
    return html`<button type="button" class="more" @click=${() => this.shown++}>${text}</button>`;
  }
}

export const treeStyles: CSSResult = css`
  tidemark-inspector-tree {
    display: block;
    font-size: 13px;
  }

  .leaf,
  tidemark-inspector-tree summary {
    padding: 2px 0 2px 18px;
    border-radius: 4px;
    overflow-wrap: anywhere;
  }

  tidemark-inspector-tree summary {
    position: relative;
    list-style: none;
    cursor: pointer;
  }

  tidemark-inspector-tree summary::-webkit-details-marker {
    display: none;
  }

  tidemark-inspector-tree summary::before {
    position: absolute;
    inset: 8px auto auto 5px;
    border: 4px solid transparent;
    border-inline-start-color: var(--line-strong);
    border-inline-end-width: 0;
    border-inline-start-width: 6px;
    content: "";
  }

  tidemark-inspector-tree details[open] > summary::before {
    rotate: 90deg;
  }

  tidemark-inspector-tree summary .muted {
    font-family: var(--mono);
    font-size: 12px;
  }

  .field {
    margin-inline-end: 6px;
    font-weight: 550;
  }

  .children {
    margin-inline-start: 8px;
    padding-inline-start: 6px;
    border-inline-start: 1px solid var(--line);
  }

  .value {
    white-space: pre-wrap;
  }

  .value:is(.number, .flag, .time) {
    color: var(--accent);
  }

  .value:is(.nothing, .bytes, .other) {
    color: var(--muted);
  }

  .more {
    min-height: 26px;
    margin: 4px 0 4px 18px;
    padding: 1px 10px;
    font-size: 12.5px;
  }

  .leaf .more {
    margin-inline-start: 6px;
  }
`;

define("tidemark-inspector-tree", Tree);
