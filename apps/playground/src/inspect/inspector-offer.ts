/** The button that brings the inspector. Nothing else of it is in the first load. */
import { html, nothing, render } from "lit";
import { address, reload } from "../page-address.ts";
import { failed, loadingRows } from "../placeholders.ts";

/** Opens it at once if the address asks for it, as `?inspect=typing.floor` does. */
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
    address.set("inspect", "");
  };

  const open = async (): Promise<void> => {
    isOpen = true;
    if (address.get("inspect") === "") address.set("inspect", "typing");
    show(html`<div class="pane" role="status">${loadingRows}</div>`);
    let body: unknown;
    try {
      body = (await import("./inspector.ts")).inspector();
    } catch (e) {
      // Firefox never asks again for a module that failed to come. The reloaded page opens what its address says.
      body = failed("The inspector could not be loaded.", e, reload, "Reload to try again");
    }
    if (isOpen) show(body);
  };

  show(nothing);
  if (address.get("inspect") !== "") void open();
}
