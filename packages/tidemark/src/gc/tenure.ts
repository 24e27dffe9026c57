/**
 * Upkeep tenure. Whoever holds the upkeep lock takes a new epoch, and every upkeep write compares it inside its own
 * transaction: exclusion rests on that, not on the lock. A former upkeep tab that wakes late cannot write any more.
 *
 * The epoch is a generation (wal/generations.ts), and the blocks of a tenure have the ids of that generation. So once
 * another tenure has begun, nothing is written or listed any more under the ids of the former one: what the manifest
 * does not list of them then is rubbish for ever, and is swept. Generations that tabs hold to stage what they commit
 * are none of a tenure's, and are left alone: see sweep.ts.
 */
import { blockId, type BlockId, type UpkeepEpoch, upkeepEpoch } from "../base/brand.ts";
import { readFormat, refuseOtherFormat } from "../mvcc/recovery.ts";
import { decodeRoot, Manifest } from "../segments/manifest.ts";
import { readPages, readRoot, rowsManifest } from "../segments/manifest-rows.ts";
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
import {
  idsPerGeneration,
  isInUse,
  lastGeneration,
  putGeneration,
  readGenerations,
  readsOfIds,
} from "../wal/generations.ts";
import { openRow, putRow } from "../wal/row.ts";
import { Journal, readJournal } from "./journal.ts";

const upkeepKey = "upkeep";
/** For `Tenure.lastsBy`. */
export const readUpkeep: Read = get("meta", upkeepKey);
const maxDeletesAtOnce = 1000;

/** Generations of tenures: `from` ≤ generation ≤ `to`. */
interface Epochs {
  readonly from: number;
  readonly to: number;
}

interface UpkeepRow {
  readonly epoch: UpkeepEpoch;
  /** Tenures before it that are still to be swept. */
  readonly former: readonly Epochs[];
}

function putUpkeep({ epoch, former }: UpkeepRow): Write {
  return putRow(upkeepKey, (out) => {
    out.varint(epoch);
    out.varint(former.length);
    for (const { from, to } of former) {
      out.varint(from);
      out.varint(to);
    }
  });
}

function upkeepIn(found: Found | undefined): UpkeepRow {
  const bytes = valueOf(found);
  if (!bytes) return { epoch: upkeepEpoch(0), former: [] };
  const row = openRow(bytes, upkeepKey, "upkeep epoch");
  const epoch = upkeepEpoch(row.varint());
  if (row.done) return { epoch, former: [{ from: 0, to: epoch }] }; // of before there were generations of others
  const former = Array.from({ length: row.count() }, () => ({ from: row.varint(), to: row.varint() }));
  return { epoch, former };
}

export class Tenure {
  readonly epoch: UpkeepEpoch;
  readonly journal: Journal;
  readonly #storage: Storage;
  #blocks = 0;
  #deposed = false;
  /** Finds the block that was staged last, since the last strict write. */
  #staged: Read | undefined;

  private constructor(storage: Storage, epoch: UpkeepEpoch, journal: Journal) {
    this.#storage = storage;
    this.epoch = epoch;
    this.journal = journal;
  }

  /**
   * Begins a tenure: takes the next epoch, and sweeps blocks that former tenures staged but never published.
   * @throws FORMAT_UNSUPPORTED where a newer build has upgraded the database: upkeep is for builds that know it all
   */
  static async begin(storage: Storage): Promise<Tenure> {
    let row: UpkeepRow = { epoch: upkeepEpoch(0), former: [] };
    for (;;) {
      await storage.commit({
        durability: "strict",
        isRepeatable: true,
        reserve: "all",
        stores: ["meta"],
        reads: [readFormat, readUpkeep, ...readGenerations],
        writes: ([format, before, ...generations]) => {
          refuseOtherFormat(format);
          const { epoch, former } = upkeepIn(before);
          row = {
            epoch: upkeepEpoch(lastGeneration(generations) + 1),
            former: epoch === 0 ? former : [...former, { from: epoch, to: epoch }],
          };
          return [putUpkeep(row), putGeneration(row.epoch)];
        },
      });
      const found = await storage.read([...readJournal, ...readsOfIds(row.epoch)]);
      if (isInUse(found.slice(readJournal.length))) continue;
      const tenure = new Tenure(storage, row.epoch, Journal.of(found));
      await tenure.#sweep(row.former);
      return tenure;
    }
  }

  async #sweep(former: readonly Epochs[]): Promise<void> {
    if (former.length === 0) return;
    const ids = former.map(({ from, to }) =>
      keysOf("blocks", from * idsPerGeneration, (to + 1) * idsPerGeneration - 1),
    );
    const [rootRow, pageRows, ...found] = await this.#storage.read([readRoot, readPages, ...ids]);
    const bytes = valueOf(rootRow);
    const manifest = bytes ? rowsManifest(decodeRoot(bytes), pageRows ?? []) : Manifest.empty;
    const listed = new Set<unknown>([...manifest.all()].map((b) => b.id));
    const orphans = found.flat().filter(({ key: id }) => !listed.has(id));
    for (let i = 0; i < orphans.length; i += maxDeletesAtOnce) {
      const some = orphans.slice(i, i + maxDeletesAtOnce);
      const deletes = some.map(({ key: id }): Write => ({ kind: "delete", store: "blocks", key: id }));
      if (!(await this.write("relaxed", [], () => deletes, ["blocks"]))) return;
    }
    await this.write("relaxed", [], () => [putUpkeep({ epoch: this.epoch, former: [] })], ["meta"]);
  }

  get isDeposed(): boolean {
    return this.#deposed;
  }

  /** Unique for ever: the epoch is, and a tenure counts its own. */
  newBlockId(): BlockId {
    return blockId(this.epoch * idsPerGeneration + this.#blocks++);
  }

  /** Whether this tenure still lasts, by storage's word. */
  async lasts(): Promise<boolean> {
    const [row] = await this.#storage.read([readUpkeep]);
    return this.lastsBy(row);
  }

  /** Whether it does by what `readUpkeep` found, inside a transaction that is not `write`'s. */
  lastsBy(row: Found | undefined): boolean {
    this.#deposed = upkeepIn(row).epoch !== this.epoch;
    return !this.#deposed;
  }

  /**
   * Commits `decide`'s writes if this tenure still lasts; `decide` gets what `reads` found. False: deposed, or
   * `decide` declined, or what was staged is gone. Where nobody can say whether they were committed, `decide` is asked
   * again: it has to judge by what it finds, as a publishing does that finds itself published and declines. On a full
   * disk it may have all that is kept in reserve.
   *
   * A medium may lose the last relaxed writes and be opened anew under us (MV9). So whatever stages blocks, or makes them
   * count, first sees the last that were staged before: a suffix is lost or nothing, so the rest is there as well.
   */
  async write(
    durability: Durability,
    reads: readonly Read[],
    decide: (found: readonly Found[]) => readonly Write[] | undefined,
    stores: readonly StoreName[] = storeNames,
    reserve: ReserveUse = "all",
  ): Promise<boolean> {
    const witness = stores.includes("blocks") ? this.#staged : undefined;
    let written: readonly Write[] = [];
    const done = await this.#storage.commit({
      durability,
      isRepeatable: true,
      reserve,
      stores,
      reads: [readUpkeep, ...reads, ...(witness ? [witness] : [])],
      writes: ([row, ...found]) => {
        if (!this.lastsBy(row)) return undefined;
        const isGone = witness !== undefined && found.pop()?.length === 0;
        const chosen = decide(found);
        written = chosen ?? [];
        if (!isGone || !(durability === "strict" || written.some(isStaging))) return chosen;
        this.#staged = undefined;
        return undefined;
      },
    });
    if (done.status === "committed") this.#noteStaged(durability, written);
    return done.status === "committed";
  }

  #noteStaged(durability: Durability, written: readonly Write[]): void {
    if (durability === "strict" || written.some(takesBack)) this.#staged = undefined;
    const last = written.findLast(isStaging);
    if (last && durability === "relaxed") this.#staged = keysOf("blocks", last.key, last.key);
  }
}

type BlockPut = Extract<Write, { kind: "put" }>;
const isStaging = (write: Write): write is BlockPut => write.kind === "put" && write.store === "blocks";
const takesBack = ({ kind, store }: Write): boolean => kind === "delete" && store === "blocks";

const keysOf = (store: StoreName, from: StoreKey, to: StoreKey): Read => ({ kind: "keys", store, range: { from, to } });
