/**
 * The merge: new versions become part of a level. They come from the memtable (a checkpoint folds it) or from blocks of
 * the level above (compaction), in key order; the level's own blocks are walked beside them.
 *
 *  - A block of the level that nothing new falls into is neither read nor rewritten. Only a small one beside a stretch
 *    that is rewritten joins it, so that blocks do not stay tiny.
 *  - A block from above that meets nothing here, and has nothing to lose, moves: it is listed here instead, as it is.
 *  - All else is merged key by key. Each chain passes through `retain` under the floor that was handed down (drop.ts),
 *    and what stays is cut into new blocks under new ids, stored in batches as they fill (block-writer.ts).
 *
 * New blocks are only staged: nothing refers to them until the caller commits the edit, in one batch with whatever else
 * it replaces. A merge that dies before that leaves rubbish and no other trace. Memory is bounded by a few windows of
 * blocks, whatever the level's size; in between it asks `pace` whether to let others run.
 *
 * Chains span blocks. All blocks of the level that hold a key with new versions take part, so its chain here is whole.
 * At either end of a stretch there can be an untouched key whose chain goes on outside: such versions pass as they are.
 * From above may come the old end of a chain whose newer part stays there: what the versions at hand prove is decided by
 * them, and what is newer only hides them more. A tombstone goes only where no level below may hold what it hides.
 */
import type { BlockId, ByteKey, Seq, TableId } from "../base/brand.ts";
import { type OutsideRef, outsideLost } from "../codec/outside.ts";
import { tableOf } from "../codec/record.ts";
import { BlockCursor, type LoadBlocks, type Window } from "./block-cursor.ts";
import type { BlockInfo } from "./block-info.ts";
import { BlockWriter, type StagedBlock } from "./block-writer.ts";
import { ChangeCursor, type ChangeSource } from "./changes.ts";
import { retain } from "./drop.ts";
import { type Dropped, dropped } from "./dropped.ts";
import { newest } from "./internal-key.ts";
import type { Level } from "./level.ts";
import type { Pace } from "./pace.ts";
import type { Version } from "./version.ts";

export const defaultTargetBytes: number = 32 * 1024;
/**
 * No storage transaction of upkeep moves more than this while others wait (MV11). Commits queue behind it in the browser:
 * with 256 KB the p99 of an awaited put during compaction was twice as far from the idle one.
 */
export const defaultMaxStoreBytes: number = 96 * 1024;

export interface MergeInput {
  /** New versions from memory; all of their seqs are above any in the blocks. */
  readonly changes: ChangeSource;
  /** Blocks of the level above, in order; the chain of the last one's last key ends in it. */
  readonly above: readonly BlockInfo[];
  readonly level: Level;
  /** The levels below that one. */
  readonly below: readonly Level[];
  /** Nobody reads below it, now or later. */
  readonly floor: Seq;
  /** Whether nobody at or above the floor can look at this table at all. */
  isDead(table: TableId): boolean;
  /** A block is cut at this size; a single larger version gets a block of its own. */
  readonly targetBytes: number;
  /** Bounds, in bytes of blocks, each call of `load` and `store`; one larger block still goes alone. */
  readonly maxStoreBytes: number;
  readonly pace: Pace;
  /** Hears of superseded versions that go, but for those in dead tables. */
  readonly onDropped?: (version: Dropped) => void;
  newBlockId(): BlockId;
  readonly load: LoadBlocks;
  /** `isLast`: nothing comes after them. */
  store(blocks: readonly StagedBlock[], isLast: boolean): Promise<void>;
}

export interface Merged {
  /** Of the level: what it loses and what it gains. All of `above` leaves the level above. */
  readonly removed: readonly BlockInfo[];
  readonly added: readonly BlockInfo[];
  /** Bytes of keys and payloads. */
  readonly dropped: { readonly versions: number; readonly bytes: number };
  readonly written: { readonly blocks: number; readonly bytes: number };
  /** Values out of line that no version which anybody can read refers to any more. */
  readonly lost: readonly OutsideRef[];
}

export const merge = (input: MergeInput): Promise<Merged> => new Merge(input).run();

/** So many keys are merged between two looks at the clock. */
const keysPerLook = 16;

class Merge {
  readonly #input: MergeInput;
  readonly #level: Level;
  readonly #changes: ChangeCursor;
  readonly #above: BlockCursor;
  readonly #own: BlockCursor;
  readonly #writer: BlockWriter;
  readonly #removed: BlockInfo[] = [];
  readonly #dropped = { versions: 0, bytes: 0 };
  readonly #lost: OutsideRef[] = [];
  readonly #aboveWindow: Window;
  readonly #ownWindow: Window;
  /** The open stretch takes in the level's blocks from here … */
  #from = 0;
  /** … up to, not including, this one. Blocks before it are dealt with. */
  #to = 0;
  #keys = 0;
  #deadTable: TableId | undefined;
  #liveTable: TableId | undefined;

  constructor(input: MergeInput) {
    this.#input = input;
    this.#level = input.level;
    this.#changes = new ChangeCursor(input.changes);
    this.#above = new BlockCursor((i) => input.above[i], input.load);
    this.#own = new BlockCursor((i) => input.level.at(i), input.load);
    this.#writer = new BlockWriter(input);
    const { maxStoreBytes: maxBytes } = input;
    this.#aboveWindow = { maxBytes, wants: (info) => !this.#mayMove(info) };
    this.#ownWindow = { maxBytes, wants: (info) => this.#isSmall(info) || this.#isMet(info) };
  }

  async run(): Promise<Merged> {
    for (let key = this.#nextNew(); key !== undefined; key = this.#nextNew()) {
      const block = this.#above.beginning;
      if (block !== undefined && block.first.key === key && this.#mayMove(block)) {
        this.#writer.adopt(block);
        this.#above.skip();
        this.#to = Math.max(this.#to, this.#level.find(key, newest)); // what comes before it is dealt with
      } else {
        await this.#stretch(key);
      }
    }
    await this.#writer.finish();
    const { added, written } = this.#writer;
    return { removed: this.#removed, added, dropped: this.#dropped, written, lost: this.#lost };
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
    for (;;) {
      const fresh = this.#nextNew();
      const own = this.#own.position < this.#to ? this.#own.key : undefined;
      if (own !== undefined && (fresh === undefined || own < fresh)) await this.#mergeKey(own);
      else if (own === undefined && !this.#goesOn(fresh)) break;
      else if (!this.#takesInMore(fresh)) await this.#mergeKey(fresh!);
      if (++this.#keys % keysPerLook === 0 && this.#input.pace.isDue()) await this.#input.pace.pause();
    }
    this.#writer.cut();
    for (let i = this.#from; i < this.#to; i++) this.#removed.push(this.#level.at(i)!);
  }

  /** Whether the stretch, having used up its blocks, has more to do before or in the block that follows it. */
  #goesOn(fresh: ByteKey | undefined): boolean {
    const next = this.#level.at(this.#to);
    const isNext = next !== undefined && (fresh === undefined || next.first.key <= fresh);
    if (isNext && this.#isSmall(next)) return true;
    if (fresh === undefined) return false;
    const block = this.#above.beginning;
    if (block !== undefined && block.first.key === fresh && this.#mayMove(block)) return false;
    return next === undefined || fresh <= next.last.key;
  }

  /** Takes in the next block of the level if it may hold `fresh`, or is small and comes before it. */
  #takesInMore(fresh: ByteKey | undefined): boolean {
    const next = this.#level.at(this.#to);
    if (next === undefined) return false;
    const isBefore = fresh === undefined || next.first.key <= fresh;
    if (!isBefore) return false;
    this.#to++;
    return true;
  }

  async #mergeKey(key: ByteKey): Promise<void> {
    const versions: Version[] = [];
    const isNew = this.#changes.key === key || this.#above.key === key;
    if (this.#changes.key === key) versions.push(...this.#changes.take().versions);
    while (this.#above.key === key) {
      if (this.#above.needsLoad) await this.#above.load(this.#aboveWindow);
      this.#above.take(versions);
    }
    const start = this.#own.position;
    while (this.#own.position < this.#to && this.#own.key === key) {
      if (this.#own.needsLoad) await this.#own.load(this.#ownWindow);
      this.#own.take(versions);
    }
    const kept = !isNew && this.#isSplit(key, start) ? versions : this.#kept(key, versions);
    for (const version of kept) this.#writer.add(key, version);
    if (kept !== none && this.#input.onDropped) dropped(key, versions, kept).forEach(this.#input.onDropped);
    if (kept.length < versions.length) this.#drop(key, kept, versions.slice(kept.length));
    if (this.#writer.full) await this.#writer.drain();
  }

  /** Whether the chain of an untouched key, begun in block `start`, goes on outside the stretch. */
  #isSplit(key: ByteKey, start: number): boolean {
    const goesOnBefore = start === this.#from && this.#level.at(this.#from - 1)?.last.key === key;
    return goesOnBefore || (this.#own.position >= this.#to && this.#level.at(this.#to)?.first.key === key);
  }

  #kept(key: ByteKey, versions: readonly Version[]): readonly Version[] {
    if (this.#isDead(tableOf(key))) return none;
    const isGone = versions[0]!.payload === undefined;
    return retain(versions, this.#input.floor, isGone && !this.#input.below.some((level) => level.mayHold(key)));
  }

  #isDead(table: TableId): boolean {
    if (table === this.#liveTable) return false;
    if (table === this.#deadTable) return true;
    const isDead = this.#input.isDead(table);
    if (isDead) this.#deadTable = table;
    else this.#liveTable = table;
    return isDead;
  }

  /** `retain` keeps a head of the chain, so what goes is its tail. */
  #drop(key: ByteKey, kept: readonly Version[], gone: readonly Version[]): void {
    for (const { payload } of gone) {
      this.#dropped.versions++;
      this.#dropped.bytes += key.length + (payload?.length ?? 0);
    }
    this.#lost.push(...outsideLost(gone.map(payloadOf), kept.map(payloadOf)));
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

  /** Whether anything new falls into the key range of a block that lies ahead. */
  #isMet({ first, last }: BlockInfo): boolean {
    if (this.#changes.meets(first.key, last.key)) return true;
    const { above } = this.#input;
    let i = this.#above.position;
    while (above[i] !== undefined && above[i]!.last.key < first.key) i++;
    return above[i] !== undefined && above[i]!.first.key <= last.key;
  }
}

const none: readonly Version[] = [];
const payloadOf = ({ payload }: Version): Uint8Array | undefined => payload;
