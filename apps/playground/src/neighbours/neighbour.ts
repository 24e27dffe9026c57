/** A tab that writes a little all the time. Its worker can be made to stand still, as that of a frozen tab does. */
import { html, render } from "lit";
import { formatCount, messageOf } from "../format.ts";
import { whenAsked } from "../frames/asked.ts";
import { openNeighbours } from "./database.ts";
import type { NeighbourEvent, NeighbourRequest } from "./messages.ts";

const pauseMs = 40;
const statusMs = 250;
const records = 20;
const text = "What was written here before can go when nobody may read it any more. ".repeat(40);

export class Neighbour {
  readonly #root: HTMLElement;
  readonly #tab: string;
  #worker: Worker | undefined;
  #word: Int32Array | undefined;
  #commits = 0;
  #seen = 0;
  readonly #db = openNeighbours({
    worker: () => {
      this.#worker = new Worker(new URL("../frames/freezable-worker.ts", import.meta.url), { type: "module" });
      return this.#worker;
    },
  });

  constructor(root: HTMLElement, tab: string) {
    this.#root = root;
    this.#tab = tab;
  }

  start(): void {
    whenAsked((request) => this.#answer(request as NeighbourRequest));
    this.#db.on("error", (e) => this.#failed(e));
    this.#db
      .live((view) => view.collection("notes").all())
      .subscribe({
        next: (notes) => {
          this.#seen = notes.reduce((sum, { n }) => sum + n, 0);
          this.#show();
        },
        error: (e) => this.#failed(e),
      });
    this.#write().catch((e: unknown) => this.#failed(e));
    this.#tell().catch((e: unknown) => this.#failed(e));
    this.#show();
  }

  #answer({ op }: NeighbourRequest): Promise<void> {
    if (op === "freeze") {
      this.#word = new Int32Array(new SharedArrayBuffer(4));
      this.#worker?.postMessage(this.#word);
    } else if (this.#word) {
      Atomics.store(this.#word, 0, 1);
      Atomics.notify(this.#word, 0);
    }
    return Promise.resolve();
  }

  async #write(): Promise<never> {
    const notes = this.#db.collection("notes");
    for (;;) {
      const id = `${this.#tab} ${this.#commits % records}`;
      await notes.upsert(id, (before) => ({ id, n: (before?.n ?? 0) + 1, text }));
      this.#commits++;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  async #tell(): Promise<never> {
    for (;;) {
      const { holders } = await this.#db.gc.explain();
      const owner = holders.find(({ isSelf }) => isSelf)?.owner;
      say({ event: "status", owner, commits: this.#commits });
      await new Promise((resolve) => setTimeout(resolve, statusMs));
    }
  }

  #failed(error: unknown): void {
    say({ event: "failed", message: messageOf(error) });
  }

  #show(): void {
    render(
      html`<dl class="figures">
        <div>
          <dt>Commits of this tab</dt>
          <dd data-test="commits">${formatCount(this.#commits)}</dd>
        </div>
        <div>
          <dt>It sees of all tabs</dt>
          <dd data-test="seen">${formatCount(this.#seen)}</dd>
        </div>
      </dl>`,
      this.#root,
    );
  }
}

const say = (event: NeighbourEvent): void => parent.postMessage(event, location.origin);
