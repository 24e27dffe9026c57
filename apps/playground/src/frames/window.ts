/** A tab's frame under a bar that says what it is. */
import { html, type TemplateResult } from "lit";

interface WindowContents {
  readonly title: string;
  readonly note: string;
  /** The frame, or what stands in its place. */
  readonly body: HTMLElement | TemplateResult;
  readonly actions?: TemplateResult;
  readonly test?: string;
}

export const windowCard = ({ title, note, body, actions, test = "" }: WindowContents): TemplateResult =>
  html`<article class="window" data-test=${test}>
    <header>
      <h3>${title}</h3>
      <p>${note}</p>
      ${actions}
    </header>
    <div class="window-body">${body}</div>
  </article>`;
