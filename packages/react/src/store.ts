import type { Observer, Subscription } from "tidemark";

/** What a live query has come to so far: the same object until that changes. */
export type Snapshot<T> =
  | { readonly status: "pending" }
  | { readonly status: "ready"; readonly data: T }
  | { readonly status: "failed"; readonly error: unknown };

/** Before the first result, and on a server. */
export const pending: { readonly status: "pending" } = { status: "pending" };
export const getPending = (): typeof pending => pending;

/** A live query, or what subscribes like one. */
export interface Source<T> {
  subscribe(observer: Observer<T>): Pick<Subscription, "unsubscribe">;
}

/**
 * A source as React reads it: subscribed to in effects, and between them a snapshot. Making one does nothing, so that
 * renders that come to nothing leave nothing behind. It is subscribed to once at a time.
 */
export class Store<T> {
  readonly #source: Source<T>;
  #snapshot: Snapshot<T> = pending;

  constructor(source: Source<T>) {
    this.#source = source;
  }

  readonly getSnapshot = (): Snapshot<T> => this.#snapshot;

  readonly subscribe = (changed: () => void): (() => void) => {
    const take = (snapshot: Snapshot<T>): void => {
      this.#snapshot = snapshot;
      changed();
    };
    // What was read before an effect was run again stays until it is read anew; an error is tried again.
    if (this.#snapshot.status === "failed") this.#snapshot = pending;
    const subscription = this.#source.subscribe({
      next: (data) => {
        const { status } = this.#snapshot;
        if (status !== "ready" || !Object.is(this.#snapshot.data, data)) take({ status: "ready", data });
      },
      error: (error) => take({ status: "failed", error }),
    });
    return () => subscription.unsubscribe();
  };
}

/** The data, or `otherwise` before there is any. @throws what the query failed with */
export function dataOf<T, D>(snapshot: Snapshot<T>, otherwise: D): T | D {
  if (snapshot.status === "failed") throw snapshot.error;
  return snapshot.status === "ready" ? snapshot.data : otherwise;
}
