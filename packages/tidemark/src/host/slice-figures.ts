/** What background work takes of the worker's time: figures of bounded size, whatever the number of slices. */
import type { SliceFigures, SliceSource } from "../protocol/metrics.ts";

const finestMs = 0.001;
const bucketsPerDoubling = 8;
/** Up to some 16 seconds; what is longer counts there, and is told by `longest`. */
const bucketCount = 24 * bucketsPerDoubling;

/** A histogram with buckets that widen by a twelfth each: a quantile is told within 9 %, and never too low. */
export class Durations {
  readonly #counts = new Uint32Array(bucketCount);
  #count = 0;
  #totalMs = 0;
  #longestMs = 0;

  get count(): number {
    return this.#count;
  }
  get totalMs(): number {
    return this.#totalMs;
  }
  get longestMs(): number {
    return this.#longestMs;
  }

  add(ms: number): void {
    const doublings = Math.log2(Math.max(ms, finestMs) / finestMs);
    const at = Math.min(bucketCount - 1, Math.ceil(doublings * bucketsPerDoubling));
    this.#counts[at]!++;
    this.#count++;
    this.#totalMs += ms;
    this.#longestMs = Math.max(this.#longestMs, ms);
  }

  /** The duration that a share `q` of all does not exceed; 0 where there are none. */
  quantile(q: number): number {
    let left = Math.ceil(this.#count * q);
    for (let at = 0; at < bucketCount && left > 0; at++) {
      left -= this.#counts[at]!;
      if (left > 0 || at === bucketCount - 1) continue;
      return Math.min(this.#longestMs, finestMs * 2 ** (at / bucketsPerDoubling));
    }
    return this.#longestMs;
  }
}

const windowMs = 10_000;
const parts = 20;
const partMs = windowMs / parts;

/** How much of the last ten seconds was used, to half a second. */
class Used {
  readonly #parts = new Float64Array(parts);
  #part = 0;

  add(ms: number, now: number): void {
    this.#advance(now);
    this.#parts[this.#part % parts]! += ms;
  }

  within(now: number): number {
    this.#advance(now);
    return this.#parts.reduce((sum, ms) => sum + ms, 0);
  }

  #advance(now: number): void {
    const to = Math.max(this.#part, Math.floor(now / partMs));
    for (let part = Math.max(this.#part + 1, to - parts + 1); part <= to; part++) this.#parts[part % parts] = 0;
    this.#part = to;
  }
}

/** Told one by one: about a second of them at the pace at which idle moments are granted. */
const mostLast = 128;

export class SliceMeter {
  readonly #since: number;
  readonly #durations = new Durations();
  readonly #empty = new Durations();
  readonly #used = new Used();
  #last: { readonly at: number; readonly ms: number }[] = [];
  readonly #bySource: Record<SliceSource, number> = { grant: 0, busy: 0, assist: 0, timer: 0, headlong: 0 };

  constructor(now: number) {
    this.#since = now;
  }

  get slices(): number {
    return this.#durations.count;
  }

  slice(source: SliceSource, ms: number, now: number): void {
    this.#bySource[source]++;
    this.#durations.add(ms);
    this.#used.add(ms, now - this.#since);
    this.#last.push({ at: now, ms });
    if (this.#last.length >= 2 * mostLast) this.#last = this.#last.slice(-mostLast);
  }

  emptySlice(ms: number): void {
    this.#empty.add(ms);
  }

  figures(now: number): SliceFigures {
    const openMs = now - this.#since;
    const usedMs = this.#used.within(openMs);
    return {
      ...spread(this.#durations),
      bySource: { ...this.#bySource },
      usedMs,
      foreground: openMs > 0 ? Math.max(0, 1 - usedMs / Math.min(windowMs, openMs)) : 1,
      empty: spread(this.#empty),
      last: this.#last.slice(-mostLast).map(({ at, ms }) => ({ agoMs: now - at, ms })),
    };
  }
}

const spread = (durations: Durations): SliceFigures["empty"] => ({
  slices: durations.count,
  totalMs: durations.totalMs,
  longestMs: durations.longestMs,
  p50Ms: durations.quantile(0.5),
  p99Ms: durations.quantile(0.99),
  p999Ms: durations.quantile(0.999),
});
