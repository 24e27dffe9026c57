/**
 * Upkeep tenure. Whoever holds the upkeep lock takes a new epoch, and every upkeep write compares it inside its own
 * transaction: exclusion rests on that, not on the lock. A former upkeep tab that wakes late cannot write any more.
 */
import { blockId, type BlockId, type UpkeepEpoch, upkeepEpoch } from "../base/brand.ts";
import { decodeRoot, Manifest } from "../segments/manifest.ts";
import { readPages, readRoot, rowsManifest } from "../segments/manifest-rows.ts";
import {
  type Durability,
  type Found,
  get,
  type Read,
  type Storage,
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

  private constructor(storage: Storage, epoch: UpkeepEpoch) {
    this.#storage = storage;
    this.epoch = epoch;
  }

  /** Begins a tenure: takes the next epoch, and sweeps blocks that a former tenure staged but never published. */
  static async begin(storage: Storage): Promise<Tenure> {
    let epoch = upkeepEpoch(0);
    await storage.commit({
      durability: "strict",
      stores: ["meta", "blocks"],
      reads: [readEpoch, readRoot, readPages, { kind: "keys", store: "blocks", range: {} }],
      writes: ([row, rootRow, pageRows, stored]) => {
        epoch = upkeepEpoch(epochIn(row) + 1);
        const bytes = valueOf(rootRow);
        const manifest = bytes ? rowsManifest(decodeRoot(bytes), pageRows ?? []) : Manifest.empty;
        const listed = new Set<unknown>([...manifest.all()].map((b) => b.id));
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
   * `decide` declined.
   */
  async write(
    durability: Durability,
    reads: readonly Read[],
    decide: (found: readonly Found[]) => readonly Write[] | undefined,
    stores: readonly StoreName[] = storeNames,
  ): Promise<boolean> {
    const done = await this.#storage.commit({
      durability,
      stores,
      reads: [readEpoch, ...reads],
      writes: ([row, ...found]) => {
        this.#deposed = epochIn(row) !== this.epoch;
        return this.#deposed ? undefined : decide(found);
      },
    });
    return done.status === "committed";
  }
}
