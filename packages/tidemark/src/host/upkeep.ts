/**
 * Upkeep of one database, done by one tab at a time (TB2). The Web Lock elects; the epoch excludes. A tab that holds
 * the lock but does not move, because it is frozen, has the lock taken from it by whoever sees the backlog; its next
 * upkeep write then aborts by itself.
 */
import { type Seq, seq } from "../base/brand.ts";
import type { Database } from "../collections/database.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { checkpoint } from "../gc/checkpoint.ts";
import { compact } from "../gc/compact.ts";
import { deadTabs, raiseFloor } from "../gc/floor.ts";
import type { RewriteOptions } from "../gc/rewrite.ts";
import { reclaim } from "../gc/reclaim.ts";
import { sweepStaging } from "../gc/sweep.ts";
import { Tenure } from "../gc/tenure.ts";
import { raisePin } from "../mvcc/pins.ts";
import { missingChunks, readReserve, reserveBytes } from "../storage/reserve.ts";
import { readChunkKeys, storedBytes } from "../wal/chunks.ts";
import type { Environment, HeldLock } from "./environment.ts";
import { lockNames, type Tabs } from "./tabs.ts";

/** How long upkeep waits for other tabs to raise their pins. A silent tab's pin stays where it is. */
const pinPatienceMs = 100;
/** A backlog that does not move for so long is taken to mean that the upkeep tab is frozen. */
const stuckAfterMs = 2000;
const lookMs = 50;
const maxLogEntries = 4000;
/** How many times as much as a fold wants to begin with may wait for it: then it hurries, and then writers wait. */
const pressedAt = 2;
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
  readonly rewrite: RewriteOptions;
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
  #foldFloor: Seq = seq(0);
  #isCompacting = false;
  /** So much may compaction write before the next fold: as much as the last one did. */
  #shareBytes = 0;
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

  /** Whether so much waits to be folded that it cannot wait for an idle moment. */
  get isPressed(): boolean {
    return this.#isDue(pressedAt);
  }

  get isFull(): boolean {
    return this.#isDue(fullAt);
  }

  /** Resolves when there is room for another commit. Whoever writes faster than upkeep folds waits here, but not long. */
  async room(): Promise<void> {
    for (let waitedMs = 0; this.isFull && !this.#stopped && waitedMs < maxRoomMs; waitedMs += roomLookMs) {
      await this.#environment.clock.sleep(roomLookMs);
    }
  }

  /** Stands for election, for as long as it takes. */
  start(): void {
    void this.#stand(false);
  }

  /** The head moved: fold when there is enough of it, or see to it that somebody does. */
  advanced(): void {
    if (!this.#isDue(1)) return;
    if (this.#tenure) this.#foldSoon();
    else if (this.#isDue(2) && !this.#watching) void this.#watch();
  }

  /** Somebody asks for a checkpoint. */
  wanted(): void {
    if (this.#tenure) this.#foldSoon();
  }

  /** The disk is full: what was deleted is folded soon, for the room it frees. Resolves then, or when it takes long. */
  async makeRoom(): Promise<void> {
    const { clock } = this.#environment;
    const made = new Promise<void>((resolve) => (this.#roomMade = resolve));
    await Promise.race([made, clock.sleep(deletesGatherMs)]);
    if (this.#tenure) this.#foldSoon();
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
      if (this.#tenure) await this.#fold();
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
    const { memtable, log } = this.#database.store;
    const sizeBytes = memtable.sizeBytes + memtable.outsideBytes;
    return sizeBytes > this.#options.memtableMaxBytes * times || log.entries > maxLogEntries * times;
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
      this.#foldFloor = seq(0); // one of an earlier tenure may be above views of a log that was struck since
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

  #foldSoon(): void {
    this.#fold().then(
      () => this.advanced(), // what came meanwhile may be enough for another
      (e: unknown) => {
        if (!this.#stopped) this.#options.onError(e);
      },
    );
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
    const floor = await this.#floor(tenure);
    const { store } = this.#database;
    const done = floor === undefined ? undefined : await checkpoint(store, tenure, floor, this.#options.rewrite);
    if (!done && tenure.isDeposed) return this.#stepDown(tenure);
    if (done) {
      this.#tabs.post({ type: "checkpoint" });
      this.#foldFloor = floor!;
      this.#shareBytes = done.written.bytes;
      void this.#compact(tenure);
    } else await store.reload();
    await this.#fillReserve(tenure);
    this.#roomMade?.();
    void this.#sweep();
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
    try {
      for (let steps = 0; ; steps++) {
        const isLast = await this.#inTurn(() => this.#compactStep(tenure));
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

  /**
   * One step, or where a fold waits so many that compaction gets its share. A fold rewrites the level it goes into: the
   * larger that has grown, the dearer, while a step down becomes cheaper. Where both write the same, they write least.
   */
  async #compactStep(tenure: Tenure): Promise<boolean> {
    const { store } = this.#database;
    do {
      if (this.#stopped || this.#tenure !== tenure) return true;
      const [floor, options] = [this.#foldFloor, this.#options.rewrite];
      if ((await reclaim(store, tenure, floor, options)) !== undefined) continue;
      const step = await compact(store, tenure, floor, options);
      if (!step) return true;
      this.#shareBytes -= step.written.bytes;
    } while (this.#folding && this.#shareBytes > 0);
    return false;
  }

  async #floor(tenure: Tenure): Promise<Seq | undefined> {
    const { store, handles } = this.#database;
    const { clock } = this.#environment;
    await raisePin(store.storage, this.#tabs.self, handles.oldest(), store.fence);
    await this.#tabs.raisePins(pinPatienceMs, (ms) => clock.sleep(ms));
    return raiseFloor(tenure, await deadTabs(store.storage, () => this.#tabs.live()));
  }

  /** What fails is swept another time. */
  async #sweep(): Promise<void> {
    await sweepStaging(this.#database.store.storage, () => this.#tabs.live()).catch(() => undefined);
  }
}
