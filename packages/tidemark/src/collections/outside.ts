/**
 * Large values on their way in. Before a commit is submitted they are written to store `blobs`, in small transactions
 * that nobody waits for, and the records hold references in their place; the commit publishes them (wal/staging.ts).
 */
import type { TabId } from "../base/brand.ts";
import {
  chunkAt,
  chunksOf,
  maxInlineBytes,
  type OutsideRef,
  outsideOf,
  slotsOf,
  slotsPerChunk,
  withReference,
} from "../codec/outside.ts";
import { recordValue, type Write } from "../codec/record.ts";
import type { KeyRange, Storage } from "../storage/contract.ts";
import { encodeChunk } from "../wal/chunks.ts";
import { discard, type Staged, Staging } from "../wal/staging.ts";

/** No storage transaction moves more than this while others wait (MV11). */
const maxBatchBytes = 256 * 1024;
/** One row names so many chunks at most, so that discarding them is a small transaction. */
const maxChunksPerRow = 1024;

export interface TakenOut {
  readonly writes: readonly Write[];
  readonly staged: readonly Staged[];
}

interface Chunk {
  readonly key: number;
  readonly part: Uint8Array;
}

const none: readonly Staged[] = [];

export class Outside {
  readonly #storage: Storage;
  readonly #staging: Staging;

  constructor(storage: Storage, tab: TabId) {
    this.#storage = storage;
    this.#staging = new Staging(storage, tab);
  }

  /** The writes with references in place of large values, which are stored but not published. */
  async takeOut(writes: readonly Write[]): Promise<TakenOut> {
    if (!hasLarge(writes)) return { writes, staged: none };
    const chunks = writes.reduce((n, w) => n + chunksOf(largeValue(w)?.length ?? 0), 0);
    const whole = await this.#staging.reserve("blobs", chunks * slotsPerChunk);
    const refs = referencesFrom(whole.from, writes);
    const rows = inRows(whole);
    try {
      await this.#write(rows, chunksIn(writes, refs));
    } catch (e) {
      await this.discard(rows);
      throw e;
    }
    return { staged: rows, writes: writes.map((w, i) => withoutLarge(w, refs[i])) };
  }

  async #write(rows: readonly Staged[], chunks: readonly Chunk[]): Promise<void> {
    for (const row of rows) {
      let isFirst = true;
      for (const batch of batches(chunks.filter(({ key }) => key >= row.from && key < row.to))) {
        const pieces = batch.map(({ key, part }) => ({ id: key, value: encodeChunk(part) }));
        await this.#staging.write(row, pieces, isFirst);
        isFirst = false;
      }
    }
  }

  /**
   * What of `staged` these writes refer to, for publishing it with them; the rest of it is deleted: values that the
   * same transaction replaced. Where they refer to nothing, nothing is to be published, and nothing deleted yet.
   */
  async usedBy(writes: readonly Write[], staged: readonly Staged[]): Promise<readonly Staged[]> {
    if (staged.length === 0) return none;
    const used = writes.flatMap(({ payload }) => {
      const ref = payload && outsideOf(payload);
      return ref ? [slotsOf(ref)] : [];
    });
    if (used.length === 0) return none;
    const unused = staged.flatMap((s) => gaps(s, used));
    if (unused.length > 0) {
      await this.#storage.commit({
        durability: "relaxed",
        writes: unused.map((range) => ({ kind: "deleteRange", store: "blobs", range })),
      });
    }
    return staged;
  }

  /** Deletes what was staged unless it was published; what fails here is swept when this tab is gone. */
  async discard(staged: readonly Staged[]): Promise<void> {
    for (const s of staged) await discard(this.#storage, s).catch(() => undefined);
  }
}

/** Whether any value is to go out of line. */
export const hasLarge = (writes: readonly Write[]): boolean => writes.some((w) => largeValue(w) !== undefined);

function largeValue({ payload }: Write): Uint8Array | undefined {
  if (payload === undefined || payload.length <= maxInlineBytes) return undefined;
  const value = recordValue(payload);
  return value.length > maxInlineBytes ? value : undefined;
}

/** Per write the reference to its value, where that is large; one value after the other. */
function referencesFrom(first: number, writes: readonly Write[]): readonly (OutsideRef | undefined)[] {
  let id = first;
  return writes.map((w) => {
    const value = largeValue(w);
    if (!value) return undefined;
    const ref = { id, sizeBytes: value.length };
    id = slotsOf(ref).to;
    return ref;
  });
}

function chunksIn(writes: readonly Write[], refs: readonly (OutsideRef | undefined)[]): readonly Chunk[] {
  return writes.flatMap((w, i) => {
    const ref = refs[i];
    const value = ref && largeValue(w);
    if (!ref || !value) return [];
    return Array.from({ length: chunksOf(ref.sizeBytes) }, (_, n) => {
      const { key, from, to } = chunkAt(ref, n);
      return { key, part: value.subarray(from, to) };
    });
  });
}

/** Also what stays in line is copied out of the message it came in: that would be held for as long as any of it is. */
function withoutLarge(write: Write, ref: OutsideRef | undefined): Write {
  const { payload } = write;
  if (payload === undefined) return write;
  return { ...write, payload: ref ? withReference(payload, ref) : payload.slice() };
}

function inRows(whole: Staged): readonly Staged[] {
  const idsPerRow = maxChunksPerRow * slotsPerChunk;
  const count = Math.ceil((whole.to - whole.from) / idsPerRow);
  return Array.from({ length: count }, (_, i) => {
    const from = whole.from + i * idsPerRow;
    return { ...whole, from, to: Math.min(whole.to, from + idsPerRow) };
  });
}

function* batches(chunks: readonly Chunk[]): Generator<readonly Chunk[], void> {
  let batch: Chunk[] = [];
  let sizeBytes = 0;
  for (const chunk of chunks) {
    if (batch.length > 0 && sizeBytes + chunk.part.length > maxBatchBytes) {
      yield batch;
      batch = [];
      sizeBytes = 0;
    }
    batch.push(chunk);
    sizeBytes += chunk.part.length;
  }
  if (batch.length > 0) yield batch;
}

/** The ids of `staged` that none of `used` has. */
function gaps(staged: Staged, used: readonly { readonly from: number; readonly to: number }[]): readonly KeyRange[] {
  const free: KeyRange[] = [];
  let at = staged.from;
  for (const u of used.toSorted((a, b) => a.from - b.from)) {
    if (u.to <= staged.from || u.from >= staged.to) continue;
    if (u.from > at) free.push({ from: at, to: u.from - 1 });
    at = Math.max(at, u.to);
  }
  if (at < staged.to) free.push({ from: at, to: staged.to - 1 });
  return free;
}
