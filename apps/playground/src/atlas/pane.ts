/** What the two result lists have in common: their states, and the line that tells which query was run. */
import { html, nothing, type TemplateResult } from "lit";
import { formatCount, formatDuration } from "../format.ts";
import { failed, loadingRows } from "../placeholders.ts";
import type { ListState } from "./live-list.ts";
import { isFromAnotherTab, sharedNow, type Stamp } from "../stamp.ts";

/** Rows shown at first, and added by each press of "Show more". */
export const rowsAtOnce = 40;
const flashMs = 2500;

/** A row just changed by another tab; two names by turns, so that a second change flashes again. */
export function flashOf(edited: Stamp | undefined): string {
  if (!edited || !isFromAnotherTab(edited) || sharedNow() - edited.at > flashMs) return "";
  return Math.floor(edited.at) % 2 === 0 ? "flash-even" : "flash-odd";
}

/** The call as a program would write it, and what came of it. */
export function queryLine<T>(code: string, { page }: ListState<T>, what: string): TemplateResult {
  const [before = "", index, after = ""] = code.split(/("by\w+"|"\w+Lower"|"date"|"delay")/, 3);
  const shown = page && page.rows.length < page.total ? `${formatCount(page.rows.length)} of ` : "";
  return html`<div class="query">
    <code>${before}${index ? html`<b>${index}</b>` : nothing}${calls(after)}</code>
    <span class="query-result" data-test="${what}-result"
      >${
        page
          ? html`${shown}<span data-test="${what}-total">${formatCount(page.total)}</span> found in
              ${formatDuration(page.tookMs)}`
          : "…"
      }</span
    >
  </div>`;
}

/** Lets a line break before a call or a bound rather than within a word. */
const calls = (code: string): TemplateResult[] => code.split(/(?=\.[a-z]|\[)/).map((call) => html`<wbr />${call}`);

interface ListTemplate<T> {
  readonly label: string;
  readonly table: (rows: readonly T[]) => TemplateResult;
  readonly empty: TemplateResult;
  readonly more: () => void;
  readonly retry: () => void;
}

export function results<T>(state: ListState<T>, list: ListTemplate<T>): TemplateResult {
  return html`<div class="scroll" role="region" aria-label=${list.label} tabindex="0">${contents(state, list)}</div>`;
}

function contents<T>({ page, error }: ListState<T>, list: ListTemplate<T>): TemplateResult {
  if (error !== undefined) return failed("This list could not be read.", error, list.retry);
  if (!page) return loadingRows;
  if (page.total === 0) return html`<div class="empty">${list.empty}</div>`;
  const isMore = page.rows.length < page.total;
  return html`${list.table(page.rows)}
  ${isMore ? html`<button type="button" class="more" @click=${list.more}>Show ${rowsAtOnce} more</button>` : nothing}`;
}
