/** The inspector on a database of this page. The address says on which, and what it shows: `?inspect=typing.floor`. */
import "@tidemark/inspector";
import type { PanelName } from "@tidemark/inspector";
import { html, type TemplateResult } from "lit";
import { atlas, typing } from "../databases.ts";
import { held } from "../hold/database.ts";
import { address } from "../page-address.ts";

const databases = { typing, atlas, held };
type Choice = keyof typeof databases;
const titles: Readonly<Record<Choice, string>> = { typing: "Typing", atlas: "Airports", held: "Held back" };

export function inspector(): TemplateResult {
  const [asked = "", panel] = address.get("inspect").split(".", 2);
  let choice: Choice = Object.keys(databases).find((name): name is Choice => name === asked) ?? "typing";
  const element = document.createElement("tidemark-inspector");
  element.database = databases[choice];
  if (panel) element.panel = panel as PanelName; // one that it does not know is "overview" to it

  const tellAddress = (): void => address.set("inspect", `${choice}.${element.getAttribute("panel")}`);
  new MutationObserver(tellAddress).observe(element, { attributeFilter: ["panel"] });

  return html`<label
      >Database
      <select
        data-test="inspect-database"
        @change=${(e: Event) => {
          choice = (e.currentTarget as HTMLSelectElement).value as Choice;
          element.database = databases[choice];
          tellAddress();
        }}
      >
        ${Object.entries(titles).map(
          ([name, title]) => html`<option value=${name} ?selected=${name === choice}>${title}</option>`,
        )}
      </select></label
    >${element}`;
}
