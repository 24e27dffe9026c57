import type { BlockId, ByteKey, Seq } from "../base/brand.ts";
import { assert } from "../base/errors.ts";
import { damaged } from "../wal/envelope.ts";
import { type BlockInfo, faultOf } from "./block-info.ts";
import { compareInternal, type InternalKey, newest } from "./internal-key.ts";
import { maxPageBlocks, Page } from "./page.ts";

/** Blocks that leave a level and blocks that enter it, each in order. */
export interface LevelEdit {
  readonly removed: readonly BlockInfo[];
  readonly added: readonly BlockInfo[];
}

/** Pages smaller than this are joined with a neighbour when an edit touches them. */
const fewBlocks = maxPageBlocks / 4;

/**
 * Blocks in internal order, without overlap, addressed by position. A chain may span several of them, so the last key
 * of one may be the first key of the next. A level never changes: an edit makes another one, which shares all pages
 * that the edit does not touch.
 */
export class Level {
  static readonly empty: Level = new Level([]);
  readonly pages: readonly Page[];
  /** Number of blocks. */
  readonly length: number;
  readonly versions: number;
  readonly tombstones: number;
  readonly sizeBytes: number;
  /** Position of each page's first block. */
  readonly #starts: readonly number[];
  /** Pages that were found to come after the one before them. */
  readonly #fits: boolean[] = [];

  constructor(pages: readonly Page[]) {
    this.pages = pages;
    const starts: number[] = [];
    let [length, versions, tombstones, sizeBytes] = [0, 0, 0, 0];
    for (const page of pages) {
      starts.push(length);
      length += page.blocks;
      versions += page.versions;
      tombstones += page.tombstones;
      sizeBytes += page.sizeBytes;
    }
    this.#starts = starts;
    this.length = length;
    this.versions = versions;
    this.tombstones = tombstones;
    this.sizeBytes = sizeBytes;
  }

  /** Position of the first block whose last version is at or after (key, seq); `length` if there is none. */
  find(key: ByteKey, at: Seq): number {
    const p = firstEndingAt(this.pages, key, at);
    return p === this.pages.length ? this.length : this.#starts[p]! + firstEndingAt(this.#infosOf(p), key, at);
  }

  /** Position of the first block that begins at or after `key`; `length` if there is none. */
  findBeginning(key: ByteKey): number {
    // That block, or the one before it, is the first that reaches beyond all versions of what comes before `key`.
    let i = this.find(key, newest);
    while (i < this.length && this.at(i)!.first.key < key) i++;
    while (i > 0 && this.at(i - 1)!.first.key >= key) i--;
    return i;
  }

  at(i: number): BlockInfo | undefined {
    if (i < 0 || i >= this.length) return undefined;
    const p = this.#pageOf(i);
    return this.#infosOf(p)[i - this.#starts[p]!];
  }

  /** The block whose key range includes `key`; the first of them where its chain runs over several. */
  holding(key: ByteKey): BlockInfo | undefined {
    const block = this.at(this.find(key, newest));
    return block !== undefined && block.first.key <= key ? block : undefined;
  }

  /** The blocks whose key ranges include `key`, which are those of its chain, from a position on. */
  *chainOf(key: ByteKey, from: number = this.find(key, newest)): Generator<BlockInfo, void> {
    for (let i = from; i < this.length; i++) {
      const info = this.at(i)!;
      if (info.first.key > key) return;
      yield info;
    }
  }

  /** Whether a block's key range includes `key`. */
  mayHold(key: ByteKey): boolean {
    return this.holding(key) !== undefined;
  }

  /** Whether the level lists this very block. */
  has({ id, last }: Pick<BlockInfo, "id" | "last">): boolean {
    return this.at(this.find(last.key, last.seq))?.id === id;
  }

  *blocks(from = 0): Generator<BlockInfo, void> {
    for (let p = from < this.length ? this.#pageOf(from) : this.pages.length; p < this.pages.length; p++) {
      const infos = this.#infosOf(p);
      for (let i = Math.max(0, from - this.#starts[p]!); i < infos.length; i++) yield infos[i]!;
    }
  }

  /** This level without `removed`, all of which it lists, and with `added`. */
  edit({ removed, added }: LevelEdit, newPageId: () => number): Level {
    const touched = new Set<number>();
    const gone = new Set<BlockId>();
    for (const info of removed) {
      assert(this.has(info), "only listed blocks are removed");
      gone.add(info.id);
      touched.add(this.#pageAt(info.first));
    }
    for (const info of added) touched.add(this.#pageAt(info.first));
    const pages: Page[] = [];
    let next = 0;
    for (let p = 0; p <= this.pages.length; p++) {
      if (!touched.has(p)) {
        if (p < this.pages.length) pages.push(this.pages[p]!);
        continue;
      }
      const kept = [...this.#without(p, gone)];
      while (touched.has(p + 1)) kept.push(...this.#without(++p, gone));
      const from = next;
      next = p < this.pages.length - 1 ? firstAfter(added, next, this.pages[p]!.last) : added.length;
      pages.push(...paged(pages, merged(kept, added.slice(from, next)), newPageId));
    }
    assert(next === added.length, "blocks are added in order");
    const old = new Set(this.pages);
    for (const [p, page] of pages.entries()) {
      const before = pages[p - 1];
      const isBorder = before !== undefined && !(old.has(page) && old.has(before));
      assert(!isBorder || follows(page, before), "the manifest's blocks overlap");
    }
    return new Level(pages);
  }

  #without(p: number, gone: ReadonlySet<BlockId>): readonly BlockInfo[] {
    return p < this.pages.length ? this.#infosOf(p).filter(({ id }) => !gone.has(id)) : [];
  }

  /** @throws CORRUPT where the page does not come after the one before it */
  #infosOf(p: number): readonly BlockInfo[] {
    const page = this.pages[p]!;
    if (!this.#fits[p]) {
      if (p > 0 && !follows(page, this.pages[p - 1]!))
        throw damaged({ what: "manifest page" }, "overlaps its neighbour");
      this.#fits[p] = true;
    }
    return page.infos;
  }

  #pageOf(i: number): number {
    let low = 0;
    let high = this.pages.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#starts[middle]! <= i) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The page that holds `key`, or where it belongs. */
  #pageAt({ key, seq }: InternalKey): number {
    return Math.min(firstEndingAt(this.pages, key, seq), Math.max(0, this.pages.length - 1));
  }
}

const follows = (page: Page, before: Page): boolean => compareInternal(before.last, page.infos[0]!.first) < 0;

/** By bisection: the first of `items`, in order, whose last version is at or after (key, seq). */
function firstEndingAt(items: readonly { readonly last: InternalKey }[], key: ByteKey, at: Seq): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { last } = items[middle]!;
    if (last.key < key || (last.key === key && last.seq > at)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Position of the first of `infos`, from `from` on, that begins after `end`. */
function firstAfter(infos: readonly BlockInfo[], from: number, end: InternalKey): number {
  let i = from;
  while (i < infos.length && compareInternal(infos[i]!.first, end) <= 0) i++;
  return i;
}

function merged(kept: readonly BlockInfo[], added: readonly BlockInfo[]): readonly BlockInfo[] {
  if (added.length === 0) return kept;
  const all: BlockInfo[] = [];
  let next = 0;
  for (const block of kept) {
    while (next < added.length && compareInternal(added[next]!.first, block.first) < 0) all.push(added[next++]!);
    all.push(block);
  }
  for (; next < added.length; next++) all.push(added[next]!);
  return all;
}

/** Even pages of `infos`. Where they are few, the page before them, the last of `pages`, is taken back and joined. */
function paged(pages: Page[], infos: readonly BlockInfo[], newPageId: () => number): Page[] {
  if (infos.length === 0) return [];
  const before = pages.at(-1);
  const isFew = before !== undefined && (infos.length < fewBlocks || before.blocks < fewBlocks);
  const all = isFew ? [...pages.pop()!.infos, ...infos] : infos;
  const fault = faultOf(all);
  assert(fault === undefined, `the manifest's blocks ${fault}`);
  const size = Math.ceil(all.length / Math.ceil(all.length / maxPageBlocks));
  const made: Page[] = [];
  for (let i = 0; i < all.length; i += size) made.push(Page.of(newPageId(), all.slice(i, i + size)));
  return made;
}
