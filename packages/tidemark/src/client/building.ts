/** Indexes that are being built, as a page sees them. */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { Catalog, StoredCollection, StoredIndex } from "../codec/schema.ts";
import { didYouMean } from "../base/suggest.ts";

/** How far the building of an index is, or a migration record by record. */
export interface UpgradeProgress {
  readonly collection: string;
  /** The index that is built. */
  readonly index?: string;
  /** The version that records are migrated to: told in the tab that does it. */
  readonly version?: number;
  /** Records looked at, … */
  readonly done: number;
  /** … of about so many. When they are equal, and only then, it is ready. */
  readonly total: number;
}

export function unknownIndex(collection: string, index: string, indexes: Iterable<string>): TidemarkError {
  const message = `Collection '${collection}' has no index '${index}'${didYouMean(index, indexes)}`;
  return new TidemarkError("UNKNOWN_NAME", message, { collection, index });
}

/** The index, ready to be read. @throws UNKNOWN_NAME; why it could not be built; BUSY while it is being built */
export function readyIndex(collection: string, index: string, stored: StoredCollection): StoredIndex {
  const failed = stored.failed && Object.hasOwn(stored.failed, index) ? stored.failed[index] : undefined;
  if (failed) throw indexFailed(collection, index, failed);
  if (!Object.hasOwn(stored.indexes, index)) throw unknownIndex(collection, index, Object.keys(stored.indexes));
  const found = stored.indexes[index]!;
  if (!found.building) return found;
  throw new TidemarkError(
    "BUSY",
    `Index '${index}' of '${collection}' was still being built in the state that is read here; open the view when it is ready, which the event 'upgrade' tells`,
    { collection, index, building: true },
  );
}

type Failed = NonNullable<StoredCollection["failed"]>[string];
const indexFailed = (collection: string, index: string, { code, message, key }: Failed): TidemarkError =>
  new TidemarkError(code, `Index '${index}' of '${collection}' could not be built: ${message}`, {
    collection,
    index,
    key,
    ...(code === "CONSTRAINT" ? { constraint: "unique" } : {}),
  });

export interface StillBuilding extends TidemarkError {
  readonly details: { readonly collection: string; readonly index: string };
}
/** Whoever can begin anew waits until the index is ready. */
export const isStillBuilding = (e: unknown): e is StillBuilding =>
  isTidemarkError(e, "BUSY") && e.details["building"] === true;

/** What becomes of indexes that are being built, from one catalog to the next. */
export class BuildNews {
  #building = new Map<string, UpgradeProgress>();

  /** A step was done. Answers how far it is, unless that is not of interest any more. */
  note({ collection, index, done, total }: Required<Omit<UpgradeProgress, "version">>): UpgradeProgress | undefined {
    const name = JSON.stringify([collection, index]);
    if (!this.#building.has(name) || done >= total) return undefined; // when it is ready, the catalog says so
    const progress = { collection, index, done, total };
    this.#building.set(name, progress);
    return progress;
  }

  /** Indexes that became ready, and why others will not. */
  hear({ collections }: Catalog): { readonly ready: readonly UpgradeProgress[]; readonly failures: TidemarkError[] } {
    const before = this.#building;
    this.#building = new Map();
    const ready: UpgradeProgress[] = [];
    const failures: TidemarkError[] = [];
    for (const [collection, { indexes, failed = {} }] of Object.entries(collections)) {
      for (const [index, { building }] of Object.entries(indexes)) {
        const name = JSON.stringify([collection, index]);
        const progress = before.get(name);
        if (building) this.#building.set(name, progress ?? { collection, index, done: 0, total: 0 });
        else if (progress) ready.push({ ...progress, done: progress.total });
      }
      for (const [index, why] of Object.entries(failed)) {
        if (before.has(JSON.stringify([collection, index]))) failures.push(indexFailed(collection, index, why));
      }
    }
    return { ready, failures };
  }
}
