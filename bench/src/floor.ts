import type { FloorAnswer, FloorRequest } from "./floor-worker.ts";
import { makeItems } from "./items.ts";
import { collectGarbage, eachTimed, type Figures, median } from "./timing.ts";

const repeats = 5;

/**
 * What a database in a worker cannot be faster than, in the same harness: round trips and transactions by themselves, and
 * a bulk insert that does nothing but make bytes of the records, send them, and store them in pieces.
 */
export async function measureFloor(times: number, records: number): Promise<Figures> {
  const worker = new Worker(new URL("./floor-worker.ts", import.meta.url), { type: "module" });
  const ask = (request: FloorRequest, transfer: Transferable[] = []): Promise<FloorAnswer> =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<FloorAnswer>) => resolve(data);
      worker.onerror = (e) => reject(new Error(e.message));
      worker.postMessage(request, transfer);
    });
  const figures: Figures = {};
  for (const what of ["echo", "put", "append"] as const) {
    for (let i = 0; i < 50; i++) await ask({ do: what });
    const inWorker: number[] = [];
    const calls = Array.from({ length: times }, () => what);
    figures[what] = await eachTimed(calls, async (call) => inWorker.push((await ask({ do: call })).storedMs));
    if (what !== "echo") figures[`${what}InWorker`] = median(inWorker);
  }
  Object.assign(figures, await packed(ask, records));
  worker.terminate();
  return figures;
}

/** The stages of a bulk insert that nothing can leave out: encode, message, worker, IndexedDB. */
async function packed(
  ask: (request: FloorRequest, transfer: Transferable[]) => Promise<FloorAnswer>,
  records: number,
): Promise<Figures> {
  const stages = { packedEncode: [], packedMessage: [], packedWorker: [], packedStore: [], packed: [] } as Record<
    string,
    number[]
  >;
  for (let i = -2; i < repeats; i++) {
    const items = makeItems(records, 70 + i);
    collectGarbage();
    const since = performance.now();
    const bytes = new TextEncoder().encode(JSON.stringify(items));
    const encoded = performance.now();
    const { cutMs, storedMs } = await ask({ do: "pack", bytes }, [bytes.buffer]);
    const answered = performance.now();
    if (i < 0) continue; // not warm yet
    stages["packedEncode"]!.push(encoded - since);
    stages["packedMessage"]!.push(answered - encoded - cutMs - storedMs);
    stages["packedWorker"]!.push(cutMs);
    stages["packedStore"]!.push(storedMs);
    stages["packed"]!.push(answered - since);
  }
  return Object.fromEntries(Object.entries(stages).map(([stage, each]) => [stage, median(each)]));
}
