/** The recorded session being typed: runs it, and shows the text as it grows, figures and the plot. */
import { html, nothing, render } from "lit";
import { typing } from "../databases.ts";
import { address } from "../page-address.ts";
import { failed } from "../placeholders.ts";
import { stampNow } from "../stamp.ts";
import { type Sample, type Sampler, storedBytes } from "../surface/sampler.ts";
import { chart } from "./chart.ts";
import { replayControls, type ReplayChoices } from "./controls.ts";
import { Curve, expectedCurve, type Point } from "./curves.ts";
import { type Figures, figures, legend, type Outcome, verdict } from "./figures.ts";
import { type Pace, Replay } from "./replay.ts";
import { loadTypingSession, type TypingSession } from "./session.ts";
import { TextPreview } from "./text-preview.ts";

const paces: Readonly<Record<ReplayChoices["pace"], Pace>> = {
  group: { inFlight: 16 },
  each: { inFlight: 1 },
  watch: { inFlight: 1, perSecond: 40 },
};
/** The rate shown is of the samples of about the last second. */
const rateSamples = 5;

export class ReplayView {
  readonly #root: HTMLElement;
  readonly #preview: TextPreview;
  readonly #sampler: Sampler;
  #session: TypingSession | undefined;
  #isLoading = false;
  #replay: Replay | undefined;
  #choices: ReplayChoices = {
    limit: address.oneOf("replay", ["all", "10000", "2000"]),
    pace: address.oneOf("pace", ["group", "each", "watch"]),
    scale: address.oneOf("scale", ["linear", "log"]),
  };
  #expected: readonly Point[] = [];
  #naive = new Curve(1);
  #held = new Curve(1);
  #recent: { at: number; commits: number }[] = [];
  #sample: Sample | undefined;
  #outcome: Outcome | undefined;
  #error: unknown;
  #widthPx = 600;

  /** `sampler`: of the database that is written to. */
  constructor(root: HTMLElement, preview: HTMLElement, sampler: Sampler) {
    this.#root = root;
    this.#preview = new TextPreview(preview);
    this.#sampler = sampler;
  }

  show(): void {
    this.#render();
    const root = this.#root;
    new ResizeObserver(() => {
      this.#widthPx = root.querySelector(".plot")?.clientWidth ?? this.#widthPx;
      this.#render();
    }).observe(root);
  }

  async #start(): Promise<void> {
    this.#error = undefined;
    this.#outcome = undefined;
    this.#recent = [];
    this.#replay = undefined;
    this.#isLoading = true;
    this.#render();
    const stopLooking = this.#sampler.look({
      next: (sample) => this.#sampled(sample),
      error: (e) => {
        this.#error = e;
        this.#render();
      },
    });
    try {
      this.#session ??= await loadTypingSession();
      this.#isLoading = false;
      await this.#runAlone(this.#session);
    } catch (e) {
      this.#error = e;
    } finally {
      stopLooking();
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
    const { limit, pace } = this.#choices;
    const count = limit === "all" ? session.txns.length : Number(limit);
    this.#expected = expectedCurve(session, count);
    this.#naive = new Curve(count);
    this.#held = new Curve(count);
    const documents = typing.collection("documents");
    const replay = new Replay(session, count, paces[pace], (text) =>
      documents.put({ id: "replay", text, edited: stampNow() }),
    );
    this.#replay = replay;
    this.#preview.follow(replay);
    this.#render();
    this.#sampler.wake();
    await replay.run();
    if (replay.state !== "done") return;
    const stored = (await documents.get("replay"))?.text;
    const isWhole = replay.limit === session.txns.length;
    const expected = isWhole ? session.endContent : replay.text;
    this.#outcome = { isEqual: stored === expected, characters: expected.length, isWhole };
    await typing.checkpoint();
    this.#sampled({ at: performance.now(), metrics: await typing.storage.metrics() });
  }

  #sampled(sample: Sample): void {
    this.#sample = sample;
    const replay = this.#replay;
    if (replay && replay.committed > 0 && replay.state !== "stopped") {
      const { committed: commits, naiveBytes } = replay;
      this.#naive.add({ commits, bytes: naiveBytes });
      this.#held.add({ commits, bytes: storedBytes(sample.metrics) });
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

  #choose(choices: Partial<ReplayChoices>): void {
    this.#choices = { ...this.#choices, ...choices };
    const { limit, pace, scale } = this.#choices;
    address.set("replay", limit === "all" ? "" : limit);
    address.set("pace", pace === "group" ? "" : pace);
    address.set("scale", scale === "linear" ? "" : scale);
    this.#render();
  }

  #figures(): Figures {
    const [first, last] = [this.#recent[0], this.#recent.at(-1)];
    const isMoving = first !== undefined && last !== undefined && last.at > first.at;
    return {
      replay: this.#replay,
      metrics: this.#sample?.metrics,
      expectedBytes: this.#expected.at(-1)?.bytes,
      recentRate: isMoving ? ((last.commits - first.commits) * 1000) / (last.at - first.at) : undefined,
      outcome: this.#outcome,
    };
  }

  #render(): void {
    const now = this.#figures();
    const isEmpty = this.#naive.points.length === 0;
    render(
      html`${replayControls({
          choices: this.#choices,
          total: this.#session?.txns.length,
          state: this.#isLoading ? "loading" : (this.#replay?.state ?? "stopped"),
          choose: (choices) => this.#choose(choices),
          start: () => void this.#start(),
          toggle: () => this.#toggle(),
          stop: () => this.#replay?.stop(),
        })}
        ${
          this.#error === undefined
            ? nothing
            : failed("The replay cannot go on.", this.#error, () => void this.#start())
        }
        <progress
          max=${this.#replay?.limit ?? 1}
          .value=${this.#replay?.committed ?? 0}
          aria-label="Transactions replayed"
        ></progress>
        <figure>
          <figcaption>${legend(now)}</figcaption>
          <div class="plot">
            ${chart({
              expected: this.#expected,
              naive: this.#naive.points,
              held: this.#held.points,
              scale: this.#choices.scale,
              widthPx: this.#widthPx,
              commits: this.#replay?.limit ?? 10_000,
            })}
            ${isEmpty ? html`<p class="plot-empty">Start the replay to see the two lines part.</p>` : nothing}
          </div>
        </figure>
        ${figures(now)}
        <p class="verdict" role="status" data-test="replay-verdict" data-equal=${this.#outcome?.isEqual ?? nothing}>
          ${verdict(now)}
        </p>`,
      this.#root,
    );
  }
}
