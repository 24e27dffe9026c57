/**
 * Reading past damage. A reader finds a stand-in where a block is damaged or gone: a block of one tombstone that no view is
 * new enough to see. So what other blocks hold of its stretch is found, and may be older than what was lost.
 */
import { type BlockId, type Seq, seq, stamp } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import { Block, encodeBlock } from "../segments/block.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import type { Listed, LoadTerms } from "../segments/block-source.ts";
import type { Manifest } from "../segments/manifest.ts";
import type { Memtable } from "./memtable.ts";
import type { Blocks, ReadState } from "./reader.ts";
import type { Damage } from "./verify.ts";

export class SalvagingState implements ReadState {
  readonly blocks: SalvagingBlocks;
  readonly #state: ReadState;

  constructor(state: ReadState) {
    this.#state = state;
    this.blocks = new SalvagingBlocks(state);
  }

  get memtable(): Memtable {
    return this.#state.memtable;
  }
  get manifest(): Manifest {
    return this.#state.manifest;
  }
  get checkpoint(): Seq {
    return this.#state.checkpoint;
  }
  reload(): Promise<void> {
    return this.#state.reload();
  }
}

class SalvagingBlocks implements Blocks {
  readonly #state: ReadState;
  readonly #standIns = new Map<BlockId, Block>();
  readonly damage: Damage[] = [];

  constructor(state: ReadState) {
    this.#state = state;
  }

  cached(id: BlockId): Block | undefined {
    return this.#standIns.get(id) ?? this.#state.blocks.cached(id);
  }

  async load(listed: readonly Listed[], needed: number, terms?: LoadTerms): Promise<ReadonlyMap<BlockId, Block>> {
    const blocks = new Map<BlockId, Block>();
    for (const one of listed.slice(0, needed)) {
      const block = this.cached(one.id) ?? (await this.#loadOne(one, terms));
      if (block) blocks.set(one.id, block);
    }
    return blocks;
  }

  /** `undefined` where the manifest at hand was old. */
  async #loadOne(listed: Listed, terms: LoadTerms | undefined): Promise<Block | undefined> {
    const { id } = listed;
    const info = this.#state.manifest.info(id);
    try {
      const block = (await this.#state.blocks.load([listed], 1, terms)).get(id);
      if (block || !info) return block;
      await this.#state.reload();
      return this.#state.manifest.has(info) ? this.#standIn(info, "it is listed but not stored") : undefined;
    } catch (e) {
      if (!info || !isTidemarkError(e, "CORRUPT") || e.details["what"] !== "block") throw e;
      return this.#standIn(info, e.message);
    }
  }

  #standIn({ id, first, last }: BlockInfo, why: string): Block {
    const version = { seq: seq(Number.MAX_SAFE_INTEGER), stamp: stamp(0), payload: undefined };
    const block = Block.open(id, encodeBlock([{ key: first.key, version }]));
    this.#standIns.set(id, block);
    this.damage.push({ what: "block", id, from: first.key, to: last.key, why });
    return block;
  }
}
