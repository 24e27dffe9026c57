/** As many tabs as one likes: opened, frozen, evicted, woken, killed; and what each of them holds back. */
import { html, nothing, render, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { GcExplanation, GcHolder } from "tidemark";
import { formatBytes, formatCount } from "../format.ts";
import { Frame } from "../frames/frame.ts";
import { windowCard } from "../frames/window.ts";
import { failed } from "../placeholders.ts";
import { openNeighbours } from "./database.ts";
import type { NeighbourEvent, NeighbourRequest, NeighbourStatus } from "./messages.ts";

/** Each has a worker, and browsers run out of memory sooner than of patience. */
const most = 8;
const lookMs = 400;

interface Neighbour {
  readonly name: string;
  readonly frame: Frame<NeighbourRequest, NeighbourEvent>;
  status: NeighbourStatus | undefined;
  isFrozen: boolean;
  isEvicted: boolean;
}

export class NeighboursView {
  readonly #root: HTMLElement;
  readonly #db = openNeighbours();
  #neighbours: readonly Neighbour[] = [];
  #opened = 0;
  #explanation: GcExplanation | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #error: unknown;

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  show(): void {
    this.#render();
  }

  #open(): void {
    this.#error = undefined;
    const name = String(++this.#opened);
    const frame = new Frame<NeighbourRequest, NeighbourEvent>(
      `Tab ${name}: writes a little all the time`,
      { role: "neighbour", tab: name },
      (event) => {
        if (event.event === "failed") this.#fail(new Error(`Tab ${name}: ${event.message}`));
        else neighbour.status = event;
      },
    );
    const neighbour: Neighbour = { name, frame, status: undefined, isFrozen: false, isEvicted: false };
    this.#neighbours = [...this.#neighbours, neighbour];
    this.#look();
  }

  async #freeze(neighbour: Neighbour): Promise<void> {
    await neighbour.frame.ask({ op: neighbour.isFrozen ? "wake" : "freeze" });
    neighbour.isFrozen = !neighbour.isFrozen;
    if (!neighbour.isFrozen) neighbour.isEvicted = false;
    this.#render();
  }

  async #evict(neighbour: Neighbour): Promise<void> {
    const holder = this.#holderOf(neighbour);
    if (!holder) return;
    await this.#db.gc.evict(holder.id);
    neighbour.isEvicted = true;
    await this.#db.gc.run();
    this.#look();
  }

  #kill(neighbour: Neighbour): void {
    neighbour.frame.kill();
    this.#neighbours = this.#neighbours.filter((n) => n !== neighbour);
    this.#render();
  }

  #holderOf({ status }: Neighbour): GcHolder | undefined {
    return this.#explanation?.holders.find(({ kind, owner }) => kind === "pin" && owner === status?.owner);
  }

  /** As long as there are tabs, and a moment longer, to see what they held go. */
  #look(): void {
    clearTimeout(this.#timer);
    this.#db.gc
      .explain()
      .then((explanation) => {
        this.#explanation = explanation;
        this.#render();
        if (this.#neighbours.length > 0) this.#timer = setTimeout(() => this.#look(), lookMs);
      })
      .catch((e: unknown) => this.#fail(e));
  }

  #fail(error: unknown): void {
    this.#error = error;
    this.#render();
  }

  #act(step: () => Promise<void>): () => void {
    return () => void step().catch((e: unknown) => this.#fail(e));
  }

  #render(): void {
    render(
      html`<div class="controls">
          <button
            type="button"
            class="primary"
            data-test="neighbour-open"
            ?disabled=${this.#neighbours.length >= most}
            @click=${() => this.#open()}
          >
            Open a tab
          </button>
          ${this.#neighbours.length >= most ? html`<p class="note">${most} are enough for one page.</p>` : nothing}
        </div>
        ${this.#error === undefined ? nothing : failed("This did not work.", this.#error, () => this.#look(), "Go on")}
        <div class="windows three">
          ${
            this.#neighbours.length === 0
              ? html`<p class="window-empty">No tab is open. Open two or three.</p>`
              : repeat(
                  this.#neighbours,
                  ({ name }) => name,
                  (neighbour) => this.#window(neighbour),
                )
          }
        </div>`,
      this.#root,
    );
  }

  #window(neighbour: Neighbour): TemplateResult {
    const { name, frame, isFrozen, isEvicted } = neighbour;
    const holder = this.#holderOf(neighbour);
    const canFreeze = globalThis.crossOriginIsolated;
    return windowCard({
      title: `Tab ${name}`,
      note: this.#note(neighbour),
      body: frame.element,
      test: `neighbour-${name}`,
      actions: html`<div class="buttons small">
          <button
            type="button"
            data-test="freeze"
            ?disabled=${!canFreeze}
            title=${canFreeze ? "" : "This takes shared memory, which this server's headers do not allow."}
            @click=${this.#act(() => this.#freeze(neighbour))}
          >
            ${isFrozen ? "Wake" : "Freeze"}
          </button>
          <button
            type="button"
            data-test="evict"
            ?disabled=${!isFrozen || isEvicted || !holder}
            @click=${this.#act(() => this.#evict(neighbour))}
          >
            Evict
          </button>
          <button type="button" data-test="kill-neighbour" @click=${() => this.#kill(neighbour)}>Kill</button>
        </div>
        <p class="holds" data-test="holds">
          ${
            holder
              ? `holds back ${formatBytes(holder.bytesHeld)}, ${formatCount(holder.behind)} commits behind`
              : isEvicted
                ? "evicted: it holds nothing back"
                : "holds nothing back"
          }
        </p>`,
    });
  }

  #note({ isFrozen, status }: Neighbour): string {
    if (isFrozen) return "frozen";
    if (!status) return "opening…";
    return status.owner !== undefined && status.owner === this.#explanation?.upkeep ? "does the upkeep" : "at work";
  }
}
