import type { BlockId } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import type { Storage } from "../storage/contract.ts";
import { valueOf } from "../storage/contract.ts";
import { Block } from "./block.ts";
import { BlockCache } from "./block-cache.ts";

export interface LoadTerms {
  readonly from?: Pick<Storage, "read"> | undefined;
  readonly isKept?: boolean;
}

/** Blocks by id, through a cache. Ids are never reused, so what is cached can be gone from storage but never wrong. */
export class BlockSource {
  readonly #storage: Storage;
  readonly #cache: BlockCache;

  constructor(storage: Storage, cacheMaxBytes: number) {
    this.#storage = storage;
    this.#cache = new BlockCache(cacheMaxBytes);
  }

  cached(id: BlockId): Block | undefined {
    return this.#cache.get(id);
  }

  /**
   * Loads `ids` in one storage read. A block that is no longer stored is missing from the answer: whoever asked holds
   * an old manifest. So is one that is damaged, unless it is among the first `needed`: reading ahead must not fail early.
   * `from`: where a view fetches (mvcc/read-guard.ts). `isKept`: somebody is likely to read them again; what upkeep
   * reads to replace it must not drive others' blocks out.
   * @throws CORRUPT naming the block when the bytes of a needed one are damaged.
   */
  async load(
    ids: readonly BlockId[],
    needed: number,
    { from = this.#storage, isKept = true }: LoadTerms = {},
  ): Promise<ReadonlyMap<BlockId, Block>> {
    const blocks = new Map<BlockId, Block>();
    const required = new Set(ids.slice(0, needed));
    const absent = ids.filter((id) => {
      const block = this.#cache.get(id);
      if (block) blocks.set(id, block);
      return !block;
    });
    if (absent.length === 0) return blocks;
    const found = await from.read(absent.map((id) => ({ kind: "get", store: "blocks", key: id })));
    absent.forEach((id, i) => {
      const bytes = valueOf(found[i]);
      if (!bytes) return;
      const block = this.#open(id, bytes, required.has(id));
      if (!block) return;
      if (isKept) this.#cache.put(id, block);
      blocks.set(id, block);
    });
    return blocks;
  }

  #open(id: BlockId, bytes: Uint8Array, isWanted: boolean): Block | undefined {
    try {
      return Block.open(id, bytes);
    } catch (e) {
      if (isWanted || !isTidemarkError(e, "CORRUPT")) throw e;
      return undefined;
    }
  }

  clear(): void {
    this.#cache.clear();
  }

  forget(ids: readonly BlockId[]): void {
    for (const id of ids) this.#cache.delete(id);
  }
}
