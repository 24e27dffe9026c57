import { TidemarkInspector } from "./inspector.ts";
import { define } from "./panel.ts";

export type { InspectedCollection, InspectedDatabase, InspectedQuery } from "./database.ts";
export type { PanelName } from "./panel.ts";
export { TidemarkInspector } from "./inspector.ts";

declare global {
  interface HTMLElementTagNameMap {
    "tidemark-inspector": TidemarkInspector;
  }
}

define("tidemark-inspector", TidemarkInspector);
