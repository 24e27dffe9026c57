/** Airports: found by state and by how their name or city begins; name, city and state can be changed in place. */
import { html, render, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { type Airport, atlas, type AtlasView } from "../databases.ts";
import { named } from "./dataset.ts";
import { address } from "../page-address.ts";
import { stampNow } from "../stamp.ts";
import type { Echo } from "./echo.ts";
import { CellEditor } from "./editable-cell.ts";
import { LiveList, type Search } from "./live-list.ts";
import { flashOf, queryLine, results, rowsAtOnce } from "./pane.ts";
import { states } from "./states.ts";

export interface AirportsOptions {
  readonly echo: Echo;
  /** Another state was chosen; "" for all. */
  onState(state: string): void;
  /** An airport's code was pressed. */
  onCode(code: string): void;
  /** Reports an edit of this tab. */
  onEdit(what: string, edit: Promise<unknown>): void;
}

type Field = "name" | "city" | "state";

const required = (value: string): string | undefined => (value === "" ? "It needs a text." : undefined);

export class AirportsPane {
  readonly #root: HTMLElement;
  readonly #options: AirportsOptions;
  readonly #list: LiveList<Airport>;
  readonly #cells = new CellEditor(() => this.#render());
  #state = states.some(([code]) => code === address.get("state")) ? address.get("state") : "";
  #by: "name" | "city" = address.oneOf("by", ["name", "city"]);
  #prefix = address.get("prefix");

  constructor(root: HTMLElement, options: AirportsOptions) {
    this.#root = root;
    this.#options = options;
    this.#list = new LiveList("airports", options.echo, () => this.#render());
    this.#render();
  }

  get state(): string {
    return this.#state;
  }

  /** Shows what the controls ask for, from now on. Resolves when it is there. */
  search(limit = rowsAtOnce): Promise<void> {
    address.set("state", this.#state);
    address.set("by", this.#by === "name" ? "" : this.#by);
    address.set("prefix", this.#prefix);
    const shown = this.#list.show((view) => this.#query(view), limit);
    this.#render();
    return shown;
  }

  #query(view: AtlasView): Search<Airport> {
    const airports = view.collection("airports");
    const [state, prefix] = [this.#state, this.#prefix.toLowerCase()];
    if (state === "") return airports.where(`${this.#by}Lower`).startsWith(prefix);
    const index = airports.where(this.#by === "name" ? "byStateName" : "byStateCity");
    return prefix === "" ? index.startsWith([state]) : index.between([state, prefix], [state, `${prefix}\uffff`]);
  }

  #code(): string {
    const [state, prefix] = [JSON.stringify(this.#state), this.#prefix.toLowerCase()];
    const by = this.#by === "name" ? "Name" : "City";
    if (this.#state === "")
      return prefix === ""
        ? `airports.where("${this.#by}Lower")`
        : `airports.where("${this.#by}Lower").startsWith(${JSON.stringify(prefix)})`;
    if (prefix === "") return `airports.where("byState${by}").startsWith([${state}])`;
    return `airports.where("byState${by}").between([${state}, ${JSON.stringify(prefix)}], [${state}, ${JSON.stringify(`${prefix}\\uffff`).replace("\\\\", "\\")}])`;
  }

  #edit(airport: Airport, field: Field, value: string): void {
    const edited = stampNow();
    const what = `${airport.iata}: ${field} is now “${value}”`;
    const change =
      field === "state"
        ? { state: value }
        : named(field === "name" ? value : airport.name, field === "city" ? value : airport.city);
    const edit = atlas.transaction(async (tx) => {
      await tx.collection("airports").update(airport.iata, { ...change, edited });
      await tx.collection("pulse").put({ section: "airports", edited, what });
    });
    this.#options.onEdit(what, edit);
  }

  #render(): void {
    const { state } = this.#list;
    render(
      html`<h3>Airports</h3>
        ${this.#controls()} ${queryLine(this.#code(), state, "airports")}
        ${results(state, {
          label: "Airports found",
          table: (rows) => this.#table(rows),
          empty: html`<p>No airport here has a ${this.#by} that begins with “${this.#prefix}”.</p>
            <button type="button" @click=${() => this.#clear()}>Show all airports</button>`,
          more: () => void this.search((state.page?.rows.length ?? 0) + rowsAtOnce),
          retry: () => void this.search(),
        })}`,
      this.#root,
    );
  }

  #clear(): void {
    this.#prefix = "";
    this.#setState("");
  }

  #setState(state: string): void {
    this.#state = state;
    this.#options.onState(state);
    void this.search();
  }

  #controls(): TemplateResult {
    return html`<form class="controls" role="search" aria-label="Airports" @submit=${(e: Event) => e.preventDefault()}>
      <label class="grow"
        >State
        <select
          data-test="airport-state"
          .value=${this.#state}
          @change=${(e: Event) => this.#setState((e.currentTarget as HTMLSelectElement).value)}
        >
          <option value="">All states</option>
          ${states.map(([code, name]) => html`<option value=${code} ?selected=${code === this.#state}>${name}</option>`)}
        </select>
      </label>
      <label
        >Look at
        <select
          data-test="airport-by"
          @change=${(e: Event) => {
            this.#by = (e.currentTarget as HTMLSelectElement).value === "city" ? "city" : "name";
            void this.search();
          }}
        >
          <option value="name">Name</option>
          <option value="city" ?selected=${this.#by === "city"}>City</option>
        </select>
      </label>
      <label class="grow"
        >Begins with
        <input
          type="search"
          data-test="airport-prefix"
          placeholder="any letters"
          autocomplete="off"
          .value=${this.#prefix}
          @input=${(e: Event) => {
            this.#prefix = (e.currentTarget as HTMLInputElement).value;
            void this.search();
          }}
        />
      </label>
    </form>`;
  }

  #table(rows: readonly Airport[]): TemplateResult {
    return html`<table data-test="airports-table">
      <thead>
        <tr>
          <th scope="col">Code</th>
          <th scope="col">Name</th>
          <th scope="col">City</th>
          <th scope="col"><abbr title="State">St.</abbr></th>
        </tr>
      </thead>
      <tbody>
        ${repeat(
          rows,
          (a) => a.iata,
          (a) =>
            html`<tr class=${flashOf(a.edited)} data-iata=${a.iata}>
              <td>
                <button
                  type="button"
                  class="code"
                  title="Flights from ${a.iata}"
                  aria-label="Flights from ${a.iata}"
                  @click=${() => this.#options.onCode(a.iata)}
                >
                  ${a.iata}
                </button>
              </td>
              <td>${this.#cell(a, "name")}</td>
              <td>${this.#cell(a, "city")}</td>
              <td>${this.#cell(a, "state")}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  #cell(airport: Airport, field: Field): TemplateResult {
    return this.#cells.render({
      id: `${airport.iata}.${field}`,
      value: airport[field],
      label: `${field} of ${airport.iata}`,
      check: required,
      save: (value) => this.#edit(airport, field, value),
      ...(field === "state" && { choices: states.map(([code]) => [code, code] as const) }),
    });
  }
}
