/**
 * A deterministic world of whole hosts: processes that share a medium, locks and a channel, in virtual time. Every
 * storage call and every message takes a moment drawn from the seed, so hosts interleave as tabs do; time moves only
 * when nothing else can. A process may be killed (its locks are free at once) or frozen (it keeps them and does nothing).
 */
import type { Random } from "../base/clock.ts";
import { createMemoryStorage, type MemoryMedium } from "../storage/memory.ts";
import { Hub } from "./hub.ts";
import { LockTable } from "./lock-table.ts";
import { Process } from "./process.ts";
import { randomFrom } from "./random.ts";
import { Tab } from "./tab.ts";
import { VirtualTime } from "./virtual-time.ts";

export interface WorldOptions {
  readonly seed?: number;
  /** False: a browser without Web Locks, where each process has locks of its own. */
  readonly areLocksShared?: boolean;
}

export class World {
  readonly time: VirtualTime = new VirtualTime();
  readonly random: Random;
  readonly medium: MemoryMedium = createMemoryStorage();
  readonly hub: Hub;
  readonly areLocksShared: boolean;
  readonly #sharedLocks = new LockTable();
  #ids = 0;

  constructor({ seed = 1, areLocksShared = true }: WorldOptions) {
    this.areLocksShared = areLocksShared;
    this.random = { next: randomFrom(seed), id: () => `id${++this.#ids}` };
    this.hub = new Hub(() => [0.3]);
  }

  process(name: string): Process {
    return new Process(name, this, this.areLocksShared ? this.#sharedLocks : new LockTable());
  }

  /** A tab with a page and a worker. */
  tab(name: string): Tab {
    return new Tab(this, name);
  }

  get now(): number {
    return this.time.nowMs;
  }

  sleep(ms: number): Promise<void> {
    return this.time.sleep(ms);
  }

  /** Waits until `holds` does. @throws when it does not within `limitMs`. */
  async eventually(holds: () => boolean | Promise<boolean>, limitMs: number, what: string): Promise<void> {
    const deadline = this.now + limitMs;
    while (!(await holds())) {
      if (this.now >= deadline) throw new Error(`not within ${limitMs} virtual ms: ${what}`);
      await this.sleep(10);
    }
  }
}

/** Runs a story in a world of its own, in virtual time. */
export function simulate<T>(story: (world: World) => Promise<T>, options: WorldOptions = {}): Promise<T> {
  const world = new World(options);
  return world.time.until(story(world), 600_000);
}
