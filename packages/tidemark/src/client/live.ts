import { isTidemarkError } from "../base/errors.ts";
import { isStillBuilding } from "./building.ts";
import type { Connection } from "./connection.ts";
import { type LiveDiagnostics, queryText } from "./diagnostics.ts";
import { callBack } from "./report.ts";
import type { Session } from "./session.ts";
import { share } from "./sharing.ts";
import type { Declarations } from "./types.ts";
import { View } from "./view.ts";

/** So often in a row a run is begun anew. */
const maxEvictions = 10;

export interface Observer<T> {
  next?(value: T): void;
  error?(error: unknown): void;
}

/** Ends it, once: called itself, as Svelte does, or by its method, as RxJS does. */
export interface Subscription {
  (): void;
  unsubscribe(): void;
}

export function subscriptionOf(leave: () => void): Subscription {
  return Object.assign(() => leave(), { unsubscribe: leave });
}

/** Starts to run a query; from then on results come to `output`. `heard` says how many hear of them. */
type Start<T> = (output: Required<Observer<T>>, heard: () => Heard) => { stop(): void };
type Heard = Pick<LiveDiagnostics, "subscribers" | "told">;

/** One call of `subscribe`: the same observer may be there twice. */
interface Slot<T> {
  readonly observer: Observer<T>;
}

/**
 * A query that runs again whenever a commit, in any tab, touched what it read. It runs while somebody subscribes, once
 * for all subscribers. Results are frozen, and what did not change in them stays the same object; one that is
 * deep-equal to the last is not told. It is an observable to RxJS (`from(live)`) and a store to Svelte (`$live`).
 */
export class Live<T> {
  readonly #start: Start<T>;
  readonly #slots = new Set<Slot<T>>();
  /** From the first subscriber that comes to the last that leaves. */
  #running: { stop(): void } | undefined;
  #current: T | undefined;
  /** Whether `#current` is of this run. */
  #hasValue = false;
  /** Results of this run that were told. */
  #told = 0;
  #error: unknown;

  constructor(start: Start<T>) {
    this.#start = start;
    // A well-known symbol only where somebody brings it; those who do not know it look for the name below.
    const { observable } = Symbol as { readonly observable?: symbol };
    if (observable) Object.defineProperty(this, observable, { value: () => this });
  }

  /** The last result: the same object until one that differs. It stays when the last subscriber leaves. */
  get current(): T | undefined {
    return this.#current;
  }

  /** What ended it; an error ends the subscriptions. A new one clears it and tries again. */
  get error(): unknown {
    return this.#error;
  }

  /**
   * Calls `next` with every result from now on, and at once with the present one where others subscribe already. An
   * error ends the subscription. What an observer throws is reported as uncaught.
   */
  subscribe(observer: Observer<T> | ((value: T) => void)): Subscription {
    const slot: Slot<T> = { observer: typeof observer === "function" ? { next: observer } : observer };
    this.#slots.add(slot);
    if (!this.#running) this.#run();
    else if (this.#hasValue) callBack(() => slot.observer.next?.(this.#current as T));
    return subscriptionOf(() => this.#leave(slot));
  }

  /** What libraries of observables look for. */
  ["@@observable"](): this {
    return this;
  }

  #run(): void {
    this.#error = undefined;
    this.#hasValue = false;
    this.#told = 0;
    const heard = (): Heard => ({ subscribers: this.#slots.size, told: this.#told });
    this.#running = this.#start({ next: (value) => this.#emit(value), error: (e) => this.#fail(e) }, heard);
  }

  #leave(slot: Slot<T>): void {
    if (!this.#slots.delete(slot) || this.#slots.size > 0) return;
    this.#running?.stop();
    this.#running = undefined;
  }

  #emit(result: T): void {
    const value = share(this.#current, result);
    if (this.#hasValue && Object.is(value, this.#current)) return;
    this.#current = value;
    this.#hasValue = true;
    this.#told++;
    const slots = [...this.#slots]; // whoever comes meanwhile is told on coming
    for (const slot of slots) {
      if (this.#slots.has(slot)) callBack(() => slot.observer.next?.(value));
    }
  }

  #fail(e: unknown): void {
    this.#error = e;
    this.#running = undefined;
    const slots = [...this.#slots];
    this.#slots.clear();
    for (const { observer } of slots) callBack(() => observer.error?.(e));
  }
}

/** A live query on these collections. */
export function liveQuery<T, C extends Declarations>(
  session: Session,
  collections: C,
  query: (view: View<C>) => Promise<T>,
  name?: string,
): Live<T> {
  return new Live((output, heard) => {
    const running = new Running(session, collections, query, output, (of) => ({
      query: queryText(name ?? query),
      ...heard(),
      ...of,
    }));
    running.refresh();
    return running;
  });
}

/** Runs the query again and again until it is stopped or fails. Once stopped it emits nothing any more. */
class Running<T, C extends Declarations> {
  readonly #session: Session;
  readonly #collections: C;
  readonly #query: (view: View<C>) => Promise<T>;
  readonly #output: Required<Observer<T>>;
  readonly #databaseEnded = (error: unknown): void => this.#fail(error);
  readonly #tell: () => LiveDiagnostics;
  #runs = 0;
  #lastRunMs: number | undefined;
  /** What is read is watched, or about to be. */
  #view: View<C> | undefined;
  #isBusy = false;
  #isStale = false;
  #isStopped = false;

  constructor(
    session: Session,
    collections: C,
    query: (view: View<C>) => Promise<T>,
    output: Required<Observer<T>>,
    told: (of: Omit<LiveDiagnostics, "query" | keyof Heard>) => LiveDiagnostics,
  ) {
    this.#session = session;
    this.#collections = collections;
    this.#query = query;
    this.#output = output;
    this.#tell = () => {
      const lastRunMs = this.#lastRunMs;
      return told({ runs: this.#runs, isRunning: this.#isBusy, ...(lastRunMs === undefined ? {} : { lastRunMs }) });
    };
    session.endings.add(this.#databaseEnded);
    session.diary.live.add(this.#tell);
  }

  /** One run at a time; what is touched during a run is caught by the next. */
  refresh(): void {
    this.#isStale = true;
    if (!this.#isBusy) void this.#runWhileStale();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#session.endings.delete(this.#databaseEnded);
    this.#session.diary.live.delete(this.#tell);
    if (!this.#isBusy) this.#release();
  }

  async #runWhileStale(): Promise<void> {
    this.#isBusy = true;
    let hasLostWorker = false;
    let evictions = 0;
    while (this.#isStale && !this.#isStopped) {
      this.#isStale = false;
      try {
        const value = await this.#run();
        if (!this.#isStopped) this.#output.next(value);
        hasLostWorker = false;
        evictions = 0;
      } catch (e) {
        // This tab slept, and what it began to read is collected.
        if (isTidemarkError(e, "READ_VIEW_EVICTED") && evictions++ < maxEvictions) {
          this.#isStale = true;
          continue;
        }
        if (isStillBuilding(e)) {
          await this.#session.enter((now) => this.#session.indexReady(now, e)).catch(() => undefined);
          this.#isStale = true;
          continue;
        }
        // Its worker died, and that it did makes us stale; if it dies of this query, then not a third time.
        if (hasLostWorker || !this.#view?.isLost) this.#fail(e);
        hasLostWorker = true;
      }
    }
    // In one step with the loop's last look: what is touched from here on starts a new one.
    this.#isBusy = false;
    if (this.#isStopped) this.#release();
  }

  async #run(): Promise<T> {
    this.#release();
    this.#runs++;
    const began = performance.now();
    // The query begins in the same tick as the view, so that its first reads travel with the view's opening.
    const { view, value } = await this.#session.enter(async (connection) => {
      const opened = this.#openView(connection);
      return { view: opened, value: this.#query(opened) };
    });
    try {
      const result = await value;
      await view.watch();
      this.#lastRunMs = performance.now() - began;
      return result;
    } finally {
      view.finish();
    }
  }

  #openView(connection: Connection): View<C> {
    const handle = this.#session.newHandle();
    this.#session.watchers.set(handle, () => this.refresh());
    this.#view = new View(this.#session, this.#collections, connection, handle, "live", false);
    return this.#view;
  }

  #fail(e: unknown): void {
    if (this.#isStopped) return;
    this.stop();
    this.#output.error(e);
  }

  #release(): void {
    if (!this.#view) return;
    this.#session.watchers.delete(this.#view.handle);
    this.#view.release();
    this.#view = undefined;
  }
}
