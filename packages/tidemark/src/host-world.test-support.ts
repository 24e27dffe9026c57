/**
 * A deterministic world of whole hosts: processes that share a medium, locks and a channel, in virtual time. Every
 * storage call and every message takes a moment drawn from the seed, so hosts interleave as tabs do; time moves only
 * when nothing else can. A process may be killed (its locks are free at once) or frozen (it keeps them and does nothing).
 */
import type { Random } from "./base/clock.ts";
import { TidemarkError } from "./base/errors.ts";
import type { Channel, Environment, HeldLock, LockRequest, Locks } from "./host/environment.ts";
import type { Batch, Committed, Found, Read, Storage, StorageFactory } from "./storage/contract.ts";
import { createMemoryStorage, type MemoryMedium } from "./storage/memory.ts";

/** Uniform in [0, 1) from a seed: mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const never = (): Promise<never> => new Promise(() => undefined);

class VirtualTime {
  nowMs = 1_700_000_000_000;
  #timers: { readonly at: number; readonly wake: () => void }[] = [];

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => {
      const at = this.nowMs + Math.max(0, ms);
      const next = this.#timers.findIndex((t) => t.at > at);
      this.#timers.splice(next < 0 ? this.#timers.length : next, 0, { at, wake });
    });
  }

  /** Lets time pass until `work` has settled. @throws after `limitMs`: it hangs. */
  async until<T>(work: Promise<T>, limitMs: number): Promise<T> {
    const deadline = this.nowMs + limitMs;
    let running = true;
    const ended = work.finally(() => (running = false));
    ended.catch(() => undefined); // reported by who awaits it, below
    for (;;) {
      await new Promise<void>((resolve) => void setImmediate(resolve));
      if (!running) return ended;
      const timer = this.#timers.shift();
      if (!timer || timer.at > deadline) throw new Error(`it hangs: nothing came of it in ${limitMs} virtual ms`);
      this.nowMs = timer.at;
      timer.wake();
    }
  }
}

interface Holder {
  readonly process: Process;
  readonly shared: boolean;
  readonly lose: () => void;
}
interface Waiter {
  readonly process: Process;
  readonly shared: boolean;
  readonly grant: () => void;
}

/** Locks as browsers have them: granted in order, kept by the frozen, freed by death. */
class LockTable {
  readonly #held = new Map<string, Holder[]>();
  readonly #waiting = new Map<string, Waiter[]>();

  request(process: Process, name: string, options: LockRequest): Promise<HeldLock | undefined> {
    const shared = options.mode === "shared";
    const holders = entryOf(this.#held, name);
    const waiting = entryOf(this.#waiting, name);
    return new Promise((resolve) => {
      const grant = (): void => {
        let lose: () => void = () => undefined;
        const lost = new Promise<void>((tell) => (lose = () => void process.awake().then(() => tell())));
        const holder = { process, shared, lose };
        holders.push(holder);
        resolve({ lost, release: () => this.#drop(name, holder) });
      };
      if (options.steal) {
        for (const holder of holders.splice(0)) holder.lose();
        return grant();
      }
      const waiter = { process, shared, grant };
      waiting.push(waiter);
      this.#pump(name);
      const { timeoutMs } = options;
      if (timeoutMs === undefined || !waiting.includes(waiter)) return;
      void process.sleep(timeoutMs).then(() => {
        if (!waiting.includes(waiter)) return;
        waiting.splice(waiting.indexOf(waiter), 1);
        this.#pump(name);
        resolve(undefined);
      });
    });
  }

  heldNames(by?: Process): string[] {
    const isHeld = (holders: readonly Holder[]): boolean => holders.some((h) => by === undefined || h.process === by);
    return [...this.#held].flatMap(([name, holders]) => (isHeld(holders) ? [name] : []));
  }

  freeAll(process: Process): void {
    for (const [name, waiting] of this.#waiting) {
      const others = waiting.filter((w) => w.process !== process);
      waiting.splice(0, waiting.length, ...others);
      const own = entryOf(this.#held, name).filter((h) => h.process === process);
      for (const holder of own) this.#drop(name, holder);
    }
  }

  #drop(name: string, holder: Holder): void {
    const holders = entryOf(this.#held, name);
    const at = holders.indexOf(holder);
    if (at < 0) return; // stolen, or released before
    holders.splice(at, 1);
    this.#pump(name);
  }

  #pump(name: string): void {
    const holders = entryOf(this.#held, name);
    const waiting = entryOf(this.#waiting, name);
    for (let next = waiting[0]; next; next = waiting[0]) {
      if (holders.length > 0 && !(next.shared && holders.every((h) => h.shared))) return;
      waiting.shift();
      next.grant();
    }
  }
}

function entryOf<T>(map: Map<string, T[]>, name: string): T[] {
  const entry = map.get(name) ?? [];
  map.set(name, entry);
  return entry;
}

/** After how many ms each copy of a message arrives; none: it is lost. */
export type Fate = (message: unknown, to: Process) => readonly number[];

interface Listener {
  readonly name: string;
  readonly process: Process;
  readonly receive: (message: unknown) => void;
  isClosed: boolean;
}

class Hub {
  fate: Fate;
  /** Everything ever posted, by channel. */
  readonly posted: { readonly name: string; readonly message: unknown }[] = [];
  readonly #listeners = new Set<Listener>();

  constructor(fate: Fate) {
    this.fate = fate;
  }

  join(process: Process, name: string, receive: (message: unknown) => void): Channel {
    const self: Listener = { name, process, receive, isClosed: false };
    this.#listeners.add(self);
    return {
      post: (message) => {
        if (self.isClosed) throw new DOMException("Channel is closed", "InvalidStateError");
        this.posted.push({ name, message: structuredClone(message) });
        this.#deliver(name, message, self);
      },
      close: () => {
        self.isClosed = true;
        this.#listeners.delete(self);
      },
    };
  }

  /** As if another page of the origin had posted it. */
  inject(name: string, message: unknown): void {
    this.#deliver(name, message, undefined);
  }

  listeners(process: Process): number {
    return [...this.#listeners].filter((l) => l.process === process).length;
  }

  #deliver(name: string, message: unknown, from: Listener | undefined): void {
    for (const to of this.#listeners) {
      if (to.name !== name || to === from) continue;
      for (const ms of this.fate(message, to.process)) {
        const copy: unknown = structuredClone(message);
        void to.process.sleep(ms).then(() => {
          if (!to.isClosed) to.receive(copy);
        });
      }
    }
  }
}

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
  #workedMs = 0;
  readonly #world: World;
  readonly #locks: LockTable;
  #asleep: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  #onCall: ((call: Call) => void) | undefined;
  #calls = 0;

  constructor(name: string, world: World, locks: LockTable) {
    this.name = name;
    this.#world = world;
    this.#locks = locks;
    this.environment = {
      clock: { now: () => world.time.nowMs, sleep: (ms) => this.sleep(ms) },
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
    this.#asleep = undefined;
    this.#wake();
  }

  kill(): void {
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

  close(): void {
    this.#isClosed = true; // what is under way still finishes
  }

  async #call<T>(batch: Batch | undefined, take: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new TidemarkError("CLOSED", "This storage connection is closed.");
    this.#line = this.#line.then(() => this.#process.latency());
    await this.#line;
    return this.#process.pass(batch, take);
  }
}

export interface WorldOptions {
  readonly seed?: number;
  /** False: a browser without Web Locks, where each process has locks of its own. */
  readonly areLocksShared?: boolean;
}

export class World {
  readonly time = new VirtualTime();
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
