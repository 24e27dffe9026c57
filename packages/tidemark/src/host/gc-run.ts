/**
 * A run of garbage collection that somebody asked for, in the tab that does upkeep: the log is folded, then everything
 * that is due goes, under one floor. Where he waits for it, it does not wait for idle moments; in the background it does.
 */
import { TidemarkError } from "../base/errors.ts";
import type { Database } from "../collections/database.ts";
import { checkpoint } from "../gc/checkpoint.ts";
import type { Collector } from "../gc/collector.ts";
import { type CycleState, nothingDone, type Tally } from "../gc/cycle.ts";
import { reclaim } from "../gc/reclaim.ts";
import type { Basis } from "../gc/journal.ts";
import type { Tenure } from "../gc/tenure.ts";
import type { WorkOptions } from "../gc/work.ts";
import type { GcRunOptions } from "../protocol/gc.ts";
import type { Gate } from "./gate.ts";
import type { WorkTurns } from "./work-turns.ts";

export interface RunRequest {
  readonly options: GcRunOptions;
  readonly isBackground: boolean;
}

export interface RunSeams {
  readonly database: Database;
  readonly collector: Collector;
  readonly turns: WorkTurns;
  readonly tenure: Tenure;
  readonly gate: Gate;
  readonly ticks: () => number;
  /** The manifest moved on. */
  readonly news: () => void;
}

export interface RunDone extends Tally {
  readonly cycleId: number;
  readonly durationMs: number;
  readonly slices: number;
  readonly longestSliceMs: number;
}

/** After so many rounds somebody commits faster than it can be collected. */
const maxRounds = 10;

/** @throws why the gate was cancelled; Deposed where another tab has upkeep now */
export async function runCollection(seams: RunSeams, { options, isBackground }: RunRequest): Promise<RunDone> {
  const run = new Run(seams, options);
  return isBackground ? run.all() : seams.turns.hurry(() => run.all());
}

export class Deposed extends TidemarkError {
  constructor() {
    super("BUSY", "Another tab has taken over upkeep");
  }
}

class Run {
  readonly #seams: RunSeams;
  readonly #options: GcRunOptions;
  #slices = 0;
  #longestSliceMs = 0;

  constructor(seams: RunSeams, options: GcRunOptions) {
    this.#seams = seams;
    this.#options = options;
  }

  async all(): Promise<RunDone> {
    const { collector, tenure, ticks } = this.#seams;
    const from = ticks();
    let done: { readonly id: number; readonly tally: Tally } = { id: 0, tally: nothingDone };
    try {
      while (collector.cycle) await this.#step(); // one that began by itself
      for (let round = 0; round < maxRounds; round++) {
        const last = await this.#once(done.tally);
        const isOver = this.#options.useSnapshot !== false || last.tally.versions === done.tally.versions;
        done = last;
        if (isOver) break;
      }
    } catch (e) {
      const isCancelled = this.#seams.gate.isCancelled;
      if (!(e instanceof Deposed)) await collector.cancel(tenure, isCancelled ? "CANCELLED" : "FAILED", String(e));
      throw e;
    }
    const [slices, longestSliceMs] = [this.#slices, this.#longestSliceMs];
    return { ...done.tally, cycleId: done.id, durationMs: ticks() - from, slices, longestSliceMs };
  }

  /** One floor, one checkpoint, one cycle. */
  async #once(before: Tally): Promise<{ readonly id: number; readonly tally: Tally }> {
    const { collector, turns, tenure, database, news } = this.#seams;
    const { store } = database;
    await store.follow();
    const basis = await turns.inTurn(() => collector.advance(tenure));
    if (!basis) throw new Deposed();
    const folded = await this.#inSlices((options) => checkpoint(store, tenure, basis, options));
    if (!folded && store.fence.seq < store.head.seq && tenure.isDeposed) throw new Deposed();
    news();
    while ((await this.#inSlices((options) => reclaim(store, tenure, basis, options))) !== undefined);
    const tally = folded ? sum(before, folded.dropped) : before;
    const begun = await this.#begin(basis, tally);
    let last: CycleState = begun;
    while (collector.cycle) {
      last = collector.cycle;
      await this.#step();
    }
    news();
    return { id: last.id, tally: { scanned: last.scanned, versions: last.versions, bytes: last.bytes } };
  }

  async #begin(basis: Basis, before: Tally): Promise<CycleState> {
    const { collector, tenure } = this.#seams;
    const kind = this.#options.kind ?? "FULL_GC";
    const terms = { kind, basis, before, isAsked: true, config: { ...this.#options } };
    const begun = await this.#inSlices((options) => collector.begin(tenure, terms, options));
    if (!begun) throw new Deposed();
    return begun;
  }

  async #step(): Promise<void> {
    const { collector, tenure } = this.#seams;
    const outcome = await this.#inSlices((options) => collector.step(tenure, options));
    if (outcome === "again" && tenure.isDeposed) throw new Deposed();
  }

  /** A turn of its own, so that a fold that is due comes in between; also while it is paused, which is before its turn. */
  async #inSlices<T>(work: (options: WorkOptions) => Promise<T>): Promise<T> {
    const { turns, gate } = this.#seams;
    const { deleteBatchSize, budgetMs } = this.#options;
    await gate.pass();
    const onSlice = (ms: number): void => {
      this.#slices++;
      this.#longestSliceMs = Math.max(this.#longestSliceMs, ms);
    };
    return turns.inTurn(() =>
      turns.inSlices((options) => work({ ...options, maxStepVersions: deleteBatchSize }), { budgetMs, onSlice }),
    );
  }
}

const sum = (a: Tally, dropped: { readonly versions: number; readonly bytes: number }): Tally => ({
  scanned: a.scanned,
  versions: a.versions + dropped.versions,
  bytes: a.bytes + dropped.bytes,
});
