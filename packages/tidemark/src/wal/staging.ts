/**
 * Staging: what is too large for one small transaction is written piece by piece under ids that nobody refers to yet,
 * and published by the append of the entry that refers to it.
 *
 * A row of store `meta` names the ids that are staged: `stage/<tab>/<store>/<first id>`. It is the whole protocol:
 *
 *   stage     the first piece is written with the row, every later one only if the row is there and says that all
 *             before it are written; the row says up to where they are
 *   publish   the append of the entry deletes the row, and only happens if the row is there and says that all are
 *   discard   row and pieces are deleted together, and only if the row is there
 *
 * each in one storage transaction. So at any time a piece is named by a row, or an entry was appended that refers to
 * it, and never both; a crash loses a suffix of these transactions, and it is still so. Two things follow, and neither
 * rests on locks, on timing, or on who is alive:
 *
 *   - What is published is never deleted by a discard, since it has no row; and what is discarded is never published.
 *   - What nobody will publish has a row. Once the tab that the row names is dead, anybody may discard it (gc/sweep.ts);
 *     to take a living tab for dead would cost that tab its commit, and nothing else.
 *
 * What is published is deleted by the fold that drops the version which refers to it, in the transaction that drops it.
 *
 * Pieces are written relaxed. They are durable no later than the entry: a strict append makes durable all that was
 * committed before it, and a crash that takes a piece also takes the relaxed entry that came after. A tab may outlive
 * such a crash of the medium (storage/reopening.ts) and go on: what it lacks then, the row lacks too.
 */
import { type TabId, tabId } from "../base/brand.ts";
import { assert, isTidemarkError, TidemarkError } from "../base/errors.ts";
import {
  type Found,
  get,
  type KeyRange,
  type Read,
  type ReserveUse,
  type Storage,
  type StoredValue,
  type StoreName,
  under,
  valueOf,
  type Write,
} from "../storage/contract.ts";
import { idsPerGeneration, takeGeneration } from "./generations.ts";
import { openRow, putRow } from "./row.ts";

export type StagingStore = Extract<StoreName, "blocks" | "blobs">;

/** Ids of a store that are one tab's to write until they are published: `from` ≤ id < `to`. */
export interface Staged {
  readonly tab: TabId;
  readonly store: StagingStore;
  readonly from: number;
  readonly to: number;
  /** Of them, what its publisher does not refer to: it goes as the rest is published. */
  readonly unused?: readonly KeyRange[];
}

export interface Piece {
  readonly id: number;
  readonly value: StoredValue;
}

/** All that is written under the ids `from` ≤ id < `to`. */
export interface Part {
  readonly from: number;
  readonly to: number;
  readonly pieces: readonly Piece[];
}

const prefix = "stage/";
const keyOf = ({ tab, store, from }: Staged): string => `${prefix}${tab}/${store}/${from}`;
const rowOf = (staged: Staged, through: number): Write =>
  putRow(keyOf(staged), (out) => {
    out.varint(staged.to);
    out.varint(through);
  });

/** All rows there are. */
export const readStaging: Read = { kind: "range", store: "meta", range: under(prefix) };

/** What `readStaging` found. A damaged row is passed over: to what it names nobody will ever come. */
export const stagingIn = (found: Found | undefined): readonly Staged[] =>
  (found ?? []).flatMap(({ key, value }) => {
    const [, tab, store, from] = (key as string).split("/");
    const row = rowIn(key as string, value);
    if (tab === undefined || row === undefined || (store !== "blocks" && store !== "blobs")) return [];
    return [{ tab: tabId(tab), store, from: Number(from), to: row.to }];
  });

interface Row {
  readonly to: number;
  /** All pieces below this id are written. */
  readonly through: number;
}

function rowIn(key: string, value: StoredValue): Row | undefined {
  try {
    const row = openRow(value, key, "staging");
    return { to: row.varint(), through: row.varint() };
  } catch (e) {
    if (isTidemarkError(e, "CORRUPT")) return undefined;
    throw e;
  }
}

/** For the transaction that publishes: read these, publish only if all are there and whole, and delete them. */
export const readStaged = (all: readonly Staged[]): readonly Read[] => all.map(readRow);
export const areStaged = (found: readonly Found[]): boolean =>
  found.every((one) => {
    const row = foundRow(one);
    return row !== undefined && row.through === row.to;
  });
export const published = (all: readonly Staged[]): readonly Write[] =>
  all.flatMap((staged) => [
    deleteRow(staged),
    ...(staged.unused ?? []).map((range): Write => ({ kind: "deleteRange", store: staged.store, range })),
  ]);
/** The stores that this transaction writes, besides the log. */
export const publishedStores = (all: readonly Staged[]): readonly StoreName[] =>
  all.flatMap(({ store, unused = [] }) => (unused.length > 0 ? ["meta", store] : ["meta"]));

const readRow = (staged: Staged): Read => get("meta", keyOf(staged));
const foundRow = (found: Found | undefined): Row | undefined => {
  const row = found?.[0];
  return row && rowIn(row.key as string, row.value);
};
const deleteRow = (staged: Staged): Write => ({ kind: "delete", store: "meta", key: keyOf(staged) });

interface Lease {
  readonly generation: number;
  /** How many ids of it are given out, per store. */
  readonly given: Record<StagingStore, number>;
}

/** Ids of one tab: given out in order, under a generation that is taken when it is needed. */
export class Staging {
  readonly #storage: Storage;
  readonly #tab: TabId;
  #lease: Promise<Lease> | undefined;

  constructor(storage: Storage, tab: TabId) {
    this.#storage = storage;
    this.#tab = tab;
  }

  /** `count` ids that nobody ever had. Nothing is written yet. */
  async reserve(store: StagingStore, count: number, use: ReserveUse = "none"): Promise<Staged> {
    assert(count <= idsPerGeneration, "what is staged at once has room in one generation");
    for (;;) {
      const taking = (this.#lease ??= this.#take(use));
      try {
        const { generation, given } = await taking;
        const from = generation * idsPerGeneration + given[store];
        if (given[store] + count <= idsPerGeneration) {
          given[store] += count;
          return { tab: this.#tab, store, from, to: from + count };
        }
        this.#drop(taking);
      } catch (e) {
        this.#drop(taking);
        throw e;
      }
    }
  }

  async #take(use: ReserveUse): Promise<Lease> {
    return { generation: await takeGeneration(this.#storage, use), given: { blocks: 0, blobs: 0 } };
  }

  #drop(lease: Promise<Lease>): void {
    if (this.#lease === lease) this.#lease = undefined;
  }

  /**
   * Writes a part in one transaction: the first one with the row that names all, each later one if all before it are
   * there. It may be done twice.
   * @throws STORAGE_LOST when the row is gone, and so are the pieces, or when the last of them are.
   */
  async write(staged: Staged, { from, to, pieces }: Part, use: ReserveUse = "none"): Promise<void> {
    const { store } = staged;
    const writing = this.#storage.commit({
      durability: "relaxed",
      isRepeatable: true,
      reserve: use,
      stores: ["meta", store],
      reads: [readRow(staged)],
      writes: ([found]) => {
        const through = foundRow(found)?.through ?? staged.from;
        if (valueOf(found) === undefined ? from !== staged.from : through < from) return undefined;
        if (through >= to) return []; // it was done, and nobody was told
        return [rowOf(staged, to), ...pieces.map(({ id, value }): Write => ({ kind: "put", store, key: id, value }))];
      },
    });
    const done = await writing.catch(notCounted);
    if (done.status !== "committed") throw sweptMeanwhile();
  }

  /** Deletes what was staged unless it was published; what fails here is swept when this tab is gone. */
  async discard(all: readonly Staged[]): Promise<void> {
    for (const staged of all) await discard(this.#storage, staged).catch(() => undefined);
  }
}

export const sweptMeanwhile = (): TidemarkError =>
  new TidemarkError("STORAGE_LOST", "What this commit had stored so far was lost or swept; nothing was committed", {
    outcome: "none",
    lost: "staged",
  });
export const isSwept = (e: unknown): boolean => isTidemarkError(e, "STORAGE_LOST") && e.details["lost"] === "staged";

/** What is staged does not count by itself: whatever became of it, nothing was committed. @throws */
export function notCounted(e: unknown): never {
  if (!isTidemarkError(e, "STORAGE_LOST") || e.details["outcome"] === "none") throw e;
  const details = { ...e.details, outcome: "none" };
  throw new TidemarkError("STORAGE_LOST", "The connection to the storage was lost; nothing was committed", details, e);
}

/** Deletes what is staged and not published. Deletes alone: they pass even where the disk is full. */
export async function discard(storage: Storage, staged: Staged): Promise<void> {
  const { store, from, to } = staged;
  await storage.commit({
    durability: "relaxed",
    isRepeatable: true,
    stores: ["meta", store],
    reads: [readRow(staged)],
    writes: ([found]) =>
      valueOf(found) ? [{ kind: "deleteRange", store, range: { from, to: to - 1 } }, deleteRow(staged)] : undefined,
  });
}
