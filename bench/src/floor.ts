import type { FloorRequest } from "./floor-worker.ts";
import { type Figures, median } from "./measure.ts";

/** What a round trip to a worker and a storage transaction cost by themselves: medians in milliseconds. */
export async function measureFloor(times: number): Promise<Figures> {
  const worker = new Worker(new URL("./floor-worker.ts", import.meta.url), { type: "module" });
  const ask = (request: FloorRequest): Promise<number> =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<number>) => resolve(data);
      worker.onerror = (e) => reject(new Error(e.message));
      worker.postMessage(request);
    });
  const figures: Figures = {};
  for (const request of ["echo", "put", "append"] as const) {
    const fromPage: number[] = [];
    const inWorker: number[] = [];
    for (let i = -50; i < times; i++) {
      const since = performance.now();
      const ms = await ask(request);
      if (i < 0) continue; // not warm yet
      fromPage.push(performance.now() - since);
      inWorker.push(ms);
    }
    figures[request] = median(fromPage);
    if (request !== "echo") figures[`${request}InWorker`] = median(inWorker);
  }
  worker.terminate();
  return figures;
}
