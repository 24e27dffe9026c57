/** Two tabs on one document, side by side. */
import { html, render } from "lit";
import { Frame } from "../frames/frame.ts";
import { windowCard } from "../frames/window.ts";

export function showTwoTabs(root: HTMLElement): void {
  const tabs = ["Tab 1", "Tab 2"].map((title) => {
    const { element } = new Frame(`${title}: a document`, { role: "draft" }, () => undefined);
    return windowCard({ title, note: "own page, own handle, own worker", body: element });
  });
  render(html`<div class="windows">${tabs}</div>`, root);
}
