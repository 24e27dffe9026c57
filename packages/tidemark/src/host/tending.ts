/**
 * What upkeep does besides folding, whenever there is time: drops cleared tables, brings levels within their bounds,
 * collects garbage, and joins small blocks after that. Step by step, so that a fold that is due comes in between.
 */
import { isTidemarkError } from "../base/errors.ts";
import type { Database } from "../collections/database.ts";
import type { GcManager } from "../gc/manager.ts";
import { compact } from "../gc/compact.ts";
import { joining } from "../gc/compaction.ts";
import type { Basis } from "../gc/journal.ts";
import { reclaim } from "../gc/reclaim.ts";
import type { Memoryless, StepOutcome } from "../gc/strategy.ts";
import type { Tenure } from "../gc/tenure.ts";
import type { WorkOptions } from "../gc/work.ts";
import { seq } from "../base/brand.ts";
import { missingChunks, readReserve, reserveBytes } from "../storage/reserve.ts";
import { readChunkKeys, storedBytes } from "../wal/chunks.ts";
import { askedAnewMs } from "./gc-jobs.ts";
import type { WorkTurns } from "./work-turns.ts";

/** Other tabs hear of it now and then; whoever misses a block finds out by itself. */
const stepsPerNews = 32;
/** A smaller database keeps no reserve for a full disk. */
const reserveFromBytes = 1 << 20;
/** So many chunks belong to more than 1 MB of values. */
const readSomeChunkKeys = { ...readChunkKeys, limit: 64 } as const;
/** How often it is looked whether what was held back is held back no more. */
const lookMs = 1000;
/** A smaller log is left as it is: the next fold takes it. */
const idleFoldBytes = 256 * 1024;
/** What retention keeps by age is asked for anew so often. */
const ageMs = 3_600_000;

/** Before a tenure has asked who may read. */
const nothingGoes: Basis = { floor: seq(0), points: [], nowMs: 0, holders: 0 };

export interface TendingSeams {
  readonly database: Database;
  readonly manager: GcManager;
  readonly turns: WorkTurns;
  /** Whether this tenure is still ours, and we still open. */
  readonly isOurs: (tenure: Tenure) => boolean;
  readonly isFoldWaiting: () => boolean;
  readonly fold: () => Promise<void>;
  /** A run that somebody asked for is under way, or paused: cycles are its own to take on. */
  readonly isRunAsked: () => boolean;
  readonly deposed: (tenure: Tenure) => void;
  readonly sleep: (ms: number) => Promise<void>;
  /** The manifest moved on: others are told. */
  readonly news: () => void;
  readonly onError: (error: unknown) => void;
}

export class Tending {
  readonly #seams: TendingSeams;
  /** Under which the last fold was done, and what follows it is. */
  #basis: Basis = nothingGoes;
  #isBusy = false;
  #isAsked = false;
  /** Planned as a full cycle ends. Should this tab die before it is done, the next such cycle sees to the rest. */
  #joining: Memoryless;
  /** The tenure that leaves the cycle that it found to who asked for that: he asks anew, and says whether it is paused. */
  #leaving: Tenure | undefined;
  /** What was there as a quiet log was folded, or failed to be, the last time. */
  #foldedQuiet = 0;
  /** So much may compaction write before the next fold: as much as the last one did. */
  #shareBytes = 0;

  constructor(seams: TendingSeams) {
    this.#seams = seams;
    this.#joining = joining(seams.database.store);
  }

  /** Whether cleared tables are being dropped, levels brought within their bounds, or garbage is collected. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** A tenure begins. What an earlier one knew may be of a log that was struck since. */
  begin(tenure: Tenure, isAskerAlive: boolean): void {
    this.#basis = nothingGoes;
    this.#joining = joining(this.#seams.database.store);
    if (isAskerAlive) void this.#leave(tenure);
    void this.#tend(tenure); // goes on where the tenure before left off
    void this.#look(tenure);
  }

  /** Something was folded. */
  folded(tenure: Tenure, basis: Basis, writtenBytes: number): void {
    this.#shareBytes = writtenBytes;
    this.advanced(tenure, basis);
  }

  /** The floor was advanced: there may be something to do. */
  advanced(tenure: Tenure, basis: Basis): void {
    this.#basis = basis;
    void this.#tend(tenure);
  }

  /** Where nothing is heard of him he is asleep, and the cycle goes on without him. */
  async #leave(tenure: Tenure): Promise<void> {
    this.#leaving = tenure;
    await this.#seams.sleep(askedAnewMs);
    if (this.#leaving !== tenure) return;
    this.#leaving = undefined;
    if (this.#seams.isOurs(tenure)) void this.#tend(tenure);
  }

  async #tend(tenure: Tenure): Promise<void> {
    this.#isAsked = true;
    if (this.#isBusy) return;
    this.#isBusy = true;
    const { turns, manager } = this.#seams;
    try {
      while (this.#isAsked) {
        this.#isAsked = false;
        for (let steps = 0; await turns.inTurn(() => this.#step(tenure)); steps++) {
          if (steps % stepsPerNews === 0) this.#seams.news();
        }
      }
      if (tenure.isDeposed) this.#seams.deposed(tenure);
      await turns.inTurn(() => this.fillReserve(tenure));
    } catch (e) {
      // Where there is no room it waits; the next fold looks again.
      if (!this.#seams.isOurs(tenure) || isTidemarkError(e, "QUOTA_EXCEEDED")) return;
      if (!this.#isLeft(tenure)) await manager.versions.cancel(tenure, "FAILED", String(e)).catch(() => undefined);
      this.#seams.onError(e);
    } finally {
      this.#isBusy = false;
    }
  }

  /**
   * One step, or where a fold waits so many that compaction gets its share. A fold rewrites the level it goes into: the
   * larger that has grown, the dearer, while a step down becomes cheaper. Where both write the same, they write least.
   * False: there is nothing left to do.
   */
  async #step(tenure: Tenure): Promise<boolean> {
    do {
      if (!this.#seams.isOurs(tenure)) return false;
      const writtenBytes = await this.#seams.turns.inSlices((options) => this.#stepWith(tenure, options));
      if (writtenBytes === undefined) return false;
      this.#shareBytes -= writtenBytes;
    } while (this.#seams.isFoldWaiting() && this.#shareBytes > 0);
    return true;
  }

  /** How many bytes were written; `undefined`: there was nothing to do. */
  async #stepWith(tenure: Tenure, options: WorkOptions): Promise<number | undefined> {
    const { database, manager } = this.#seams;
    const { store } = database;
    const basis = this.#basis;
    if ((await reclaim(store, tenure, basis, options)) !== undefined) return 0;
    const compacted = await compact(store, tenure, basis, options);
    if (compacted !== undefined) return compacted.written.bytes;
    if (this.#isLeft(tenure)) return undefined;
    const outcome = (await manager.consider(tenure, basis, options))
      ? await this.#stepCycle(tenure, options)
      : await this.#joining.step(tenure, options);
    const isOver = outcome === "over" || (outcome === "again" && tenure.isDeposed);
    return isOver ? undefined : Infinity; // a fold that waits goes first
  }

  /** There is something to do after a cycle's end, too. */
  async #stepCycle(tenure: Tenure, options: WorkOptions): Promise<StepOutcome> {
    const { versions } = this.#seams.manager;
    const outcome = await versions.step(tenure, options);
    if (outcome !== "over") return outcome;
    // Under what it went by: a rule that knew less would make what it judged due again.
    const { last } = versions;
    if (last?.kind === "FULL_GC") await this.#joining.plan(tenure, last);
    return "went on";
  }

  /** Whether cycles are somebody else's. */
  #isLeft(tenure: Tenure): boolean {
    return this.#seams.isRunAsked() || this.#leaving === tenure;
  }

  /**
   * A holder that goes tells nobody. As long as there is garbage it is asked now and then whether the floor can rise so
   * far that a cycle is worth while; where there is none nothing happens at all. A quiet log that is mostly garbage is
   * folded, too, however small it is beside what folds wait for.
   */
  async #look(tenure: Tenure): Promise<void> {
    const { database, manager, turns, sleep, onError } = this.#seams;
    for (let lookedMs = 0; ; lookedMs += lookMs) {
      const before = database.store.head.seq;
      await sleep(lookMs);
      if (!this.#seams.isOurs(tenure)) return;
      if (database.store.head.seq === before && this.#isLogMostlyGarbage) await this.#foldQuiet();
      if (!this.#seams.isOurs(tenure)) return;
      if (lookedMs % ageMs === 0) manager.released();
      if (this.#isBusy || !manager.hasGarbage) continue;
      try {
        const basis = await turns.inTurn(() => turns.inSlices((options) => manager.gain(tenure, options)));
        if (tenure.isDeposed) return this.#seams.deposed(tenure);
        if (basis) this.advanced(tenure, basis);
      } catch (e) {
        if (this.#seams.isOurs(tenure)) onError(e);
      }
    }
  }

  /** Once for what is there: where it fails, as on a full disk, it is not tried again every other moment. */
  async #foldQuiet(): Promise<void> {
    const { fence, log } = this.#seams.database.store;
    const entriesThrough = fence.seq + log.ordinary;
    if (entriesThrough === this.#foldedQuiet) return;
    this.#foldedQuiet = entriesThrough;
    await this.#seams.fold();
  }

  /**
   * What was superseded since the last fold, as far as nobody but tabs holds it, is half of the log or more. It may be
   * far more: the log only refers to values out of line.
   */
  get #isLogMostlyGarbage(): boolean {
    const { log, ledger, fence, head } = this.#seams.database.store;
    const { bytes } = ledger.spanningNone(fence.seq, head.seq);
    return Math.max(log.sizeBytes, bytes) >= idleFoldBytes && bytes * 2 >= log.sizeBytes;
  }

  /** Where the disk has no room for all of it, a part is better than none. Who has a part gets the rest when he can. */
  async fillReserve(tenure: Tenure): Promise<void> {
    const { storage, manifest } = this.#seams.database.store;
    const [found, chunks] = await storage.read([readReserve, readSomeChunkKeys]);
    const isSmall = manifest.sizeBytes + storedBytes(chunks) < reserveFromBytes;
    if (isSmall && reserveBytes(found) === 0) return;
    for (const chunk of missingChunks(found)) {
      try {
        if (!(await tenure.write("relaxed", [], () => [chunk], ["blobs"], "keep"))) return;
      } catch (e) {
        if (isTidemarkError(e, "QUOTA_EXCEEDED")) return;
        throw e;
      }
    }
  }
}
