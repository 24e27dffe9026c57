import type { BlockId } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import type { Storage } from "../storage/contract.ts";
import { valueOf } from "../storage/contract.ts";
import { Block } from "./block.ts";
import { BlockCache } from "./block-cache.ts";
import type { BlockInfo } from "./block-info.ts";
import type { StagedBlock } from "./block-writer.ts";
import type { Level } from "./level.ts";
import { damaged } from "../wal/envelope.ts";

export interface LoadTerms {
  readonly from?: Pick<Storage, "read"> | undefined;
  readonly isKept?: boolean;
}

/** A block as its manifest lists it. */
export type Listed = Pick<BlockInfo, "id" | "first" | "last" | "count">;

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
   * Loads blocks in one storage read. A block that is no longer stored is missing from the answer: whoever asked holds
   * an old manifest. So is one that is damaged, unless it is among the first `needed`: reading ahead must not fail early.
   * `from`: where a view fetches (mvcc/read-guard.ts). `isKept`: somebody is likely to read them again; what upkeep
   * reads to replace it must not drive others' blocks out.
   * @throws CORRUPT naming the block when the bytes of a needed one are damaged, or are another block's.
   */
  async load(
    listed: readonly Listed[],
    needed: number,
    { from = this.#storage, isKept = true }: LoadTerms = {},
  ): Promise<ReadonlyMap<BlockId, Block>> {
    const blocks = new Map<BlockId, Block>();
    const required = new Set(listed.slice(0, needed));
    const absent = listed.filter(({ id }) => {
      const block = this.#cache.get(id);
      if (block) blocks.set(id, block);
      return !block;
    });
    if (absent.length === 0) return blocks;
    const found = await from.read(absent.map(({ id }) => ({ kind: "get", store: "blocks", key: id })));
    absent.forEach((one, i) => {
      const bytes = valueOf(found[i]);
      if (!bytes) return;
      const block = this.#open(one, bytes, required.has(one));
      if (!block) return;
      if (isKept) this.#cache.put(one.id, block);
      blocks.set(one.id, block);
    });
    return blocks;
  }

  /**
   * Keeps a block that was just stored, where there is room: what is in it was in memory until now, and who read it there
   * goes on. Otherwise answers false; the bytes are then no longer of use here.
   */
  keepStored({ id, bytes }: StagedBlock): boolean {
    if (!this.#cache.hasRoomFor(bytes.length)) return false;
    this.#cache.put(id, Block.open(id, bytes));
    return true;
  }

  #open(listed: Listed, bytes: Uint8Array, isWanted: boolean): Block | undefined {
    try {
      return openListed(listed, bytes);
    } catch (e) {
      if (isWanted || !isTidemarkError(e, "CORRUPT")) throw e;
      return undefined;
    }
  }

  clear(): void {
    this.#cache.clear();
  }

  /** What another tab replaced is read no more: it need not wait until others drive it out. */
  keepListed(levels: readonly Pick<Level, "has">[]): void {
    this.#cache.keep((id, block) => {
      const last = { key: block.keyAt(block.count - 1), seq: block.seqAt(block.count - 1) };
      return levels.some((level) => level.has({ id, last }));
    });
  }

  forget(ids: readonly BlockId[]): void {
    for (const id of ids) this.#cache.delete(id);
  }
}

/** The block that a manifest lists so. Its checksum does not say so: another's bytes may lie under its id. @throws CORRUPT */
function openListed({ id, first, last, count }: Listed, bytes: Uint8Array): Block {
  const block = Block.open(id, bytes);
  const is = (i: number, { key, seq }: Listed["first"]): boolean => block.keyEquals(i, key) && block.seqAt(i) === seq;
  if (block.count === count && is(0, first) && is(count - 1, last)) return block;
  throw damaged({ what: "block", id }, "is not the one that its manifest lists");
}
