/**
 * When background work gets its slices of the worker's one thread, and how long they are (VG10, VG11).
 *
 * A slice begins when the page grants it out of an idle moment, and while the page has calls outstanding none does. Each
 * of these has its bound, so that no page stops upkeep for good: one that always has calls outstanding, one that is
 * never idle, one that is hidden and grants nothing. While anybody works, in this tab or another, slices leave gaps in
 * proportion to what they took, since all wait for the same storage. When more waits than idle moments allow, slices begin without a
 * grant, for a share of the time that follows the debt. Only where somebody waits for the work itself do they follow on
 * one another, still with everybody else's turns in between.
 */
import type { Pace } from "../segments/pace.ts";
import { defaultSliceMs, idleMomentMs } from "../protocol/messages.ts";
import type { SliceFigures, SliceSource } from "../protocol/metrics.ts";
import type { Foreground } from "./foreground.ts";
import type { Gate } from "./gate.ts";
import type { Grant, Grants } from "./grants.ts";
import { SliceMeter } from "./slice-figures.ts";

/** A page that always has calls outstanding must not stop upkeep for good. */
const maxBusyMs = 50;
/** Nor one that is never idle, or does not answer. */
const maxSilentMs = 1000;
const lookMs = 4;
/** Where nobody grants, slices are so far apart: a call of the page finds a gap, and half of the time is left to it. */
const ownGapMs = 4;

/** While somebody works, slices are so many times as far apart as the last, and what that stored, took; not for longer. */
const restTimes = 3;
const maxRestMs = 50;

/** From this share of the limit on, idle moments do not suffice, and slices take some of the time without a grant … */
const assistFrom = { debt: 1 / 2, share: 0.1 } as const;
/** … more and more, up to here. */
const assistTo = { debt: 5 / 6, share: 0.5 } as const;

/** One slice in so many is preceded by an empty one. */
const slicesPerEmpty = 8;

export interface PaceOptions {
  /** As `Environment.ticks`. */
  ticks(): number;
  giveWay(): Promise<void>;
  readonly foreground: Foreground;
  /** What waits to be folded, as a share of what may wait before writers have to. */
  readonly debt: () => number;
  readonly grants: Grants;
  readonly budgetMs?: number | undefined;
}

export interface JobOptions {
  /** Whether somebody waits for the end of it. */
  readonly isHeadlong?: () => boolean;
  readonly gate?: Gate | undefined;
  /** A slice of this job takes at most so much. */
  readonly budgetMs?: number | undefined;
  /** A slice is over, and took so long. */
  readonly onSlice?: ((ms: number) => void) | undefined;
}

/** Background work of one worker: its jobs, and what they take. */
export class Slices {
  readonly #options: PaceOptions;
  readonly #jobs = new Set<Job>();
  readonly #meter: SliceMeter;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#meter = new SliceMeter(options.ticks());
  }

  get figures(): SliceFigures {
    return this.#meter.figures(this.#options.ticks());
  }

  /** Does `work` in slices, the first of which has begun when it is called. */
  async run<T>(work: (pace: Pace) => Promise<T>, options: JobOptions = {}): Promise<T> {
    const job = new Job(this.#options, this.#meter, options, () => this.#tell());
    this.#jobs.add(job);
    try {
      await job.pause();
      return await work(job);
    } finally {
      job.end();
      this.#jobs.delete(job);
      this.#tell();
    }
  }

  #tell(): void {
    this.#options.grants.waits = [...this.#jobs].some((job) => job.wantsGrants);
  }
}

interface Slice {
  readonly source: SliceSource;
  readonly from: number;
  readonly budgetMs: number;
  readonly grant: Grant | undefined;
  /** How long it waited for storage. */
  asideMs: number;
}

/** For the next slice. */
interface Wait {
  readonly from: number;
  lookedAt: number;
  /** For how long of it the page had calls outstanding. */
  busyMs: number;
}

class Job implements Pace {
  readonly #options: PaceOptions;
  readonly #meter: SliceMeter;
  readonly #isHeadlong: () => boolean;
  readonly #gate: Gate | undefined;
  readonly #onSlice: ((ms: number) => void) | undefined;
  readonly #budgetMs: number;
  readonly #changed: () => void;
  #slice: Slice | undefined;
  #restsUntil = -Infinity;
  #last: { readonly end: number; readonly usedMs: number } | undefined;

  constructor(
    options: PaceOptions,
    meter: SliceMeter,
    { isHeadlong, gate, budgetMs, onSlice }: JobOptions,
    changed: () => void,
  ) {
    this.#options = options;
    this.#meter = meter;
    this.#isHeadlong = isHeadlong ?? ((): boolean => false);
    this.#gate = gate;
    this.#onSlice = onSlice;
    this.#budgetMs = budgetMs ?? options.budgetMs ?? defaultSliceMs;
    this.#changed = changed;
  }

  /** Idle moments are of use to it. */
  get wantsGrants(): boolean {
    return !this.#isHeadlong() && !this.#gate?.isPaused;
  }

  /** After a long wait for storage, too, others come first: whatever idle moment it began in is over. */
  isDue(ahead = 0): boolean {
    const slice = this.#slice;
    if (!slice) return true;
    const lastedMs = this.#options.ticks() - slice.from;
    return lastedMs - slice.asideMs >= slice.budgetMs * (1 - ahead) || slice.asideMs > idleMomentMs;
  }

  /** @throws why the job was cancelled */
  async pause(): Promise<void> {
    this.end();
    this.#changed();
    await this.#options.giveWay();
    const wait: Wait = { from: this.#options.ticks(), lookedAt: this.#options.ticks(), busyMs: 0 };
    for (;;) {
      if (this.#gate) await this.#pass(this.#gate);
      const now = this.#options.ticks();
      if (this.#begin(now, wait)) return;
      wait.lookedAt = now;
      this.#changed(); // whoever was in a hurry as it began to wait may be so no more
      await this.#options.grants.change(lookMs);
    }
  }

  async #pass(gate: Gate): Promise<void> {
    const wasPaused = gate.isPaused;
    if (wasPaused) this.#changed();
    await gate.pass();
    if (wasPaused) this.#changed();
  }

  /** Begins a slice if there may be one now. */
  #begin(now: number, wait: Wait): boolean {
    const source = this.#sourceOf(now, wait);
    if (source === undefined) return false;
    const budgetMs = this.#budgetMs;
    const grant = source === "grant" ? this.#options.grants.take() : undefined;
    if (this.#meter.slices % slicesPerEmpty === 0) this.#measureEmpty();
    const from = this.#options.ticks();
    this.#slice = { source, from, budgetMs: Math.min(budgetMs, grant?.budgetMs ?? budgetMs), grant, asideMs: 0 };
    return true;
  }

  #sourceOf(now: number, wait: Wait): SliceSource | undefined {
    const { foreground, debt, grants } = this.#options;
    if (this.#isHeadlong()) return "headlong";
    if (this.#hasRested(now, assistShare(debt()))) return "assist";
    if (foreground.isWaiting) {
      wait.busyMs += now - wait.lookedAt;
      return wait.busyMs >= maxBusyMs ? "busy" : undefined;
    }
    if (foreground.isActive && now < this.#restsUntil) return undefined;
    if (!grants.isGranting) return this.#last && now - this.#last.end < ownGapMs ? undefined : "timer";
    if (grants.isOffered) return "grant";
    return now - wait.from >= maxSilentMs ? "timer" : undefined;
  }

  /** Whether, with another slice now, slices take no more than this share of the time. */
  #hasRested(now: number, share: number): boolean {
    if (share === 0) return false;
    return !this.#last || now - this.#last.end >= this.#last.usedMs * (1 / share - 1);
  }

  #measureEmpty(): void {
    const from = this.#options.ticks();
    this.isDue();
    this.#meter.emptySlice(this.#options.ticks() - from);
  }

  async aside<T>(wait: Promise<T>): Promise<T> {
    const slice = this.#slice;
    const from = this.#options.ticks();
    try {
      return await wait;
    } finally {
      if (slice) slice.asideMs += this.#options.ticks() - from;
    }
  }

  end(): void {
    const slice = this.#slice;
    if (!slice) return;
    this.#slice = undefined;
    const end = this.#options.ticks();
    const usedMs = Math.max(0, end - slice.from - slice.asideMs);
    this.#last = { end, usedMs };
    this.#restsUntil = end + Math.min(maxRestMs, (end - slice.from) * restTimes);
    this.#meter.slice(slice.source, usedMs, end);
    this.#onSlice?.(usedMs);
    slice.grant?.used(usedMs);
  }
}

/** The share of the time that slices take without a grant. */
function assistShare(debt: number): number {
  if (debt < assistFrom.debt) return 0;
  const part = Math.min(1, (debt - assistFrom.debt) / (assistTo.debt - assistFrom.debt));
  return assistFrom.share + (assistTo.share - assistFrom.share) * part;
}
