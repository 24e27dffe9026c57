/**
 * Runs worlds, many at once:
 *
 *   npm run sim -- --seeds 20000 [--from 1]     these many, from this seed on
 *   npm run sim -- --seed 17                    one, and tells what happened in it
 *   npm run sim -- --shrink 17                  one that fails, with as few steps as it still fails with, as a regression
 *   npm run sim -- --mutants                    which seed catches each planted bug
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { mutants } from "./mutants.ts";
import { planOf } from "./plan.ts";
import { planted } from "./planted.ts";
import { present } from "./present.ts";
import { runWorld } from "./run.ts";
import { shrink } from "./shrink.ts";

const say = (text: string): void => void process.stdout.write(`${text}\n`);

interface Told {
  readonly seed: number;
  readonly faults: readonly string[];
  readonly commits: number;
  readonly lastedMs: number;
  readonly counts: readonly (readonly [string, number])[];
}

/** Of this thread: every `stride`th seed. */
async function work({ from, count, stride }: { from: number; count: number; stride: number }): Promise<void> {
  for (let seed = from; seed < from + count; seed += stride) {
    const { faults, commits, lastedMs, counts } = await runWorld(present, planOf(seed));
    parentPort!.postMessage({ seed, faults, commits, lastedMs, counts: [...counts] } satisfies Told);
  }
}

async function inThreads(
  threads: number,
  dataOf: (i: number, stride: number) => object,
  hear: (told: Told) => void = () => undefined,
): Promise<void> {
  const run = (i: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: dataOf(i, threads) });
      worker.on("message", hear).on("error", reject).on("exit", resolve);
    });
  await Promise.all(Array.from({ length: threads }, (_, i) => run(i)));
}

/** Resolves to how many worlds had faults. */
async function runMany(from: number, count: number): Promise<number> {
  const threads = Math.min(availableParallelism(), count);
  const totals = new Map<string, number>();
  let [worlds, faulty, commits, lastedMs] = [0, 0, 0, 0];
  const startedMs = performance.now();
  const hear = (told: Told): void => {
    worlds++;
    commits += told.commits;
    lastedMs += told.lastedMs;
    for (const [what, n] of told.counts) totals.set(what, (totals.get(what) ?? 0) + n);
    if (worlds % 1000 === 0) say(`${worlds} worlds, ${faulty} with faults`);
    if (told.faults.length === 0) return;
    faulty++;
    say(`seed ${told.seed}: ${told.faults.length} faults`);
    for (const fault of told.faults.slice(0, 3)) say(`  ${fault.slice(0, 500)}`);
  };
  await inThreads(threads, (i, stride) => ({ from: from + i, count: count - i, stride }), hear);
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  say(
    [...totals]
      .toSorted(([, a], [, b]) => b - a)
      .map(([what, n]) => `${n} ${what}`)
      .join(", "),
  );
  const hours = Math.round(lastedMs / 3_600_000);
  say(`${worlds} worlds, ${commits} commits, ${hours} hours of their time in ${seconds} s: ${faulty} with faults`);
  return faulty;
}

async function tellOne(seed: number): Promise<number> {
  const { faults, trace } = await runWorld(present, planOf(seed));
  for (const line of trace) say(line.slice(0, 240));
  for (const fault of faults) say(fault);
  return faults.length;
}

async function shrinkOne(seed: number): Promise<number> {
  const fails = async (plan: Parameters<typeof runWorld>[1]): Promise<boolean> =>
    (await runWorld(present, plan)).faults.length > 0;
  const plan = planOf(seed);
  if (!(await fails(plan))) throw new Error(`seed ${seed} does not fail`);
  say(JSON.stringify(await shrink(plan, fails)));
  return 1;
}

const maxSeeds = 1000;

/** Of this thread: every `stride`th mutant. */
async function search({ from, stride }: { from: number; stride: number }): Promise<void> {
  for (const mutant of mutants.filter((_, i) => i % stride === from)) {
    const engine = await planted(mutant);
    let seed = 1;
    while (seed <= maxSeeds && (await runWorld(engine, planOf(seed))).faults.length === 0) seed++;
    say(`${seed > maxSeeds ? "MISSED" : seed} [${mutant.rule}] ${mutant.name}`);
  }
}

const { values } = parseArgs({
  args: isMainThread ? process.argv.slice(2).filter((arg) => arg !== "--") : [],
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    shrink: { type: "string" },
    mutants: { type: "boolean", default: false },
  },
});

if (!isMainThread && "count" in workerData) await work(workerData as Parameters<typeof work>[0]);
else if (!isMainThread) await search(workerData as Parameters<typeof search>[0]);
else if (values.mutants) await inThreads(availableParallelism(), (from, stride) => ({ from, stride }));
else if (values.shrink !== undefined) process.exitCode = Math.min(1, await shrinkOne(Number(values.shrink)));
else if (values.seed !== undefined) process.exitCode = Math.min(1, await tellOne(Number(values.seed)));
else process.exitCode = Math.min(1, await runMany(Number(values.from), Number(values.seeds)));
