/**
 * Looks into a database again and again while somebody looks at the inspector, and remembers what was seen. It asks for
 * figures that the engine keeps anyway, seldom, and the more seldom the longer an answer takes.
 */
import {
  type GcAdvance,
  type GcEvent,
  type GcExecution,
  type GcExplanation,
  isTidemarkError,
  type Metrics,
} from "tidemark";
import type { InspectedDatabase } from "./database.ts";
import { pushBounded, Series } from "./series.ts";
import type { Moment, Span } from "./timeline.ts";

/** What a panel wants besides metrics and explanation. */
export type Extra = "executions" | "advances";

export interface Sample {
  /** In ms since 1970. */
  readonly at: number;
  readonly metrics: Metrics;
  readonly explanation: GcExplanation;
  readonly executions?: readonly GcExecution[];
  readonly advances?: readonly GcAdvance[];
  /** What the browser says that the whole origin takes; absent where it does not say. */
  readonly estimate?: { readonly usage?: number; readonly quota?: number };
}

/** What looking takes. */
export interface Cost {
  readonly calls: number;
  readonly watchedMs: number;
  /** How long answers have usually taken of late, the way to the worker and back included. */
  readonly answerMs: number;
}

const leastPauseMs = 1000;
const busyPauseMs = 500;
const mostPauseMs = 5000;
/** Answers are waited for during about this part of the time, unless they take very long. */
const shareOfTime = 1 / 50;
const estimateEveryMs = 10_000;
const most = 240;
/** Slices are remembered for so long. */
const keptMs = 60_000;

/** Of the last three looks, the last one last. One that was held up, as by the opening, is no measure. */
const usual = (tookMs: readonly number[]): number =>
  tookMs.length < 3 ? 0 : tookMs.slice(-3).toSorted((a, b) => a - b)[1]!;

/** The pause after looks that took so long. */
export function pauseAfter(tookMs: readonly number[], isRunning: boolean): number {
  const least = isRunning ? busyPauseMs : leastPauseMs;
  return Math.min(mostPauseMs, Math.max(least, usual(tookMs) / shareOfTime));
}

export class Inspection {
  readonly database: InspectedDatabase;
  readonly floor: Series<"head" | "floor" | "fence"> = new Series(["head", "floor", "fence"]);
  readonly growth: Series<"blocks" | "log" | "blobs"> = new Series(["blocks", "log", "blobs"]);
  sample: Sample | undefined;
  /** Why the last look failed. */
  error: unknown;
  /** Of upkeep, by `performance.now()`; where more of them come between two looks than are told, the last ones. */
  slices: readonly Moment[] = [];
  /** Runs that this tab heard of. */
  spans: readonly Span[] = [];
  extras: ReadonlySet<Extra> = new Set();
  readonly #changed: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isWatching = false;
  #isLooking = false;
  #isAgain = false;
  #unsubscribe: (() => void) | undefined;
  /** How many slices there were at the last look. */
  #sliceCount = 0;
  #estimatedAt = -Infinity;
  #estimate: Sample["estimate"];
  #tookMs: readonly number[] = [];
  #cost = { calls: 0, watchedMs: 0 };
  #watchedFrom = 0;

  constructor(database: InspectedDatabase, changed: () => void) {
    this.database = database;
    this.#changed = changed;
  }

  get cost(): Cost {
    const running = this.#isWatching ? performance.now() - this.#watchedFrom : 0;
    return { ...this.#cost, watchedMs: this.#cost.watchedMs + running, answerMs: usual(this.#tookMs) };
  }

  get isWatching(): boolean {
    return this.#isWatching;
  }

  /** Whether a run goes on that this tab's worker does. */
  get isRunning(): boolean {
    return this.spans.some(({ to }) => to === undefined);
  }

  start(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#watchedFrom = performance.now();
    const subscription = this.database.gc.subscribe((event) => this.#hear(event));
    this.#unsubscribe = subscription;
    this.look();
  }

  stop(): void {
    if (!this.#isWatching) return;
    this.#cost.watchedMs += performance.now() - this.#watchedFrom;
    this.#isWatching = false;
    clearTimeout(this.#timer);
    this.#unsubscribe?.();
    // How a run ends is not heard from here on.
    this.spans = this.spans.filter(({ to }) => to !== undefined);
  }

  /** Looks now, as after something was done. */
  look(): void {
    if (!this.#isWatching) return;
    this.#isAgain = this.#isLooking;
    if (this.#isLooking) return;
    clearTimeout(this.#timer);
    void this.#look();
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    try {
      const sample = await this.#take();
      this.#note(sample);
      this.sample = sample;
      this.error = undefined;
    } catch (e) {
      this.error = e;
    }
    if (isTidemarkError(this.error, "CLOSED")) this.stop();
    this.#isLooking = false;
    this.#changed();
    if (!this.#isWatching) return;
    if (this.#isAgain) this.look();
    else this.#timer = setTimeout(() => this.look(), pauseAfter(this.#tookMs, this.isRunning));
  }

  async #take(): Promise<Sample> {
    const { gc, storage } = this.database;
    const [wantsExecutions, wantsAdvances] = [this.extras.has("executions"), this.extras.has("advances")];
    this.#cost.calls += 2 + Number(wantsExecutions) + Number(wantsAdvances);
    const from = performance.now();
    const estimating = this.#estimateNow();
    // In one tick, so that they travel as one message.
    const [explanation, metrics, executions, advances] = await Promise.all([
      gc.explain(),
      storage.metrics(),
      wantsExecutions ? gc.executions() : undefined,
      wantsAdvances ? gc.advances() : undefined,
    ]);
    this.#tookMs = pushBounded(this.#tookMs, performance.now() - from, 3);
    const estimate = await estimating;
    return {
      at: Date.now(),
      metrics,
      explanation,
      ...(executions && { executions }),
      ...(advances && { advances }),
      ...(estimate && { estimate }),
    };
  }

  async #estimateNow(): Promise<Sample["estimate"]> {
    if (performance.now() - this.#estimatedAt < estimateEveryMs) return this.#estimate;
    this.#estimatedAt = performance.now();
    const estimate = globalThis.navigator?.storage?.estimate?.bind(navigator.storage);
    this.#estimate = await estimate?.().catch(() => undefined);
    return this.#estimate;
  }

  #note({ at, metrics, explanation }: Sample): void {
    const { head, floor } = explanation;
    this.floor.add(at / 1000, { head, floor, fence: metrics.checkpoint });
    const { blockBytes: blocks, logBytes: log, blobBytes: blobs } = metrics;
    this.growth.add(at / 1000, { blocks, log, blobs });
    this.#noteSlices(metrics.slices);
  }

  #noteSlices({ slices: count, last }: Metrics["slices"]): void {
    const now = performance.now();
    const fresh = Math.min(last.length, count - this.#sliceCount);
    const moments = fresh > 0 ? last.slice(-fresh).map(({ agoMs, ms }) => ({ at: now - agoMs, ms })) : [];
    this.slices = [...this.slices, ...moments].filter(({ at }) => at > now - keptMs);
    this.#sliceCount = count;
  }

  #hear(event: GcEvent): void {
    const at = performance.now();
    if (event.type === "started") {
      this.spans = pushBounded(this.spans, { id: event.execution.id, from: at }, most);
      this.look();
    } else if (event.type === "ended") {
      const { id } = event.execution;
      this.spans = this.spans.map((span) => (span.id === id && span.to === undefined ? { ...span, to: at } : span));
      this.look();
    }
  }
}
