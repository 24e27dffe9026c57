import type { BlockId } from "../base/brand.ts";
import type { Block } from "./block.ts";

/**
 * Keeps the most recently used blocks, up to `maxBytes` of them. Blocks are immutable and their ids never reused, so
 * nothing in here is ever stale.
 */
export class BlockCache {
  readonly maxBytes: number;
  /** Least recently used first: a Map keeps the order of insertion. */
  readonly #blocks = new Map<BlockId, Block>();
  #sizeBytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get(id: BlockId): Block | undefined {
    const block = this.#blocks.get(id);
    if (block === undefined) return undefined;
    this.#blocks.delete(id);
    this.#blocks.set(id, block);
    return block;
  }

  /** A block larger than the whole cache is not kept: it would drive out everything else. */
  put(id: BlockId, block: Block): void {
    this.delete(id);
    if (block.sizeBytes > this.maxBytes) return;
    this.#blocks.set(id, block);
    this.#sizeBytes += block.sizeBytes;
    for (const oldest of this.#blocks.keys()) {
      if (this.#sizeBytes <= this.maxBytes) break;
      this.delete(oldest);
    }
  }

  /** Whether so much more drives nothing out. */
  hasRoomFor(sizeBytes: number): boolean {
    return this.#sizeBytes + sizeBytes <= this.maxBytes;
  }

  delete(id: BlockId): void {
    const block = this.#blocks.get(id);
    if (block === undefined) return;
    this.#blocks.delete(id);
    this.#sizeBytes -= block.sizeBytes;
  }

  /** Lets go of all others. */
  keep(isWanted: (id: BlockId, block: Block) => boolean): void {
    for (const [id, block] of this.#blocks) if (!isWanted(id, block)) this.delete(id);
  }

  clear(): void {
    this.#blocks.clear();
    this.#sizeBytes = 0;
  }
}
