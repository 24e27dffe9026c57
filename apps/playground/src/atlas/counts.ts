/** Counts that follow the data, whichever tab changes it, and how long a change takes to get here. */
import { html, render, type TemplateResult } from "lit";
import { atlas, type AtlasView } from "../databases.ts";
import { Echo, type Heard } from "./echo.ts";
import { formatCount, formatDuration, median, messageOf } from "../format.ts";
import { stateName } from "./states.ts";

const delayedMinutes = 60;

type Tile = "airports" | "flights" | "delayed";

export class Counts {
  /** Where the lists report what they have shown. */
  readonly echo: Echo = new Echo((heard) => {
    this.#heard = heard;
    this.#news = undefined;
    this.#render();
  });
  readonly #root: HTMLElement;
  readonly #values: Partial<Record<Tile, number>> = {};
  readonly #stop: Partial<Record<Tile, () => void>> = {};
  #state = "";
  #heard: readonly Heard[] = [];
  /** What this tab did last. */
  #news: string | undefined;
  #isStarted = false;

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#render();
  }

  start(): void {
    this.#isStarted = true;
    this.#watchAirports();
    this.#watch("flights", (view) => view.collection("flights").count());
    this.#watch("delayed", (view) => view.collection("flights").where("delay").above(delayedMinutes).count());
  }

  setState(state: string): void {
    this.#state = state;
    if (this.#isStarted) this.#watchAirports();
  }

  /** Tells of an edit of this tab, and how long its commit took. */
  async edited(what: string, edit: Promise<unknown>): Promise<void> {
    const startedAt = performance.now();
    this.#news = await edit.then(
      () => `${what}. Committed in ${formatDuration(performance.now() - startedAt)}.`,
      (e: unknown) => `${what}: not saved. ${messageOf(e)}`,
    );
    this.#render();
  }

  #watchAirports(): void {
    const state = this.#state;
    this.#watch("airports", (view) => {
      const airports = view.collection("airports");
      return state === "" ? airports.count() : airports.where("state").equals(state).count();
    });
  }

  #watch(tile: Tile, query: (view: AtlasView) => Promise<number>): void {
    this.#stop[tile]?.();
    const subscription = atlas.live(query).subscribe((n) => {
      this.#values[tile] = n;
      this.#render();
    });
    this.#stop[tile] = () => subscription.unsubscribe();
  }

  #render(): void {
    const place = this.#state === "" ? "all states" : stateName(this.#state);
    const last = this.#heard.at(-1);
    render(
      html`<dl class="tiles">
          ${this.#tile("airports", html`Airports: ${place}`)} ${this.#tile("flights", html`Flights`)}
          ${this.#tile("delayed", html`Delayed over ${delayedMinutes} min`)}
          <div>
            <dt>Tab to tab${this.#heard.length > 1 ? html`, median of ${this.#heard.length}` : ""}</dt>
            <dd data-test="tab-latency">
              ${last ? formatDuration(median(this.#heard.map((h) => h.latencyMs)) ?? 0) : html`<span>–</span>`}
            </dd>
          </div>
        </dl>
        <p class="news" role="status" data-test="news">${this.#newsText(last)}</p>`,
      this.#root,
    );
  }

  #newsText(last: Heard | undefined): TemplateResult | string {
    if (this.#news !== undefined) return this.#news;
    if (last)
      return html`From another tab: ${last.what}. It was on this screen
        <b data-test="last-latency">${formatDuration(last.latencyMs)}</b> after the commit began there.`;
    return "Press a name, a city, a state or a delay to change it; a second tab shows the change, and how long it took to get there.";
  }

  #tile(tile: Tile, label: TemplateResult): TemplateResult {
    const value = this.#values[tile];
    return html`<div>
      <dt>${label}</dt>
      <dd data-test="count-${tile}">${value === undefined ? html`<span>–</span>` : formatCount(value)}</dd>
    </div>`;
  }
}
