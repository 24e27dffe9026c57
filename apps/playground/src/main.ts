/**
 * The demo page: wires its sections together.
 *
 * What tests and other programs may hold on to (`data-test` unless said otherwise):
 *
 *   draft-text         in each of the two frames of the first section: the document; draft-last, draft-median,
 *                      draft-commits, draft-arrival
 *   replay-limit, replay-pace, replay-scale, replay-start, replay-pause, replay-stop
 *   replay-commits, replay-rate, replay-versions, replay-factor, replay-naive, replay-expected, replay-held
 *   replay-text        the text around the caret; replay-verdict has `data-equal` at the end
 *   kill-open, kill, kill-A, kill-B, kill-told, kill-found; kill-verdict has `data-lost` at the end
 *   hold-kind, hold-start, hold-release, hold-edits, blame, hold-verdict; hold-bytes has `data-bytes`
 *   race-start, race-stop, race-durability; rows have `data-work`, times `data-who`; race-verdict has `data-over`
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
 *   stress-size, stress-start, stress-stop, stress-empty, stress-persist, stress-written, stress-frame, stress-verdict;
 *                      stress-bytes has `data-bytes`
 *   neighbour-open; neighbour-1 and so on: a tab, in it freeze (or wake), evict, kill-neighbour, holds; in its frame
 *                      commits, seen
 *   own-drop, own-file, own-sample, own-cancel, own-forget, own-search, own-count, own-table, own-verdict
 *   inspect, inspect-database        opens and closes the inspector, which has names of its own within it
 *   checkpoint, delete, delete-yes, delete-no, panel-message, log-level
 *   atlas-…, typing-…  figures of the two databases: upkeep, head, checkpoint, log-entries, log-bytes, blocks,
 *                      block-bytes, versions
 *   banner             (id) what ended the page's work, with a button to reload
 */
import { html, render } from "lit";
import { showAtlas } from "./atlas/atlas.ts";
import { atlas, typing } from "./databases.ts";
import { messageOf } from "./format.ts";
import { HoldView } from "./hold/hold.ts";
import { offerInspector } from "./inspect/inspector-offer.ts";
import { Kill } from "./kill/kill.ts";
import { RaceView } from "./race/race-view.ts";
import { NeighboursView } from "./neighbours/neighbours-view.ts";
import { OwnView } from "./own/own-view.ts";
import { keepOffline } from "./offline.ts";
import { reload } from "./page-address.ts";
import { ReplayView } from "./replay/replay-view.ts";
import { followSections } from "./sections.ts";
import { StressView } from "./stress/stress-view.ts";
import { Panel } from "./surface/panel.ts";
import { Sampler } from "./surface/sampler.ts";
import { showTwoTabs } from "./tabs/two-tabs.ts";

function part(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no element #${id}`);
  return element;
}

const samplers = { atlas: new Sampler(atlas), typing: new Sampler(typing) };
let isDeleting = false;

showTwoTabs(part("two-tabs"));
new ReplayView(part("replay-controls"), part("replay-text"), samplers.typing).show();
new Kill(part("kill-tabs")).show();
new HoldView(part("hold-level")).show();
new RaceView(part("race-track")).show();
showAtlas(part("atlas"), {
  importing: part("import"),
  counts: part("counts"),
  airports: part("airports"),
  flights: part("flights"),
});
new StressView(part("stress-figures")).show();
new NeighboursView(part("neighbours-tabs")).show();
new OwnView(part("own-records")).show();
const panel = new Panel(part("panel"), samplers, () => (isDeleting = true));
offerInspector(part("inspector"));

function ended(title: string, text: string): void {
  render(
    html`<p><b>${title}</b> ${text}</p>
      <button type="button" @click=${reload}>Reload</button>`,
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

keepOffline();

// What the sections above hold is there only now, so the browser may have gone elsewhere.
if (location.hash !== "") document.getElementById(location.hash.slice(1))?.scrollIntoView({ behavior: "instant" });
followSections([...part("sections").querySelectorAll("a")]);
