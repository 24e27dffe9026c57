/** Flights: from or to an airport, by delay or by date; a delay can be changed in place. */
import { html, nothing, render, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { Query } from "tidemark";
import { atlas, type AtlasView, type Flight } from "../databases.ts";
import type { Echo } from "./echo.ts";
import { CellEditor } from "./editable-cell.ts";
import { formatCount } from "../format.ts";
import { address } from "../page-address.ts";
import { stampNow } from "../stamp.ts";
import { LiveList, type Search } from "./live-list.ts";
import { flashOf, queryLine, results, rowsAtOnce } from "./pane.ts";

export interface FlightsOptions {
  readonly echo: Echo;
  onEdit(what: string, edit: Promise<unknown>): void;
}

type Order = "latest" | "punctual" | "date";
/** A flight this late or later has the longest bar. */
const fullBarMinutes = 480;
const fullBarPx = 52;

function checkDelay(value: string): string | undefined {
  const minutes = Number(value);
  const isRight = value !== "" && Number.isInteger(minutes) && Math.abs(minutes) <= 1440;
  return isRight ? undefined : "Whole minutes from -1440 to 1440, please.";
}

export class FlightsPane {
  readonly #root: HTMLElement;
  readonly #options: FlightsOptions;
  readonly #list: LiveList<Flight>;
  readonly #cells = new CellEditor(() => this.#render());
  #end: "origin" | "destination" = address.oneOf("end", ["origin", "destination"]);
  #code = address.get("airport").toUpperCase().slice(0, 3);
  #order: Order = address.oneOf("order", ["latest", "punctual", "date"]);

  constructor(root: HTMLElement, options: FlightsOptions) {
    this.#root = root;
    this.#options = options;
    this.#list = new LiveList("flights", options.echo, () => this.#render());
    this.#render();
  }

  search(limit = rowsAtOnce): Promise<void> {
    address.set("end", this.#end === "origin" ? "" : this.#end);
    address.set("airport", this.#code);
    address.set("order", this.#order === "latest" ? "" : this.#order);
    const shown = this.#list.show((view) => this.#query(view), limit);
    this.#render();
    return shown;
  }

  showFrom(code: string): void {
    this.#end = "origin";
    this.#code = code;
    void this.search();
  }

  #query(view: AtlasView): Search<Flight> {
    const flights = view.collection("flights");
    const code = this.#airport();
    const kind = this.#order === "date" ? "date" : "delay";
    const query: Query<Flight, unknown> =
      code === undefined ? flights.where(kind) : flights.where(indexNames[this.#end][kind]).startsWith([code]);
    return this.#order === "latest" ? query.reverse() : query;
  }

  #queryCode(): string {
    const code = this.#airport();
    const kind = this.#order === "date" ? "date" : "delay";
    const start =
      code === undefined
        ? `flights.where("${kind}")`
        : `flights.where("${indexNames[this.#end][kind]}").startsWith(["${code}"])`;
    return this.#order === "latest" ? `${start}.reverse()` : start;
  }

  /** The code typed, once it is whole. */
  #airport(): string | undefined {
    return this.#code.length === 3 ? this.#code : undefined;
  }

  #edit(flight: Flight, value: string): void {
    const edited = stampNow();
    const delay = Number(value);
    const what = `${flight.origin} to ${flight.destination}, ${flight.date}: delay is now ${delay} min`;
    const edit = atlas.transaction(async (tx) => {
      await tx.collection("flights").update(flight.id, { delay, edited });
      await tx.collection("pulse").put({ section: "flights", edited, what });
    });
    this.#options.onEdit(what, edit);
  }

  #render(): void {
    const { state } = this.#list;
    render(
      html`<h3>Flights</h3>
        ${this.#controls()} ${queryLine(this.#queryCode(), state, "flights")}
        ${results(state, {
          label: "Flights found",
          table: (rows) => this.#table(rows),
          empty: html`<p>
              This sample has no flight ${this.#end === "origin" ? "from" : "to"} ${this.#airport() ?? "there"}; it
              knows 220 of the larger airports.
            </p>
            <button type="button" @click=${() => this.showFrom("")}>Show all flights</button>`,
          more: () => void this.search((state.page?.rows.length ?? 0) + rowsAtOnce),
          retry: () => void this.search(),
        })}`,
      this.#root,
    );
  }

  #controls(): TemplateResult {
    return html`<form class="controls" role="search" aria-label="Flights" @submit=${(e: Event) => e.preventDefault()}>
      <label
        >Direction
        <select
          data-test="flight-end"
          .value=${this.#end}
          @change=${(e: Event) => {
            this.#end = (e.currentTarget as HTMLSelectElement).value === "origin" ? "origin" : "destination";
            void this.search();
          }}
        >
          <option value="origin">From</option>
          <option value="destination" ?selected=${this.#end === "destination"}>To</option>
        </select>
      </label>
      <label
        >Airport
        <input
          type="search"
          class="airport-code"
          data-test="flight-airport"
          placeholder="any"
          maxlength="3"
          autocomplete="off"
          autocapitalize="characters"
          spellcheck="false"
          .value=${this.#code}
          @input=${(e: Event) => {
            this.#code = (e.currentTarget as HTMLInputElement).value.toUpperCase();
            void this.search();
          }}
        />
      </label>
      <label class="grow"
        >Order
        <select
          data-test="flight-order"
          @change=${(e: Event) => {
            this.#order = (e.currentTarget as HTMLSelectElement).value as Order;
            void this.search();
          }}
        >
          <option value="latest">Most delayed first</option>
          <option value="punctual" ?selected=${this.#order === "punctual"}>Least delayed first</option>
          <option value="date" ?selected=${this.#order === "date"}>By date</option>
        </select>
      </label>
    </form>`;
  }

  #table(rows: readonly Flight[]): TemplateResult {
    return html`<table data-test="flights-table">
      <thead>
        <tr>
          <th scope="col">Date</th>
          <th scope="col">Route</th>
          <th scope="col" class="number">Miles</th>
          <th scope="col" class="number">Delay, min</th>
        </tr>
      </thead>
      <tbody>
        ${repeat(
          rows,
          (f) => f.id,
          (f) =>
            html`<tr class=${flashOf(f.edited)} data-flight=${f.id}>
              <td class="mono"><span class="year">${f.date.slice(0, 5)}</span>${f.date.slice(5)}</td>
              <td class="mono route">${f.origin}<span aria-label="to"> → </span>${f.destination}</td>
              <td class="number">${formatCount(f.distance)}</td>
              <td class="number delay">${this.#delay(f)}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  #delay(flight: Flight): TemplateResult {
    const share = Math.min(1, Math.max(0, flight.delay) / fullBarMinutes);
    return html`${this.#cells.render({
      id: `${flight.id}.delay`,
      value: String(flight.delay),
      label: `Delay of ${flight.origin} to ${flight.destination}, ${flight.date}`,
      numeric: true,
      check: checkDelay,
      save: (value) => this.#edit(flight, value),
    })}${share > 0 ? html`<i class="bar" style="width: ${(share * fullBarPx).toFixed(0)}px"></i>` : nothing}`;
  }
}

const indexNames = {
  origin: { date: "byOriginDate", delay: "byOriginDelay" },
  destination: { date: "byDestinationDate", delay: "byDestinationDelay" },
} as const;
