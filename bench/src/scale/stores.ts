/** What a database holds in storage: by its own account, and by IndexedDB's. */
import type { Metrics } from "tidemark";

interface Holding {
  readonly name: string;
  readonly storage: { metrics(): Promise<Metrics> };
}

/** What counts as ours: every figure of the metrics that is a store's. */
const stores = ["logBytes", "blockBytes", "metaBytes", "blobBytes"] as const;

export function storedBytes(metrics: Metrics): number {
  const figures = metrics as unknown as Partial<Record<string, number>>;
  return stores.reduce((sum, store) => sum + (figures[store] ?? 0), 0);
}

const quietMs = 1500;
const lookMs = 100;

/** What upkeep changes and commits do not: others may write while we wait for it to be done. */
const upkeepOf = ({ checkpoint, floor, blocks, blockBytes }: Metrics): string =>
  JSON.stringify([checkpoint, floor, blocks, blockBytes]);

/** Waits until upkeep has changed nothing for a while. Answers how long it went on, and the most that was stored. */
export async function untilQuiet(db: Holding): Promise<{ readonly busyMs: number; readonly peakBytes: number }> {
  const since = performance.now();
  let [changedAt, peakBytes, before] = [since, 0, ""];
  let stored = -1;
  for (;;) {
    const metrics = await db.storage.metrics();
    peakBytes = Math.max(peakBytes, storedBytes(metrics));
    const now = upkeepOf(metrics);
    if (now !== before) [changedAt, before] = [performance.now(), now];
    if (performance.now() - changedAt >= quietMs) {
      // New blocks may be written that nothing refers to yet.
      const count = await countOfBlocks(db.name);
      if (count === stored) return { busyMs: changedAt - since, peakBytes };
      if (stored >= 0) changedAt = performance.now();
      stored = count;
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

async function countOfBlocks(name: string): Promise<number> {
  const db = await settled(indexedDB.open(`tidemark/${name}`));
  const count = await settled(db.transaction("blocks", "readonly").objectStore("blocks").count());
  db.close();
  return count;
}

/** Bytes of keys and values as IndexedDB has them; reads everything, a little at a time. */
export async function bytesInIndexedDb(name: string): Promise<number> {
  const db = await settled(indexedDB.open(`tidemark/${name}`));
  let bytes = 0;
  for (const store of db.objectStoreNames) {
    for (let range: IDBKeyRange | null = null; ;) {
      const tx = db.transaction(store, "readonly").objectStore(store);
      const [keys, values] = await Promise.all([settled(tx.getAllKeys(range, 64)), settled(tx.getAll(range, 64))]);
      bytes += keys.reduce<number>((sum, key) => sum + (typeof key === "string" ? key.length * 2 : 8), 0);
      bytes += (values as Uint8Array[]).reduce((sum, value) => sum + value.byteLength, 0);
      if (keys.length < 64) break;
      range = IDBKeyRange.lowerBound(keys.at(-1), true);
    }
  }
  db.close();
  return bytes;
}

const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB failed"));
  });
