/** The element: a tab for each panel, and the looking, which goes on only while somebody can see it. */
import {
  type CSSResult,
  html,
  LitElement,
  type PropertyDeclarations,
  type PropertyValues,
  type TemplateResult,
} from "lit";
import { isTidemarkError } from "tidemark";
import { browserStyles } from "./browser.ts";
import { chainStyles } from "./chain.ts";
import { chartStyles } from "./chart.ts";
import type { InspectedDatabase } from "./database.ts";
import { figures } from "./figures.ts";
import { floorStyles } from "./floor.ts";
import { formatCount, formatDuration } from "./format.ts";
import { gcStyles } from "./gc.ts";
import { type Extra, Inspection } from "./inspection.ts";
import { liveStyles } from "./live.ts";
import { overviewStyles } from "./overview.ts";
import { empty, failure, type Panel, type PanelName } from "./panel.ts";
import { listStyles } from "./record-list.ts";
import { storageStyles } from "./storage.ts";
import { frame, shared } from "./styles.ts";
import { treeStyles } from "./tree-view.ts";

const panels: readonly (readonly [name: PanelName, title: string])[] = [
  ["overview", "Overview"],
  ["records", "Records"],
  ["floor", "Floor"],
  ["gc", "GC"],
  ["storage", "Storage"],
  ["live", "Live"],
];
const extras: Partial<Record<PanelName, readonly Extra[]>> = { floor: ["advances"], gc: ["executions"] };

/**
 * `<tidemark-inspector>` shows what a database holds, and why. Give it an open database as its property `database`; the
 * attributes `theme` ("light" or "dark", else as the browser prefers) and `panel` are optional.
 */
export class TidemarkInspector extends LitElement {
  static override properties: PropertyDeclarations = {
    database: { attribute: false },
    panel: { reflect: true },
    theme: { reflect: true },
    revision: { state: true },
  };
  static override styles: CSSResult[] = [
    shared,
    figures,
    frame,
    overviewStyles,
    listStyles,
    browserStyles,
    treeStyles,
    chainStyles,
    chartStyles,
    floorStyles,
    gcStyles,
    storageStyles,
    liveStyles,
  ];
  /** An open database. */
  declare database: InspectedDatabase | undefined;
  /** Which panel is shown; "overview" at first. */
  declare panel: PanelName;
  declare theme: "light" | "dark" | undefined;
  declare revision: number;
  #inspection: Inspection | undefined;
  #isInSight = false;
  /** Panels that were shown once stay, as they were left. */
  readonly #elements = new Map<PanelName, Panel>();
  #sight: IntersectionObserver | undefined;
  readonly #scheme = globalThis.matchMedia?.("(prefers-color-scheme: dark)");

  constructor() {
    super();
    this.panel = "overview";
    this.revision = 0;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#sight = new IntersectionObserver(([entry]) => {
      this.#isInSight = entry?.isIntersecting ?? false;
      this.#watch();
    });
    this.#sight.observe(this);
    document.addEventListener("visibilitychange", this.#watch);
    this.#scheme?.addEventListener("change", this.#changed);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#sight?.disconnect();
    document.removeEventListener("visibilitychange", this.#watch);
    this.#scheme?.removeEventListener("change", this.#changed);
    this.#isInSight = false;
    this.#watch();
  }

  readonly #changed = (): void => void this.revision++;

  readonly #watch = (): void => {
    if (this.#isInSight && !document.hidden) this.#inspection?.start();
    else this.#inspection?.stop();
  };

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("database")) {
      this.#inspection?.stop();
      this.#inspection = this.database && new Inspection(this.database, this.#changed);
      this.#elements.clear();
      this.#watch();
    }
    if (!panels.some(([name]) => name === this.panel)) this.panel = "overview";
    const inspection = this.#inspection;
    if (!inspection) return;
    inspection.extras = new Set(extras[this.panel]);
    if (changed.has("panel") && this.hasUpdated) inspection.look();
    if (!this.#elements.has(this.panel)) {
      this.#elements.set(this.panel, document.createElement(`tidemark-inspector-${this.panel}`) as Panel);
    }
    const { sample, error } = inspection;
    for (const [name, element] of this.#elements) {
      Object.assign(element, { inspection, sample, error, isActive: name === this.panel });
    }
  }

  protected override render(): TemplateResult {
    const inspection = this.#inspection;
    if (!inspection) {
      return html`<div class="nothing">
        ${empty("No database", "Set this element's property “database” to an open Tidemark database.")}
      </div>`;
    }
    const { error } = inspection;
    return html`<header class="top">
        <h2 id="name">${inspection.database.name}</h2>
        <p data-test="position">${position(inspection)}</p>
      </header>
      <div role="tablist" aria-labelledby="name" @keydown=${this.#pressed}>
        ${panels.map((panel) => this.#tab(...panel))}
      </div>
      ${error === undefined ? "" : html`<div class="alert">${alert(inspection)}</div>`}
      ${panels.filter(([name]) => this.#elements.has(name)).map(([name]) => this.#panel(name))}
      <footer data-test="cost">
        ${cost(inspection)}${this.panel === "records" ? " Records in sight are read besides." : ""}
      </footer>`;
  }

  #tab(name: PanelName, title: string): TemplateResult {
    const isShown = name === this.panel;
    return html`<button
      type="button"
      role="tab"
      id="tab-${name}"
      aria-selected=${isShown ? "true" : "false"}
      aria-controls=${this.#elements.has(name) ? `panel-${name}` : ""}
      tabindex=${isShown ? 0 : -1}
      @click=${() => (this.panel = name)}
    >
      ${title}
    </button>`;
  }

  #panel(name: PanelName): TemplateResult {
    const isShown = name === this.panel;
    return html`<div role="tabpanel" id="panel-${name}" aria-labelledby="tab-${name}" tabindex="0" ?hidden=${!isShown}>
      ${this.#elements.get(name)}
    </div>`;
  }

  readonly #pressed = (e: KeyboardEvent): void => {
    const now = panels.findIndex(([name]) => name === this.panel);
    const moves: Readonly<Record<string, number>> = {
      ArrowRight: now + 1,
      ArrowLeft: now - 1,
      Home: 0,
      End: panels.length - 1,
    };
    const to = moves[e.key];
    if (to === undefined) return;
    e.preventDefault();
    const [name] = panels[(to + panels.length) % panels.length]!;
    this.panel = name;
    this.renderRoot.querySelector<HTMLElement>(`#tab-${name}`)?.focus();
  };
}

function position({ sample }: Inspection): string {
  if (!sample) return "Looking…";
  const { head, floor } = sample.explanation;
  return `head ${formatCount(head)}, floor ${formatCount(floor)}`;
}

function alert(inspection: Inspection): TemplateResult {
  const { error, sample } = inspection;
  if (isTidemarkError(error, "CLOSED")) {
    const text = sample ? "What is shown is what was seen last." : "";
    return html`<div class="failure" role="alert">
      <p><b>The database is closed.</b> ${text}</p>
    </div>`;
  }
  const what = sample ? "The last look failed; what is shown is older." : "The database could not be read.";
  return failure(what, error, () => inspection.look());
}

function cost(inspection: Inspection): string {
  const { calls, watchedMs, answerMs } = inspection.cost;
  if (!inspection.isWatching || watchedMs < 1) return "Not looking.";
  const perSecond = ((calls / Math.max(1000, watchedMs)) * 1000).toFixed(1);
  const answers = answerMs > 0 ? `, answered within ${formatDuration(answerMs)}` : "";
  return `Looking takes ${perSecond} calls a second${answers}. Out of sight it stops.`;
}
