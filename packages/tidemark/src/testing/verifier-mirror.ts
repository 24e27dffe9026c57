/** What a medium holds, kept up from the batches that it commits, and what of it a manifest lists. */
import { blockId, type ByteKey } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { chunkAt, chunksOf, type OutsideRef } from "../codec/outside.ts";
import { Block } from "../segments/block.ts";
import { decodeRoot, pageSummaries } from "../segments/manifest.ts";
import { Page } from "../segments/page.ts";
import {
  type Found,
  type Storage,
  type StoreKey,
  type StoreName,
  storeNames,
  type Write,
} from "../storage/contract.ts";

export interface Entry {
  readonly key: ByteKey;
  readonly seq: number;
  readonly payload: Uint8Array | undefined;
}

export interface ListedBlock {
  readonly id: number;
  readonly sizeBytes: number;
  readonly entries: readonly Entry[];
}

type Rows = Map<StoreKey, Uint8Array<ArrayBuffer>>;

export class Mirror {
  #stores: Readonly<Record<StoreName, Rows>> = emptyStores();
  readonly #blocks = new Map<number, ListedBlock>();

  apply(writes: readonly Write[]): void {
    for (const write of writes) {
      const rows = this.#stores[write.store];
      if (write.kind === "put" || write.kind === "add") rows.set(write.key, write.value.slice());
      else if (write.kind === "delete") rows.delete(write.key);
      else {
        const { from = -Infinity, to = Infinity } = write.range;
        for (const key of rows.keys()) if (key >= from && key <= to) rows.delete(key);
      }
    }
  }

  async load(storage: Storage): Promise<void> {
    const found = await storage.read(storeNames.map((store) => ({ kind: "range", store, range: {} })));
    this.#stores = emptyStores();
    for (const [i, store] of storeNames.entries()) {
      for (const { key, value } of found[i]!) this.#stores[store].set(key, value);
    }
    this.#blocks.clear();
  }

  row(store: StoreName, key: StoreKey): Found {
    const value = this.#stores[store].get(key);
    return value ? [{ key, value }] : [];
  }

  rows(store: StoreName, prefix = ""): Found {
    return [...this.#stores[store]]
      .filter(([key]) => prefix === "" || String(key).startsWith(prefix))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => ({ key, value }));
  }

  /** The blocks that the manifest lists, by id; `lost` are those that are not stored. */
  listed(): { readonly blocks: ReadonlyMap<number, ListedBlock>; readonly lost: readonly number[] } {
    const blocks = new Map<number, ListedBlock>();
    const lost: number[] = [];
    const root = this.#stores.meta.get("manifest");
    for (const summary of root ? pageSummaries(decodeRoot(root)) : []) {
      for (const { id } of Page.stored(summary, this.#stores.meta.get(`manifest/${summary.id}`)!).infos) {
        const block = this.#block(id);
        if (block) blocks.set(id, block);
        else lost.push(id);
      }
    }
    return { blocks, lost };
  }

  #block(id: number): ListedBlock | undefined {
    const known = this.#blocks.get(id);
    const bytes = this.#stores.blocks.get(id);
    if (known && bytes) return known;
    if (!bytes) return undefined;
    const block = Block.open(blockId(id), bytes);
    const entries = Array.from({ length: block.count }, (_, i) => ({ key: block.keyAt(i), ...block.versionAt(i) }));
    const listed = { id, sizeBytes: bytes.length, entries };
    this.#blocks.set(id, listed);
    return listed;
  }

  /** A value out of line; `undefined` where a part of it is not stored. */
  outside(ref: OutsideRef): Uint8Array | undefined {
    const out = new ByteWriter(ref.sizeBytes);
    for (let i = 0; i < chunksOf(ref.sizeBytes); i++) {
      const { key, from, to } = chunkAt(ref, i);
      const chunk = this.#stores.blobs.get(key);
      if (!chunk) return undefined;
      out.bytes(chunk.subarray(chunk.length + from - to)); // whatever stands in front
    }
    return out.finish();
  }
}

const emptyStores = (): Readonly<Record<StoreName, Rows>> => ({
  log: new Map(),
  blocks: new Map(),
  meta: new Map(),
  blobs: new Map(),
});
