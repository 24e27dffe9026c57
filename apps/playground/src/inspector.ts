/** The inspector on a database of this page. The address says on which, and what it shows: `#inspect=typing/floor`. */
import "@tidemark/inspector";
import type { PanelName } from "@tidemark/inspector";
import { html, type TemplateResult } from "lit";
import { atlas, typing } from "./databases.ts";

const databases = { typing, atlas };
type Choice = keyof typeof databases;

export function inspector(): TemplateResult {
  const [asked, panel] = location.hash.replace("#inspect=", "").split("/", 2);
  let choice: Choice = asked === "atlas" ? "atlas" : "typing";
  const element = document.createElement("tidemark-inspector");
  element.database = databases[choice];
  if (panel) element.panel = panel as PanelName; // one that it does not know is "overview" to it

  const tellAddress = (): void =>
    history.replaceState(history.state, "", `#inspect=${choice}/${element.getAttribute("panel")}`);
  new MutationObserver(tellAddress).observe(element, { attributeFilter: ["panel"] });

  return html`<label
      >Database
      <select
        data-test="inspect-database"
        .value=${choice}
        @change=${(e: Event) => {
          choice = (e.currentTarget as HTMLSelectElement).value as Choice;
          element.database = databases[choice];
          tellAddress();
        }}
      >
        <option value="typing">Typing</option>
        <option value="atlas">Airports</option>
      </select></label
    >${element}`;
}
