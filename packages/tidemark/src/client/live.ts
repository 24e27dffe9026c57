import { View } from "./view.ts";
import type { Session } from "./session.ts";
import type { Declarations } from "./types.ts";

export interface Observer<T> {
  next?(value: T): void;
  error?(error: unknown): void;
}

export interface Subscription {
  unsubscribe(): void;
}

/** A query that runs again whenever a commit, in any tab, touched what it read. It runs while somebody subscribes. */
export class Live<T, C extends Declarations> {
  readonly #session: Session;
  readonly #collections: C;
  readonly #query: (view: View<C>) => Promise<T>;
  readonly #observers = new Set<Observer<T>>();
  #current: T | undefined;
  #error: unknown;
  #handle: number | undefined;
  #isRunning = false;
  #isStale = false;

  constructor(session: Session, collections: C, query: (view: View<C>) => Promise<T>) {
    this.#session = session;
    this.#collections = collections;
    this.#query = query;
  }

  /** The last result: the same object until the next one. */
  get current(): T | undefined {
    return this.#current;
  }

  /** What ended it; an error ends the subscription. */
  get error(): unknown {
    return this.#error;
  }

  subscribe(observer: Observer<T> | ((value: T) => void)): Subscription {
    const own: Observer<T> = typeof observer === "function" ? { next: observer } : observer;
    this.#observers.add(own);
    if (this.#observers.size === 1) this.#refresh();
    else if (this.#current !== undefined) own.next?.(this.#current);
    return { unsubscribe: () => this.#leave(own) };
  }

  #leave(observer: Observer<T>): void {
    if (this.#observers.delete(observer) && this.#observers.size === 0) this.#release();
  }

  /** One run at a time; what is touched during a run is caught by the next. */
  #refresh(): void {
    this.#isStale = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#runWhileStale().finally(() => (this.#isRunning = false));
  }

  async #runWhileStale(): Promise<void> {
    while (this.#isStale && this.#observers.size > 0) {
      this.#isStale = false;
      try {
        const value = await this.#run();
        if (this.#observers.size === 0) return;
        this.#current = value;
        for (const o of this.#observers) o.next?.(value);
      } catch (e) {
        this.#fail(e);
      }
    }
  }

  async #run(): Promise<T> {
    const { connection } = this.#session.live ?? (await this.#session.open());
    const handle = this.#session.newHandle();
    const view = new View(this.#session, this.#collections, connection, handle, "live", false);
    const before = this.#handle;
    this.#session.watchers.set(handle, () => this.#refresh());
    this.#handle = handle;
    try {
      const value = await this.#query(view);
      await connection.call<"watch">({ op: "watch", handle });
      return value;
    } finally {
      view.finish();
      if (before !== undefined) this.#end(before);
      if (this.#observers.size === 0) this.#release();
    }
  }

  #release(): void {
    if (this.#handle !== undefined) this.#end(this.#handle);
    this.#handle = undefined;
  }

  #end(handle: number): void {
    this.#session.watchers.delete(handle);
    try {
      this.#session.live?.connection.call<"end">({ op: "end", handle }).catch(() => undefined);
    } catch {
      // the database is closed, and with it every handle
    }
  }

  #fail(e: unknown): void {
    this.#error = e;
    const observers = [...this.#observers];
    this.#observers.clear();
    this.#release();
    for (const o of observers) o.error?.(e);
  }
}
