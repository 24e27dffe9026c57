/** Runs of garbage collection: those that were, the one under way, and what upkeep takes beside the page's frames. */
import {
  css,
  type CSSResult,
  html,
  type PropertyDeclarations,
  type PropertyValues,
  svg,
  type SVGTemplateResult,
  type TemplateResult,
} from "lit";
import type { GcExecution, GcJob, GcKind, GcProgress, GcProof, GcReport } from "tidemark";
import { counted, formatBytes, formatCount, formatDuration, formatTime, messageOf } from "./format.ts";
import { Frames } from "./frames.ts";
import { nameOf } from "./holders.ts";
import type { Extra, Inspection, Sample } from "./inspection.ts";
import { define, empty, Panel } from "./panel.ts";
import { type Bar, frameLane, layOut, sliceLane } from "./timeline.ts";
import { keyText } from "./versions.ts";

const windowMs = 60_000;
const proofsShown = 50;
const lanePx = 44;
const gapPx = 22;

interface Ended {
  readonly text: string;
  readonly isFailure: boolean;
  readonly report?: GcReport;
}

class GcPanel extends Panel {
  static override properties: PropertyDeclarations = {
    job: { state: true },
    isPaused: { state: true },
    progress: { state: true },
    ended: { state: true },
    proofs: { state: true },
    widthPx: { state: true },
  };
  static override readonly extras: readonly Extra[] = ["executions"];
  declare job: GcJob | undefined;
  declare isPaused: boolean;
  declare progress: GcProgress | undefined;
  declare ended: Ended | undefined;
  declare proofs: readonly GcProof[] | "reading" | undefined;
  declare widthPx: number;
  readonly #frames = new Frames(windowMs);
  readonly #sizes = new ResizeObserver(([entry]) => (this.widthPx = Math.floor(entry?.contentRect.width ?? 0)));
  #kind: GcKind = "FULL_GC";

  constructor() {
    super();
    this.isPaused = false;
    this.widthPx = 600;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#frames.stop();
    this.#sizes.disconnect();
  }

  protected override updated(changed: PropertyValues<this>): void {
    super.updated(changed);
    if (this.isActive && this.isConnected) this.#frames.start();
    const strip = this.querySelector(".strip");
    if (strip) this.#sizes.observe(strip);
  }

  /** The frames go on, so it must know when it is out of sight. */
  protected override shouldUpdate(): boolean {
    if (!this.isActive) this.#frames.stop();
    return super.shouldUpdate();
  }

  protected override show(sample: Sample, inspection: Inspection): TemplateResult {
    const { metrics, executions } = sample;
    return html`<div class="stack">
      <section class="part" aria-labelledby="gc-run">
        <div class="heading">
          <h3 id="gc-run">Run it</h3>
          <p class="note">
            ${formatBytes(sample.explanation.reclaimable)} can go now. It runs by itself when enough is due, unless
            <code>gc.mode</code> is “manual”.
          </p>
        </div>
        ${this.#controls()}
        <div class="run-state" role="status">${this.#state(metrics.versions)}</div>
        ${this.#proofList()}
      </section>
      <section class="part" aria-labelledby="gc-time">
        <div class="heading">
          <h3 id="gc-time">Its time beside the page's frames</h3>
          <p class="note">
            ${counted(metrics.slices.slices, "slice")} in this tab since it was opened,
            ${formatDuration(metrics.slices.longestMs)} the longest; ${formatDuration(metrics.slices.usedMs)} of the
            last 10 s.
          </p>
        </div>
        <div class="strip">${this.#timeline(inspection)}</div>
      </section>
      <section class="part" aria-labelledby="gc-executions">
        <h3 id="gc-executions">The last runs, of any tab</h3>
        ${executionTable(executions)}
      </section>
    </div>`;
  }

  #controls(): TemplateResult {
    const isIdle = !this.job;
    return html`<div class="controls">
      <label class="kind"
        >What is looked at
        <select
          ?disabled=${!isIdle}
          @change=${(e: Event) => (this.#kind = (e.target as HTMLSelectElement).value as GcKind)}
        >
          <option value="FULL_GC">Everything</option>
          <option value="YOUNG_AND_MIDDLE">Young and middle</option>
          <option value="YOUNG_ONLY">Young only</option>
        </select></label
      >
      <div class="buttons">
        <button type="button" class="primary" data-test="run" ?disabled=${!isIdle} @click=${() => this.#run(false)}>
          Run
        </button>
        <button type="button" data-test="dry-run" ?disabled=${!isIdle} @click=${() => this.#run(true)}>Dry run</button>
        <button type="button" data-test="pause" ?disabled=${isIdle} @click=${() => this.#pause()}>
          ${this.isPaused ? "Resume" : "Pause"}
        </button>
        <button type="button" data-test="cancel" ?disabled=${isIdle} @click=${() => this.#steer((job) => job.cancel())}>
          Cancel
        </button>
        <button type="button" data-test="proofs" @click=${() => this.#readProofs()}>List proofs</button>
      </div>
    </div>`;
  }

  #state(versions: number): TemplateResult {
    const { job, progress, ended } = this;
    if (job) {
      const scanned = progress?.scanned ?? 0;
      const share = progress?.phase === "sweep" && versions > 0 ? Math.min(1, scanned / versions) : undefined;
      return html`<progress aria-label="The run" max="1" .value=${share ?? 0}></progress>
        <p data-test="progress">
          ${this.isPaused ? "Paused. " : ""}${
            progress
              ? `${phases[progress.phase]}: ${counted(progress.steps, "step")}, ${counted(progress.deleted, "version")} of ${formatCount(scanned)} went, ${formatBytes(progress.bytesReclaimed)}.`
              : this.isPaused
                ? "It has not begun."
                : "It begins as soon as the page is idle…"
          }
        </p>`;
    }
    if (!ended)
      return html`<progress aria-hidden="true" max="1" value="0"></progress>
        <p class="muted">No run was begun here.</p>`;
    return html`<progress aria-hidden="true" max="1" .value=${ended.isFailure ? 0 : 1}></progress>
      <p class=${ended.isFailure ? "bad" : ""} data-test="result">${ended.text}</p>`;
  }

  #run(dryRun: boolean): void {
    const { database } = this;
    if (!database) return;
    this.ended = undefined;
    this.progress = undefined;
    this.isPaused = false;
    this.proofs = undefined;
    const job = database.gc.start({ kind: this.#kind, dryRun });
    const stop = job.onProgress((progress) => (this.progress = progress));
    this.job = job;
    job.report
      .then(
        (report) => (this.ended = { text: resultText(report), isFailure: false, report }),
        (e: unknown) => (this.ended = { text: messageOf(e), isFailure: true }),
      )
      .finally(() => {
        stop();
        this.job = undefined;
        this.isPaused = false;
        this.inspection?.look();
      });
  }

  #pause(): void {
    const isPaused = !this.isPaused;
    this.isPaused = isPaused;
    this.#steer((job) => (isPaused ? job.pause() : job.resume()));
  }

  #steer(how: (job: GcJob) => Promise<void>): void {
    const { job } = this;
    if (job) how(job).catch((e: unknown) => (this.ended = { text: messageOf(e), isFailure: true }));
  }

  async #readProofs(): Promise<void> {
    if (!this.database || this.proofs === "reading") return;
    this.proofs = "reading";
    const found: GcProof[] = [];
    try {
      for await (const proof of this.database.gc.proofs({ pageSize: proofsShown + 1 })) {
        found.push(proof);
        if (found.length > proofsShown) break;
      }
      this.proofs = found;
    } catch (e) {
      this.proofs = undefined;
      this.ended = { text: messageOf(e), isFailure: true };
    }
  }

  #proofList(): TemplateResult | string {
    const { proofs } = this;
    if (proofs === undefined) return "";
    if (proofs === "reading") return html`<p class="note">Asking for proofs…</p>`;
    if (proofs.length === 0) return empty("Nothing would go", "No version is there that nobody can read.");
    const rest =
      proofs.length > proofsShown
        ? `The first ${proofsShown} that a run would remove, once it has let the floor rise; there are more.`
        : `All ${counted(proofs.length, "version")} that a run would remove, once it has let the floor rise.`;
    return html`<p class="note">${rest}</p>
      <div class="proofs" role="region" aria-label="Proofs" tabindex="0">
        <table role="table" data-test="proof-table">
          <thead role="rowgroup">
            <tr role="row">
              <th role="columnheader" scope="col">Version of</th>
              <th role="columnheader" scope="col">Why it may go</th>
              <th role="columnheader" scope="col" class="number">Bytes</th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            ${proofs.slice(0, proofsShown).map(
              (proof) =>
                html`<tr role="row">
                  <th role="rowheader" scope="row">
                    <code>${proof.collection}${proof.index ? `.${proof.index}` : ""} ${keyText(proof.key)}</code>
                  </th>
                  <td role="cell" class="whole">${proofText(proof)}</td>
                  <td role="cell" class="number" data-name="Bytes">${formatBytes(proof.bytes)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>`;
  }

  #timeline({ slices: moments, spans }: Inspection): TemplateResult {
    const strip = { now: performance.now(), windowMs, widthPx: this.widthPx, lanePx };
    const { slices, frames, spans: runs } = layOut(moments, this.#frames.list, spans, strip);
    const [runsAt, slicesAt, framesAt] = [16, 16 + gapPx + 8, 16 + gapPx + 8 + lanePx + gapPx];
    const heightPx = framesAt + lanePx + 20;
    const lane = (title: string, kind: string, top: number, bars: readonly Bar[]): SVGTemplateResult =>
      svg`<text x="0" y=${top - 5}>${title}</text>
      <g class=${kind}>${bars.map((bar) => barIn(top, bar))}</g>
      <line x1="0" x2=${this.widthPx} y1=${top + lanePx + 0.5} y2=${top + lanePx + 0.5}></line>`;
    const late = this.#frames.list.filter(({ ms }) => ms > frameLane.lateMs).length;
    const label = `The last minute: ${counted(runs.length, "run")}; ${counted(moments.length, "slice")}; ${counted(late, "frame")} took longer than ${frameLane.lateMs} ms`;
    return html`<svg width=${this.widthPx} height=${heightPx} role="img" aria-label=${label}>
      ${svg`<text x="0" y="11">Runs</text>
      ${runs.map(({ x, width }) => svg`<rect class="run" x=${x} y=${runsAt} width=${width} height="8" rx="2"></rect>`)}
      <line x1="0" x2=${this.widthPx} y1=${runsAt + 8.5} y2=${runsAt + 8.5}></line>
      ${lane(`Longest slices of upkeep; full height ${sliceLane.topMs} ms`, "work", slicesAt, slices)}
      ${lane(`Longest frames of the page; full height ${frameLane.topMs} ms`, "frames", framesAt, frames)}
      <text x="0" y=${heightPx - 4}>a minute ago</text>
      <text x=${this.widthPx} y=${heightPx - 4} text-anchor="end">now</text>`}
    </svg>`;
  }
}

const barIn = (top: number, { x, width, height, isHigh }: Bar): SVGTemplateResult =>
  svg`<rect class=${isHigh ? "high" : ""} x=${x} y=${(top + lanePx - height).toFixed(1)} width=${width} height=${height.toFixed(1)}></rect>`;

const phases = { checkpoint: "Folding the log", sweep: "Sweeping", done: "Done" } as const;

function resultText({
  dryRun,
  marked,
  deleted,
  total,
  bytesReclaimed,
  durationMs,
  slices,
  longestSliceMs,
  heldBack,
}: GcReport): string {
  const held = heldBack.map((holder) => `${nameOf(holder)} keeps ${formatBytes(holder.bytes)}`);
  const kept = held.length === 0 ? "" : ` ${held.join("; ")}.`;
  if (dryRun) {
    return `Dry run: ${counted(marked, "version")} of ${formatCount(total)} would go, ${formatBytes(bytesReclaimed)}; it took ${formatDuration(durationMs)}, and nothing was changed.${kept}`;
  }
  const work = `${counted(slices, "slice")}, the longest ${formatDuration(longestSliceMs)}`;
  return `${counted(deleted, "version")} of ${formatCount(total)} went, ${formatBytes(bytesReclaimed)}, in ${formatDuration(durationMs)}: ${work}.${kept}`;
}

export function proofText({ seq, supersededBy, floor, clause }: GcProof): string {
  switch (clause) {
    case "floor":
      return `${seq} was replaced at ${supersededBy}, and nobody reads below ${floor}`;
    case "interval":
      return `${seq} was replaced at ${supersededBy}, and no snapshot sees anything in between`;
    case "tombstone":
      return `the deletion at ${seq} hides nothing any more, and nobody reads below ${floor}`;
    default:
      return `${seq} is of a collection that was cleared, and nobody reads below ${floor}`;
  }
}

function executionTable(executions: readonly GcExecution[] | undefined): TemplateResult {
  if (!executions) return html`<p class="note">Looking…</p>`;
  if (executions.length === 0) {
    return empty("No run yet", "One begins by itself when enough garbage is due, or above.");
  }
  return html`<table role="table">
    <thead role="rowgroup">
      <tr role="row">
        <th role="columnheader" scope="col">Run</th>
        <th role="columnheader" scope="col">Began</th>
        <th role="columnheader" scope="col" class="number">Took</th>
        <th role="columnheader" scope="col" class="number">Looked at</th>
        <th role="columnheader" scope="col" class="number">Went</th>
        <th role="columnheader" scope="col" class="number">Bytes</th>
        <th role="columnheader" scope="col">Ended</th>
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${executions.slice(0, 20).map(
        ({ id, type, started, completed, status, scanned, swept, bytes, error }) =>
          html`<tr role="row" data-run=${id}>
            <th role="rowheader" scope="row">${id} <span class="muted">${type}</span></th>
            <td role="cell" class="keep" data-name="Began">${formatTime(started)}</td>
            <td role="cell" class="number" data-name="Took">
              ${completed === undefined ? "–" : formatDuration(completed - started)}
            </td>
            <td role="cell" class="number" data-name="Looked at">${formatCount(scanned)}</td>
            <td role="cell" class="number" data-name="Went">${formatCount(swept)}</td>
            <td role="cell" class="number" data-name="Bytes">${formatBytes(bytes)}</td>
            <td role="cell" data-name="Ended">
              <span class="tag ${tones[status]}">${status.toLowerCase()}</span>
              ${error === undefined ? "" : html`<small>${error}</small>`}
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

const tones = { COMPLETED: "good", RUNNING: "warm", FAILED: "bad", CANCELLED: "" } as const;

export const gcStyles: CSSResult = css`
  .kind {
    flex: 0 1 11rem;
  }

  .run-state {
    display: grid;
    gap: 8px;
    align-content: start;
    min-height: 52px;
    font-size: 13px;
    overflow-wrap: anywhere;
  }

  .run-state .bad {
    color: var(--danger);
  }

  .proofs {
    max-height: 340px;
    overflow: auto;
    overscroll-behavior: contain;
  }

  .strip {
    min-width: 0;
    overflow: hidden;
  }

  .strip svg {
    display: block;
  }

  .strip text {
    fill: var(--muted);
    font-size: 12px;
  }

  .strip line {
    stroke: var(--line);
  }

  .strip .run,
  .strip .work {
    fill: var(--accent);
  }

  .strip .frames {
    fill: var(--line-strong);
  }

  .strip .high {
    fill: var(--second);
  }
`;

define("tidemark-inspector-gc", GcPanel);
