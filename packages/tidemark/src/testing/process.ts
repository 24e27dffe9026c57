import { TidemarkError } from "../base/errors.ts";
import { UnderWay } from "../base/under-way.ts";
import type { Environment, Locks } from "../host/environment.ts";
import type { Batch, Committed, Found, Read, Storage, StorageFactory } from "../storage/contract.ts";
import type { LockTable } from "./lock-table.ts";
import type { World } from "./world.ts";

const never = (): Promise<never> => new Promise(() => undefined);

/** A storage call about to take effect, or `after` it did and before the caller hears of it. */
export interface Call {
  /** Counts from 1 since the hook was set. */
  readonly n: number;
  readonly when: "before" | "after";
  readonly batch: Batch | undefined;
}

/** A tab: its host's only way to the outside. */
export class Process {
  readonly name: string;
  readonly environment: Environment;
  /** Work takes no virtual time. With this, so much of it passes from each look at the finer clock to the next. */
  lookMs = 0;
  /** By so much its wall clock is wrong. */
  skewMs = 0;
  #workedMs = 0;
  readonly #world: World;
  readonly #locks: LockTable;
  #isDead = false;
  #asleep: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  #onCall: ((call: Call) => void) | undefined;
  #calls = 0;

  constructor(name: string, world: World, locks: LockTable) {
    this.name = name;
    this.#world = world;
    this.#locks = locks;
    this.environment = {
      clock: { now: () => world.time.nowMs + this.skewMs, sleep: (ms) => this.sleep(ms) },
      ticks: () => world.now + (this.#workedMs += this.lookMs),
      giveWay: () => this.sleep(1),
      random: world.random,
      locks: this.#lockSeam(),
      channel: (channel, receive) => world.hub.join(this, channel, receive),
      storage: () => this.#factory(),
    };
  }

  /** Called at each storage call; what it throws, the call fails with. Counting starts anew. */
  set onCall(hook: ((call: Call) => void) | undefined) {
    this.#onCall = hook;
    this.#calls = 0;
  }

  get isFrozen(): boolean {
    return this.#asleep !== undefined;
  }

  get locks(): readonly string[] {
    return this.#locks.heldNames(this);
  }

  freeze(): void {
    this.#asleep ??= new Promise((resolve) => (this.#wake = resolve));
  }

  thaw(): void {
    if (this.#isDead) return;
    this.#asleep = undefined;
    this.#wake();
  }

  kill(): void {
    this.#isDead = true;
    this.#asleep = never();
    this.#locks.freeAll(this);
  }

  async awake(): Promise<void> {
    while (this.#asleep) await this.#asleep;
  }

  async sleep(ms: number): Promise<void> {
    await this.#world.time.sleep(ms);
    await this.awake();
  }

  /** Passes one storage call: `take` lets it take effect. */
  async pass<T>(batch: Batch | undefined, take: () => Promise<T>): Promise<T> {
    const n = ++this.#calls;
    this.#onCall?.({ n, when: "before", batch });
    await this.awake();
    const answer = take();
    answer.catch(() => undefined); // awaited below, once this process is awake
    await this.sleep(0.2);
    const value = await answer;
    this.#onCall?.({ n, when: "after", batch });
    await this.awake();
    return value;
  }

  /** How long a storage call waits before it takes effect. */
  latency(): Promise<void> {
    return this.sleep(0.1 + this.#world.random.next() * 0.6);
  }

  #lockSeam(): Locks {
    return {
      areShared: this.#world.areLocksShared,
      request: async (name, options = {}) => {
        const held = await this.#locks.request(this, name, options);
        await this.awake();
        return held;
      },
      held: async () => {
        await this.awake();
        return new Set(this.#locks.heldNames());
      },
    };
  }

  #factory(): StorageFactory {
    const { medium } = this.#world;
    return {
      open: (name) => this.pass(undefined, async () => new Connection(this, await medium.open(name))),
      reopen: (name) =>
        this.pass(undefined, async () => {
          const opened = await medium.reopen(name);
          return opened && new Connection(this, opened);
        }),
      remove: (name) => this.pass(undefined, () => medium.remove(name)),
      list: () => this.pass(undefined, () => medium.list()),
    };
  }
}

/** A connection whose calls take effect and are answered in their order, as IndexedDB's do. */
class Connection implements Storage {
  readonly #process: Process;
  readonly #inner: Storage;
  #line: Promise<void> = Promise.resolve();
  #isClosed = false;
  readonly #underWay = new UnderWay();

  constructor(process: Process, inner: Storage) {
    this.#process = process;
    this.#inner = inner;
  }

  read(reads: readonly Read[]): Promise<readonly Found[]> {
    return this.#call(undefined, () => this.#inner.read(reads));
  }

  commit(batch: Batch): Promise<Committed> {
    return this.#call(batch, () => this.#inner.commit(batch));
  }

  async close(): Promise<void> {
    this.#isClosed = true; // what is under way still finishes
    await this.#underWay.ended();
  }

  #call<T>(batch: Batch | undefined, take: () => Promise<T>): Promise<T> {
    return this.#underWay.add(this.#carryOut(batch, take));
  }

  async #carryOut<T>(batch: Batch | undefined, take: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new TidemarkError("CLOSED", "This storage connection is closed.");
    this.#line = this.#line.then(() => this.#process.latency());
    await this.#line;
    return this.#process.pass(batch, take);
  }
}
