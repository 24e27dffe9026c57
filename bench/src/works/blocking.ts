import { makeItems } from "../items.ts";
import { collectGarbage } from "../timing.ts";
import type { Work } from "./work.ts";

const batch = 1000;
/** Timers that set themselves again run this far apart at best. */
const turnMs = 4;

/**
 * How long the page cannot answer while records are inserted: what the turns of its event loop take beyond their time, in
 * all and at most, and the long tasks that the browser itself tells of.
 */
export const blocking: Work = async (fixture) => {
  const indexes = ["listId"] as const;
  const items = makeItems(fixture.sizes.blockingRecords, 10);
  const db = await fixture.open("blocking", indexes);
  collectGarbage();
  const watch = new TurnWatch();
  for (let i = 0; i < items.length; i += batch) await db.items.insertMany(items.slice(i, i + batch));
  const { delayMs, longestMs, longTasksMs } = await watch.end();
  const again = await fixture.reopened(db, indexes);
  await fixture.proveHolds(again, items, indexes);
  await again.close();
  const each = 10_000 / items.length;
  return { blocked: delayMs * each, blockedLongest: longestMs, longTasks: longTasksMs * each };
};

class TurnWatch {
  #delayMs = 0;
  #longestMs = 0;
  #longTasksMs = 0;
  #last = performance.now();
  #timer: ReturnType<typeof setTimeout> = setTimeout(() => this.#turn());
  readonly #observer = new PerformanceObserver((list) => this.#add(list.getEntries()));

  constructor() {
    this.#observer.observe({ entryTypes: ["longtask"] });
  }

  #add(entries: readonly PerformanceEntry[]): void {
    for (const { duration } of entries) this.#longTasksMs += duration;
  }

  #turn(): void {
    const now = performance.now();
    const delayMs = Math.max(0, now - this.#last - turnMs);
    this.#delayMs += delayMs;
    this.#longestMs = Math.max(this.#longestMs, delayMs);
    this.#last = now;
    this.#timer = setTimeout(() => this.#turn());
  }

  async end(): Promise<{ delayMs: number; longestMs: number; longTasksMs: number }> {
    await new Promise((resolve) => setTimeout(resolve, 2 * turnMs)); // so that the last turn is counted
    clearTimeout(this.#timer);
    this.#add(this.#observer.takeRecords());
    this.#observer.disconnect();
    return { delayMs: this.#delayMs, longestMs: this.#longestMs, longTasksMs: this.#longTasksMs };
  }
}
