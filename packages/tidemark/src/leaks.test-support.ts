/**
 * Whether doing something again and again leaves something behind. It is a question of slope: what is there half-way is
 * compared with what is there in the end, so that a cache that fills once is no leak, and a slow leak is one.
 */
import { getHeapSpaceStatistics, queryObjects, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect } from "vitest";

/** `LEAK_CYCLES=10000` is the long form. */
export const cycles = Number(process.env["LEAK_CYCLES"] ?? 120);

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const timer = setTimeout(() => undefined, 0);
clearTimeout(timer);
/** What is counted, since each of them is seen, however small: what keeps a process busy, and what waits. */
const counted = {
  timers: timer.constructor,
  channels: BroadcastChannel,
  promises: Promise,
} as const;
type Counts = Record<keyof typeof counted, number>;

export interface Footprint extends Counts {
  /** What is left when garbage is collected, buffers included. */
  readonly heapBytes: number;
}

/** The test runner's own come and go. */
const strayObjects = 12;
/** What V8 learns about code that runs often, and what the runner notes. */
const strayBytes = 96 * 1024;
/** A cycle that keeps anything keeps at least one small object and who refers to it. */
const leastLeakBytes = 24;
const tick = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Objects and buffers; code is compiled again as long as it runs. */
function dataBytes(): number {
  const spaces = getHeapSpaceStatistics().filter(({ space_name: name }) => !/code|trusted/.test(name));
  return spaces.reduce((sum, { space_used_size: used }) => sum + used, process.memoryUsage().external);
}

/** What is there now, without waiting: in virtual time nobody may. */
export function footprintNow(): Footprint {
  collectGarbage();
  const counts = Object.entries(counted).map(([name, type]) => [name, queryObjects(type) as number]);
  return { heapBytes: dataBytes(), ...(Object.fromEntries(counts) as Counts) };
}

/** The least of some looks: what was just done may still be ending. */
async function footprint(): Promise<Footprint> {
  let heapBytes = Infinity;
  for (let look = 0; look < 2; look++) {
    await tick(5);
    collectGarbage();
    heapBytes = Math.min(heapBytes, dataBytes());
  }
  const now = footprintNow();
  return { ...now, heapBytes: Math.min(heapBytes, now.heapBytes) };
}

export interface Leak {
  readonly middle: Footprint;
  readonly end: Footprint;
  readonly bytesPerCycle: number;
}

export interface Resting {
  /** Timers that it leaves, and nobody waits for, have ended after so long. */
  readonly restMs?: number;
  /** Brings what was done to an end before it is looked at. */
  readonly settle?: () => Promise<unknown>;
}

/** Does `cycle` so often, and as often again. */
export async function leakOf(cycle: (n: number) => Promise<void>, { restMs = 0, settle }: Resting = {}): Promise<Leak> {
  const half = Math.ceil(cycles / 2);
  const run = async (from: number): Promise<void> => {
    for (let n = from; n < from + half; n++) await cycle(n);
    await settle?.();
  };
  const footprintAfter = async (from: number): Promise<Footprint> => {
    await run(from);
    await tick(restMs);
    return footprint();
  };
  await run(0); // what is compiled and cached is, from here on
  const middle = await footprintAfter(half);
  const end = await footprintAfter(2 * half);
  return { middle, end, bytesPerCycle: (end.heapBytes - middle.heapBytes) / half };
}

export function toldOf({ end, bytesPerCycle }: Leak): string {
  const counts = Object.keys(counted).map((name) => `${name} ${end[name as keyof Counts]}`);
  return [`${bytesPerCycle.toFixed(1)} B a cycle, ${(end.heapBytes / 2 ** 20).toFixed(1)} MB in all`, ...counts].join(
    ", ",
  );
}

export function expectNoLeak({ middle, end }: Leak): void {
  const names = Object.keys(counted) as (keyof Counts)[];
  expect(names.filter((name) => end[name] - middle[name] > strayObjects)).toEqual([]);
  expect(end.heapBytes - middle.heapBytes).toBeLessThan(strayBytes + (cycles / 2) * leastLeakBytes);
}
