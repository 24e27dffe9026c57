/** What a page and its workers hold, seen from outside: Chromium's DevTools protocol tells. */
import type { CDPSession, Page } from "@playwright/test";
import { HeapWatch } from "../bench/scale/heap.mjs";
import { attachedWorkers, type Send } from "../bench/workers.mjs";

/** What is counted, since each of them is seen, however small. */
const counted = ["MessagePort", "BroadcastChannel", "AbortSignal", "Promise"] as const;
type Counts = Readonly<Record<(typeof counted)[number], number>>;

export interface Footprint {
  /** Objects and buffers that are left when garbage is collected. */
  readonly pageBytes: number;
  readonly workerBytes: number;
  readonly workers: number;
  readonly page: Counts;
  readonly worker: Counts | undefined;
  /** Kinds of the locks that are held or asked for, and of the rows of store `meta`. */
  readonly locks: readonly string[];
  readonly metaRows: readonly string[];
}

export class Footprints {
  readonly #page: Page;
  readonly #heaps: HeapWatch;
  readonly #toPage: Send;
  readonly #workers: () => Send[];

  private constructor(page: Page, heaps: HeapWatch, toPage: Send, workers: () => Send[]) {
    this.#page = page;
    this.#heaps = heaps;
    this.#toPage = toPage;
    this.#workers = workers;
  }

  /** Of a page, before its worker starts. */
  static async of(page: Page): Promise<Footprints> {
    const session = await page.context().newCDPSession(page);
    const toPage: Send = (method, params) => session.send(method as Parameters<CDPSession["send"]>[0], params);
    return new Footprints(page, await HeapWatch.of(page), toPage, await attachedWorkers(session));
  }

  /** How many workers live. */
  get workers(): number {
    return this.#workers().length;
  }

  async look(database = "lab"): Promise<Footprint> {
    const workers = this.#workers();
    const { page: pageBytes, worker } = await this.#heaps.held();
    const last = workers.at(-1);
    return {
      pageBytes,
      workerBytes: last ? worker : 0,
      workers: workers.length,
      page: await countsIn(this.#toPage),
      worker: last && (await countsIn(last)),
      locks: await this.#page.evaluate(locksNow),
      metaRows: await this.#page.evaluate(metaRowsOf, database),
    };
  }
}

async function countsIn(send: Send): Promise<Counts> {
  const counts = [];
  for (const name of counted) {
    const prototype = await send("Runtime.evaluate", { expression: `${name}.prototype`, objectGroup: "counts" });
    const { objects } = await send("Runtime.queryObjects", {
      prototypeObjectId: prototype.result.objectId,
      objectGroup: "counts",
    });
    const length = await send("Runtime.callFunctionOn", {
      objectId: objects.objectId,
      functionDeclaration: "function () { return this.length; }",
    });
    await send("Runtime.releaseObjectGroup", { objectGroup: "counts" });
    counts.push([name, length.result.value as number] as const);
  }
  return Object.fromEntries(counts) as Counts;
}

async function locksNow(): Promise<string[]> {
  const { held, pending } = await navigator.locks.query();
  // Ids are no kinds.
  return [...held!, ...pending!].map(({ name }) => name!.replace(/[^/]*\d[^/]*$/, "…")).toSorted();
}

/** Of garbage collection a hundred runs and records are remembered: they do not count. */
async function metaRowsOf(database: string): Promise<string[]> {
  const opening = indexedDB.open(`tidemark/${database}`);
  const opened = await new Promise<IDBDatabase>((resolve, reject) => {
    opening.addEventListener("success", () => resolve(opening.result));
    opening.addEventListener("error", () => reject(new Error("the database does not open")));
  });
  const all = opened.transaction("meta").objectStore("meta").getAllKeys();
  const keys = await new Promise<IDBValidKey[]>((resolve) => {
    all.addEventListener("success", () => resolve(all.result));
  });
  opened.close();
  const names = keys.map(String).filter((name) => !name.startsWith("gc/"));
  return names.map((name) => name.replace(/\/.*/, "/…"));
}
