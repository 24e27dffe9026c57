/** The recorded session being typed: controls, the text as it grows, figures and the chart. */
import { html, nothing, render, type TemplateResult } from "lit";
import { chart, Curve } from "./chart.ts";
import { typing } from "./databases.ts";
import { loadTypingSession, type TypingSession } from "./dataset.ts";
import { formatBytes, formatCount, formatDuration, formatTimes } from "./format.ts";
import { failed } from "./pane.ts";
import { expectedNaiveBytes, type Pace, Replay } from "./replay.ts";
import { TextPreview } from "./text-preview.ts";
import { type Sample, type Sampler, storedBytes } from "./sampler.ts";
import { stampNow } from "./stamp.ts";

const wholeSession = 137_154;
const limits = [2000, 10_000, wholeSession];
const paces: Readonly<Record<string, Pace>> = {
  each: { inFlight: 1 },
  group: { inFlight: 16 },
  watch: { inFlight: 1, perSecond: 40 },
};
/** The rate shown is of the samples of about the last second. */
const rateSamples = 5;

interface Outcome {
  readonly isEqual: boolean;
  readonly characters: number;
  readonly isWhole: boolean;
}

export class ReplayView {
  readonly #root: HTMLElement;
  readonly #preview: TextPreview;
  #session: TypingSession | undefined;
  #isLoading = false;
  #replay: Replay | undefined;
  #sampler: Sampler | undefined;
  #limit = 10_000;
  #pace = "each";
  #maxBytes = 1e8;
  #curve = new Curve(this.#limit);
  #recent: { at: number; commits: number }[] = [];
  #sample: Sample | undefined;
  #outcome: Outcome | undefined;
  #error: unknown;
  #widthPx = 600;

  constructor(root: HTMLElement, preview: HTMLElement) {
    this.#root = root;
    this.#preview = new TextPreview(preview);
    this.#render();
  }

  /** Follows the databases' figures and its own width. */
  watch(sampler: Sampler): void {
    this.#sampler = sampler;
    sampler.subscribe((sample) => this.#sampled(sample));
    new ResizeObserver(() => {
      this.#widthPx = this.#root.querySelector(".plot")?.clientWidth ?? this.#widthPx;
      this.#render();
    }).observe(this.#root);
  }

  async #start(): Promise<void> {
    this.#error = undefined;
    this.#outcome = undefined;
    this.#curve = new Curve(this.#limit);
    this.#recent = [];
    this.#replay = undefined;
    this.#isLoading = true;
    this.#render();
    try {
      this.#session ??= await loadTypingSession();
      this.#isLoading = false;
      await this.#runAlone(this.#session);
    } catch (e) {
      this.#error = e;
    } finally {
      this.#isLoading = false;
      this.#render();
    }
  }

  /** Every tab replays on the same record, so one at a time. */
  #runAlone(session: TypingSession): Promise<void> {
    return navigator.locks.request("tidemark-demo-replay", { ifAvailable: true }, async (lock) => {
      if (!lock) throw new Error("Another tab is replaying. Wait for it, or stop it there.");
      await this.#run(session);
    });
  }

  async #run(session: TypingSession): Promise<void> {
    this.#maxBytes = expectedNaiveBytes(session, this.#limit);
    const documents = typing.collection("documents");
    const replay = new Replay(session, this.#limit, paces[this.#pace]!, (text) =>
      documents.put({ id: "replay", text, edited: stampNow() }),
    );
    this.#replay = replay;
    this.#preview.follow(replay);
    this.#render();
    this.#sampler?.wake();
    await replay.run();
    if (replay.state !== "done") return;
    const stored = (await documents.get("replay"))?.text;
    const isWhole = replay.limit === session.txns.length;
    const expected = isWhole ? session.endContent : replay.text;
    this.#outcome = { isEqual: stored === expected, characters: expected.length, isWhole };
    await typing.checkpoint();
    this.#sampler?.wake();
  }

  #sampled(sample: Sample): void {
    this.#sample = sample;
    const replay = this.#replay;
    if (replay && replay.committed > 0 && replay.state !== "stopped") {
      const { committed: commits, naiveBytes: naive } = replay;
      this.#curve.add({ commits, naive, held: storedBytes(sample.typing) });
      this.#recent = [...this.#recent, { at: sample.at, commits }].slice(-rateSamples);
    }
    this.#render();
  }

  #toggle(): void {
    if (this.#replay?.state === "running") this.#replay.pause();
    else this.#replay?.resume();
    this.#recent = [];
    this.#render();
  }

  #render(): void {
    const { points } = this.#curve;
    render(
      html`${this.#controls()}
        ${this.#error === undefined ? nothing : failed("The replay cannot go on.", this.#error, () => void this.#start())}
        <progress
          max=${this.#replay?.limit ?? this.#limit}
          .value=${this.#replay?.committed ?? 0}
          aria-label="Transactions replayed"
        ></progress>
        ${this.#figures()}
        <figure>
          <figcaption class="legend">
            <span class="naive"
              ><i></i>Every version kept whole
              <b data-test="replay-naive">${formatBytes(this.#replay?.naiveBytes ?? 0)}</b></span
            >
            <span class="held"
              ><i></i>Held by Tidemark
              <b data-test="replay-held">${this.#sample ? formatBytes(storedBytes(this.#sample.typing)) : "–"}</b></span
            >
          </figcaption>
          <div class="plot">
            ${chart({
              points,
              widthPx: this.#widthPx,
              commits: this.#replay?.limit ?? this.#limit,
              maxBytes: this.#maxBytes,
            })}
            ${
              points.length === 0
                ? html`<p class="plot-empty">Start the replay to see the two curves part.</p>`
                : nothing
            }
          </div>
        </figure>
        <p class="verdict" role="status" data-test="replay-verdict" data-equal=${this.#outcome?.isEqual ?? nothing}>
          ${this.#verdict()}
        </p>`,
      this.#root,
    );
  }

  #isUnderWay(): boolean {
    return this.#replay?.state === "running" || this.#replay?.state === "paused" || this.#isLoading;
  }

  #controls(): TemplateResult {
    const isUnderWay = this.#isUnderWay();
    const isPaused = this.#replay?.state === "paused";
    return html`<form
      class="controls"
      @submit=${(e: Event) => {
        e.preventDefault();
        void this.#start();
      }}
    >
      <label class="grow"
        >How much
        <select
          data-test="replay-limit"
          ?disabled=${isUnderWay}
          @change=${(e: Event) => {
            this.#limit = Number((e.currentTarget as HTMLSelectElement).value);
            this.#render();
          }}
        >
          ${limits.map(
            (n) =>
              html`<option value=${n} ?selected=${n === this.#limit}>
                ${n === wholeSession ? `All ${formatCount(n)} transactions` : `First ${formatCount(n)}`}
              </option>`,
          )}
        </select>
      </label>
      <label class="wide"
        >Pace
        <select
          data-test="replay-pace"
          ?disabled=${isUnderWay}
          @change=${(e: Event) => (this.#pace = (e.currentTarget as HTMLSelectElement).value)}
        >
          <option value="each">One after another, each awaited</option>
          <option value="group">16 on their way at once</option>
          <option value="watch">40 a second, to watch</option>
        </select>
      </label>
      <div class="buttons">
        ${
          isUnderWay && !this.#isLoading
            ? html`<button type="button" data-test="replay-pause" @click=${() => this.#toggle()}>
                  ${isPaused ? "Go on" : "Pause"}
                </button>
                <button type="button" data-test="replay-stop" @click=${() => this.#replay?.stop()}>Stop</button>`
            : html`<button type="submit" class="primary" data-test="replay-start" ?disabled=${this.#isLoading}>
                ${this.#isLoading ? "Loading 0.7 MB…" : "Replay the session"}
              </button>`
        }
      </div>
    </form>`;
  }

  #figures(): TemplateResult {
    const committed = this.#replay?.committed ?? 0;
    const versions = this.#sample?.typing.versions;
    return html`<dl class="figures">
      <div>
        <dt>Commits</dt>
        <dd data-test="replay-commits">${formatCount(committed)}</dd>
      </div>
      <div>
        <dt>Commits a second</dt>
        <dd data-test="replay-rate">${this.#rate()}</dd>
      </div>
      <div>
        <dt>Versions held</dt>
        <dd data-test="replay-versions">${versions === undefined ? "–" : formatCount(versions)}</dd>
      </div>
      <div>
        <dt>Space saved</dt>
        <dd data-test="replay-factor">${this.#factor()}</dd>
      </div>
    </dl>`;
  }

  /** While it runs, of the last second; at its end, of all of it. */
  #rate(): string {
    const replay = this.#replay;
    if (replay && replay.state !== "running" && replay.activeMs > 0)
      return formatCount((replay.committed * 1000) / replay.activeMs);
    const [first, last] = [this.#recent[0], this.#recent.at(-1)];
    if (!first || !last || first === last) return "–";
    return formatCount(((last.commits - first.commits) * 1000) / (last.at - first.at));
  }

  #factor(): string {
    const naive = this.#replay?.naiveBytes ?? 0;
    if (naive === 0 || !this.#sample) return "–";
    const factor = naive / storedBytes(this.#sample.typing);
    return factor < 1 ? "–" : `${formatTimes(factor)}×`;
  }

  #verdict(): TemplateResult | string {
    const [replay, outcome] = [this.#replay, this.#outcome];
    if (!replay) return "A blog post as it was typed from May to August 2021, keystroke by keystroke.";
    if (replay.state === "stopped") return `Stopped after ${formatCount(replay.committed)} transactions.`;
    if (!outcome) return replay.state === "paused" ? "Paused." : "Each keystroke is a transaction on one record.";
    const characters = formatCount(outcome.characters);
    if (!outcome.isEqual) return "The text read back differs from what was typed.";
    return html`<b>The text is right.</b> The ${characters} characters read back from the database equal
      ${outcome.isWhole ? "the end of the recording" : "what was typed"}, after ${formatCount(replay.committed)} commits
      in ${formatDuration(replay.activeMs)}.`;
  }
}
