/** A tab is killed while it writes; then what it was told is stored is compared with what the other tab reads. */
import { html, nothing, render, type TemplateResult } from "lit";
import { Frame } from "../frames/frame.ts";
import { windowCard } from "../frames/window.ts";
import type { Found, WriterEvent, WriterRequest, WriterStatus } from "./messages.ts";
import { formatCount, formatDuration } from "../format.ts";
import { failed } from "../placeholders.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";

type Writer = Frame<WriterRequest, WriterEvent>;
/** Tabs that write without a pause do not do so for ever. */
const patienceMs = 60_000;

type State = "idle" | "opening" | "writing" | "looking" | "done";

interface Side {
  readonly tab: string;
  readonly writer: Writer;
  acknowledged: number;
  status: WriterStatus | undefined;
}

export class Kill {
  readonly #root: HTMLElement;
  #state: State = "idle";
  #sides: readonly [Side, Side] | undefined;
  #ready = 0;
  #outcome: Outcome | undefined;
  #error: unknown;
  #said = "The browser ends the tab's page and its worker at once, wherever they are in their work.";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  show(): void {
    this.#render();
  }

  #open(): void {
    for (const { writer } of this.#sides ?? []) writer.kill();
    this.#outcome = undefined;
    this.#error = undefined;
    this.#ready = 0;
    this.#state = "opening";
    this.#sides = [this.#side("A", "B"), this.#side("B", "A")];
    this.#render();
  }

  #side(tab: string, watched: string): Side {
    const writer = new Frame<WriterRequest, WriterEvent>(
      `Tab ${tab}: writes, and reads what tab ${watched} writes`,
      { role: "writer", tab, watched },
      (event) => this.#heard(side, event),
    );
    const side: Side = { tab, writer, acknowledged: 0, status: undefined };
    return side;
  }

  #heard(side: Side, event: WriterEvent): void {
    if (event.event === "acknowledged") side.acknowledged = event.count;
    else if (event.event === "failed") this.#fail(new Error(event.message));
    else if (event.event === "ready" && ++this.#ready === 2) {
      this.#write().catch((e: unknown) => this.#fail(e));
    } else if (event.event === "status") {
      side.status = event;
      this.#render();
    }
  }

  async #write(): Promise<void> {
    const [a, b] = this.#sides!;
    await a.writer.ask({ op: "clear" });
    await Promise.all([a.writer.ask({ op: "write" }), b.writer.ask({ op: "write" })]);
    this.#state = "writing";
    this.#timer = setTimeout(() => this.#end("Nobody killed it for a minute, so both have stopped."), patienceMs);
    this.#render();
  }

  async #kill(): Promise<void> {
    const [a, b] = this.#sides!;
    clearTimeout(this.#timer);
    a.writer.kill();
    // What it was told, as far as this page has heard of it: not one more arrives from here on.
    const told = a.acknowledged;
    const survivorHad = b.acknowledged;
    this.#state = "looking";
    this.#render();
    const found = (await b.writer.ask({ op: "find", tab: a.tab })) as Found;
    this.#outcome = outcomeOf(told, found);
    this.#state = "done";
    this.#render();
    // It goes on for a moment, so that one sees that it does.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await b.writer.ask({ op: "stop" });
    this.#outcome = { ...this.#outcome, wentOn: b.acknowledged - survivorHad };
    this.#render();
  }

  #fail(error: unknown): void {
    this.#error = error;
    this.#end("");
  }

  #end(said: string): void {
    clearTimeout(this.#timer);
    for (const { writer } of this.#sides ?? []) writer.kill();
    this.#sides = undefined;
    this.#said = said;
    this.#state = "idle";
    this.#render();
  }

  #render(): void {
    const isBusy = this.#state === "opening" || this.#state === "looking";
    render(
      html`<div class="controls">
          ${
            this.#state === "writing"
              ? html`<button
                  type="button"
                  class="primary danger"
                  data-test="kill"
                  @click=${() => void this.#kill().catch((e: unknown) => this.#fail(e))}
                >
                  Kill tab A now
                </button>`
              : html`<button
                  type="button"
                  class="primary"
                  data-test="kill-open"
                  ?disabled=${isBusy}
                  @click=${() => this.#open()}
                >
                  ${this.#label()}
                </button>`
          }
        </div>
        <div class="windows">${this.#window(0)}${this.#window(1)}</div>
        ${
          this.#error === undefined
            ? html`<p
                class="verdict"
                role="status"
                data-test="kill-verdict"
                data-lost=${this.#outcome?.lost ?? nothing}
              >
                ${this.#verdict()}
              </p>`
            : failed("The tabs could not go on.", this.#error, () => this.#open())
        }`,
      this.#root,
    );
  }

  #label(): string {
    if (this.#state === "opening") return "Opening two tabs…";
    if (this.#state === "looking") return "Looking…";
    return this.#state === "done" ? "Once more" : "Open two tabs that write";
  }

  #window(position: 0 | 1): TemplateResult {
    const side = this.#sides?.[position];
    const isDead = position === 0 && (this.#state === "looking" || this.#state === "done");
    const title = position === 0 ? "Tab A" : "Tab B";
    if (!side || isDead) {
      const body = html`<p class="window-empty ${isDead ? "is-dead" : ""}">
        ${isDead ? html`<b>Killed.</b> It was told of ${formatCount(side!.acknowledged)} writes.` : "Not open."}
      </p>`;
      return windowCard({ title, note: "", body, test: `kill-${title.at(-1)}` });
    }
    return windowCard({
      title,
      note: side.status?.upkeep ? "own worker; does the upkeep" : "own worker",
      body: side.writer.element,
      test: `kill-${title.at(-1)}`,
    });
  }

  #verdict(): TemplateResult | string {
    const outcome = this.#outcome;
    if (!outcome) {
      if (this.#state === "writing") return "Both write as fast as they are answered. Kill A in the midst of it.";
      return this.#said;
    }
    const { told, found, lost, unheard, wentOn } = outcome;
    const survivor = this.#sides?.[1].status;
    const after =
      wentOn === undefined
        ? ""
        : html` Tab B wrote ${formatCount(wentOn)} more meanwhile; its longest wait was
          ${formatDuration(survivor?.longestGapMs ?? 0)}.`;
    if (lost > 0) {
      return html`<b>${formatCount(lost)} acknowledged writes are missing</b> of ${formatCount(told)}; tab B reads
        ${formatCount(found)}.${after}`;
    }
    return html`<b>Nothing is lost.</b> Tab A was told of <b data-test="kill-told">${formatCount(told)}</b> writes that
      they are stored; tab B reads <b data-test="kill-found">${formatCount(found)}</b>:
      ${unheard === 0 ? "just those." : `those, and ${formatCount(unheard)} whose answer was still on its way.`}${after}`;
  }
}
