/**
 * Upkeep tenure. Whoever holds the upkeep lock takes a new epoch, and every upkeep write compares it inside its own
 * transaction: exclusion rests on that, not on the lock. A former upkeep tab that wakes late cannot write any more.
 */
import { blockId, type BlockId, type UpkeepEpoch, upkeepEpoch } from "../base/brand.ts";
import { Manifest } from "../segments/manifest.ts";
import { readManifest } from "../mvcc/recovery.ts";
import {
  type Durability,
  type Found,
  get,
  type Read,
  type ReserveUse,
  type Storage,
  type StoreKey,
  type StoreName,
  storeNames,
  valueOf,
  type Write,
} from "../storage/contract.ts";
import { openRow, sealRow } from "../wal/row.ts";

const readEpoch: Read = get("meta", "upkeep");
const blocksPerEpoch = 2 ** 30;

const epochIn = (found: Found | undefined): UpkeepEpoch => {
  const bytes = valueOf(found);
  return upkeepEpoch(bytes ? openRow(bytes, "upkeep epoch").varint() : 0);
};

export class Tenure {
  readonly epoch: UpkeepEpoch;
  readonly #storage: Storage;
  #blocks = 0;
  #deposed = false;
  /** Where the last value lies that was written relaxed, since the last strict write. */
  #staged: StoreRead | undefined;

  private constructor(storage: Storage, epoch: UpkeepEpoch) {
    this.#storage = storage;
    this.epoch = epoch;
  }

  /** Begins a tenure: takes the next epoch, and sweeps blocks that a former tenure staged but never published. */
  static async begin(storage: Storage): Promise<Tenure> {
    let epoch = upkeepEpoch(0);
    await storage.commit({
      durability: "strict",
      isRepeatable: true,
      reserve: "all",
      stores: ["meta", "blocks"],
      reads: [readEpoch, readManifest, { kind: "keys", store: "blocks", range: {} }],
      writes: ([row, manifestRow, stored]) => {
        epoch = upkeepEpoch(epochIn(row) + 1);
        const bytes = valueOf(manifestRow);
        const listed = new Set<unknown>(bytes ? Manifest.decode(bytes).blocks.map((b) => b.id) : []);
        const orphans = (stored ?? []).filter(({ key }) => !listed.has(key));
        const value = sealRow((out) => out.varint(epoch));
        return [
          { kind: "put", store: "meta", key: "upkeep", value },
          ...orphans.map(({ key }): Write => ({ kind: "delete", store: "blocks", key })),
        ];
      },
    });
    return new Tenure(storage, epoch);
  }

  get isDeposed(): boolean {
    return this.#deposed;
  }

  /** Unique for ever: the epoch is, and a tenure counts its own. */
  newBlockId(): BlockId {
    return blockId(this.epoch * blocksPerEpoch + this.#blocks++);
  }

  /** Whether this tenure still lasts, by storage's word. */
  async lasts(): Promise<boolean> {
    const [row] = await this.#storage.read([readEpoch]);
    this.#deposed = epochIn(row) !== this.epoch;
    return !this.#deposed;
  }

  /**
   * Commits `decide`'s writes if this tenure still lasts; `decide` gets what `reads` found. False: deposed, or
   * `decide` declined, or what was staged is gone. Where nobody can say whether they were committed, `decide` is asked
   * again: it has to judge by what it finds, as a publishing does that finds itself published and declines. On a full
   * disk it may have all that is kept in reserve.
   *
   * A medium may lose the last relaxed writes and be opened anew under us (MV9). So a strict write, which makes what was
   * staged count, first sees the last of it: a suffix is lost or nothing, so the rest is there as well.
   */
  async write(
    durability: Durability,
    reads: readonly Read[],
    decide: (found: readonly Found[]) => readonly Write[] | undefined,
    stores: readonly StoreName[] = storeNames,
    reserve: ReserveUse = "all",
  ): Promise<boolean> {
    const witness =
      durability === "strict" && this.#staged && stores.includes(this.#staged.store) ? this.#staged : undefined;
    let written: readonly Write[] = [];
    const done = await this.#storage.commit({
      durability,
      isRepeatable: true,
      reserve,
      stores,
      reads: [readEpoch, ...reads, ...(witness ? [witness] : [])],
      writes: ([row, ...found]) => {
        this.#deposed = epochIn(row) !== this.epoch;
        if (this.#deposed) return undefined;
        if (witness && found.pop()?.length === 0) {
          this.#staged = undefined;
          return undefined;
        }
        const chosen = decide(found);
        written = chosen ?? [];
        return chosen;
      },
    });
    if (done.status === "committed") this.#noteStaged(durability, written);
    return done.status === "committed";
  }

  #noteStaged(durability: Durability, written: readonly Write[]): void {
    if (durability === "strict") this.#staged = undefined;
    else {
      for (const write of written) {
        if (write.kind === "put" || write.kind === "add") this.#staged = keyRead(write.store, write.key);
        else if (write.store === this.#staged?.store) this.#staged = undefined; // taken back
      }
    }
  }
}

type StoreRead = Extract<Read, { kind: "keys" }>;
const keyRead = (store: StoreName, key: StoreKey): StoreRead => ({
  kind: "keys",
  store,
  range: { from: key, to: key },
});
