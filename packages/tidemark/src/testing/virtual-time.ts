/** Time that moves only when nothing else can: a story of hours takes as long as its work. A fake clock, and its timers. */
import type { Clock } from "../base/clock.ts";

/** Code that is loaded on demand comes in real time. Virtual time waits so long for it, where it has no timers left. */
const maxRealMs = 2000;

interface Timer {
  readonly at: number;
  readonly wake: () => void;
}

export class VirtualTime implements Clock {
  nowMs: number;
  /** By when they are due; those of one moment in the order in which they were set. */
  readonly #timers: Timer[] = [];

  constructor(nowMs = 1_700_000_000_000) {
    this.nowMs = nowMs;
  }

  now(): number {
    return this.nowMs;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => {
      const at = this.nowMs + Math.max(0, ms);
      let position = this.#timers.length;
      while (position > 0 && this.#timers[position - 1]!.at > at) position--;
      this.#timers.splice(position, 0, { at, wake });
    });
  }

  /** Lets time pass until `work` has settled. @throws after `limitMs`: it hangs. */
  async until<T>(work: Promise<T>, limitMs: number): Promise<T> {
    const deadline = this.nowMs + limitMs;
    let running = true;
    const ended = work.finally(() => (running = false));
    ended.catch(() => undefined); // reported by who awaits it, below
    for (;;) {
      await turn();
      if (!running) return ended;
      const timer = this.#timers.shift() ?? (await this.#late(() => running));
      if (!running) return ended;
      if (!timer || timer.at > deadline) throw new Error(`it hangs: nothing came of it in ${limitMs} virtual ms`);
      this.nowMs = timer.at;
      timer.wake();
    }
  }

  async #late(isWaiting: () => boolean): Promise<Timer | undefined> {
    for (let ms = 0; ms < maxRealMs && isWaiting() && this.#timers.length === 0; ms++) await realMs(1);
    return this.#timers.shift();
  }
}

const realMs = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Until everything has run that can run now. */
function turn(): Promise<void> {
  const { setImmediate: immediately } = globalThis as { setImmediate?: (then: () => void) => void };
  return immediately ? new Promise((resolve) => immediately(resolve)) : realMs(0);
}
