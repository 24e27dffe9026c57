/**
 * What a full run does besides: levels that hold more than they may are compacted, and then small blocks that lie side
 * by side are joined, of records and of indexes alike. Cycles leave such behind, where much of a block went.
 */
import type { BlockInfo } from "../segments/block-info.ts";
import { sharedPrefixLength } from "../segments/internal-key.ts";
import type { Manifest } from "../segments/manifest.ts";
import { type Run, sweep } from "../segments/sweep.ts";
import type { Store } from "../mvcc/store.ts";
import { deletesOf } from "../wal/chunks.ts";
import { compact } from "./compact.ts";
import type { Basis } from "./journal.ts";
import { type GcStrategy, nothingDone, plus, type RunTerms, type StepOutcome, type Tally } from "./strategy.ts";
import type { Tenure } from "./tenure.ts";
import { published, type WorkOptions } from "./work.ts";

/** Neighbours are joined where they fill so much of a block at most, so that what is joined once fits for certain. */
const filledShare = 3 / 4;
/** One step reads so many blocks at most. */
const maxStepBlocks = 64;

export class Compaction implements GcStrategy {
  readonly name = "compaction";
  readonly #store: Store;
  #basis: Basis | undefined;
  #done: Tally = nothingDone;

  constructor(store: Store) {
    this.#store = store;
  }

  plan(_tenure: Tenure, { basis, kind }: RunTerms): Promise<boolean> {
    this.#basis = kind === "FULL_GC" ? basis : undefined;
    this.#done = nothingDone;
    return Promise.resolve(true);
  }

  /** Its steps need no memory: what is stored says what there is to do, and each leaves blocks lower down, or fewer. */
  async step(tenure: Tenure, options: WorkOptions): Promise<StepOutcome> {
    const basis = this.#basis;
    if (!basis) return "over";
    const compacted = await compact(this.#store, tenure, basis, options);
    if (compacted) this.#done = plus(this.#done, { scanned: 0, ...compacted.dropped });
    if (compacted) return "went on";
    const joined = await join(this.#store, tenure, basis, options);
    if (joined) this.#done = plus(this.#done, joined);
    return joined && joined.blocks < 0 ? "went on" : "over";
  }

  report(): Tally {
    return this.#done;
  }
}

interface Joined extends Tally {
  /** How many blocks there are more. */
  readonly blocks: number;
}

/** Joins the next small neighbours. `undefined`: there are none, or the tenure is over. */
function join(store: Store, tenure: Tenure, basis: Basis, options: WorkOptions): Promise<Joined | undefined> {
  const terms = { kind: "join", basis, fence: store.fence, reserve: "all" } as const;
  return published(store, tenure, terms, options, async (tools) => {
    const found = fragmentsIn(tools.manifest, options);
    if (!found) return undefined;
    const swept = await sweep({ ...tools, ...found, isRewriting: true });
    const { removed, added, lost, cleared, marks, scanned } = swept;
    const { versions, bytes } = tools.removal;
    return {
      edits: [{ level: found.level, removed, added }],
      marks: { set: marks, cleared },
      also: lost.flatMap((ref) => deletesOf(ref)),
      done: { scanned, versions, bytes, blocks: added.length - removed.length },
    };
  });
}

interface Fragments {
  readonly level: number;
  readonly runs: readonly Run[];
}

/** The uppermost level with small neighbours, and as many of these as one step takes. */
function fragmentsIn({ levels }: Manifest, options: WorkOptions): Fragments | undefined {
  for (const [level, { length }] of levels.entries()) {
    const runs = length < 2 ? [] : smallNeighbours(levels[level]!.blocks(), options);
    if (runs.length > 0) return { level, runs };
  }
  return undefined;
}

function smallNeighbours(blocks: Iterable<BlockInfo>, { targetBytes, levels }: WorkOptions): readonly Run[] {
  const runs: Run[] = [];
  let [position, taken, takenBytes] = [0, 0, 0];
  let open: BlockInfo[] = [];
  const end = (): void => {
    if (open.length < 2) return;
    runs.push({ from: position - open.length, to: position });
    taken += open.length;
    takenBytes += joinedBytes(open);
  };
  for (const block of blocks) {
    if (open.length > 0 && joinedBytes([...open, block]) > targetBytes * filledShare) {
      end();
      if (taken >= maxStepBlocks || takenBytes >= levels.maxStepBytes) return runs;
      open = [];
    }
    open.push(block);
    position++;
  }
  end();
  return runs;
}

/** About what they take as one: a block stores once what all of its keys begin with, which is less for more blocks. */
function joinedBytes(blocks: readonly BlockInfo[]): number {
  const prefixLength = (first: BlockInfo, last: BlockInfo): number =>
    sharedPrefixLength(first.first.key, last.last.key, last.last.key.length);
  const joined = prefixLength(blocks[0]!, blocks.at(-1)!);
  return blocks.reduce((sum, b) => sum + b.sizeBytes + b.count * (prefixLength(b, b) - joined), 0);
}
