/**
 * Which tab builds new indexes, and when. A Web Lock chooses one, so that no work is done twice; correctness rests on the
 * commits themselves (collections/building.ts). So where the cursor does not move, because the builder is frozen, any tab
 * takes the lock; the former builder's next commit finds the cursor changed.
 */
import type { Clock } from "../base/clock.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Catalog } from "../codec/schema.ts";
import { Builder } from "../collections/building.ts";
import type { Database } from "../collections/database.ts";
import { buildKey, buildWriteIn, decodeBuildState } from "../mvcc/build-state.ts";
import type { HostEvent } from "../protocol/messages.ts";
import { aside } from "../segments/pace.ts";
import type { Commit } from "../wal/entry.ts";
import type { HeldLock, Locks } from "./environment.ts";
import type { Slices } from "./pace.ts";

/** A build that does not move for so long is taken to mean that its tab is frozen. */
const stuckAfterMs = 2000;
/** After a failure, of the disk for instance, it is tried again. */
const retryMs = 2000;

export interface BuildingSeams {
  readonly database: Database;
  readonly locks: Locks;
  readonly lockName: string;
  readonly clock: Clock;
  readonly slices: Slices;
  /** Resolves when there is room for another commit. */
  readonly room: () => Promise<void>;
  readonly tell: (event: HostEvent) => void;
  readonly onError: (error: unknown) => void;
}

export class Building {
  readonly #seams: BuildingSeams;
  readonly #builder: Builder;
  /** Steps that were heard of, by whomever. */
  #steps = 0;
  /** Of each index the hundredth that was told last. */
  readonly #told = new Map<string, number>();
  readonly #waiting = new Set<() => void>();
  #isRunning = false;
  #working: Promise<void> | undefined;
  #isStopped = false;

  constructor(seams: BuildingSeams) {
    this.#seams = seams;
    this.#builder = new Builder(seams.database);
  }

  /** The catalog is another one. */
  changed(): void {
    for (const wake of Array.from(this.#waiting)) wake();
    if (!this.#isRunning && this.#isNeeded) void this.#run();
  }

  /** A commit was applied. */
  heard(commit: Commit): void {
    const write = buildWriteIn(commit);
    if (!write) return;
    this.#steps++;
    if (!write.payload) return;
    const { indexes, done, total } = decodeBuildState(write.payload);
    for (const [collection, stored] of Object.entries(this.#seams.database.catalog.collections)) {
      if (buildKey(stored.table) !== write.key) continue;
      for (const [index, { table }] of Object.entries(stored.indexes)) {
        if (indexes.includes(table)) this.#tell(collection, index, done, total);
      }
    }
  }

  /** Resolves when the index is built, or will not be: to the catalog that says so. */
  async ready(collection: string, index: string): Promise<Catalog> {
    const { database } = this.#seams;
    await database.store.follow();
    while (database.catalog.collections[collection]?.indexes[index]?.building) {
      if (this.#isStopped) throw new TidemarkError("CLOSED", "The database was closed before the index was built", {});
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
    return database.catalog;
  }

  /** Resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.changed();
    await this.#working?.catch(() => undefined); // why it failed was told, and it is over
  }

  get #isNeeded(): boolean {
    return !this.#isStopped && this.#builder.isNeeded;
  }

  #tell(collection: string, index: string, done: number, total: number): void {
    const name = JSON.stringify([collection, index]);
    const hundredth = Math.floor((done / Math.max(1, total)) * 100);
    if (this.#told.get(name) === hundredth) return;
    this.#told.set(name, hundredth);
    this.#seams.tell({ type: "upgrade", collection, index, done, total });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#isNeeded) {
      try {
        const lock = await this.#lock();
        if (lock) await (this.#working = this.#build(lock));
      } catch (e) {
        if (this.#isStopped) break;
        this.#seams.onError(e);
        await this.#seams.clock.sleep(retryMs);
      }
    }
    this.#isRunning = false;
  }

  /** The lock, when nobody else builds, or whoever does makes no progress. */
  async #lock(): Promise<HeldLock | undefined> {
    const { locks, lockName, database } = this.#seams;
    const before = this.#steps;
    const lock = await locks.request(lockName, { timeoutMs: stuckAfterMs });
    if (lock || !this.#isNeeded) return lock;
    await database.store.follow(); // messages of other tabs may be lost
    return this.#isNeeded && this.#steps === before ? locks.request(lockName, { steal: true }) : undefined;
  }

  async #build(lock: HeldLock): Promise<void> {
    const lost = new AbortController();
    void lock.lost.then(() => lost.abort());
    const isHeadlong = (): boolean => this.#waiting.size > 0 || this.#isStopped;
    try {
      await this.#seams.slices.run(
        async (pace) => {
          while (this.#isNeeded && !lost.signal.aborted) {
            await aside(pace, this.#seams.room());
            await this.#builder.step(pace);
            if (pace.isDue()) await pace.pause();
          }
        },
        { isHeadlong },
      );
    } finally {
      lock.release();
    }
  }
}
