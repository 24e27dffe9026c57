/**
 * What all panels have in common: they look at an inspection, in the light DOM of the inspector.
 * Where one sets a style it does so by the property: a strict content security policy refuses the attribute.
 */
import { html, LitElement, type PropertyDeclarations, type TemplateResult } from "lit";
import type { InspectedDatabase } from "./database.ts";
import { messageOf } from "./format.ts";
import type { Extra, Inspection, Sample } from "./inspection.ts";

export type PanelName = "overview" | "records" | "floor" | "gc" | "storage" | "live";

/** Lies in the light DOM of the inspector, whose styles it shares. */
export abstract class LightElement extends LitElement {
  protected override createRenderRoot(): this {
    return this;
  }
}

export abstract class Panel extends LightElement {
  static override properties: PropertyDeclarations = {
    inspection: { attribute: false },
    sample: { attribute: false },
    error: { attribute: false },
    isActive: { attribute: false },
  };
  /** What it wants to be asked for while it is in sight. */
  static readonly extras: readonly Extra[] = [];
  declare inspection: Inspection | undefined;
  declare sample: Sample | undefined;
  declare error: unknown;
  declare isActive: boolean;

  constructor() {
    super();
    this.isActive = false;
  }

  /** Out of sight it stays as it is. */
  protected override shouldUpdate(): boolean {
    return this.isActive || !this.hasUpdated;
  }

  protected get database(): InspectedDatabase | undefined {
    return this.inspection?.database;
  }

  protected override render(): unknown {
    const { sample, inspection } = this;
    if (sample && inspection) return this.show(sample, inspection);
    return this.error === undefined ? skeleton() : "";
  }

  protected abstract show(sample: Sample, inspection: Inspection): TemplateResult;
}

export const skeleton = (rows = 9): TemplateResult =>
  html`<div class="skeleton" role="status" aria-label="Loading">
    ${Array.from({ length: rows }, () => html`<i></i>`)}
  </div>`;

export const failure = (what: string, error: unknown, retry?: () => void): TemplateResult =>
  html`<div class="failure" role="alert">
    <p><b>${what}</b> ${messageOf(error)}</p>
    ${retry ? html`<button type="button" @click=${retry}>Try again</button>` : ""}
  </div>`;

export const empty = (title: string, text: unknown): TemplateResult =>
  html`<div class="empty"><b>${title}</b><span>${text}</span></div>`;

/** Defines an element of this package, once per page. */
export function define(name: string, element: CustomElementConstructor): void {
  if (!customElements.get(name)) customElements.define(name, element);
}
