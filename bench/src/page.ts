/** What `run.mjs` and `profile.mjs` call in the page. */
import { measureFloor } from "./floor.ts";
import { jsonBytes, makeItems } from "./items.ts";
import { collectGarbage, type Figures, measure, measureUnfolded, type Sizes } from "./measure.ts";
import { dexie } from "./peers/dexie.ts";
import { idb } from "./peers/idb.ts";
import { tidemark, tidemarkUnfolded } from "./peers/tidemark.ts";
import { openProfiled, profiled, type Step } from "./profiled.ts";

type Subject = "idb" | "dexie" | "tidemark" | "floor";

const subjects: Readonly<Record<Subject, (sizes: Sizes) => Promise<Figures>>> = {
  idb: (sizes) => measure(idb, sizes),
  dexie: (sizes) => measure(dexie, sizes),
  tidemark: async (sizes) => ({
    ...(await measure(tidemark, sizes)),
    ...(await measureUnfolded(tidemarkUnfolded, sizes)),
  }),
  floor: async (sizes) => ({
    ...(await measureFloor(sizes.awaited)),
    jsonBytes: jsonBytes(makeItems(sizes.records, 1)),
  }),
};

let prepared: (() => Promise<unknown>) | undefined;

const calls = {
  run: (subject: Subject, sizes: Sizes): Promise<Figures> => subjects[subject](sizes),
  openProfiled,
  prepare: (step: Step, sizes: Sizes): void => {
    prepared = profiled(step, sizes);
    collectGarbage();
  },
  /** Runs what was prepared; milliseconds. */
  runPrepared: async (): Promise<number> => {
    const since = performance.now();
    await prepared?.();
    return performance.now() - since;
  },
};

declare global {
  var bench: typeof calls;
}
globalThis.bench = calls;
