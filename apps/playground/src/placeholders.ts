/** What stands where there is nothing to show: yet, or because something failed. */
import { html, type TemplateResult } from "lit";
import { messageOf } from "./format.ts";

export const loadingRows = html`<div class="skeleton" aria-label="Loading">
  ${Array.from({ length: 11 }, () => html`<i></i>`)}
</div>`;

export function failed(what: string, error: unknown, retry: () => void, label = "Try again"): TemplateResult {
  return html`<div class="failure" role="alert">
    <p><b>${what}</b> ${messageOf(error)}</p>
    <button type="button" @click=${retry}>${label}</button>
  </div>`;
}
