/** The button that brings the inspector. Nothing else of it is in the first load. */
import { html, nothing, render } from "lit";
import { failed, loadingRows } from "./pane.ts";

const isAskedFor = (): boolean => location.hash.startsWith("#inspect=");

/** Opens it at once if the address asks for it. */
export function offerInspector(root: HTMLElement): void {
  let isOpen = false;

  const show = (body: unknown): void => {
    render(
      html`<button
          type="button"
          data-test="inspect"
          aria-expanded=${isOpen ? "true" : "false"}
          @click=${() => (isOpen ? close() : void open())}
        >
          ${isOpen ? "Close" : "Open"} the inspector</button
        >${body}`,
      root,
    );
  };

  const close = (): void => {
    isOpen = false;
    show(nothing);
    history.replaceState(history.state, "", location.pathname + location.search);
  };

  const open = async (): Promise<void> => {
    isOpen = true;
    if (!isAskedFor()) history.replaceState(history.state, "", "#inspect=typing");
    show(html`<div class="pane" role="status">${loadingRows}</div>`);
    let body: unknown;
    try {
      body = (await import("./inspector.ts")).inspector();
    } catch (e) {
      // Firefox never asks again for a module that failed to come. The reloaded page opens what its address says.
      body = failed("The inspector could not be loaded.", e, () => location.reload(), "Reload to try again");
    }
    if (isOpen) show(body);
  };

  const openIfAsked = (): void => {
    if (!isAskedFor()) return;
    void open();
    root.parentElement?.scrollIntoView();
  };

  show(nothing);
  openIfAsked();
  addEventListener("hashchange", openIfAsked);
}
