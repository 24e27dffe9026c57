/** Bytes on their way to store `blobs`: cut into chunks, and staged in small transactions that nobody waits for. */
import { chunkAt, chunksOf, type OutsideRef, slotsOf, slotsPerChunk } from "../codec/outside.ts";
import { encodeChunk } from "./chunks.ts";
import type { Staged, Staging } from "./staging.ts";

/** No storage transaction moves more than this while others wait (MV11). */
const maxBatchBytes = 256 * 1024;
/** One row names so many chunks at most, so that discarding them is a small transaction. */
const maxChunksPerRow = 1024;
/** So many transactions are on their way at once: the next chunks are cut while the last ones are written. */
const maxUnderWay = 4;

export interface StagedValues {
  /** Where each of them lies. */
  readonly refs: readonly OutsideRef[];
  readonly staged: readonly Staged[];
}

interface Chunk {
  readonly key: number;
  readonly part: Uint8Array;
}

/** Where it fails, what was staged is discarded. @throws QUOTA_EXCEEDED, STORAGE_LOST */
export async function stageValues(staging: Staging, values: readonly Uint8Array[]): Promise<StagedValues> {
  const chunks = values.reduce((n, value) => n + chunksOf(value.length), 0);
  const whole = await staging.reserve("blobs", chunks * slotsPerChunk);
  const refs: OutsideRef[] = [];
  let id = whole.from;
  for (const { length: sizeBytes } of values) {
    const ref = { id, sizeBytes };
    refs.push(ref);
    id = slotsOf(ref).to;
  }
  const staged = inRows(whole);
  try {
    await writeAll(staging, staged, values, refs);
  } catch (e) {
    await staging.discard(staged);
    throw e;
  }
  return { refs, staged };
}

async function writeAll(
  staging: Staging,
  rows: readonly Staged[],
  values: readonly Uint8Array[],
  refs: readonly OutsideRef[],
): Promise<void> {
  const underWay: Promise<void>[] = [];
  let row = -1;
  for (const batch of batches(chunksIn(values, refs), rows)) {
    const isFirst = batch.row !== row;
    row = batch.row;
    const pieces = batch.chunks.map(({ key, part }) => ({ id: key, value: encodeChunk(part) }));
    // Transactions on the same stores run in the order they were made: later pieces find the row of the first.
    const written = staging.write(rows[row]!, pieces, isFirst);
    written.catch(() => undefined); // told below
    if (underWay.push(written) >= maxUnderWay) await underWay.shift();
  }
  await Promise.all(underWay);
}

function* chunksIn(values: readonly Uint8Array[], refs: readonly OutsideRef[]): Generator<Chunk, void> {
  for (const [i, value] of values.entries()) {
    const ref = refs[i]!;
    for (let n = 0; n < chunksOf(ref.sizeBytes); n++) {
      const { key, from, to } = chunkAt(ref, n);
      yield { key, part: value.subarray(from, to) };
    }
  }
}

interface Batch {
  readonly row: number;
  readonly chunks: readonly Chunk[];
}

/** Chunks of one row, as many as one small transaction takes. */
function* batches(chunks: Iterable<Chunk>, rows: readonly Staged[]): Generator<Batch, void> {
  let row = 0;
  let batch: Chunk[] = [];
  let sizeBytes = 0;
  for (const chunk of chunks) {
    const isOfNextRow = chunk.key >= rows[row]!.to;
    if (batch.length > 0 && (isOfNextRow || sizeBytes + chunk.part.length > maxBatchBytes)) {
      yield { row, chunks: batch };
      batch = [];
      sizeBytes = 0;
    }
    if (isOfNextRow) row++;
    batch.push(chunk);
    sizeBytes += chunk.part.length;
  }
  if (batch.length > 0) yield { row, chunks: batch };
}

function inRows(whole: Staged): readonly Staged[] {
  const idsPerRow = maxChunksPerRow * slotsPerChunk;
  const count = Math.ceil((whole.to - whole.from) / idsPerRow);
  return Array.from({ length: count }, (_, i) => {
    const from = whole.from + i * idsPerRow;
    return { ...whole, from, to: Math.min(whole.to, from + idsPerRow) };
  });
}
