import type { BlockId, ByteKey } from "../base/brand.ts";
import { outsideOf } from "../codec/outside.ts";
import type { StoredValue } from "../storage/contract.ts";
import { type BlockEntry, blockHeaderBytes, encodeBlock, usualEntryOverheadBytes } from "./block.ts";
import { filterOf } from "./filter.ts";
import { sharedPrefixLength } from "./internal-key.ts";
import type { BlockInfo } from "./block-info.ts";
import { never, onRelease, type Wake } from "./rule.ts";
import type { Version } from "./version.ts";

/** A block that nothing refers to yet. */
export interface StagedBlock {
  readonly id: BlockId;
  readonly bytes: StoredValue;
}

export interface BlockWriterOptions {
  readonly targetBytes: number;
  readonly maxStoreBytes: number;
  newBlockId(): BlockId;
  /** `isLast`: nothing comes after them. */
  store(blocks: readonly StagedBlock[], isLast: boolean): Promise<void>;
}

/**
 * Cuts an ordered stream of versions into blocks of about `targetBytes` and stores them in batches of at most
 * `maxStoreBytes`. A version larger than the target gets a block of its own, and a block larger than a batch a batch.
 */
export class BlockWriter {
  readonly #options: BlockWriterOptions;
  readonly #added: BlockInfo[] = [];
  #open: BlockEntry[] = [];
  #due: Wake = never;
  #pinned = 0;
  #prefixLength = 0;
  /** What the open entries would take if their keys shared nothing. */
  #openBytes = 0;
  #staged: StagedBlock[] = [];
  #stagedBytes = 0;
  #written = { blocks: 0, bytes: 0 };

  constructor(options: BlockWriterOptions) {
    this.#options = options;
  }

  /** What was written and adopted so far, in the order in which it came. */
  get added(): readonly BlockInfo[] {
    return this.#added;
  }
  get written(): { readonly blocks: number; readonly bytes: number } {
    return this.#written;
  }

  /** Whether a batch is full, so that `drain` should be called before adding more. */
  get full(): boolean {
    return this.#stagedBytes >= this.#options.maxStoreBytes;
  }

  /** `wake`: when looking at it again may gain something. */
  add(key: ByteKey, version: Version, wake: Wake): void {
    const bytes = usualEntryOverheadBytes + key.length + (version.payload?.length ?? 0);
    const prefixLength = this.#prefixLengthWith(key);
    if (this.#open.length > 0 && this.#sizeWith(bytes, prefixLength) > this.#options.targetBytes) {
      this.cut();
      this.#prefixLength = key.length;
    } else {
      this.#prefixLength = prefixLength;
    }
    this.#openBytes += bytes;
    this.#open.push({ key, version });
    if (wake === onRelease) this.#pinned++;
    else if (wake < this.#due) this.#due = wake;
  }

  /** Lists a stored block next, as it is. */
  adopt(block: BlockInfo): void {
    this.cut();
    this.#added.push(block);
  }

  /** Ends the open block: what comes next is no neighbour of it. */
  cut(): void {
    const first = this.#open[0];
    const last = this.#open.at(-1);
    if (first === undefined || last === undefined) return;
    const id = this.#options.newBlockId();
    const bytes = encodeBlock(this.#open);
    this.#added.push({
      id,
      first: { key: first.key, seq: first.version.seq },
      last: { key: last.key, seq: last.version.seq },
      ...described(this.#open),
      due: this.#due,
      pinned: this.#pinned,
      sizeBytes: bytes.length,
    });
    this.#staged.push({ id, bytes });
    this.#stagedBytes += bytes.length;
    this.#written = { blocks: this.#written.blocks + 1, bytes: this.#written.bytes + bytes.length };
    this.#open = [];
    this.#openBytes = 0;
    this.#due = never;
    this.#pinned = 0;
  }

  /** Stores full batches and keeps the rest for the next one. */
  async drain(): Promise<void> {
    while (this.full) await this.#storeBatch(false);
  }

  async finish(): Promise<void> {
    this.cut();
    while (this.#staged.length > 0) await this.#storeBatch(true);
  }

  #prefixLengthWith(key: ByteKey): number {
    const first = this.#open[0];
    return first === undefined ? key.length : sharedPrefixLength(first.key, key, this.#prefixLength);
  }

  #sizeWith(bytes: number, prefixLength: number): number {
    // The prefix is stored once instead of in each of the open entries and the one to come.
    return blockHeaderBytes + this.#openBytes + bytes - prefixLength * this.#open.length;
  }

  async #storeBatch(isEnding: boolean): Promise<void> {
    let size = 0;
    let bytes = 0;
    for (const block of this.#staged) {
      if (size > 0 && bytes + block.bytes.length > this.#options.maxStoreBytes) break;
      size++;
      bytes += block.bytes.length;
    }
    const batch = this.#staged.slice(0, size);
    this.#staged = this.#staged.slice(size);
    this.#stagedBytes -= bytes;
    await this.#options.store(batch, isEnding && this.#staged.length === 0);
  }
}

function described(
  entries: readonly BlockEntry[],
): Pick<BlockInfo, "count" | "tombstones" | "obsolete" | "outside" | "filter"> {
  let [tombstones, obsolete, outside] = [0, 0, 0];
  let hasRecords = false;
  const keys: ByteKey[] = [];
  for (const { key, version } of entries) {
    if (version.payload === undefined) tombstones++;
    else if (version.payload.length > 0) {
      hasRecords = true;
      if (outsideOf(version.payload) !== undefined) outside++;
    }
    if (key === keys.at(-1)) obsolete++;
    else keys.push(key);
  }
  return { count: entries.length, tombstones, obsolete, outside, filter: filterOf(hasRecords ? keys : []) };
}
