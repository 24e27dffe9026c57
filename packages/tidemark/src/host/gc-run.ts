/**
 * A run of garbage collection that somebody asked for, in the tab that does upkeep: the log is folded, then everything
 * that is due goes, under one floor. Where he waits for it, it does not wait for idle moments; in the background it does.
 */
import { TidemarkError } from "../base/errors.ts";
import type { Database } from "../collections/database.ts";
import { checkpoint } from "../gc/checkpoint.ts";
import type { GcManager } from "../gc/manager.ts";
import type { RunKind } from "../gc/journal.ts";
import { type Asker, type GcStrategy, nothingDone, plus, type Tally } from "../gc/strategy.ts";
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
  readonly manager: GcManager;
  readonly turns: WorkTurns;
  readonly tenure: Tenure;
  readonly asker: Asker;
  readonly gate: Gate;
  readonly now: () => number;
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

/** What was done; where it was cancelled, until then. @throws Deposed where another tab has upkeep now */
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
  #done: Tally = nothingDone;
  /** The execution of its last cycle; 0 before the first. */
  #cycleId = 0;
  #slices = 0;
  #longestSliceMs = 0;

  constructor(seams: RunSeams, options: GcRunOptions) {
    this.#seams = seams;
    this.#options = options;
  }

  async all(): Promise<RunDone> {
    const { manager, tenure, asker, gate, now, ticks } = this.#seams;
    const [from, started] = [ticks(), now()];
    try {
      const { cycle } = manager.versions;
      if (cycle?.asker?.tab === asker.tab && cycle.asker.job === asker.job) this.#cycleId = cycle.id; // it began elsewhere
      await this.#steps(manager.versions); // this one, or one that began by itself
      for (let round = 0; round < maxRounds; round++) {
        const before = this.#done.versions;
        await this.#once();
        if (this.#options.useSnapshot !== false || this.#done.versions === before) break;
      }
    } catch (e) {
      if (e instanceof Deposed) throw e;
      const written = this.#end(started, gate.isCancelled ? "CANCELLED" : "FAILED", String(e));
      if (!gate.isCancelled) {
        await written.catch(() => undefined); // the first failure says more
        throw e;
      }
      await written;
      if (tenure.isDeposed) throw new Deposed(); // what it was doing is to be cancelled there
    }
    const [slices, longestSliceMs] = [this.#slices, this.#longestSliceMs];
    return { ...this.#done, cycleId: this.#cycleId, durationMs: ticks() - from, slices, longestSliceMs };
  }

  /** Ends it before its end, and writes that down: of its cycle, or where that has not begun, of the run alone. */
  async #end(started: number, status: "CANCELLED" | "FAILED", why: string): Promise<void> {
    const { manager, tenure } = this.#seams;
    const { versions } = manager;
    const { cycle } = versions;
    if (cycle?.id === this.#cycleId) this.#done = plus(nothingDone, cycle);
    await versions.cancel(tenure, status, why);
    if (this.#cycleId > 0) return;
    const run = { ...this.#done, kind: this.#kind, config: this.#config, started };
    this.#cycleId = await versions.endUnbegun(tenure, run, status, why);
  }

  /** One floor, one checkpoint, and every strategy under these. */
  async #once(): Promise<void> {
    const { manager, turns, tenure, asker, database, news } = this.#seams;
    const { store } = database;
    await store.follow();
    const basis = await turns.inTurn(() => manager.advance(tenure));
    if (!basis) throw new Deposed();
    const folded = await this.#inSlices((options) => checkpoint(store, tenure, basis, options));
    if (!folded && store.fence.seq < store.head.seq && tenure.isDeposed) throw new Deposed();
    news();
    if (folded) this.#done = plus(this.#done, { scanned: 0, ...folded.dropped });
    for (const strategy of manager.strategies) {
      const terms = { kind: this.#kind, config: this.#config, isAsked: true, asker, basis, before: this.#done };
      if (!(await this.#inSlices((options) => strategy.plan(tenure, terms, options)))) throw new Deposed();
      if (strategy === manager.versions) this.#cycleId = manager.versions.last!.id;
      try {
        await this.#steps(strategy);
      } finally {
        this.#done = plus(this.#done, strategy.report());
      }
    }
    news();
  }

  get #kind(): RunKind {
    return this.#options.kind ?? "FULL_GC";
  }
  get #config(): Readonly<Record<string, unknown>> {
    return { ...this.#options };
  }

  async #steps(strategy: GcStrategy): Promise<void> {
    const { tenure } = this.#seams;
    for (;;) {
      const outcome = await this.#inSlices((options) => strategy.step(tenure, options));
      if (outcome === "over") return;
      if (outcome === "again" && tenure.isDeposed) throw new Deposed();
    }
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
