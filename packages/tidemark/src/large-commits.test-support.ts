/** Commits of many small records, too large for one entry, and what comes in between their storage calls. */
import type { Batch, Committed, Found, Read, Storage } from "./storage/contract.ts";
import { isTidemarkError } from "./base/errors.ts";
import type { CommitDone } from "./mvcc/group.ts";
import { batchOf, type Change, del, type Item, itemsIn, put, type Tab, write } from "./test-world.test-support.ts";

const idOf = (i: number): string => `r${String(i).padStart(5, "0")}`;

/** Records of about 400 bytes, like no others. */
export const records = (n: number, count = 300, from = 0): readonly Item[] =>
  Array.from({ length: count }, (_, i) => ({ id: idOf(from + i), n, pad: `${n}.${i},`.repeat(100).slice(0, 350) }));

export const puts = (n: number, count?: number, from?: number): readonly Change[] => records(n, count, from).map(put);
export const dels = (count: number, from = 0): readonly Change[] => records(0, count, from).map(({ id }) => del(id));

/** Everything there is, by a look at the log's head itself. */
export async function contents({ database }: Tab, handle = -1000): Promise<Item[]> {
  const view = await database.begin(handle, { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 });
  try {
    return await itemsIn(view);
  } finally {
    await database.end(handle);
  }
}

export interface Between {
  /** Awaited before a call takes effect. */
  before?: ((call: Call) => Promise<void>) | undefined;
  /** Awaited before its caller hears of it. */
  after?: ((call: Call) => Promise<void>) | undefined;
}
export type Call = { readonly reads: readonly Read[]; readonly batch?: Batch };

/** Something may happen between any two storage calls of a tab; they keep their order. */
export function interposed(storage: Storage, between: Between): Storage {
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(call: Call, work: () => Promise<T>): Promise<T> => {
    const done = last.then(async () => {
      await between.before?.(call);
      const result = await work();
      await between.after?.(call);
      return result;
    });
    last = done.catch(() => undefined);
    return done;
  };
  return {
    read: (reads): Promise<readonly Found[]> => inTurn({ reads }, () => storage.read(reads)),
    commit: (batch): Promise<Committed> => inTurn({ reads: batch.reads ?? [], batch }, () => storage.commit(batch)),
    close: () => storage.close(),
  };
}

/** Whether the call appends to the log: directly, with what is staged, or together with reading the tail. */
export const isAppend = ({ batch }: Call): boolean =>
  batch !== undefined &&
  (typeof batch.writes === "function"
    ? (batch.stores?.includes("log") ?? false)
    : batch.writes.some((w) => w.kind === "add" && w.store === "log"));

/** Whether the call appends inside the transaction that reads the tail: it cannot lose. */
export const isInside = (call: Call): boolean =>
  isAppend(call) && call.reads.some((r) => r.kind === "range" && r.store === "log");

/** Whether the call writes a part of what is staged; one that discards brings nothing, and needs no reserve. */
export const isStaging = ({ reads, batch }: Call): boolean =>
  batch?.reserve !== undefined && (batch.stores?.includes("blobs") ?? false) && reads.some(isOfRow);

const isOfRow = (read: Read): boolean => read.kind === "get" && String(read.key).startsWith("stage/");

export const readsBlobs = ({ reads, batch }: Call): boolean =>
  batch === undefined && reads.some((r) => r.store === "blobs");

const partsOfUpload = 5;
let uploads = 0;

/** As `write`, in parts: those before the last are with the engine for a while before it. Nothing but puts and adds. */
export async function upload(
  tab: Tab,
  changes: readonly Change[],
  durability: "relaxed" | "strict" = "relaxed",
  pause: () => Promise<void> = () => new Promise((resolve) => void setImmediate(resolve)),
): Promise<CommitDone> {
  const { schema, uploads: way } = tab.database;
  const each = Math.ceil(changes.length / partsOfUpload);
  const batches = Array.from({ length: Math.ceil(changes.length / each) }, (_, i) =>
    batchOf({ schema }, changes.slice(i * each, (i + 1) * each)),
  );
  const maxBytes = batches.reduce((n, { writes }) => n + writes.length, 4 * changes.length);
  const id = ++uploads;
  const last = batches.pop()!;
  for (const [position, { writes }] of batches.entries()) {
    way.take({ upload: id, position, count: changes.length, maxBytes, writes });
    await pause();
  }
  try {
    const ending = { ...last, upload: { id, parts: batches.length } };
    return await tab.database.write(ending, schema.epoch, durability, "");
  } catch (e) {
    if (!isTidemarkError(e, "CONFLICT")) throw e;
    return write(tab, changes, durability); // as a page does
  }
}
