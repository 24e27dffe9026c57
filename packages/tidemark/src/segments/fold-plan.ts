import { type ByteKey, seq } from "../base/brand.ts";
import { assert } from "../base/errors.ts";
import type { BlockInfo, Manifest } from "./manifest.ts";
import type { KeyVersions } from "./version.ts";

/**
 * A stretch of neighbouring blocks to be rewritten together with the changes that fall into it. Without blocks
 * (`fromBlock` = `toBlock`) the changes become new blocks between two that stay as they are.
 */
export interface Run {
  /** Blocks [fromBlock, toBlock) of the manifest. */
  readonly fromBlock: number;
  readonly toBlock: number;
  /** Changes [fromChange, toChange). */
  readonly fromChange: number;
  readonly toChange: number;
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Which blocks the changes touch, as runs in key order that neither overlap nor adjoin. A touched key has all of its
 * chain in its run, however many blocks it spans. Blocks smaller than half of `targetBytes` beside a run join it, so
 * that blocks do not stay tiny; any other block stays out of it.
 */
export function planRuns(manifest: Manifest, changes: readonly KeyVersions[], targetBytes: number): readonly Run[] {
  const runs: Run[] = [];
  for (const [i, { key }] of changes.entries()) {
    assert(i === 0 || changes[i - 1]!.key < key, "changes come in key order");
    const run = runs.at(-1);
    const touched = touchedBy(manifest, key);
    if (run !== undefined && touched.from <= run.toBlock && touched.to <= run.toBlock) {
      runs[runs.length - 1] = { ...run, toChange: i + 1 };
      continue;
    }
    const { from, to } = withSmallNeighbours(manifest.blocks, touched, targetBytes / 2);
    if (run !== undefined && from <= run.toBlock) {
      runs[runs.length - 1] = { ...run, toBlock: to, toChange: i + 1 };
    } else {
      runs.push({ fromBlock: from, toBlock: to, fromChange: i, toChange: i + 1 });
    }
  }
  return runs;
}

/** The blocks whose key range includes `key`; if none does, the empty range where it belongs. */
function touchedBy(manifest: Manifest, key: ByteKey): Range {
  const from = manifest.find(key, seq(Number.MAX_SAFE_INTEGER));
  // No version has seq 0, so this is the first block that goes on after the last version of `key`.
  const last = manifest.find(key, seq(0));
  const reaches = last < manifest.blocks.length && manifest.blocks[last]!.first.key <= key;
  return { from, to: reaches ? last + 1 : last };
}

function withSmallNeighbours(blocks: readonly BlockInfo[], { from, to }: Range, smallBytes: number): Range {
  let start = from;
  let end = to;
  while (start > 0 && blocks[start - 1]!.sizeBytes < smallBytes) start--;
  while (end < blocks.length && blocks[end]!.sizeBytes < smallBytes) end++;
  return { from: start, to: end };
}
