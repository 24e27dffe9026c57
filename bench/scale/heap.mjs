// Watches the JavaScript heaps of a page and its worker from outside, buffers included.
import { attachedWorkers } from "../workers.mjs";

/** @typedef {import("../workers.mjs").Send} Send */
/** @typedef {{ worker: number, page: number }} Bytes */
/** @typedef {{ phase: string, peak: Bytes, held: Bytes }} Phase `peak`: with garbage; `held`: after collecting it */

const everyMs = 250;

export class HeapWatch {
  /** @type {Send} */
  #toPage;
  /** @type {() => Send[]} */
  #workers;
  /** @type {Bytes} */
  #peak = { worker: 0, page: 0 };

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
   * @returns {Promise<Phase & { result: T }>}
   */
  async during(phase, work) {
    this.#peak = { worker: 0, page: 0 };
    const end = new AbortController();
    const watching = (async () => {
      while (!end.signal.aborted) {
        await this.#look();
        await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
    })();
    try {
      const result = await work();
      return { phase, result, peak: await this.#look(), held: await this.held() };
    } finally {
      end.abort();
      await watching;
    }
  }

  /** What is left when garbage is collected. @returns {Promise<Bytes>} */
  async held() {
    for (const send of [...this.#workers(), this.#toPage]) {
      await send("HeapProfiler.collectGarbage");
      await send("HeapProfiler.collectGarbage"); // what was kept by weak references and finalizers
    }
    return this.#now();
  }

  /** @returns {Promise<Bytes>} the most so far */
  async #look() {
    const { worker, page } = await this.#now();
    this.#peak = { worker: Math.max(this.#peak.worker, worker), page: Math.max(this.#peak.page, page) };
    return this.#peak;
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

/** @param {{ usedSize?: number, backingStorageSize?: number } | undefined} usage */
const bytesOf = (usage) => (usage?.usedSize ?? 0) + (usage?.backingStorageSize ?? 0);
