/** A state is held while its record is written over and over: bytes rise, and blame names who holds them. */
import { html, nothing, render, type TemplateResult } from "lit";
import type { GcExplanation, Metrics } from "tidemark";
import { formatBytes, formatCount, formatDuration } from "../format.ts";
import { failed } from "../placeholders.ts";
import { Replay } from "../replay/replay.ts";
import { loadTypingSession } from "../replay/session.ts";
import { storedBytes } from "../surface/sampler.ts";
import { TideGauge } from "../surface/tide-gauge.ts";
import { blame } from "./blame.ts";
import { held } from "./database.ts";
import { type Hold, holds, type Kind } from "./holds.ts";

/** Edits out of the middle of the recording that are saved, each with the whole text, which is 28 kB there. */
const [firstEdit, edits] = [38_600, 1400];
const lookMs = 250;

type State = "idle" | "loading" | "writing" | "held" | "releasing" | "released";

export class HoldView {
  readonly #root: HTMLElement;
  #state: State = "idle";
  #kind: Kind = "view";
  #hold: Hold | undefined;
  #replay: Replay | undefined;
  #metrics: Metrics | undefined;
  #explanation: GcExplanation | undefined;
  #highest = 0;
  #releaseMs: number | undefined;
  #error: unknown;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #gauge: TideGauge | undefined;

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  show(): void {
    this.#render();
    this.#gauge = new TideGauge(this.#root.querySelector("canvas")!, 2_000_000);
  }

  async #start(): Promise<void> {
    this.#error = undefined;
    this.#releaseMs = undefined;
    this.#highest = 0;
    this.#to("loading");
    const session = await loadTypingSession();
    const texts = held.collection("texts");
    const save = (text: string): Promise<string> => texts.put({ id: "post", text });
    const replay = new Replay(session, firstEdit + edits, { inFlight: 8 }, save);
    await replay.skipTo(firstEdit);
    await save(replay.text);
    this.#hold = await holds[this.#kind](held);
    this.#replay = replay;
    this.#to("writing");
    this.#look();
    await replay.run();
    this.#to("held");
  }

  async #release(): Promise<void> {
    this.#to("releasing");
    const startedAt = performance.now();
    await this.#hold?.release();
    this.#hold = undefined;
    await held.gc.run();
    this.#releaseMs = performance.now() - startedAt;
    await this.#sample();
    this.#to("released");
  }

  /** Again and again, as long as anything can change. */
  #look(): void {
    clearTimeout(this.#timer);
    this.#sample()
      .then(() => {
        if (this.#state !== "idle" && this.#state !== "released") this.#timer = setTimeout(() => this.#look(), lookMs);
      })
      .catch((e: unknown) => this.#fail(e));
  }

  async #sample(): Promise<void> {
    [this.#metrics, this.#explanation] = await Promise.all([held.storage.metrics(), held.gc.explain()]);
    const bytes = storedBytes(this.#metrics);
    this.#highest = Math.max(this.#highest, bytes);
    this.#gauge?.add({ at: performance.now(), bytes });
    this.#render();
  }

  #to(state: State): void {
    this.#state = state;
    this.#render();
  }

  #fail(cause: unknown): void {
    clearTimeout(this.#timer);
    // What held is given up with the rest; it may be what failed.
    void this.#hold?.release().catch(() => undefined);
    this.#hold = undefined;
    this.#error = cause;
    this.#to("idle");
  }

  #act(step: () => Promise<void>): () => void {
    return () => void step.call(this).catch((e: unknown) => this.#fail(e));
  }

  #render(): void {
    const bytes = this.#metrics && storedBytes(this.#metrics);
    render(
      html`${this.#controls()}
        ${
          this.#error === undefined
            ? nothing
            : failed(
                "This could not go on.",
                this.#error,
                this.#act(() => this.#start()),
              )
        }
        <div class="level">
          <dl class="figures">
            <div class="main-figure">
              <dt>Stored now</dt>
              <dd data-test="hold-bytes" data-bytes=${bytes ?? nothing}>
                ${bytes === undefined ? "–" : formatBytes(bytes)}
              </dd>
            </div>
            <div>
              <dt>Edits saved since</dt>
              <dd data-test="hold-edits">${this.#replay ? formatCount(this.#replay.committed) : "–"}</dd>
            </div>
            <div>
              <dt>Versions kept</dt>
              <dd>${this.#metrics ? formatCount(this.#metrics.versions) : "–"}</dd>
            </div>
          </dl>
          <canvas class="gauge" role="img" aria-label="Bytes stored over the last minute"></canvas>
        </div>
        ${this.#blame()}
        <p class="verdict" role="status" data-test="hold-verdict">${this.#verdict()}</p>`,
      this.#root,
    );
  }

  #controls(): TemplateResult {
    const isHolding = this.#state === "writing" || this.#state === "held";
    const isBusy = this.#state === "loading" || this.#state === "releasing";
    return html`<form class="controls" @submit=${(e: Event) => e.preventDefault()}>
      <div class="buttons">
        ${
          isHolding
            ? html`<button
                type="button"
                class="primary"
                data-test="hold-release"
                ?disabled=${this.#state !== "held"}
                @click=${this.#act(() => this.#release())}
              >
                Release it
              </button>`
            : html`<button
                type="button"
                class="primary"
                data-test="hold-start"
                ?disabled=${isBusy}
                @click=${this.#act(() => this.#start())}
              >
                ${this.#state === "loading" ? "Loading…" : "Hold, and write on"}
              </button>`
        }
      </div>
      <label class="wide"
        >Held by
        <select
          data-test="hold-kind"
          ?disabled=${isHolding || isBusy}
          @change=${(e: Event) => (this.#kind = (e.currentTarget as HTMLSelectElement).value as Kind)}
        >
          <option value="view">a read view of this tab</option>
          <option value="snapshot">a snapshot with a name</option>
        </select>
      </label>
    </form>`;
  }

  #blame(): TemplateResult {
    const lines = this.#explanation ? blame(this.#explanation.holders) : [];
    return html`<ul class="blame" data-test="blame" aria-label="Who holds back what">
      ${
        lines.length === 0
          ? html`<li class="nobody">Nobody holds anything back.</li>`
          : lines.map(
              ({ text, bytes }) =>
                html`<li>
                  <meter max=${this.#highest} .value=${bytes} aria-label="Of all that is stored"></meter>${text}
                </li>`,
            )
      }
    </ul>`;
  }

  #verdict(): string {
    const now = formatBytes(this.#metrics ? storedBytes(this.#metrics) : 0);
    const verdicts: Readonly<Record<State, string>> = {
      idle: `Then ${formatCount(edits)} edits of the recording are saved, each with the whole text.`,
      loading: "Loading the recording…",
      writing: "No version since can go, for the state that is held must stay as it was.",
      held: "It stays like this as long as it is held.",
      releasing: "Released. Collecting…",
      released: `Released and collected in ${formatDuration(this.#releaseMs ?? 0)}: ${formatBytes(this.#highest)} at most, ${now} now.`,
    };
    return verdicts[this.#state];
  }
}
