/** How things are timed here. Milliseconds throughout. */

/** Milliseconds by workload, or bytes where the name says so. */
export type Figures = Record<string, number>;

export async function timed(work: () => Promise<unknown>): Promise<number> {
  collectGarbage();
  const since = performance.now();
  await work();
  return performance.now() - since;
}

/** Calls one after the other, each awaited: the median of their times. */
export async function eachTimed<T>(inputs: readonly T[], call: (input: T) => Promise<unknown>): Promise<number> {
  const each: number[] = [];
  collectGarbage();
  for (const input of inputs) {
    const since = performance.now();
    await call(input);
    each.push(performance.now() - since);
  }
  return median(each);
}

/** Garbage of one measurement is not to be collected in the next. */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

export const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A clock that all tabs share. */
export const clock = (): number => performance.timeOrigin + performance.now();

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (low === undefined || high === undefined) throw new Error("There is no median of nothing");
  return (low + high) / 2;
}
