/** Four ways of writing, as batches: what they cost in bytes is measured in Node, exactly, and in Chromium. Runs in both. */
import { dice, type Row, rowOf, shuffled } from "./rows.ts";

/** A record of plain JSON, since a process is told of it by pipe. */
export type PlainRow = Omit<Row, "createdAt"> & { readonly createdAt: string };

export type Batch = { readonly put: readonly PlainRow[] } | { readonly delete: readonly string[] };

export const workloads = {
  sequential: "bulk load, keys ascending",
  random: "bulk load, keys at random",
  hot: "updates of few keys, 100 of each",
  mixed: "uniform updates of all, then half deleted",
} as const;
export type Workload = keyof typeof workloads;

const bulk = 5000;
const small = 100;

/** `change`: how often the record was updated before. */
export function plainRow(n: number, change = 0): PlainRow {
  const { createdAt, ...row } = rowOf(n);
  return { ...row, amount: row.amount + change * 10_000, createdAt: createdAt.toISOString() };
}

export function* batchesOf(workload: Workload, records: number): Generator<Batch> {
  switch (workload) {
    case "sequential":
      yield* puts(records, bulk, (i) => plainRow(i));
      return;
    case "random":
      yield* load(records);
      return;
    case "hot":
      yield* hotKeys(Math.max(1, Math.min(1000, Math.floor(records / 100))), 100);
      return;
    case "mixed":
      yield* updatesAndDeletes(records);
      return;
    default:
      throw new Error(`There is no workload ${String(workload)}`);
  }
}

function* load(records: number): Generator<Batch> {
  const order = shuffled(records, 1);
  yield* puts(records, bulk, (i) => plainRow(order(i)));
}

/** One update to a commit. */
function* hotKeys(keys: number, updates: number): Generator<Batch> {
  const at = dice(5);
  const changes = new Uint32Array(keys);
  for (let i = 0; i < keys * updates; i++) {
    const n = at(keys);
    changes[n]!++;
    yield { put: [plainRow(n, changes[n])] };
  }
}

function* updatesAndDeletes(records: number): Generator<Batch> {
  yield* load(records);
  const at = dice(6);
  const changes = new Uint32Array(records);
  yield* puts(records, small, () => {
    const n = at(records);
    changes[n]!++;
    return plainRow(n, changes[n]);
  });
  const order = shuffled(records, 7);
  for (let i = 0; i < records >> 1; i += small) {
    const count = Math.min(small, (records >> 1) - i);
    yield { delete: Array.from({ length: count }, (_, j) => plainRow(order(i + j)).id) };
  }
}

function* puts(records: number, atOnce: number, row: (i: number) => PlainRow): Generator<Batch> {
  for (let i = 0; i < records; i += atOnce) {
    yield { put: Array.from({ length: Math.min(atOnce, records - i) }, (_, j) => row(i + j)) };
  }
}

/** What is there in the end, record by record, and what the user wrote on the way. */
export class Tally {
  readonly kept: Map<string, string> = new Map();
  userBytes = 0;
  liveBytes = 0;

  note(batch: Batch): void {
    if ("put" in batch) for (const row of batch.put) this.#set(row.id, JSON.stringify(row));
    else for (const id of batch.delete) this.#set(id, undefined);
  }

  #set(id: string, text: string | undefined): void {
    this.userBytes += id.length + (text?.length ?? 0);
    const before = this.kept.get(id);
    if (before !== undefined) this.liveBytes -= id.length + before.length;
    if (text === undefined) this.kept.delete(id);
    else {
      this.kept.set(id, text);
      this.liveBytes += id.length + text.length;
    }
  }
}
