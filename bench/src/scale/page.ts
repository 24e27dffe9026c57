/** What `scale.mjs` calls in the page. Answers are checked here, record by record, before they are reported. */
import { collection, createDatabase, type Database, deleteDatabase, type Metrics } from "tidemark";
import { collectGarbage } from "../timing.ts";
import { collectionCalls } from "./collection.ts";
import { assertRow, dice, idOf, numberOf, type Row, rowOf, shuffled } from "./rows.ts";
import { bytesInIndexedDb, storedBytes, untilQuiet } from "./stores.ts";
import { exportAll, importLines, type Transferred } from "./transfer.ts";
import { expectedText, idle, textNow, type } from "./typing.ts";
import { batchesOf, type PlainRow, Tally, type Workload } from "./workloads.ts";

const rows = collection<Row>()({ key: "id", indexes: { group: "group", code: "code" } });
const collections = { rows, scratch: collection<{ id: number; n: number }>()({ key: "id" }) };
const plain = collection<PlainRow>()({ key: "id", indexes: { group: "group", code: "code" } });

let db: Database<typeof collections> | undefined;
const opened = (): Database<typeof collections> => {
  if (!db) throw new Error("No database is open");
  return db;
};

const timed = async <T>(work: () => Promise<T>): Promise<{ ms: number; found: T }> => {
  const since = performance.now();
  const found = await work();
  return { ms: performance.now() - since, found };
};

/** A clock that all tabs share. */
const clock = (): number => performance.timeOrigin + performance.now();

/** Milliseconds of one call, and the numbers of the records it answered with. */
export interface Answer {
  readonly ms: number;
  readonly numbers: readonly number[];
}

async function answered(query: () => Promise<readonly Row[]>): Promise<Answer> {
  const { ms, found } = await timed(query);
  const numbers = found.map(({ id }) => numberOf(id));
  for (const [i, n] of numbers.entries()) assertRow(found[i], n);
  return { ms, numbers };
}

export interface Imported {
  /** Awaiting `putMany` alone; making the records is not counted. */
  readonly ms: number;
  readonly longestMs: number;
}

/** Samples of awaited calls: when each began, on the shared clock, and how long it took. */
export interface Samples {
  readonly puts: [at: number, ms: number][];
  readonly gets: [at: number, ms: number][];
}
let sampling: { readonly end: AbortController; readonly taken: Promise<Samples> } | undefined;
let scratched = 0;
const scratchKeys = 500;

async function takeSamples(records: number, end: AbortSignal): Promise<Samples> {
  const { rows: stored, scratch } = { rows: opened().collection("rows"), scratch: opened().collection("scratch") };
  const samples: Samples = { puts: [], gets: [] };
  const roll = dice(clock() | 0);
  while (!end.aborted) {
    const n = ++scratched;
    const [putAt, put] = [clock(), await timed(() => scratch.put({ id: n % scratchKeys, n }))];
    const number = roll(records);
    const [getAt, get] = [clock(), await timed(() => stored.get(idOf(number)))];
    assertRow(get.found, number);
    samples.puts.push([putAt, put.ms]);
    samples.gets.push([getAt, get.ms]);
  }
  return samples;
}

/** Upkeep as it happened: while the checkpoint ran, and on to the last change anybody saw in the stores. */
export interface Upkept {
  readonly from: number;
  readonly to: number;
  readonly wasHere: boolean;
  readonly before: Metrics;
  readonly after: Metrics;
}

const calls = {
  /** Opens, and reads one record unless its number is negative; milliseconds of each. */
  open: async (name: string, first: number): Promise<{ openMs: number; getMs: number }> => {
    const { ms: openMs } = await timed(async () => (db = await createDatabase({ name, collections }).open()));
    if (first < 0) return { openMs, getMs: 0 };
    const { ms: getMs, found } = await timed(() => opened().collection("rows").get(idOf(first)));
    if (found) assertRow(found, first);
    return { openMs, getMs };
  },
  close: async (): Promise<void> => {
    await db?.close();
    db = undefined;
  },
  remove: (name: string): Promise<void> => deleteDatabase(name),
  count: (): Promise<number> => opened().collection("rows").count(),

  /** Makes the records of an import and drops them: what the page's heap shows of these is not the database's. */
  make: (records: number, chunk: number): number => {
    let made = 0;
    for (let i = 0; i < records; i += chunk) {
      made += Array.from({ length: Math.min(chunk, records - i) }, (_, j) => rowOf(i + j)).length;
    }
    return made;
  },
  import: async (records: number, isAscending: boolean, chunk: number): Promise<Imported> => {
    const stored = opened().collection("rows");
    const order = isAscending ? (i: number): number => i : shuffled(records, 1);
    let [ms, longestMs] = [0, 0];
    for (let i = 0; i < records; i += chunk) {
      const some = Array.from({ length: Math.min(chunk, records - i) }, (_, j) => rowOf(order(i + j)));
      const put = await timed(() => stored.putMany(some));
      ms += put.ms;
      longestMs = Math.max(longestMs, put.ms);
    }
    return { ms, longestMs };
  },

  importLines: (records: number): Promise<Transferred> => importLines(opened(), records),
  exportAll: (what: "tidemark" | "ndjson" | "salvage"): Promise<Transferred> => exportAll(opened(), what),

  /** Folds what is in the log and waits until the background has nothing left to do. */
  settle: async (): Promise<{ checkpointMs: number; busyMs: number; metrics: Metrics }> => {
    const { ms: checkpointMs } = await timed(() => opened().checkpoint());
    const { busyMs } = await untilQuiet(opened());
    return { checkpointMs, busyMs, metrics: await opened().storage.metrics() };
  },
  storedBytes: async (): Promise<number> => storedBytes(await opened().storage.metrics()),

  get: async (n: number): Promise<Answer> =>
    answered(async () => {
      const found = await opened().collection("rows").get(idOf(n));
      return found ? [found] : [];
    }),
  /** So many records from this group on. */
  range: (from: number, limit: number): Promise<Answer> =>
    answered(() => opened().collection("rows").where("group").aboveOrEqual(from).limit(limit).toArray()),
  startsWith: (prefix: string): Promise<Answer> =>
    answered(() => opened().collection("rows").where("code").startsWith(prefix).toArray()),
  countGroups: async (from: number, to: number): Promise<{ ms: number; count: number }> => {
    const { ms, found } = await timed(() => opened().collection("rows").where("group").between(from, to).count());
    return { ms, count: found };
  },
  countCodes: (prefix: string): Promise<number> => opened().collection("rows").where("code").startsWith(prefix).count(),
  /** All records by an index, page after page; milliseconds of each. */
  pages: async (records: number, size: number): Promise<readonly number[]> => {
    const query = opened().collection("rows").where("group");
    const each: number[] = [];
    let [seen, group, cursor]: [number, number, string | undefined] = [0, 0, undefined];
    do {
      const { ms, found } = await timed(() => query.page(size, cursor));
      each.push(ms);
      for (const row of found.items) {
        if (row.group < group) throw new Error(`Group ${row.group} came after ${group}`);
        group = row.group;
        seen++;
      }
      ({ cursor } = found);
    } while (cursor !== undefined);
    if (seen !== records) throw new Error(`Pages held ${seen} records of ${records}`);
    return each;
  },
  /** All records in key order, one at a time. */
  iterate: async (records: number): Promise<{ ms: number }> => {
    let next = 0;
    const { ms } = await timed(async () => {
      for await (const row of opened().collection("rows").where()) assertRow(row, next++);
    });
    if (next !== records) throw new Error(`${next} records came of ${records}`);
    return { ms };
  },
  /** Declares one more index, and waits until it is built, reading records all the while; then drops the declaration. */
  buildIndex: async (
    name: string,
    records: number,
  ): Promise<{ ms: number; openMs: number; gets: readonly number[] }> => {
    const indexed = collection<Row>()({ key: "id", indexes: { group: "group", code: "code", n: ["group", "code"] } });
    const since = performance.now();
    const building = await createDatabase({ name, collections: { rows: indexed } }).open();
    const openMs = performance.now() - since;
    const end = new AbortController();
    const built = building
      .collection("rows")
      .where("n")
      .limit(1)
      .count()
      .finally(() => end.abort());
    const gets: number[] = [];
    const roll = dice(7);
    while (!end.signal.aborted) {
      const number = roll(records);
      const { ms, found } = await timed(() => building.collection("rows").get(idOf(number)));
      assertRow(found, number);
      gets.push(ms);
    }
    await built;
    const ms = performance.now() - since;
    const counted = await building.collection("rows").where("n").count();
    if (counted !== records) throw new Error(`The new index has ${counted} entries of ${records}`);
    await building.close();
    return { ms, openMs, gets };
  },
  /** Reads all records in key order, so many at a time, and checks each. */
  scan: async (records: number, atOnce: number): Promise<{ ms: number }> => {
    const stored = opened().collection("rows");
    let [ms, next] = [0, 0];
    for (;;) {
      const from = idOf(next);
      const part = await timed(() => stored.where().aboveOrEqual(from).limit(atOnce).toArray());
      ms += part.ms;
      for (const row of part.found) assertRow(row, next++);
      if (part.found.length < atOnce) break;
    }
    if (next !== records) throw new Error(`${next} records came back instead of ${records}`);
    return { ms };
  },

  sample: (records: number): void => {
    collectGarbage();
    const end = new AbortController();
    const taken = takeSamples(records, end.signal);
    taken.catch(() => undefined); // told when they are collected
    sampling = { end, taken };
  },
  samples: async (): Promise<Samples> => {
    sampling?.end.abort();
    const taken = (await sampling?.taken) ?? { puts: [], gets: [] };
    const last = Array.from({ length: Math.min(scratched, scratchKeys) }, (_, i) => scratched - i);
    const kept = await opened()
      .collection("scratch")
      .getMany(last.map((n) => n % scratchKeys));
    if (kept.some((found, i) => found?.n !== last[i])) throw new Error("A put that was sampled is not there");
    return taken;
  },
  /** Writes some records anew, as they are, so that there is something to fold; and folds it. */
  upkeep: async (records: number, updates: number, seed: number): Promise<Upkept> => {
    const roll = dice(seed);
    const stored = opened().collection("rows");
    for (let i = 0; i < updates; i += 1000) {
      await stored.putMany(Array.from({ length: Math.min(1000, updates - i) }, () => rowOf(roll(records))));
    }
    const before = await opened().storage.metrics();
    const from = clock();
    await opened().checkpoint();
    const folded = clock();
    const { busyMs } = await untilQuiet(opened());
    const after = await opened().storage.metrics();
    return { from, to: folded + busyMs, wasHere: after.upkeep, before, after };
  },

  /** One workload in a database of its own: what the stores hold, at most and in the end. */
  amplify: async (
    workload: Workload,
    records: number,
  ): Promise<{ peakBytes: number; endBytes: number; liveBytes: number }> => {
    const name = `amplify-${workload}`;
    const own = await createDatabase({ name, collections: { plain } }).open();
    const stored = own.collection("plain");
    const tally = new Tally();
    let [peakBytes, lookedAt] = [0, 0];
    for (const batch of batchesOf(workload, records)) {
      if ("put" in batch) await stored.putMany(batch.put);
      else await stored.deleteMany(batch.delete);
      tally.note(batch);
      if (performance.now() - lookedAt < 250) continue;
      peakBytes = Math.max(peakBytes, storedBytes(await own.storage.metrics()));
      lookedAt = performance.now();
    }
    await own.checkpoint();
    const quiet = await untilQuiet(own);
    let found = 0;
    for (const row of await stored.all()) {
      if (JSON.stringify(row) !== tally.kept.get(row.id)) throw new Error(`${row.id} is not as it was written last`);
      found++;
    }
    if (found !== tally.kept.size) throw new Error(`${found} records are there instead of ${tally.kept.size}`);
    await own.close();
    const endBytes = await bytesInIndexedDb(name);
    await deleteDatabase(name);
    return { peakBytes: Math.max(peakBytes, quiet.peakBytes), endBytes, liveBytes: tally.liveBytes };
  },

  /** What the browser says this origin uses. */
  estimate: async (): Promise<number> => (await navigator.storage.estimate()).usage ?? 0,

  idle,
  type,
  textNow,
  expectedText,
  ...collectionCalls,
};

declare global {
  var scale: typeof calls;
}
globalThis.scale = calls;
