/** How long frames of the page take, while somebody wants to know. */
import type { Moment } from "./timeline.ts";

export class Frames {
  readonly #keptMs: number;
  #frames: Moment[] = [];
  #request: number | undefined;
  #last: number | undefined;

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  get list(): readonly Moment[] {
    return this.#frames;
  }

  start(): void {
    if (this.#request !== undefined) return;
    this.#last = undefined;
    const tick = (at: number): void => {
      this.#request = requestAnimationFrame(tick);
      if (this.#last !== undefined) this.#frames.push({ at, ms: at - this.#last });
      this.#last = at;
      // Now and then, so that a frame costs nothing.
      if (this.#frames.length % 256 === 0) this.#frames = this.#frames.filter((f) => f.at > at - this.#keptMs);
    };
    this.#request = requestAnimationFrame(tick);
  }

  stop(): void {
    if (this.#request !== undefined) cancelAnimationFrame(this.#request);
    this.#request = undefined;
  }
}
