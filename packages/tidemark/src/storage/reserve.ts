/**
 * Room for a full disk (MV9). Over quota browsers refuse every batch that brings bytes, also one that would shrink what
 * is stored; only pure deletes pass. But to delete a record is to write to the log, and to fold the log is to write
 * blocks before others go. So 1 MB of noise lies in store `blobs` under negative keys, which nobody else uses. Where the
 * disk is full, batches that say so have it deleted and are tried again:
 *
 *   some   commits that only delete: half of it
 *   all    upkeep, which frees room, and so always finds the other half; also what opens or deletes a database
 *
 * Upkeep fills it up again when it can (`host/upkeep.ts`). Until it is whole, other writes of this tab are refused,
 * though there may be a little room: they would eat up the reserve part by part. Those of other tabs are not, until they
 * meet the full disk as well.
 */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { Batch, Committed, Found, Read, ReserveUse, Storage, Write } from "./contract.ts";

/** No transaction of ours moves more; and where values of this size go, there is room at once (seen in Chromium). */
const chunkBytes = 256 * 1024;
/** Written in this order: upkeep's half first. */
const keys: readonly number[] = [-1, -2, -3, -4];
const keysFor: Readonly<Record<ReserveUse, readonly number[]>> = {
  none: [],
  some: keys.slice(2),
  all: keys,
  keep: [],
};

/** For `reserveBytes` and `missingChunks`. */
export const readReserve: Read = { kind: "keys", store: "blobs", range: { to: -1 } };
export const reserveBytes = (found: Found | undefined): number => (found?.length ?? 0) * chunkBytes;

/** What has to be written for the reserve to be whole, to be committed one by one. */
export function missingChunks(found: Found | undefined): readonly Write[] {
  const there = new Set(found?.map((entry) => entry.key));
  return keys.filter((key) => !there.has(key)).map((key) => ({ kind: "put", store: "blobs", key, value: noise(key) }));
}

/** Bytes that do not compress (Marsaglia, "Xorshift RNGs", 2003). */
function noise(seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(chunkBytes / 4);
  let state = Math.imul(seed, 0x9e3779b9);
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}

export class ReservingStorage implements Storage {
  readonly #storage: Storage;
  readonly #makeRoom: () => Promise<void>;
  /** Set since the disk was full and the reserve not whole. */
  #isLow = false;
  #roomMaking: Promise<void> | undefined;

  /** `makeRoom`: has upkeep free room and fill the reserve; resolves when it has, or had its chance. */
  constructor(storage: Storage, makeRoom: () => Promise<void>) {
    this.#storage = storage;
    this.#makeRoom = makeRoom;
  }

  read(reads: readonly Read[]): Promise<readonly Found[]> {
    return this.#storage.read(reads);
  }

  async commit(batch: Batch): Promise<Committed> {
    const { reserve = "none" } = batch;
    const isOrdinary = reserve === "none" && !onlyDeletes(batch);
    if (isOrdinary && this.#isLow && (await this.#isStillLow())) throw low();
    try {
      return await this.#storage.commit(batch);
    } catch (e) {
      if (!isTidemarkError(e, "QUOTA_EXCEEDED")) throw e;
      if (isOrdinary) await this.#isStillLow();
      const mayDelete = keysFor[reserve];
      if (mayDelete.length === 0) throw e;
      this.#seeToRoom();
      if (await this.#release(mayDelete)) this.#isLow = true;
      return await this.#storage.commit(batch); // also where another call had released it: then there is room now
    }
  }

  close(): Promise<void> {
    return this.#storage.close();
  }

  /** A reserve of which nothing is left protects nothing: there is none, or no room for any of it. */
  async #isStillLow(): Promise<boolean> {
    if (this.#isLow && this.#roomMaking) return true;
    const [found] = await this.#storage.read([readReserve]);
    const parts = found?.length ?? 0;
    this.#isLow = parts > 0 && parts < keys.length;
    if (this.#isLow) this.#seeToRoom();
    return this.#isLow;
  }

  #seeToRoom(): void {
    this.#roomMaking ??= this.#makeRoom().finally(() => (this.#roomMaking = undefined));
  }

  /** Tells whether there was anything to delete. */
  async #release(mayDelete: readonly number[]): Promise<boolean> {
    let isAny = false;
    await this.#storage.commit({
      durability: "relaxed",
      isRepeatable: true,
      stores: ["blobs"],
      reads: [readReserve],
      writes: ([found]) => {
        const there = mayDelete.filter((key) => found?.some((entry) => entry.key === key));
        isAny ||= there.length > 0;
        return there.map((key) => ({ kind: "delete", store: "blobs", key }));
      },
    });
    return isAny;
  }
}

const onlyDeletes = ({ writes }: Batch): boolean =>
  typeof writes !== "function" && writes.every(({ kind }) => kind === "delete" || kind === "deleteRange");

const low = (): TidemarkError =>
  new TidemarkError("QUOTA_EXCEEDED", "The storage quota is used up, and room is being made; nothing was written.");
