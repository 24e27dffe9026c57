// Watches the JavaScript heaps of a page and its worker from outside, buffers included.
import { attachedWorkers } from "../workers.mjs";

/** @typedef {import("../workers.mjs").Send} Send */
/** @typedef {{ worker: number, page: number }} Bytes */
/**
 * @typedef {{ phase: string, peak: Bytes, live: Bytes, held: Bytes }} Phase
 * `peak`: with garbage; `live`: the most that was left when it was collected meanwhile; `held`: what is left in the end
 */

const everyMs = 250;
/** To collect garbage takes a while: it is to be a small part of the time. */
const collectEveryMs = 1500;

export class HeapWatch {
  /** @type {Send} */
  #toPage;
  /** @type {() => Send[]} */
  #workers;
  /** @type {Bytes} */
  #peak = { worker: 0, page: 0 };
  /** @type {Bytes} */
  #live = { worker: 0, page: 0 };

  /** @param {Send} toPage @param {() => Send[]} workers */
  constructor(toPage, workers) {
    this.#toPage = toPage;
    this.#workers = workers;
  }

  /** @param {import("playwright").Page} page before its worker starts */
  static async of(page) {
    const session = await page.context().newCDPSession(page);
    /** @type {Send} */
    const toPage = (method, params) => session.send(/** @type {any} */ (method), params);
    return new HeapWatch(toPage, await attachedWorkers(session));
  }

  /**
   * Watches while `work` goes on.
   * @template T
   * @param {string} phase
   * @param {() => Promise<T>} work
   * @param {{ collects?: boolean }} [options] whether garbage is collected meanwhile, to see what is not
   * @returns {Promise<Phase & { result: T }>}
   */
  async during(phase, work, { collects = false } = {}) {
    this.#peak = { worker: 0, page: 0 };
    this.#live = { worker: 0, page: 0 };
    const end = new AbortController();
    const watching = (async () => {
      while (!end.signal.aborted) {
        await this.#look();
        if (collects) this.#live = larger(this.#live, await this.held());
        await new Promise((resolve) => setTimeout(resolve, collects ? collectEveryMs : everyMs));
      }
    })();
    try {
      const result = await work();
      return { phase, result, peak: await this.#look(), live: this.#live, held: await this.held() };
    } finally {
      end.abort();
      await watching;
    }
  }

  /** What is left when garbage is collected. @returns {Promise<Bytes>} */
  async held() {
    const worker = this.#workers().at(-1);
    const [inWorker, onPage] = await Promise.all([worker ? heldIn(worker) : 0, heldIn(this.#toPage)]);
    return { worker: inWorker, page: onPage };
  }

  /** @returns {Promise<Bytes>} the most so far */
  async #look() {
    return (this.#peak = larger(this.#peak, await this.#now()));
  }

  /** @returns {Promise<Bytes>} */
  async #now() {
    const worker = this.#workers().at(-1);
    const [inWorker, onPage] = await Promise.all([
      worker?.("Runtime.getHeapUsage"),
      this.#toPage("Runtime.getHeapUsage"),
    ]);
    return { worker: bytesOf(inWorker), page: bytesOf(onPage) };
  }
}

/** @param {Bytes} a @param {Bytes} b @returns {Bytes} */
const larger = (a, b) => ({ worker: Math.max(a.worker, b.worker), page: Math.max(a.page, b.page) });

/**
 * The least of some looks: buffers that are garbage are given back by and by, and what works meanwhile makes new garbage.
 * @param {Send} send
 */
async function heldIn(send) {
  let least = Infinity;
  for (let i = 0; i < 3; i++) {
    await send("HeapProfiler.collectGarbage");
    await send("HeapProfiler.collectGarbage"); // what was kept by weak references and finalizers
    least = Math.min(least, bytesOf(await send("Runtime.getHeapUsage")));
  }
  return least;
}

/** @param {{ usedSize?: number, backingStorageSize?: number } | undefined} usage */
const bytesOf = (usage) => (usage?.usedSize ?? 0) + (usage?.backingStorageSize ?? 0);
