/** A tab that writes without a pause, and watches what others write. It shows what it says to its page. */
import { html, render } from "lit";
import { formatCount, formatDuration, messageOf } from "../format.ts";
import { whenAsked } from "../frames/asked.ts";
import { openWrites } from "./database.ts";
import type { Found, WriterEvent, WriterRequest, WriterStatus } from "./messages.ts";

const statusMs = 200;
const text = "Each of these records is one write of one tab. ".repeat(4);

export class Writer {
  readonly #tab: string;
  readonly #root: HTMLElement;
  readonly #db = openWrites();
  #isWriting = false;
  #acknowledged = 0;
  #longestGapMs = 0;
  #upkeep = false;
  #read: number | undefined;

  constructor(root: HTMLElement, tab: string) {
    this.#root = root;
    this.#tab = tab;
  }

  start(watched: string): void {
    this.#db.on("error", (e) => this.#failed(e));
    this.#open(watched).catch((e: unknown) => this.#failed(e));
    this.#show();
  }

  async #open(watched: string): Promise<void> {
    await this.#db.open();
    whenAsked((request) => this.#answer(request as WriterRequest));
    say({ event: "ready" });
    this.#db
      .live((view) => view.collection("writes").where().startsWith([watched]).reverse().first())
      .subscribe({ next: (write) => this.#heard(watched, write?.n), error: (e) => this.#failed(e) });
    setInterval(() => void this.#tellStatus().catch((e: unknown) => this.#failed(e)), statusMs);
  }

  #heard(tab: string, n: number | undefined): void {
    this.#read = n;
    if (n !== undefined) say({ event: "read", tab, n });
    this.#show();
  }

  async #answer(request: WriterRequest): Promise<Found | undefined> {
    if (request.op === "find") return this.#find(request.tab);
    if (request.op === "clear") await this.#db.collection("writes").clear();
    this.#isWriting = request.op === "write";
    if (this.#isWriting) this.#write().catch((e: unknown) => this.#failed(e));
    return undefined;
  }

  async #write(): Promise<void> {
    const writes = this.#db.collection("writes");
    let last = performance.now();
    while (this.#isWriting) {
      await writes.put({ tab: this.#tab, n: this.#acknowledged, text });
      const now = performance.now();
      this.#longestGapMs = Math.max(this.#longestGapMs, now - last);
      last = now;
      say({ event: "acknowledged", count: ++this.#acknowledged });
    }
  }

  /** Looks at what is stored, not at what this tab may have heard. */
  async #find(tab: string): Promise<Found> {
    const view = await this.#db.readView({ fresh: true });
    try {
      const keys = await view.collection("writes").where().startsWith([tab]).primaryKeys();
      const highest = keys.at(-1)?.[1] ?? -1;
      return { count: keys.length, missing: highest + 1 - keys.length };
    } finally {
      view.release();
    }
  }

  async #tellStatus(): Promise<void> {
    this.#upkeep = (await this.#db.storage.metrics()).upkeep;
    const { status } = this;
    say({ event: "status", ...status });
    this.#show();
  }

  get status(): WriterStatus {
    return { acknowledged: this.#acknowledged, longestGapMs: this.#longestGapMs, upkeep: this.#upkeep };
  }

  #failed(error: unknown): void {
    say({ event: "failed", message: messageOf(error) });
  }

  #show(): void {
    render(
      html`<dl class="figures">
        <div>
          <dt>Writes it was told are stored</dt>
          <dd data-test="acknowledged">${formatCount(this.#acknowledged)}</dd>
        </div>
        <div>
          <dt>Of the other tab it has read</dt>
          <dd data-test="read">${this.#read === undefined ? "–" : formatCount(this.#read + 1)}</dd>
        </div>
        <div>
          <dt>Longest wait for an answer</dt>
          <dd>${this.#acknowledged === 0 ? "–" : formatDuration(this.#longestGapMs)}</dd>
        </div>
        <div>
          <dt>Upkeep of the database</dt>
          <dd data-test="upkeep">${this.#upkeep ? "done here" : "elsewhere"}</dd>
        </div>
      </dl>`,
      this.#root,
    );
  }
}

const say = (event: WriterEvent): void => parent.postMessage(event, location.origin);
