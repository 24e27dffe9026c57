/**
 * Upkeep of one database, done by one tab at a time (TB2). The Web Lock elects; the epoch excludes. A tab that holds
 * the lock but does not move, because it is frozen, has the lock taken from it by whoever sees the backlog; its next
 * upkeep write then aborts by itself.
 */
import type { Database } from "../collections/database.ts";
import type { Seq } from "../base/brand.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { checkpoint } from "../gc/checkpoint.ts";
import { advancesIn } from "../gc/floor.ts";
import { tidyKept } from "../gc/kept-log.ts";
import { GcManager, type GcManagerOptions } from "../gc/manager.ts";
import type { CycleProgress } from "../gc/cycle.ts";
import type { Asker } from "../gc/strategy.ts";
import { sweepStaging } from "../gc/sweep.ts";
import { Tenure } from "../gc/tenure.ts";
import type { WorkOptions } from "../gc/work.ts";
import type { GcProgress } from "../protocol/gc.ts";
import type { SliceFigures } from "../protocol/metrics.ts";
import type { Environment, HeldLock } from "./environment.ts";
import type { Gate } from "./gate.ts";
import { Deposed, runCollection, type RunDone, type RunRequest } from "./gc-run.ts";
import type { Slices } from "./pace.ts";
import { lockNames, type Tabs } from "./tabs.ts";
import { Tending } from "./tending.ts";
import { WorkTurns } from "./work-turns.ts";

/** How long upkeep waits for other tabs to raise their pins. A silent tab's pin stays where it is. */
const pinPatienceMs = 100;
/** A backlog that does not move for so long is taken to mean that the upkeep tab is frozen. */
const stuckAfterMs = 2000;
const lookMs = 50;
const maxLogEntries = 4000;
/** How many times as much as a fold wants to begin with may wait for it before writers wait. */
const fullAt = 3;
const maxRoomMs = 1000;
const roomLookMs = 4;

/** On a full disk: so long deletes gather before they are folded. */
const deletesGatherMs = 1000;

export interface UpkeepOptions {
  readonly memtableMaxBytes: number;
  readonly slices: Slices;
  /** Default: blocks and levels as everywhere. */
  readonly work?: WorkOptions;
  readonly collection: GcManagerOptions;
  /** A cycle began, went on or ended, whoever asked for it. */
  onProgress?(progress: GcProgress): void;
  onError(error: unknown): void;
}

export class Upkeep {
  readonly #database: Database;
  readonly #tabs: Tabs;
  readonly #environment: Environment;
  readonly #lockName: string;
  readonly #options: UpkeepOptions;
  readonly #turns: WorkTurns;
  readonly #manager: GcManager;
  readonly #tending: Tending;
  #tenure: Tenure | undefined;
  #lock: HeldLock | undefined;
  /** Tells the others whose upkeep is. */
  #claim: Promise<HeldLock | undefined> | undefined;
  /** The last tenure's beginning, once its lock is there. */
  #beginning: Promise<void> | undefined;
  #folding: Promise<void> | undefined;
  #watching = false;
  #roomMade: (() => void) | undefined;
  #isStanding = false;
  /** Of the run that somebody asked for, while it is under way; he is told of its progress. */
  #gate: Gate | undefined;
  #onProgress: ((progress: GcProgress) => void) | undefined;
  #stopped = false;

  constructor(database: Database, tabs: Tabs, environment: Environment, name: string, options: UpkeepOptions) {
    this.#database = database;
    this.#tabs = tabs;
    this.#environment = environment;
    this.#lockName = lockNames(name).upkeep;
    this.#options = options;
    this.#turns = new WorkTurns(options.slices, options.work);
    const { clock } = environment;
    this.#manager = new GcManager(
      {
        store: database.store,
        log: database,
        now: () => clock.now(),
        raisePins: async () => {
          await database.raisePin();
          await tabs.raisePins(pinPatienceMs, (ms) => clock.sleep(ms));
        },
        liveTabs: () => tabs.live(),
        bytesHeldBy: ({ seq }) => database.store.ledger.heldBy(seq).bytes,
        progress: (cycle, phase) => this.#progress(progressOf(cycle, phase)),
      },
      options.collection,
    );
    this.#tending = new Tending({
      database,
      manager: this.#manager,
      turns: this.#turns,
      isOurs: (tenure) => !this.#stopped && this.#tenure === tenure,
      isFoldWaiting: () => this.#folding !== undefined,
      fold: () => this.#foldSoon(),
      isRunAsked: () => this.#gate !== undefined,
      deposed: (tenure) => this.#stepDown(tenure),
      sleep: (ms) => clock.sleep(ms),
      news: () => tabs.post({ type: "checkpoint" }),
      onError: (e) => options.onError(e),
    });
  }

  /** Whether anything is done besides folding: cleared tables, levels, garbage. */
  get isTending(): boolean {
    return this.#tending.isBusy;
  }
  get isHere(): boolean {
    return this.#tenure !== undefined;
  }

  get slices(): SliceFigures {
    return this.#options.slices.figures;
  }

  /** What waits to be folded, as a share of what may wait before writers have to. */
  get debt(): number {
    return this.#backlog() / fullAt;
  }

  get isFull(): boolean {
    return this.#isDue(fullAt);
  }

  /** Resolves when there is room for another commit. Whoever writes faster than upkeep folds waits here, but not long. */
  async room(): Promise<void> {
    if (!this.isFull) return;
    await this.#turns.hurry(async () => {
      for (let waitedMs = 0; this.isFull && !this.#stopped && waitedMs < maxRoomMs; waitedMs += roomLookMs) {
        await this.#environment.clock.sleep(roomLookMs);
      }
    });
  }

  /** Stands for election, for as long as it takes. */
  start(): void {
    void this.#stand(false);
  }

  /** The head moved: fold when there is enough of it, or see to it that somebody does. */
  advanced(): void {
    if (!this.#isDue(1)) return;
    if (this.#tenure) void this.#foldSoon();
    else if (this.#isDue(2) && !this.#watching) void this.#watch();
  }

  /** Somebody asks for a checkpoint. */
  wanted(): void {
    if (this.#tenure) void this.#turns.hurry(() => this.#foldSoon());
  }

  /** The disk is full: what was deleted is folded soon, for the room it frees. Resolves then, or when it takes long. */
  async makeRoom(): Promise<void> {
    const { clock } = this.#environment;
    const made = new Promise<void>((resolve) => (this.#roomMade = resolve));
    await Promise.race([made, clock.sleep(deletesGatherMs)]);
    if (this.#tenure) void this.#turns.hurry(() => this.#foldSoon());
    else if (!this.#stopped) this.#tabs.post({ type: "wanted" });
    await Promise.race([made, clock.sleep(stuckAfterMs)]);
  }

  /** Resolves when everything committed before the call is folded into blocks. @throws CLOSED if we end before that */
  async checkpoint(): Promise<void> {
    const { store } = this.#database;
    await store.follow();
    const upTo = store.head.seq;
    while (store.fence.seq < upTo) {
      if (this.#stopped) throw new TidemarkError("CLOSED", "The database was closed before the checkpoint", {});
      if (this.#tenure) await this.#turns.hurry(() => this.#fold());
      else await this.#wantedElsewhere();
    }
  }

  /** Asks whoever does upkeep to fold, and waits; takes over where nothing moves. */
  async #wantedElsewhere(): Promise<void> {
    const { store } = this.#database;
    const before = store.fence.seq;
    this.#tabs.post({ type: "wanted" });
    for (let waitedMs = 0; waitedMs < stuckAfterMs; waitedMs += lookMs) {
      await this.#environment.clock.sleep(lookMs);
      if (this.#stopped || this.#tenure) return;
      await store.reload();
      if (store.fence.seq > before) return;
    }
    await this.#stand(true);
  }

  /** A run that somebody asked for. @throws BUSY where there is one; Deposed where upkeep is another tab's */
  async collect(
    request: RunRequest,
    asker: Asker,
    gate: Gate,
    progress: (progress: GcProgress) => void,
  ): Promise<RunDone> {
    const tenure = this.#tenure;
    if (!tenure) throw new Deposed();
    if (this.#gate) {
      throw new TidemarkError("BUSY", "A run of garbage collection is under way; wait for it, or cancel it", {});
    }
    this.#gate = gate;
    this.#onProgress = progress;
    try {
      const [database, manager, turns] = [this.#database, this.#manager, this.#turns];
      const news = (): void => this.#tabs.post({ type: "checkpoint" });
      const ticks = (): number => this.#environment.ticks();
      const now = (): number => this.#environment.clock.now();
      return await runCollection({ database, manager, turns, tenure, asker, gate, now, ticks, news }, request);
    } finally {
      this.#gate = undefined;
      this.#onProgress = undefined;
      this.#yieldIfDeposed(tenure);
    }
  }

  /**
   * Takes a holder's hold away (TB5). Where the log says that this was done for him `since`, it is not done again: the
   * upkeep tab that did it died before it could say so.
   * @throws NOT_FOUND, OPTIONS_INVALID for one that cannot be; nothing changed then
   */
  async evict(holder: string, by: string, since: Seq): Promise<void> {
    const tenure = this.#tenure;
    if (!tenure) throw new Deposed();
    const { store } = this.#database;
    await store.follow();
    const done = (await advancesIn(store)).filter((advance) => advance.seq > since && advance.by === by);
    if (done.some(({ evicted }) => evicted.includes(holder))) return;
    const basis = await this.#turns.inTurn(() => this.#manager.advance(tenure, { evict: new Set([holder]), by }));
    this.#yieldIfDeposed(tenure);
    if (!basis) throw new Deposed();
    this.#tending.advanced(tenure, basis);
  }

  /** A point was released, here or in another tab. */
  released(): void {
    this.#manager.released();
  }

  /** A consumer of changes got on: what of the log was kept for it may go. */
  consumed(): void {
    if (this.#tenure) void this.#turns.inTurn(() => this.#tidy()).catch(() => undefined); // the next fold looks again
  }

  async #tidy(): Promise<void> {
    try {
      if (this.#tenure) await tidyKept(this.#database.store.storage, this.#tenure);
    } catch (e) {
      if (!isTidemarkError(e, "QUOTA_EXCEEDED")) throw e; // until there is room it stays where it is
    }
  }

  /** Where the upkeep tab is silent: takes upkeep over. */
  takeOver(): Promise<void> {
    return this.#stand(true);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#beginning?.catch(() => undefined);
    await this.#turns.stop(); // whoever waits for that fold is told; the log still has everything
    this.#letGo();
  }

  #isDue(times: number): boolean {
    return this.#backlog() > times;
  }

  /** How many times as much waits as a fold wants to begin with. */
  #backlog(): number {
    const { memtable, log } = this.#database.store;
    const sizeBytes = memtable.sizeBytes + memtable.outsideBytes;
    // Records of the floor alone make nothing due: they are upkeep's own.
    return Math.max(sizeBytes / this.#options.memtableMaxBytes, log.ordinary / maxLogEntries);
  }

  /**
   * One request at a time waits its turn; taking the lock over does not wait, and whoever has it done hears why upkeep
   * could not begin.
   */
  async #stand(steal: boolean): Promise<void> {
    if (this.#isStanding && !steal) return;
    this.#isStanding ||= !steal;
    let lock: HeldLock | undefined;
    try {
      lock = await this.#environment.locks.request(this.#lockName, { steal });
      if (!steal) this.#isStanding = false;
      if (!lock || this.#stopped || this.#tenure) {
        lock?.release();
        return;
      }
      this.#beginning = this.#begin(lock);
      await this.#beginning;
    } catch (e) {
      if (!steal) this.#isStanding = false;
      lock?.release();
      if (steal) throw e;
      if (!this.#stopped) this.#options.onError(e);
    }
  }

  async #begin(lock: HeldLock): Promise<void> {
    const tenure = await Tenure.begin(this.#database.store.storage);
    await this.#manager.resume(tenure);
    const { asker } = this.#manager.versions.cycle ?? {};
    const isAskerAlive = asker !== undefined && (await this.#tabs.live()).has(asker.tab);
    if (this.#stopped) return lock.release();
    this.#lock = lock;
    this.#tenure = tenure;
    this.#claim = this.#tabs.claimUpkeep(tenure.epoch).catch(() => undefined);
    void this.#sweep();
    void lock.lost.then(() => this.#stepDown(tenure));
    this.consumed();
    this.advanced();
    this.#tending.begin(tenure, isAskerAlive);
    this.#tabs.post({ type: "upkeep" });
  }

  /**
   * Somebody who had the lock before us and slept may have begun his tenure after ours. He lost the lock and does nothing
   * with it, so it is ours to begin anew. Answers whether it was so.
   */
  #yieldIfDeposed(tenure: Tenure): boolean {
    if (tenure.isDeposed) this.#stepDown(tenure);
    return tenure.isDeposed;
  }

  #stepDown(tenure: Tenure): void {
    if (this.#tenure !== tenure) return;
    this.#manager.leave();
    this.#letGo();
    if (!this.#stopped) void this.#stand(false);
  }

  /** The run that is under way, or paused, is to be asked for where upkeep is from now on. */
  #letGo(): void {
    this.#tenure = undefined;
    this.#gate?.cancel(new Deposed());
    this.#lock?.release();
    this.#lock = undefined;
    void this.#claim?.then((claim) => claim?.release());
    this.#claim = undefined;
  }

  /** Watches a backlog that is another tab's to fold, and takes over if it does not move. */
  async #watch(): Promise<void> {
    this.#watching = true;
    try {
      while (!this.#stopped && !this.#tenure && this.#isDue(2)) {
        const before = this.#database.store.fence.seq;
        this.#tabs.post({ type: "wanted" });
        await this.#environment.clock.sleep(stuckAfterMs);
        await this.#database.store.reload();
        if (!this.#tenure && this.#isDue(2) && this.#database.store.fence.seq === before) await this.#stand(true);
      }
    } catch (e) {
      if (!this.#stopped) this.#options.onError(e);
    } finally {
      this.#watching = false;
    }
  }

  #foldSoon(): Promise<void> {
    return this.#fold().catch((e: unknown) => {
      if (!this.#stopped) this.#options.onError(e);
    });
  }

  /** A call while a fold waits or runs gets that one. */
  #fold(): Promise<void> {
    this.#folding ??= this.#turns.inTurn(() => this.#foldNow()).finally(() => (this.#folding = undefined));
    return this.#folding;
  }

  async #foldNow(): Promise<void> {
    const tenure = this.#tenure;
    if (!tenure) return;
    const basis = await this.#manager.advance(tenure);
    const { store } = this.#database;
    const done =
      basis === undefined ? undefined : await this.#turns.inSlices((o) => checkpoint(store, tenure, basis, o));
    if (!done && this.#yieldIfDeposed(tenure)) return;
    if (done) {
      this.#tabs.post({ type: "checkpoint" });
      this.#tending.folded(tenure, basis!, done.written.bytes);
    } else await store.reload();
    await this.#tidy();
    await this.#tending.fillReserve(tenure);
    this.#roomMade?.();
    void this.#sweep();
    void this.#folding?.then(() => this.advanced()); // what came meanwhile may be enough for another
  }

  #progress(progress: GcProgress): void {
    this.#onProgress?.(progress);
    this.#options.onProgress?.(progress);
  }

  /** What fails is swept another time. */
  async #sweep(): Promise<void> {
    await sweepStaging(this.#database.store.storage, () => this.#tabs.live()).catch(() => undefined);
  }
}

const progressOf = ({ id, steps, scanned, versions, bytes }: CycleProgress, phase: "sweep" | "done"): GcProgress => ({
  cycleId: id,
  phase,
  steps,
  scanned,
  deleted: versions,
  bytesReclaimed: bytes,
});
