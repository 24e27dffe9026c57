import type { BlockId, ByteKey } from "../base/brand.ts";
import { assert } from "../base/errors.ts";
import type { Block } from "./block.ts";
import type { BlockInfo } from "./block-info.ts";
import type { Version } from "./version.ts";

/** Answers in the order of `infos`. */
export type LoadBlocks = (infos: readonly BlockInfo[]) => Promise<readonly Block[]>;

/** How far a cursor may read ahead: at most so many bytes of blocks, or one block. */
export interface Window {
  readonly maxBytes: number;
  /** Whether a block ahead will be wanted; the one the cursor stands in always is. */
  wants(info: BlockInfo): boolean;
}

/**
 * Walks the version chains of neighbouring blocks in order. Where it stands at a block's beginning it knows the key
 * without having read the block, so that the block may be passed over.
 */
export class BlockCursor {
  readonly #at: (i: number) => BlockInfo | undefined;
  readonly #load: LoadBlocks;
  #position: number;
  #info: BlockInfo | undefined;
  #block: Block | undefined;
  #entry = 0;
  #key: ByteKey | undefined;
  #ahead: ReadonlyMap<BlockId, Block> = new Map();

  constructor(at: (i: number) => BlockInfo | undefined, load: LoadBlocks, from = 0) {
    this.#at = at;
    this.#load = load;
    this.#position = from;
    this.#enter(from);
  }

  /** Of the block it stands in. */
  get position(): number {
    return this.#position;
  }
  /** The key it stands at; `undefined` at the end. */
  get key(): ByteKey | undefined {
    return this.#key;
  }
  /** The block it stands at the beginning of, if it does. */
  get beginning(): BlockInfo | undefined {
    return this.#entry === 0 ? this.#info : undefined;
  }
  get needsLoad(): boolean {
    return this.#info !== undefined && this.#block === undefined;
  }

  /** Goes to the beginning of the block at `position`. */
  jump(position: number): void {
    if (position !== this.#position || this.#entry !== 0) this.#enter(position);
  }

  /** Reads the block it stands in, and those ahead that the window wants. */
  async load(window: Window): Promise<void> {
    const info = this.#info;
    assert(info !== undefined, "a cursor at its end has nothing to read");
    const wanted = [info];
    let sizeBytes = info.sizeBytes;
    for (let i = this.#position + 1; ; i++) {
      const next = this.#at(i);
      if (next === undefined || !window.wants(next)) break;
      sizeBytes += next.sizeBytes;
      if (sizeBytes > window.maxBytes) break;
      wanted.push(next);
    }
    const blocks = await this.#load(wanted);
    assert(blocks.length === wanted.length, "as many blocks are loaded as were asked for");
    for (const [i, { id, count }] of wanted.entries()) {
      assert(blocks[i]!.id === id && blocks[i]!.count === count, "a loaded block is the one that the manifest lists");
    }
    this.#ahead = new Map(blocks.map((block) => [block.id, block]));
    this.#block = blocks[0];
  }

  /** Appends the versions of the present key that this block holds, and goes on to what follows them. */
  take(into: Version[]): void {
    const block = this.#block!;
    const key = this.#key!;
    let i = this.#entry;
    do into.push(block.versionAt(i++));
    while (i < block.count && block.keyEquals(i, key));
    if (i === block.count) this.#enter(this.#position + 1);
    else {
      this.#entry = i;
      this.#key = block.keyAt(i);
    }
  }

  /** Passes over the block it stands at the beginning of. */
  skip(): void {
    this.#enter(this.#position + 1);
  }

  #enter(position: number): void {
    this.#position = position;
    this.#entry = 0;
    this.#info = this.#at(position);
    this.#key = this.#info?.first.key;
    this.#block = this.#info && this.#ahead.get(this.#info.id);
  }
}
