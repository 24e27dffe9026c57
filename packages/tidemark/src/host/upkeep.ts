/**
 * Upkeep of one database, done by one tab at a time (TB2). The Web Lock elects; the epoch excludes. A tab that holds
 * the lock but does not move, because it is frozen, has the lock taken from it by whoever sees the backlog; its next
 * upkeep write then aborts by itself.
 */
import { seq } from "../base/brand.ts";
import type { Database } from "../collections/database.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { checkpoint } from "../gc/checkpoint.ts";
import { compact } from "../gc/compact.ts";
import { advanceFloor, basisOf, deadTabs, type DebtLimits, defaultDebt, overdue } from "../gc/floor.ts";
import type { Basis } from "../gc/journal.ts";
import { defaultWork, type WorkOptions } from "../gc/work.ts";
import { reclaim } from "../gc/reclaim.ts";
import { sweepStaging } from "../gc/sweep.ts";
import { Tenure } from "../gc/tenure.ts";
import type { Holder } from "../mvcc/holders.ts";
import { missingChunks, readReserve, reserveBytes } from "../storage/reserve.ts";
import { readChunkKeys, storedBytes } from "../wal/chunks.ts";
import type { Pace } from "../segments/pace.ts";
import type { SliceFigures } from "../protocol/messages.ts";
import type { Environment, HeldLock } from "./environment.ts";
import type { Slices } from "./pace.ts";
import { lockNames, type Tabs } from "./tabs.ts";

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

/** Other tabs hear of compaction now and then; whoever misses a block finds out by itself. */
const stepsPerNews = 32;

/** On a full disk: so long deletes gather before they are folded. */
const deletesGatherMs = 1000;
/** A smaller database keeps no reserve for a full disk. */
const reserveFromBytes = 1 << 20;

/** So many chunks belong to more than 1 MB of values. */
const readSomeChunkKeys = { ...readChunkKeys, limit: 64 } as const;

export interface UpkeepOptions {
  readonly memtableMaxBytes: number;
  readonly slices: Slices;
  /** What a frozen tab may hold back before it is evicted. */
  readonly debt?: DebtLimits;
  /** How many bytes could be reclaimed but for this holder. Where nobody counts them, commits alone tell. */
  readonly bytesHeldBy?: (holder: Holder) => number;
  onError(error: unknown): void;
}

export class Upkeep {
  readonly #database: Database;
  readonly #tabs: Tabs;
  readonly #environment: Environment;
  readonly #lockName: string;
  readonly #options: UpkeepOptions;
  #tenure: Tenure | undefined;
  #lock: HeldLock | undefined;
  /** Folds and steps of compaction take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #folding: Promise<void> | undefined;
  /** Under which the last fold was done, and what follows it is. */
  #foldBasis: Basis = nothingGoes;
  /** Of how many calls somebody waits for a fold. */
  #hurries = 0;
  #isCompacting = false;
  #watching = false;
  #roomMade: (() => void) | undefined;
  #isStanding = false;
  #stopped = false;

  constructor(database: Database, tabs: Tabs, environment: Environment, name: string, options: UpkeepOptions) {
    this.#database = database;
    this.#tabs = tabs;
    this.#environment = environment;
    this.#lockName = lockNames(name).upkeep;
    this.#options = options;
  }

  /** Whether cleared tables are being dropped, or levels brought within their bounds. */
  get isCompacting(): boolean {
    return this.#isCompacting;
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
    await this.#hurry(async () => {
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
    if (this.#tenure) void this.#hurry(() => this.#foldSoon());
  }

  /** The disk is full: what was deleted is folded soon, for the room it frees. Resolves then, or when it takes long. */
  async makeRoom(): Promise<void> {
    const { clock } = this.#environment;
    const made = new Promise<void>((resolve) => (this.#roomMade = resolve));
    await Promise.race([made, clock.sleep(deletesGatherMs)]);
    if (this.#tenure) void this.#hurry(() => this.#foldSoon());
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
      if (this.#tenure) await this.#hurry(() => this.#fold());
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

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#turn; // whoever waits for that fold is told; the log still has everything
    this.#tenure = undefined;
    this.#lock?.release();
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

  /** One request at a time waits its turn; taking the lock over does not wait. */
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
      const tenure = await Tenure.begin(this.#database.store.storage);
      if (this.#stopped) {
        lock.release();
        return;
      }
      this.#lock = lock;
      this.#tenure = tenure;
      this.#foldBasis = nothingGoes; // one of an earlier tenure may be above views of a log that was struck since
      void this.#sweep();
      void lock.lost.then(() => this.#stepDown(tenure));
      this.advanced();
      void this.#compact(tenure); // goes on where the tenure before left off
    } catch (e) {
      if (!steal) this.#isStanding = false;
      lock?.release();
      if (!this.#stopped) this.#options.onError(e);
    }
  }

  #stepDown(tenure: Tenure): void {
    if (this.#tenure !== tenure) return;
    this.#tenure = undefined;
    this.#lock?.release();
    this.#lock = undefined;
    if (!this.#stopped) void this.#stand(false);
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

  /** Somebody waits for the fold: it does not wait for idle moments, and neither does what is in its way. */
  async #hurry(wait: () => Promise<void>): Promise<void> {
    this.#hurries++;
    try {
      await wait();
    } finally {
      this.#hurries--;
    }
  }

  #foldSoon(): Promise<void> {
    return this.#fold().catch((e: unknown) => {
      if (!this.#stopped) this.#options.onError(e);
    });
  }

  /** A call while a fold waits or runs gets that one. */
  #fold(): Promise<void> {
    this.#folding ??= this.#inTurn(() => this.#foldNow()).finally(() => (this.#folding = undefined));
    return this.#folding;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #foldNow(): Promise<void> {
    const tenure = this.#tenure;
    if (!tenure) return;
    const basis = await this.#advance(tenure);
    const { store } = this.#database;
    const done = basis === undefined ? undefined : await this.#inSlices((o) => checkpoint(store, tenure, basis, o));
    if (!done && tenure.isDeposed) return this.#stepDown(tenure);
    if (done) {
      this.#tabs.post({ type: "checkpoint" });
      this.#foldBasis = basis!;
      void this.#compact(tenure);
    } else await store.reload();
    await this.#fillReserve(tenure);
    this.#roomMade?.();
    void this.#sweep();
    void this.#folding?.then(() => this.advanced()); // what came meanwhile may be enough for another
  }

  /** Where the disk has no room for all of it, a part is better than none. Who has a part gets the rest when he can. */
  async #fillReserve(tenure: Tenure): Promise<void> {
    const { storage, manifest } = this.#database.store;
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

  /**
   * Step by step, until nothing is left of cleared tables and every level is within its bounds; a fold that is due
   * meanwhile comes in between.
   */
  async #compact(tenure: Tenure): Promise<void> {
    if (this.#isCompacting) return;
    this.#isCompacting = true;
    const { store } = this.#database;
    try {
      for (let steps = 0; ; steps++) {
        const isLast = await this.#inTurn(async () => {
          if (this.#stopped || this.#tenure !== tenure) return true;
          const basis = this.#foldBasis;
          return await this.#inSlices(
            async (options) =>
              ((await reclaim(store, tenure, basis, options)) ?? (await compact(store, tenure, basis, options))) ===
              undefined,
          );
        });
        if (isLast) break;
        if (steps % stepsPerNews === 0) this.#tabs.post({ type: "checkpoint" });
      }
      if (tenure.isDeposed) this.#stepDown(tenure);
      await this.#inTurn(() => this.#fillReserve(tenure));
    } catch (e) {
      // Where there is no room it waits; the next fold looks again.
      if (!this.#stopped && !isTidemarkError(e, "QUOTA_EXCEEDED")) this.#options.onError(e);
    } finally {
      this.#isCompacting = false;
    }
  }

  #inSlices<T>(work: (options: WorkOptions) => Promise<T>): Promise<T> {
    const isHeadlong = (): boolean => this.#hurries > 0 || this.#stopped;
    return this.#options.slices.run((pace: Pace) => work({ ...defaultWork, pace }), { isHeadlong });
  }

  /** The floor as it can be now, and who may read. */
  async #advance(tenure: Tenure): Promise<Basis | undefined> {
    const { store } = this.#database;
    const { clock } = this.#environment;
    const { debt = defaultDebt, bytesHeldBy = nothing } = this.#options;
    await this.#database.raisePin();
    await this.#tabs.raisePins(pinPatienceMs, (ms) => clock.sleep(ms));
    const dead = await deadTabs(store.storage, () => this.#tabs.live());
    const advanced = await advanceFloor(this.#database, tenure, {
      proof: "floor",
      dead,
      overdue: (holders, head) => overdue(holders, bytesHeldBy, head, debt),
    });
    return advanced && basisOf(advanced, clock.now());
  }

  /** What fails is swept another time. */
  async #sweep(): Promise<void> {
    await sweepStaging(this.#database.store.storage, () => this.#tabs.live()).catch(() => undefined);
  }
}

const nothing = (): number => 0;
/** Before a tenure has asked who may read. */
const nothingGoes: Basis = { floor: seq(0), points: [], nowMs: 0, holders: 0 };
