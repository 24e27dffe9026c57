/** The longest time between two frames of the page: how long it stood still. */
export class LongestFrame {
  #ms = 0;
  #request: number | undefined;

  get ms(): number {
    return this.#ms;
  }

  start(): void {
    this.stop();
    this.#ms = 0;
    let last: number | undefined;
    const frame = (at: number): void => {
      // A page that is hidden makes no frames, which is no standing still.
      if (last !== undefined && !document.hidden) this.#ms = Math.max(this.#ms, at - last);
      last = document.hidden ? undefined : at;
      this.#request = requestAnimationFrame(frame);
    };
    this.#request = requestAnimationFrame(frame);
  }

  stop(): void {
    if (this.#request !== undefined) cancelAnimationFrame(this.#request);
  }
}
