/**
 * What a full run does besides: levels that hold more than they may are compacted, and then small blocks that lie side
 * by side are joined, of records and of indexes alike. Cycles leave such behind, where much of a block went.
 *
 * A full cycle that nobody asked for is followed by joining, too, but only where the manifest's root says of a page that
 * half as many blocks would do: nobody waits for the rest, and so nothing else of the manifest is looked at.
 */
import type { BlockInfo } from "../segments/block-info.ts";
import { sharedPrefixLength } from "../segments/internal-key.ts";
import type { Level } from "../segments/level.ts";
import type { Manifest } from "../segments/manifest.ts";
import { lookAhead } from "../segments/pace.ts";
import type { Page } from "../segments/page.ts";
import type { Run } from "../segments/sweep.ts";
import type { Store } from "../mvcc/store.ts";
import { compact } from "./compact.ts";
import type { Basis } from "./journal.ts";
import { Memoryless, type NextStep, type Tally } from "./strategy.ts";
import { swept } from "./swept.ts";
import type { Tenure } from "./tenure.ts";
import { published, type WorkOptions } from "./work.ts";

/** Neighbours are joined where they fill so much of a block at most, so that what is joined once fits for certain. */
const filledShare = 3 / 4;
/** From so many blocks on a step takes no more. */
const maxStepBlocks = 64;

/** Each step leaves blocks lower down, or fewer. */
export function compaction(store: Store): Memoryless {
  const next: NextStep = async (tenure, basis, options) => {
    const compacted = await compact(store, tenure, basis, options);
    return compacted ? { scanned: 0, ...compacted.dropped } : join(store, tenure, basis, options, () => true);
  };
  return new Memoryless("compaction", next, (kind) => kind === "FULL_GC");
}

/** Each step leaves fewer blocks, where there are many for what they hold. */
export const joining = (store: Store): Memoryless =>
  new Memoryless("joining", (tenure, basis, options) => {
    const isSparse = ({ blocks, sizeBytes }: Page): boolean => sizeBytes <= (blocks * options.targetBytes) / 2;
    return join(store, tenure, basis, options, isSparse);
  });

/** Joins the next small neighbours in such pages. `undefined`: there are none, or the tenure is over. */
function join(
  store: Store,
  tenure: Tenure,
  basis: Basis,
  options: WorkOptions,
  isWanted: (page: Page) => boolean,
): Promise<Tally | undefined> {
  const terms = { kind: "join", basis, fence: store.fence, reserve: "all" } as const;
  return published(store, tenure, terms, options, async (tools) => {
    const found = await fragmentsIn(tools.manifest, options, isWanted);
    if (!found) return undefined;
    const { scanned, blocks, change } = await swept(tools, { ...found, isRewriting: true });
    if (blocks >= 0) return undefined; // they do not fit after all: joined so, they would be joined for ever
    const { versions, bytes } = tools.removal;
    return { ...change, done: { scanned, versions, bytes } };
  });
}

interface Fragments {
  readonly level: number;
  readonly runs: readonly Run[];
}

/** The uppermost level with small neighbours, and about as many of these as one step takes. */
async function fragmentsIn(
  { levels }: Manifest,
  options: WorkOptions,
  isWanted: (page: Page) => boolean,
): Promise<Fragments | undefined> {
  for (const [l, level] of levels.entries()) {
    const runs = await smallNeighbours(level, options, isWanted);
    if (runs.length > 0) return { level: l, runs };
  }
  return undefined;
}

/** Pages are decoded as one comes to them, so between two it looks at the clock. */
async function smallNeighbours(
  level: Level,
  { targetBytes, levels, pace }: WorkOptions,
  isWanted: (page: Page) => boolean,
): Promise<readonly Run[]> {
  const runs: Run[] = [];
  let [position, taken, takenBytes] = [0, 0, 0];
  let open: Neighbours | undefined;
  const end = (): void => {
    if (open && open.blocks > 1) {
      runs.push({ from: position - open.blocks, to: position });
      taken += open.blocks;
      takenBytes += open.sizeBytes;
    }
    open = undefined;
  };
  for (const page of level.pages) {
    const to = position + page.blocks;
    if (!isWanted(page)) {
      end();
      position = to;
    }
    for (; position < to; position++) {
      const block = level.at(position)!;
      if (open && joined(open, block).sizeBytes > targetBytes * filledShare) end();
      if (taken >= maxStepBlocks || takenBytes >= levels.maxStepBytes) return runs;
      open = joined(open, block);
    }
    if (pace.isDue(lookAhead)) await pace.pause();
  }
  end();
  return runs;
}

/** Blocks side by side, as one. */
interface Neighbours {
  readonly first: BlockInfo;
  readonly blocks: number;
  readonly versions: number;
  /** If their keys shared nothing. */
  readonly apartBytes: number;
  /** About: a block stores once what all of its keys begin with, which is less for more blocks. */
  readonly sizeBytes: number;
}

function joined(open: Neighbours | undefined, block: BlockInfo): Neighbours {
  const first = open?.first ?? block;
  const versions = (open?.versions ?? 0) + block.count;
  const apartBytes = (open?.apartBytes ?? 0) + block.sizeBytes + block.count * prefixLength(block, block);
  const sizeBytes = apartBytes - versions * prefixLength(first, block);
  return { first, blocks: (open?.blocks ?? 0) + 1, versions, apartBytes, sizeBytes };
}

const prefixLength = (from: BlockInfo, to: BlockInfo): number =>
  sharedPrefixLength(from.first.key, to.last.key, to.last.key.length);
