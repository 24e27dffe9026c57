/**
 * The fold: the memtable up to a checkpoint becomes part of the blocks.
 *
 * 1. Plan. The changes are laid against the manifest: runs of blocks that they touch (fold-plan.ts). Every other block
 *    is neither read nor rewritten.
 * 2. Merge, run by run. The run's blocks are read a few at a time and taken apart into version chains, which are
 *    merged with the changes in key order.
 * 3. Drop. Each chain passes through `retain` under the floor that was handed down (drop.ts).
 * 4. Write. What stays is cut into new blocks under new ids, stored in batches as they fill (block-writer.ts).
 *
 * New blocks are only staged: nothing refers to them until the caller commits the returned manifest, in one batch with
 * the checkpoint and the removal of the old blocks. A fold that dies before that leaves rubbish and no other trace.
 *
 * The odd case: a chain may span blocks. A key that changes has all of its chain in its run. A key that does not may
 * have a part of its chain in the run's first or last block and the rest outside. Nothing is decided on a part of a
 * chain, so such versions pass through as they are.
 */
import type { BlockId, ByteKey, Seq } from "../base/brand.ts";
import { assert } from "../base/errors.ts";
import type { Block } from "./block.ts";
import { BlockWriter, type StagedBlock } from "./block-writer.ts";
import { retain } from "./drop.ts";
import { planRuns, type Run } from "./fold-plan.ts";
import type { BlockInfo, Manifest } from "./manifest.ts";
import type { KeyVersions, Version } from "./version.ts";

export const defaultTargetBytes: number = 32 * 1024;
/** No storage transaction moves more than this while others wait (MV11). */
const defaultMaxStoreBytes: number = 256 * 1024;

export interface FoldInput {
  readonly manifest: Manifest;
  /** The memtable up to the checkpoint: keys ascending, each newest first; all seqs above any in the blocks. */
  readonly changes: readonly KeyVersions[];
  /** Nobody reads below it, now or later. */
  readonly floor: Seq;
  /** A block is cut at this size; a single larger version gets a block of its own. */
  readonly targetBytes: number;
  /** Bounds, in bytes of blocks, each call of `load` and `store`; one larger block still goes alone. */
  readonly maxStoreBytes?: number;
  newBlockId(): BlockId;
  /** Answers in the order of `ids`. */
  load(ids: readonly BlockId[]): Promise<readonly Block[]>;
  store(blocks: readonly StagedBlock[]): Promise<void>;
}

export interface FoldResult {
  readonly manifest: Manifest;
  readonly removed: readonly BlockId[];
  readonly added: readonly BlockInfo[];
  /** Bytes of keys and payloads. */
  readonly dropped: { readonly versions: number; readonly bytes: number };
  readonly written: { readonly blocks: number; readonly bytes: number };
}

export async function fold(input: FoldInput): Promise<FoldResult> {
  const maxStoreBytes = input.maxStoreBytes ?? defaultMaxStoreBytes;
  const { targetBytes } = input;
  const writer = new BlockWriter({
    targetBytes,
    maxStoreBytes,
    newBlockId: () => input.newBlockId(),
    store: (blocks) => input.store(blocks),
  });
  const removed: BlockId[] = [];
  const dropped = { versions: 0, bytes: 0 };

  for (const run of planRuns(input.manifest, input.changes, targetBytes)) {
    const split = splitKeys(input.manifest.blocks, run);
    for await (const chains of mergedChains(input, run, maxStoreBytes)) {
      for (const { key, versions } of chains) {
        const kept = split.has(key) ? versions : retain(versions, input.floor, true);
        for (const version of kept) writer.add(key, version);
        count(dropped, key, versions, kept.length);
        if (writer.full) await writer.drain();
      }
    }
    writer.cut();
    for (const { id } of blocksOf(input.manifest, run)) removed.push(id);
  }
  await writer.finish();

  const { added } = writer;
  return {
    manifest: input.manifest.replace(new Set(removed), added),
    removed,
    added,
    dropped,
    written: { blocks: added.length, bytes: added.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) },
  };
}

const blocksOf = (manifest: Manifest, run: Run): readonly BlockInfo[] =>
  manifest.blocks.slice(run.fromBlock, run.toBlock);

/** Keys whose chains go on outside the run: at most its first and its last. None of them is a changed key. */
function splitKeys(blocks: readonly BlockInfo[], { fromBlock, toBlock }: Run): ReadonlySet<ByteKey> {
  const split = new Set<ByteKey>();
  if (fromBlock === toBlock) return split;
  const first = blocks[fromBlock]!.first.key;
  const last = blocks[toBlock - 1]!.last.key;
  if (blocks[fromBlock - 1]?.last.key === first) split.add(first);
  if (blocks[toBlock]?.first.key === last) split.add(last);
  return split;
}

/** `retain` keeps a head of the chain, so what goes is its tail. */
function count(
  dropped: { versions: number; bytes: number },
  key: ByteKey,
  all: readonly Version[],
  kept: number,
): void {
  for (let i = kept; i < all.length; i++) {
    dropped.versions++;
    dropped.bytes += key.length + (all[i]!.payload?.length ?? 0);
  }
}

/** The run's chains, old and new versions together, in key order; as many at a time as its blocks are read. */
async function* mergedChains(input: FoldInput, run: Run, maxLoadBytes: number): AsyncGenerator<readonly KeyVersions[]> {
  const { manifest, changes } = input;
  let next = run.fromChange;
  for await (const existing of existingChains(input, blocksOf(manifest, run), maxLoadBytes)) {
    const merged: KeyVersions[] = [];
    for (const chain of existing) {
      while (next < run.toChange && changes[next]!.key < chain.key) merged.push(changes[next++]!);
      const change = changes[next];
      if (next < run.toChange && change!.key === chain.key) {
        merged.push(joined(change!, chain));
        next++;
      } else {
        merged.push(chain);
      }
    }
    yield merged;
  }
  yield changes.slice(next, run.toChange);
}

function joined(change: KeyVersions, existing: KeyVersions): KeyVersions {
  const oldest = change.versions.at(-1);
  assert(oldest === undefined || oldest.seq > existing.versions[0]!.seq, "changes are newer than the blocks");
  return { key: change.key, versions: [...change.versions, ...existing.versions] };
}

/** The chains of neighbouring blocks in order, each whole as far as these blocks hold it. */
async function* existingChains(
  input: FoldInput,
  blocks: readonly BlockInfo[],
  maxLoadBytes: number,
): AsyncGenerator<readonly KeyVersions[]> {
  let open: { key: ByteKey; versions: Version[] } | undefined;
  for (const window of windows(blocks, maxLoadBytes)) {
    const chains: KeyVersions[] = [];
    for (const block of await loadChecked(input, window)) {
      for (let i = 0; i < block.count; i++) {
        if (open !== undefined && block.keyEquals(i, open.key)) {
          open.versions.push(block.versionAt(i));
        } else {
          if (open !== undefined) chains.push(open);
          open = { key: block.keyAt(i), versions: [block.versionAt(i)] };
        }
      }
    }
    yield chains;
  }
  if (open !== undefined) yield [open];
}

async function loadChecked(input: FoldInput, window: readonly BlockInfo[]): Promise<readonly Block[]> {
  const blocks = await input.load(window.map(({ id }) => id));
  assert(blocks.length === window.length, "as many blocks are loaded as were asked for");
  for (const [i, { id, count: expected }] of window.entries()) {
    assert(blocks[i]!.id === id && blocks[i]!.count === expected, "a loaded block is the one that the manifest lists");
  }
  return blocks;
}

/** Neighbours grouped so that each group has at most `maxBytes`, or one block. */
function* windows(blocks: readonly BlockInfo[], maxBytes: number): Generator<readonly BlockInfo[]> {
  let from = 0;
  let bytes = 0;
  for (const [i, { sizeBytes }] of blocks.entries()) {
    if (i > from && bytes + sizeBytes > maxBytes) {
      yield blocks.slice(from, i);
      from = i;
      bytes = 0;
    }
    bytes += sizeBytes;
  }
  if (from < blocks.length) yield blocks.slice(from);
}
