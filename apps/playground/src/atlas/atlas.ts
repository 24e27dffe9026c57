/** Airports and flights: imported when somebody comes near, then searched, counted and changed. */
import { onceNear } from "../in-sight.ts";
import { AirportsPane } from "./airports.ts";
import { Counts } from "./counts.ts";
import { FlightsPane } from "./flights.ts";
import { showImport } from "./import-view.ts";

export interface AtlasParts {
  readonly importing: HTMLElement;
  readonly counts: HTMLElement;
  readonly airports: HTMLElement;
  readonly flights: HTMLElement;
}

export function showAtlas(section: Element, parts: AtlasParts): void {
  const counts = new Counts(parts.counts);
  const onEdit = (what: string, edit: Promise<unknown>): void => void counts.edited(what, edit);
  const flights = new FlightsPane(parts.flights, { echo: counts.echo, onEdit });
  const airports = new AirportsPane(parts.airports, {
    echo: counts.echo,
    onEdit,
    onState: (state) => counts.setState(state),
    onCode: (code) => flights.showFrom(code),
  });
  counts.setState(airports.state);
  onceNear(section, () => {
    void showImport(parts.importing, () => {
      // What is looked at comes before what has to be counted through.
      void Promise.all([airports.search(), flights.search()]).then(() => counts.start());
    });
  });
}
