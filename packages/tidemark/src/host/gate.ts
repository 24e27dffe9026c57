/** Where a background job can be held up or called off: between its slices, never within one. */
export class Gate {
  /** Set while the gate is closed: lets those go on that wait at it. */
  #open: (() => void) | undefined;
  #opened: Promise<void> = Promise.resolve();
  #cancelled: { readonly reason: unknown } | undefined;
  #signal: AbortSignal | undefined;

  /** Aborting the signal cancels. */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener("abort", this.#abort);
  }

  get isPaused(): boolean {
    return this.#open !== undefined;
  }
  get isCancelled(): boolean {
    return this.#cancelled !== undefined;
  }

  pause(): void {
    if (this.#cancelled || this.#open) return;
    this.#opened = new Promise((resolve) => (this.#open = resolve));
  }

  resume(): void {
    this.#open?.();
    this.#open = undefined;
  }

  /** For good. Whoever waits at the gate, or comes to it later, fails with `reason`. */
  cancel(reason: unknown = new DOMException("The background job was cancelled", "AbortError")): void {
    this.#cancelled ??= { reason };
    this.dispose();
    this.resume();
  }

  /** Resolves once the gate is open. @throws why it was cancelled */
  async pass(): Promise<void> {
    while (this.isPaused) await this.#opened;
    if (this.#cancelled) throw this.#cancelled.reason;
  }

  /** The job is over: the signal is not listened to any more. */
  dispose(): void {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#signal = undefined;
  }

  readonly #abort = (): void => this.cancel(this.#signal?.reason);
}
