/** A table cell that shows a value and, pressed, lets it be changed in place. */
import { html, type TemplateResult } from "lit";
import { ref } from "lit/directives/ref.js";

export interface CellOptions {
  /** Unique in the page, for example "ABE.name". */
  readonly id: string;
  readonly value: string;
  /** Tells the field and the record apart for who cannot see the table. */
  readonly label: string;
  /** Offered instead of a text field. */
  readonly choices?: readonly (readonly [value: string, text: string])[];
  readonly numeric?: boolean;
  /** What is wrong with a value, if anything. */
  check?(value: string): string | undefined;
  save(value: string): void;
}

// Stable, so that it runs once for each field that appears.
const focusField = (element?: Element): void => {
  if (element instanceof HTMLInputElement) queueMicrotask(() => element.select());
  else if (element instanceof HTMLSelectElement) queueMicrotask(() => element.focus());
};

export class CellEditor {
  readonly #rerender: () => void;
  #editing: string | undefined;

  constructor(rerender: () => void) {
    this.#rerender = rerender;
  }

  render(cell: CellOptions): TemplateResult {
    return this.#editing === cell.id ? this.#field(cell) : this.#button(cell);
  }

  #button({ id, value, label }: CellOptions): TemplateResult {
    return html`<button
      type="button"
      class="cell"
      data-cell=${id}
      aria-label="${label}: ${value}. Edit"
      @click=${() => this.#edit(id)}
    >
      ${value}
    </button>`;
  }

  #field(cell: CellOptions): TemplateResult {
    const finish = (element: HTMLInputElement | HTMLSelectElement, refocus: boolean): void =>
      this.#finish(cell, element, refocus);
    if (cell.choices) {
      return html`<select
        class="cell-field"
        data-test="cell-field"
        aria-label=${cell.label}
        ${ref(focusField)}
        @change=${(e: Event) => finish(e.currentTarget as HTMLSelectElement, true)}
        @keydown=${(e: KeyboardEvent) => this.#keydown(e, cell)}
        @blur=${() => this.#leave(cell.id, false)}
      >
        ${cell.choices.map(([v, text]) => html`<option value=${v} ?selected=${v === cell.value}>${text}</option>`)}
      </select>`;
    }
    return html`<input
      class="cell-field"
      data-test="cell-field"
      aria-label=${cell.label}
      inputmode=${cell.numeric ? "numeric" : "text"}
      autocomplete="off"
      .value=${cell.value}
      ${ref(focusField)}
      @keydown=${(e: KeyboardEvent) => this.#keydown(e, cell)}
      @input=${(e: Event) => (e.currentTarget as HTMLInputElement).setCustomValidity("")}
      @blur=${(e: Event) => finish(e.currentTarget as HTMLInputElement, false)}
    />`;
  }

  #keydown(e: KeyboardEvent, cell: CellOptions): void {
    if (e.key === "Escape") this.#leave(cell.id, true);
    else if (e.key === "Enter" && e.currentTarget instanceof HTMLInputElement) {
      e.preventDefault();
      this.#finish(cell, e.currentTarget, true);
    }
  }

  #finish(cell: CellOptions, element: HTMLInputElement | HTMLSelectElement, refocus: boolean): void {
    // Taking the field away makes it lose focus, which comes back here.
    if (this.#editing !== cell.id) return;
    const value = element.value.trim();
    const wrong = cell.check?.(value);
    if (wrong !== undefined && refocus) {
      element.setCustomValidity(wrong);
      element.reportValidity();
      return;
    }
    this.#leave(cell.id, refocus);
    if (wrong === undefined && value !== cell.value) cell.save(value);
  }

  #edit(id: string): void {
    this.#editing = id;
    this.#rerender();
  }

  #leave(id: string, refocus: boolean): void {
    if (this.#editing !== id) return;
    this.#editing = undefined;
    this.#rerender();
    if (refocus) document.querySelector<HTMLElement>(`[data-cell="${CSS.escape(id)}"]`)?.focus();
  }
}
