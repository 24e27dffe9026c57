/**
 * The merge: new versions become part of a level. They come from the memtable (a checkpoint folds it) or from blocks of
 * the level above (compaction), in key order; the level's own blocks are walked beside them.
 *
 *  - A block of the level that nothing new falls into is neither read nor rewritten. Only a small one beside a stretch
 *    that is rewritten joins it, so that blocks do not stay tiny.
 *  - A block from above that meets nothing here, and has nothing to lose, moves: it is listed here instead, as it is.
 *  - Nor is a block that only goes on with the chain of a key, as long as nothing in it is due: what is new goes before it.
 *  - All else is merged key by key. Each chain is judged under the rule that was handed down (rule.ts), and what stays is
 *    cut into new blocks under new ids, stored in batches as they fill (block-writer.ts).
 *
 * New blocks are only staged: nothing refers to them until the caller commits the edit, in one batch with whatever else
 * it replaces. A merge that dies before that leaves rubbish and no other trace. Memory is bounded by a few windows of
 * blocks, whatever the level's size; in between it asks `pace` whether to let others run.
 *
 * Chains span blocks, and levels: what is at hand of one may be a part of it. What is newer elsewhere is known where it
 * is the block before, or what stays above; else it only hides the more what is at hand, and what the versions at hand
 * prove holds. What is older elsewhere matters to a tombstone, which goes only where there is none. Where a chain's older
 * part lies in a level below, its block is marked: it holds what is superseded from above (marks.ts).
 */
import { type BlockId, type ByteKey, type Seq, seq, type TableId } from "../base/brand.ts";
import { type OutsideRef, outsideLost } from "../codec/outside.ts";
import { tableOf } from "../codec/record.ts";
import { BlockCursor, type Window } from "./block-cursor.ts";
import type { BlockInfo } from "./block-info.ts";
import { BlockWriter } from "./block-writer.ts";
import { ChangeCursor, type ChangeSource } from "./changes.ts";
import { hashOf, mayHold } from "./filter.ts";
import { newest } from "./internal-key.ts";
import type { Level } from "./level.ts";
import { lookAhead } from "./pace.ts";
import type { Rewriting } from "./rewriting.ts";
import { type Clause, type Elsewhere, judge, type Kept, never, type Newer, reachOf, type Wake } from "./rule.ts";
import type { Version } from "./version.ts";

export const defaultTargetBytes: number = 32 * 1024;
/**
 * No storage transaction of upkeep moves more than this while others wait (MV11). Commits queue behind it in the browser:
 * with 256 KB the p99 of an awaited put during compaction was twice as far from the idle one.
 */
export const defaultMaxStoreBytes: number = 96 * 1024;

export interface MergeInput extends Rewriting {
  /** New versions from memory; all of their seqs are above any in the blocks. */
  readonly changes: ChangeSource;
  /** Blocks of the level above, in order; the chain of the last one's last key ends in it. */
  readonly above: readonly BlockInfo[];
  /** Where the chain that `above` begins with begins before it: the oldest version that stays above. */
  readonly staysAbove: Seq | undefined;
  readonly level: Level;
  /** The levels below that one. */
  readonly below: readonly Level[];
  /** A version of `key` goes. `supersededBy`: by which seq; its own for a tombstone that hides nothing; 0 in a dead table. */
  dropped?(key: ByteKey, version: Version, supersededBy: Seq, clause: Clause | "cleared"): void;
}

export interface Merged {
  /** Of the level: what it loses and what it gains. All of `above` leaves the level above. */
  readonly removed: readonly BlockInfo[];
  readonly added: readonly BlockInfo[];
  readonly written: { readonly blocks: number; readonly bytes: number };
  /** Values out of line that no version which anybody can read refers to any more. */
  readonly lost: readonly OutsideRef[];
  /** Blocks of the levels below that hold what was superseded by something new, and from which floor on they are due. */
  readonly marks: readonly (readonly [BlockId, Wake])[];
}

export const merge = (input: MergeInput): Promise<Merged> => new Merge(input).run();

/** So many keys are merged, or versions of one or more, between two looks at the clock. */
const keysPerLook = 16;
const versionsPerLook = 64;

class Merge {
  readonly #input: MergeInput;
  readonly #level: Level;
  readonly #changes: ChangeCursor;
  readonly #above: BlockCursor;
  readonly #own: BlockCursor;
  readonly #writer: BlockWriter;
  readonly #removed: BlockInfo[] = [];
  readonly #lost: OutsideRef[] = [];
  readonly #marks = new Map<BlockId, Wake>();
  readonly #reach: Seq;
  readonly #aboveWindow: Window;
  readonly #ownWindow: Window;
  /** The open stretch takes in the level's blocks from here … */
  #from = 0;
  /** … up to, not including, this one. Blocks before it are dealt with. */
  #to = 0;
  #keys = 0;
  #versions = 0;
  /** What was merged last: the part at hand of a chain that goes on. */
  #before: { readonly key: ByteKey; readonly oldest: Newer } | undefined;
  #deadTable: TableId | undefined;
  #liveTable: TableId | undefined;

  constructor(input: MergeInput) {
    this.#input = input;
    this.#level = input.level;
    this.#reach = reachOf(input.rule);
    this.#changes = new ChangeCursor(input.changes);
    this.#above = new BlockCursor((i) => input.above[i], input.load);
    this.#own = new BlockCursor((i) => input.level.at(i), input.load);
    this.#writer = new BlockWriter(input);
    const { maxStoreBytes: maxBytes } = input;
    this.#aboveWindow = { maxBytes, wants: (info) => !this.#mayMove(info) };
    this.#ownWindow = {
      maxBytes,
      wants: (info) => this.#isSmall(info) || (this.#isMet(info) && !this.#mayBeTail(info)),
    };
  }

  async run(): Promise<Merged> {
    await this.#look(); // what is new was put in order
    for (let key = this.#nextNew(); key !== undefined; key = this.#nextNew()) {
      const block = this.#above.beginning;
      if (block !== undefined && block.first.key === key && this.#moves(block)) {
        this.#writer.adopt(block);
        this.#above.skip();
        this.#to = Math.max(this.#to, this.#level.find(key, newest)); // what comes before it is dealt with
      } else {
        await this.#stretch(key);
      }
    }
    await this.#look(); // the last blocks are encoded in one go
    await this.#writer.finish();
    const { added, written } = this.#writer;
    const [removed, lost] = [this.#removed, this.#lost];
    return { removed, added, written, lost, marks: [...this.#marks] };
  }

  /** The first key that has new versions not dealt with yet. */
  #nextNew(): ByteKey | undefined {
    const a = this.#changes.key;
    const b = this.#above.key;
    if (a === undefined) return b;
    return b === undefined || a < b ? a : b;
  }

  /** Merges from `key` on, as long as the new versions and the blocks they fall into follow on one another. */
  async #stretch(key: ByteKey): Promise<void> {
    let from = Math.max(this.#to, this.#level.find(key, newest));
    while (from > this.#to && this.#isSmall(this.#level.at(from - 1)!)) from--;
    this.#from = from;
    this.#to = from;
    this.#own.jump(from);
    const last = this.#level.at(from - 1)?.last;
    if (last) this.#before = { key: last.key, oldest: { seq: last.seq, stamp: undefined } };
    for (;;) {
      const fresh = this.#nextNew();
      const own = this.#own.position < this.#to ? this.#own.key : undefined;
      if (own !== undefined && (fresh === undefined || own < fresh)) await this.#mergeKey(own);
      else if (own === undefined && !this.#goesOn(fresh)) break;
      else if (!this.#takesInMore(fresh)) await this.#mergeKey(fresh!);
      if (++this.#keys >= keysPerLook || this.#versions >= versionsPerLook) await this.#look();
    }
    this.#writer.cut();
    for (let i = this.#from; i < this.#to; i++) this.#removed.push(this.#level.at(i)!);
  }

  async #look(): Promise<void> {
    [this.#keys, this.#versions] = [0, 0];
    if (this.#input.pace.isDue(lookAhead)) await this.#input.pace.pause();
  }

  /** Whether the stretch, having used up its blocks, has more to do before or in the block that follows it. */
  #goesOn(fresh: ByteKey | undefined): boolean {
    const next = this.#level.at(this.#to);
    const isNext = next !== undefined && (fresh === undefined || next.first.key <= fresh);
    if (isNext && this.#isSmall(next)) return true;
    if (fresh === undefined) return false;
    const block = this.#above.beginning;
    if (block !== undefined && block.first.key === fresh && this.#moves(block)) return false;
    return next === undefined || fresh <= next.last.key;
  }

  /** Takes in the next block of the level if it may hold `fresh`, or is small and comes before it. */
  #takesInMore(fresh: ByteKey | undefined): boolean {
    const next = this.#level.at(this.#to);
    if (next === undefined) return false;
    const isBefore = fresh === undefined || next.first.key <= fresh;
    if (!isBefore || this.#isTail(next)) return false;
    this.#to++;
    return true;
  }

  /** Whether a block holds only what follows, in its chain, on what the block before it holds, and has nothing to lose. */
  #isTail(block: BlockInfo): boolean {
    return this.#mayBeTail(block) && this.#level.at(this.#to - 1)?.last.key === block.first.key;
  }

  #mayBeTail(block: BlockInfo): boolean {
    const isOneKey = block.first.key === block.last.key;
    // Where the number of newer versions decides, those that come may release any behind it.
    if (isOneKey && this.#latestOf(block.first.key) > 0) return false;
    return isOneKey && block.due > this.#reach && block.outside === 0 && !this.#isSmall(block);
  }

  async #mergeKey(key: ByteKey): Promise<void> {
    const versions: Version[] = [];
    const isFirst = this.#before?.key !== key;
    const fromMemory = this.#changes.key === key ? this.#changes.take().versions : none;
    versions.push(...fromMemory);
    while (this.#above.key === key) {
      if (this.#above.needsLoad) await this.#above.load(this.#aboveWindow);
      this.#above.take(versions);
    }
    while (this.#own.position < this.#to && this.#own.key === key) {
      if (this.#own.needsLoad) await this.#own.load(this.#ownWindow);
      this.#own.take(versions);
    }
    this.#versions += versions.length;
    const oldest = fromMemory.at(-1);
    // Of an index entry that comes nobody knows whether it went before.
    const isEntry = oldest?.payload?.length === 0;
    if (oldest !== undefined && (oldest.supersedes !== 0 || isEntry)) this.#markBelow(key, oldest);
    const kept = this.#kept(key, versions, isFirst ? undefined : this.#before?.oldest);
    for (const { version, wake } of kept) this.#writer.add(key, version, wake);
    this.#before = { key, oldest: versions.at(-1)! };
    if (this.#writer.full) await this.#writer.drain();
  }

  #kept(key: ByteKey, versions: readonly Version[], before: Newer | undefined): readonly Kept[] {
    const [only] = versions;
    if (this.#isDead(tableOf(key))) {
      for (const version of versions) this.#input.dropped?.(key, version, seq(0), "cleared");
      this.#lose(versions, [], undefined);
      return [];
    }
    const newer = before ?? this.#staysAbove(key);
    const isPlain = versions.length === 1 && newer === undefined && only!.payload !== undefined;
    if (isPlain) return [{ version: only!, wake: never }];
    const gone: Version[] = [];
    const position = newer === undefined ? 0 : 1;
    const older = this.#older(key);
    const chain = { key, versions, newer, position, isPositionLeast: newer !== undefined, older };
    const kept = judge(chain, this.#input.rule, (version, supersededBy, clause) => {
      gone.push(version);
      this.#input.dropped?.(key, version, supersededBy, clause);
    });
    this.#lose(gone, kept, newer);
    return kept;
  }

  #staysAbove(key: ByteKey): Newer | undefined {
    const { staysAbove, above } = this.#input;
    return staysAbove !== undefined && above[0]?.first.key === key ? { seq: staysAbove, stamp: undefined } : undefined;
  }

  /** Whether versions of `key` that are older than those at hand lie elsewhere. */
  #older(key: ByteKey): Elsewhere {
    const goesOn = this.#own.position >= this.#to && this.#level.at(this.#to)?.first.key === key;
    return goesOn || this.#input.below.some((level) => level.mayHold(key)) ? "maybe" : "none";
  }

  /** Something new may supersede what lies in levels below. */
  #markBelow(key: ByteKey, oldest: Version): void {
    const { below } = this.#input;
    let hash: number | undefined;
    for (const level of below) {
      const block = level.holding(key);
      if (block === undefined) continue;
      // Of an index entry that comes, only an earlier going can lie there.
      if (oldest.payload?.length === 0 && block.tombstones === 0) continue;
      if (!mayHold(block.filter, (hash ??= hashOf(key)))) continue;
      if (this.#latestOf(key) === 0) this.#mark(block, oldest.seq);
      else this.#markChain(key, level);
    }
  }

  /** Where the number of newer versions decides, each new one may release another, above the floor or not. */
  #markChain(key: ByteKey, level: Level): void {
    for (const block of level.chainOf(key)) this.#mark(block, 0);
  }

  #mark({ id }: BlockInfo, due: Wake): void {
    this.#marks.set(id, Math.min(due, this.#marks.get(id) ?? due));
  }

  #latestOf(key: ByteKey): number {
    return this.#input.rule.retentionOf(tableOf(key))?.latest ?? 0;
  }

  #isDead(table: TableId): boolean {
    if (table === this.#liveTable) return false;
    if (table === this.#deadTable) return true;
    const isDead = this.#input.isDead(table);
    if (isDead) this.#deadTable = table;
    else this.#liveTable = table;
    return isDead;
  }

  #lose(gone: readonly Version[], kept: readonly Kept[], newer: Newer | undefined): void {
    if (gone.length > 0) this.#lost.push(...lostWith(gone, kept, newer));
  }

  #isSmall({ sizeBytes }: BlockInfo): boolean {
    return sizeBytes < this.#input.targetBytes / 2;
  }

  /** Whether a block from above may be listed here as it is: it meets nothing, and rewriting it would gain nothing. */
  #mayMove(block: BlockInfo): boolean {
    if (block.obsolete > 0 || block.tombstones > 0 || this.#isSmall(block)) return false;
    if (this.#isDead(tableOf(block.first.key)) || this.#changes.meets(block.first.key, block.last.key)) return false;
    const next = this.#level.at(this.#level.find(block.first.key, newest));
    return next === undefined || next.first.key > block.last.key;
  }

  /** Whether the block from above that the cursor stands at does move: what goes on with its last chain would not know it. */
  #moves(block: BlockInfo): boolean {
    return this.#mayMove(block) && this.#input.above[this.#above.position + 1]?.first.key !== block.last.key;
  }

  /** Whether anything new falls into the key range of a block that lies ahead. */
  #isMet({ first, last }: BlockInfo): boolean {
    if (this.#changes.meets(first.key, last.key)) return true;
    const { above } = this.#input;
    let i = this.#above.position;
    while (above[i] !== undefined && above[i]!.last.key < first.key) i++;
    return above[i] !== undefined && above[i]!.first.key <= last.key;
  }
}

/** Values out of line that go with `gone`: nothing that stays of the chain refers to them. */
export function lostWith(
  gone: readonly Version[],
  kept: readonly Kept[],
  newer: Newer | undefined,
  older?: Version,
): readonly OutsideRef[] {
  const stays = kept.map(({ version }) => version.payload);
  if (newer !== undefined && "payload" in newer) stays.push(newer.payload);
  if (older) stays.push(older.payload);
  return outsideLost(
    gone.map(({ payload }) => payload),
    stays,
  );
}

const none: readonly Version[] = [];
