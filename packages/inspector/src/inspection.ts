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
import type { Beat, Span } from "./timeline.ts";

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

/** What looking has taken so far. */
export interface Cost {
  readonly calls: number;
  /** From calls to their answers: the worker's time is less. */
  readonly waitedMs: number;
  readonly watchedMs: number;
}

const leastPauseMs = 1000;
const busyPauseMs = 500;
const mostPauseMs = 5000;
/** Answers are waited for during about this part of the time, unless they take very long. */
const shareOfTime = 1 / 50;
const estimateEveryMs = 10_000;
const most = 240;

/** The pause after looks that took so long, the last one last. One that was held up, as by the opening, is no measure. */
export function pauseAfter(tookMs: readonly number[], isRunning: boolean): number {
  const least = isRunning ? busyPauseMs : leastPauseMs;
  const usualMs = tookMs.length < 3 ? 0 : tookMs.slice(-3).toSorted((a, b) => a - b)[1]!;
  return Math.min(mostPauseMs, Math.max(least, usualMs / shareOfTime));
}

export class Inspection {
  readonly database: InspectedDatabase;
  readonly floor: Series<"head" | "floor" | "fence"> = new Series(["head", "floor", "fence"]);
  readonly growth: Series<"blocks" | "log" | "blobs"> = new Series(["blocks", "log", "blobs"]);
  sample: Sample | undefined;
  /** Why the last look failed. */
  error: unknown;
  /** What upkeep took between looks, of `performance.now()`. */
  beats: readonly Beat[] = [];
  /** Runs that this tab heard of. */
  spans: readonly Span[] = [];
  extras: ReadonlySet<Extra> = new Set();
  readonly #changed: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isWatching = false;
  #isLooking = false;
  #isAgain = false;
  #unsubscribe: (() => void) | undefined;
  #last: { readonly at: number; readonly slices: number; readonly totalMs: number } | undefined;
  #estimatedAt = -Infinity;
  #estimate: Sample["estimate"];
  #tookMs: readonly number[] = [];
  #cost = { calls: 0, waitedMs: 0, watchedMs: 0 };
  #watchedFrom = 0;

  constructor(database: InspectedDatabase, changed: () => void) {
    this.database = database;
    this.#changed = changed;
  }

  get cost(): Cost {
    const running = this.#isWatching ? performance.now() - this.#watchedFrom : 0;
    return { ...this.#cost, watchedMs: this.#cost.watchedMs + running };
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
    this.#last = undefined; // what upkeep took while nobody looked belongs to no beat
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
    const from = performance.now();
    try {
      const sample = await this.#take();
      this.#note(sample);
      this.sample = sample;
      this.error = undefined;
    } catch (e) {
      this.error = e;
    }
    if (isTidemarkError(this.error, "CLOSED")) this.stop();
    const tookMs = performance.now() - from;
    this.#cost.waitedMs += tookMs;
    this.#tookMs = pushBounded(this.#tookMs, tookMs, 3);
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
    // In one tick, so that they travel as one message.
    const [explanation, metrics, executions, advances, estimate] = await Promise.all([
      gc.explain(),
      storage.metrics(),
      wantsExecutions ? gc.executions() : undefined,
      wantsAdvances ? gc.advances() : undefined,
      this.#estimateNow(),
    ]);
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
    const now = performance.now();
    const { slices, totalMs } = metrics.slices;
    if (this.#last) {
      const last = this.#last;
      const beat = { at: now, spanMs: now - last.at, slices: slices - last.slices, workMs: totalMs - last.totalMs };
      this.beats = pushBounded(this.beats, beat, most);
    }
    this.#last = { at: now, slices, totalMs };
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
