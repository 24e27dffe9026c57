/**
 * The demo page: wires its sections together.
 *
 * What tests and other programs may hold on to (`data-test` unless said otherwise):
 *
 *   import             state of the first import; has `data-done` when the data is there; within it
 *   import-records, import-time, import-rate
 *   count-airports, count-flights, count-delayed      live counts
 *   tab-latency        median of how long edits of other tabs took to be seen here; last-latency, news: the last one
 *   second-tab         (id) link that opens this page again
 *   airport-state, airport-by, airport-prefix         search; airports-total, airports-result: what was found
 *   airports-table     rows have `data-iata`; a cell's button has `data-cell`, for example "ABE.name"
 *   flight-end, flight-airport, flight-order          search; flights-total, flights-result
 *   flights-table      rows have `data-flight`; a delay's button has `data-cell`, for example "17.delay"
 *   cell-field         the field of the cell being edited
 *   draft-text         the document of one's own; draft-last, draft-median, draft-commits, draft-arrival
 *   replay-limit, replay-pace, replay-start, replay-pause, replay-stop
 *   replay-commits, replay-rate, replay-versions, replay-factor, replay-naive, replay-held
 *   replay-text        the text around the caret; replay-verdict has `data-equal` at the end
 *   inspect, inspect-database        opens and closes the inspector, which has names of its own within it
 *   checkpoint, delete, delete-yes, delete-no, panel-message, log-level
 *   atlas-…, typing-…  figures of the two databases: upkeep, head, checkpoint, log-entries, log-bytes, blocks,
 *                      block-bytes, versions
 *   banner             (id) what ended the page's work, with a button to reload
 */
import { html, render } from "lit";
import { AirportsPane } from "./airports.ts";
import { Counts } from "./counts.ts";
import { atlas, typing } from "./databases.ts";
import { Draft } from "./draft.ts";
import { FlightsPane } from "./flights.ts";
import { messageOf } from "./format.ts";
import { showImport } from "./import-view.ts";
import { offerInspector } from "./inspector-offer.ts";
import { Panel } from "./panel.ts";
import { ReplayView } from "./replay-view.ts";
import { Sampler } from "./sampler.ts";

function part(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no element #${id}`);
  return element;
}

const sampler = new Sampler();
let isDeleting = false;

const counts = new Counts(part("counts"));
const onEdit = (what: string, edit: Promise<unknown>): void => void counts.edited(what, edit);
const flights = new FlightsPane(part("flights"), { echo: counts.echo, onEdit });
const airports = new AirportsPane(part("airports"), {
  echo: counts.echo,
  onEdit,
  onState: (state) => counts.setState(state),
  onCode: (code) => flights.showFrom(code),
});
const draft = new Draft(part("draft"));
new ReplayView(part("replay"), part("replay-text")).watch(sampler);
offerInspector(part("inspector"));
const panel = new Panel(part("panel"), sampler, () => (isDeleting = true));

function ended(title: string, text: string): void {
  sampler.stop();
  render(
    html`<p><b>${title}</b> ${text}</p>
      <button type="button" @click=${() => location.reload()}>Reload</button>`,
    part("banner"),
  );
}

for (const database of [atlas, typing]) {
  database.on("error", (e) => panel.say(messageOf(e)));
  database.on("closed", ({ reason }) => {
    if (isDeleting) return;
    if (reason === "deleted") ended("The data was deleted in another tab.", "Reload to import it again.");
    else ended("The database has closed.", reason);
  });
}

async function start(): Promise<void> {
  const importing = showImport(part("import"), () => {
    // What is looked at comes before what has to be counted through.
    void Promise.all([airports.search(), flights.search()]).then(() => counts.start());
  });
  draft.start();
  await Promise.all([atlas.open(), typing.open()]);
  sampler.start((e) => panel.say(messageOf(e)));
  await importing;
}

start().catch((e: unknown) => ended("The database could not be opened.", messageOf(e)));
