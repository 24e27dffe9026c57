/** The race as it goes, with the code of both. Dexie is loaded when it is started, not before. */
import { html, nothing, render, type TemplateResult } from "lit";
import { formatDuration, formatTimes } from "../format.ts";
import { address } from "../page-address.ts";
import { failed } from "../placeholders.ts";
import { works } from "./heats.ts";
import type { Durability } from "./racer.ts";
import { type Contestant, Standings } from "./standings.ts";

/** The very files that run. */
const code = import.meta.glob<string>("./*-racer.ts", { query: "?raw", import: "default", eager: true });
const names: Readonly<Record<Contestant, string>> = { tidemark: "Tidemark", dexie: "Dexie" };
const contestants: readonly Contestant[] = ["tidemark", "dexie"];

/** What a write that was answered has survived, when it is answered. */
const durable: Readonly<Record<Durability, string>> = {
  relaxed:
    "Relaxed: both answer when the browser has handed the write to the operating system. It outlives the tab and the browser; a power cut may take the last moments.",
  strict:
    "Strict: both answer when the browser says that the write is on the disk. It outlives a power cut, and every single write waits for the disk.",
};

export class RaceView {
  readonly #root: HTMLElement;
  #durability: Durability = address.oneOf("durability", ["relaxed", "strict"]);
  #standings = new Standings();
  #running: AbortController | undefined;
  #now = "";
  #isOver = false;
  #error: unknown;

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  show(): void {
    this.#render();
  }

  async #start(): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    this.#standings = new Standings();
    this.#isOver = false;
    this.#error = undefined;
    this.#now = "Loading Dexie and the flights…";
    this.#render();
    try {
      const { race, rounds } = await import("./race.ts");
      const told = (who: Contestant, round: number): void => {
        this.#now = `Round ${round + 1} of ${rounds}: ${names[who]}`;
        this.#render();
      };
      await race(this.#durability, this.#standings, told, running.signal);
      this.#isOver = true;
    } catch (e) {
      if (!running.signal.aborted) this.#error = e;
    } finally {
      this.#running = undefined;
      this.#render();
    }
  }

  #render(): void {
    render(
      html`<form class="controls" @submit=${(e: Event) => e.preventDefault()}>
          <div class="buttons">
            ${
              this.#running
                ? html`<button type="button" data-test="race-stop" @click=${() => this.#running?.abort()}>Stop</button>`
                : html`<button type="button" class="primary" data-test="race-start" @click=${() => void this.#start()}>
                    ${this.#isOver ? "Race again" : "Start the race"}
                  </button>`
            }
          </div>
          <label class="wide"
            >A write is answered when it is
            <select
              data-test="race-durability"
              ?disabled=${this.#running !== undefined}
              @change=${(e: Event) => this.#choose((e.currentTarget as HTMLSelectElement).value as Durability)}
            >
              <option value="relaxed" ?selected=${this.#durability === "relaxed"}>with the operating system</option>
              <option value="strict" ?selected=${this.#durability === "strict"}>on the disk</option>
            </select>
          </label>
        </form>
        <p class="note">${durable[this.#durability]}</p>
        ${this.#error === undefined ? nothing : failed("The race was broken off.", this.#error, () => void this.#start())}
        <table class="race">
          <thead>
            <tr>
              <th scope="col">Work</th>
              ${contestants.map((who) => html`<th scope="col">${names[who]}</th>`)}
              <th scope="col" class="number">Faster</th>
            </tr>
          </thead>
          <tbody>
            ${works.map((work) => this.#row(work.id, work.title))}
          </tbody>
        </table>
        <p class="verdict" role="status" data-test="race-verdict" data-over=${this.#isOver || nothing}>
          ${this.#verdict()}
        </p>
        <div class="panes">${contestants.map((who) => this.#code(who))}</div>`,
      this.#root,
    );
  }

  #choose(durability: Durability): void {
    this.#durability = durability;
    address.set("durability", durability === "relaxed" ? "" : durability);
    this.#render();
  }

  #row(work: string, title: string): TemplateResult {
    const [ours, theirs] = contestants.map((who) => this.#standings.median(work, who));
    const slowest = Math.max(ours ?? 0, theirs ?? 0);
    return html`<tr data-work=${work}>
      <th scope="row">${title}</th>
      ${contestants.map((who) => this.#time(work, who, slowest))}
      <td class="number" data-test="faster">
        ${ours === undefined || theirs === undefined ? "–" : faster(ours, theirs)}
      </td>
    </tr>`;
  }

  #time(work: string, who: Contestant, slowest: number): TemplateResult {
    const time = this.#standings.median(work, who);
    const rounds = this.#standings.rounds(work, who);
    const title = rounds.map((ms) => formatDuration(ms)).join(", ");
    return html`<td data-who=${who} title=${title}>
      <span class="time">${time === undefined ? "–" : formatDuration(time)}</span>
      <i class="lane ${who}" style="width: ${time === undefined ? 0 : ((time / slowest) * 100).toFixed(1)}%"></i>
    </td>`;
  }

  #verdict(): TemplateResult | string {
    if (this.#running) return this.#now;
    if (!this.#isOver) return "Three rounds on new databases, who begins by turns; shown is the median.";
    const differing = works.filter(({ id }) => !this.#standings.agree(id));
    if (differing.length > 0) return `Their answers differ: ${differing.map(({ title }) => title).join("; ")}.`;
    return html`<b>Both gave the same answers.</b> Medians of three rounds, in this browser, on this machine.`;
  }

  #code(who: Contestant): TemplateResult {
    return html`<figure class="listing">
      <figcaption>${names[who]}: the file that runs here</figcaption>
      <pre
        tabindex="0"
        role="region"
        aria-label="Code of ${names[who]}"
      ><code>${code[`./${who}-racer.ts`]?.trimEnd()}</code></pre>
    </figure>`;
  }
}

function faster(ours: number, theirs: number): string {
  const [who, times] = ours <= theirs ? [names.tidemark, theirs / ours] : [names.dexie, ours / theirs];
  return times < 1.05 ? "even" : `${who}, ${formatTimes(times)}×`;
}
