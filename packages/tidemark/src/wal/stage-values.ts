/**
 * Values on their way to store `blobs`: cut into chunks, and staged in small transactions that nobody waits for. Of what
 * stands aside so much is read as these transactions take: the next while the last ones are written.
 */
import { readBytes, sizeOf, type ValueBytes } from "../codec/aside.ts";
import { chunkAt, chunksOf, type OutsideRef, slotsOf, slotsPerChunk } from "../codec/outside.ts";
import type { ReserveUse } from "../storage/contract.ts";
import { encodeChunk } from "./chunks.ts";
import { notCounted, type Part, type Piece, type Staged, type Staging } from "./staging.ts";

/** No storage transaction moves more than this while others wait (MV11). */
const maxBatchBytes = 256 * 1024;
/** So many full chunks are that. */
export const chunksPerBatch = 4;
/** One row names so many chunks at most, so that discarding them is a small transaction. */
export const maxChunksPerRow = 1024;
/** So many transactions are on their way at once: the next chunks are cut while the last ones are written. */
const maxUnderWay = 4;

export interface StagedValues {
  /** Where each of them lies. */
  readonly refs: readonly OutsideRef[];
  readonly staged: readonly Staged[];
}

/** What a chunk holds: the bytes `from` ≤ i < `to` of the value. */
interface Chunk {
  readonly key: number;
  readonly value: ValueBytes;
  readonly from: number;
  readonly to: number;
}

/** Where it fails, what was staged is discarded. @throws QUOTA_EXCEEDED, STORAGE_LOST, VALUE_UNSUPPORTED */
export async function stageValues(
  staging: Staging,
  values: readonly ValueBytes[],
  reserve: ReserveUse = "none",
): Promise<StagedValues> {
  const chunks = values.reduce((n, value) => n + chunksOf(sizeOf(value)), 0);
  const whole = await staging.reserve("blobs", chunks * slotsPerChunk, reserve).catch(notCounted);
  const refs: OutsideRef[] = [];
  let id = whole.from;
  for (const value of values) {
    const ref = { id, sizeBytes: sizeOf(value) };
    refs.push(ref);
    id = slotsOf(ref).to;
  }
  const staged = inRows(whole);
  try {
    await writeParts(staging, partsIn(batches(chunksIn(values, refs), staged), staged), reserve);
  } catch (e) {
    await staging.discard(staged);
    throw e;
  }
  return { refs, staged };
}

/** A part of what one row names. */
export interface RowPart extends Part {
  readonly row: Staged;
}

/** Writes parts as they come, a few at once. Where one fails, nothing is written any more once this has failed. */
export async function writeParts(
  staging: Staging,
  parts: AsyncIterable<RowPart>,
  reserve: ReserveUse = "none",
): Promise<void> {
  const underWay: Promise<void>[] = [];
  try {
    for await (const part of parts) {
      // Transactions on the same stores run in the order they were made: each part finds those before it written.
      const written = staging.write(part.row, part, reserve);
      written.catch(() => undefined); // told below
      underWay.push(written);
      if (underWay.length >= maxUnderWay) await underWay.shift();
    }
    await Promise.all(underWay);
  } finally {
    await Promise.allSettled(underWay);
  }
}

async function* partsIn(all: Iterable<Batch>, rows: readonly Staged[]): AsyncGenerator<RowPart, void> {
  for (const { row, from, to, chunks } of all) yield { row: rows[row]!, from, to, pieces: await piecesOf(chunks) };
}

/** What follows on one another in a value is read at once. */
async function piecesOf(chunks: readonly Chunk[]): Promise<readonly Piece[]> {
  const pieces: Piece[] = [];
  for (let i = 0; i < chunks.length;) {
    const { value, from } = chunks[i]!;
    const run = chunks.slice(i).filter((c) => c.value === value);
    const bytes = await readBytes(value, from, run.at(-1)!.to);
    for (const c of run)
      pieces.push({ id: c.key, value: encodeChunk(c.key, bytes.subarray(c.from - from, c.to - from)) });
    i += run.length;
  }
  return pieces;
}

function* chunksIn(values: readonly ValueBytes[], refs: readonly OutsideRef[]): Generator<Chunk, void> {
  for (const [i, value] of values.entries()) {
    const ref = refs[i]!;
    for (let n = 0; n < chunksOf(ref.sizeBytes); n++) {
      const { key, from, to } = chunkAt(ref, n);
      yield { key, value, from, to };
    }
  }
}

interface Batch {
  readonly row: number;
  /** The ids of this batch: those of one row follow on one another. */
  readonly from: number;
  readonly to: number;
  readonly chunks: readonly Chunk[];
}

/** Chunks of one row, as many as one small transaction takes. */
function* batches(all: Iterable<Chunk>, rows: readonly Staged[]): Generator<Batch, void> {
  let row = 0;
  let { from } = rows[0]!;
  let chunks: Chunk[] = [];
  let sizeBytes = 0;
  for (const chunk of all) {
    const to = chunk.key - (chunk.key % slotsPerChunk);
    const isOfNextRow = to >= rows[row]!.to;
    const chunkBytes = chunk.to - chunk.from;
    if (chunks.length > 0 && (isOfNextRow || sizeBytes + chunkBytes > maxBatchBytes)) {
      yield { row, from, to, chunks };
      from = to;
      chunks = [];
      sizeBytes = 0;
    }
    if (isOfNextRow) row++;
    chunks.push(chunk);
    sizeBytes += chunkBytes;
  }
  if (chunks.length > 0) yield { row, from, to: rows[row]!.to, chunks };
}

function inRows(whole: Staged): readonly Staged[] {
  const idsPerRow = maxChunksPerRow * slotsPerChunk;
  const count = Math.ceil((whole.to - whole.from) / idsPerRow);
  return Array.from({ length: count }, (_, i) => {
    const from = whole.from + i * idsPerRow;
    return { ...whole, from, to: Math.min(whole.to, from + idsPerRow) };
  });
}
