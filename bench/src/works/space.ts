import type { Work } from "./work.ts";

/** By the browser's own estimate, IndexedDB and files of the origin together. */
export async function usageBytes(): Promise<number> {
  const { usage = 0 } = await navigator.storage.estimate();
  return usage;
}

interface Measured {
  readonly breakdown: readonly {
    readonly bytes: number;
    readonly attribution: readonly { readonly scope: string }[];
  }[];
}

/** Of the page and of its workers, WebAssembly included; `undefined` in browsers that do not tell. */
export async function memory(): Promise<{ page: number; workers: number } | undefined> {
  const measuring = performance as Partial<{ measureUserAgentSpecificMemory(): Promise<Measured> }>;
  const measured = await measuring.measureUserAgentSpecificMemory?.call(performance);
  if (!measured) return undefined;
  const of = (isCounted: (scope: string) => boolean): number =>
    measured.breakdown
      .filter(({ attribution }) => attribution.some(({ scope }) => isCounted(scope)))
      .reduce((sum, { bytes }) => sum + bytes, 0);
  return { page: of((scope) => scope === "Window"), workers: of((scope) => scope !== "Window") };
}

/** What all records take once they are stored and everything was read: on disk, and in memory. */
export const space: Work = async (fixture) => {
  const db = await fixture.cold();
  await db.items.all();
  const bytes = await memory();
  return {
    usageBytes: await usageBytes(),
    ...(bytes && { pageBytes: bytes.page, workerBytes: bytes.workers }),
  };
};
