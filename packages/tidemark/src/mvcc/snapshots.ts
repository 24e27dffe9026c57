/**
 * Named snapshots: a state that stays readable until its snapshot is deleted, and as long as a view on it is open.
 *
 * One is made in one strict transaction that finds the head in the log itself. It lies at the end of all that was
 * committed before it, and storage keeps batches in order: so a snapshot that survives a crash finds every commit that
 * it contains (MV4). The floor is at most the head, so none is ever made below it.
 *
 * A view on one takes a hold, in the transaction that reads the snapshot's row. From then on the hold keeps its state:
 * whoever advances the floor reads snapshots and holds in one transaction, and finds one of the two (VG3).
 */
import { type Clock, nextStamp } from "../base/clock.ts";
import type { Seq, TabId } from "../base/brand.ts";
import { assert, TidemarkError } from "../base/errors.ts";
import { get, type Read, type Storage, valueOf } from "../storage/contract.ts";
import { type Fence, followed, type Head, tailReads } from "../wal/log.ts";
import {
  decodeSnapshot,
  deleteRow,
  holdId,
  putHold,
  putSnapshot,
  readSnapshot,
  readSnapshots,
  snapshotId,
  type SnapshotRow,
  snapshotsIn,
} from "./holders.ts";
import { floorIn, type ReadFloor, readFloor } from "./read-floor.ts";
import type { Hold } from "./read-guard.ts";

export interface Snapshot extends SnapshotRow {
  readonly name: string;
}

/** What snapshots need of a store. */
export interface Snapshotted {
  readonly storage: Storage;
  readonly tab: TabId;
  readonly head: Head;
  readonly fence: Fence;
  follow(): Promise<void>;
  reload(): Promise<void>;
}

/** The holds of one tab: those whose views are open. */
export class Holds {
  readonly #open = new Map<string, Hold>();
  #taken = 0;

  next(tab: TabId): string {
    return holdId(tab, ++this.#taken);
  }

  opened(id: string, at: Seq): Hold {
    const hold: Hold = { id, seq: at, isGone: false };
    this.#open.set(id, hold);
    return hold;
  }

  closed({ id }: Hold): void {
    this.#open.delete(id);
  }

  /** Rows of these keys were deleted by others. */
  gone(ids: readonly string[]): void {
    for (const id of ids) {
      const hold = this.#open.get(id);
      if (hold) hold.isGone = true;
    }
  }

  /**
   * Looks which of them are still there. Before a manifest that was read earlier takes effect: a hold is never taken
   * twice, so one that is there now was there when the manifest was read, and all that was published before. Answers the
   * floor of that moment, which says who evicted; `undefined` where none is open.
   */
  async look(storage: Storage): Promise<ReadFloor | undefined> {
    const ids = [...this.#open.keys()];
    if (ids.length === 0) return undefined;
    const [floorRow, ...found] = await storage.read([readFloor, ...ids.map((id): Read => get("meta", id))]);
    this.gone(ids.filter((_, i) => found[i]?.length === 0));
    return floorIn(floorRow);
  }
}

export class Snapshots {
  readonly #store: Snapshotted;
  readonly #holds: Holds;
  readonly #clock: Clock;

  constructor(store: Snapshotted, holds: Holds, clock: Clock) {
    this.#store = store;
    this.#holds = holds;
    this.#clock = clock;
  }

  /** Keeps the state at the head, as the log has it, under a name. @throws CONSTRAINT where the name is taken */
  async create(name: string): Promise<Snapshot> {
    let mine: SnapshotRow | undefined;
    for (;;) {
      await this.#store.follow();
      const { head, fence } = this.#store;
      let made: SnapshotRow | undefined;
      let isTaken = false;
      const done = await this.#store.storage.commit({
        durability: "strict",
        isRepeatable: true,
        stores: ["meta"],
        reads: [...tailReads(head.seq), readSnapshot(name), readFloor],
        writes: (found) => {
          const present = valueOf(found[2]);
          // Where a connection was lost it may be our own that is found.
          isTaken = present !== undefined && !isSame(decodeSnapshot(present, name), mine);
          made = mine;
          if (present !== undefined) return undefined;
          const tail = followed(found, head, fence);
          if (tail.status === "reload" || tail.broken) return (made = undefined);
          const last = tail.entries.at(-1);
          const at = last?.lastSeq ?? head.seq;
          assert(at >= floorIn(found[3]).seq, "the floor is never above the head");
          mine = made = { seq: at, stamp: nextStamp(last?.commits.at(-1)?.stamp ?? head.stamp, this.#clock.now()) };
          return [putSnapshot(name, made)];
        },
      });
      if (isTaken) throw new TidemarkError("CONSTRAINT", `There is a snapshot '${name}' already`, { snapshot: name });
      if (made) {
        if (made.seq > this.#store.head.seq) await this.#store.follow(); // from now on this tab sees as much
        return { name, ...made };
      }
      assert(done.status === "declined", "a snapshot that is not made leaves nothing behind");
      await this.#store.reload();
    }
  }

  /** In the order of their names. */
  async list(): Promise<readonly Snapshot[]> {
    const [found] = await this.#store.storage.read([readSnapshots]);
    return snapshotsIn(found);
  }

  /** Views open on it stay. @throws NOT_FOUND */
  async delete(name: string): Promise<void> {
    let isTried = false;
    let isFound = false;
    await this.#store.storage.commit({
      durability: "strict",
      isRepeatable: true,
      reserve: "some",
      stores: ["meta"],
      reads: [readSnapshot(name)],
      writes: ([row]) => {
        isFound = valueOf(row) !== undefined || isTried;
        isTried = isFound;
        return isFound ? [deleteRow(snapshotId(name))] : undefined;
      },
    });
    if (!isFound) throw notFound(name);
  }

  /** Takes a hold on what a snapshot keeps; the head is at or above it then. @throws NOT_FOUND */
  async hold(name: string): Promise<Hold> {
    const id = this.#holds.next(this.#store.tab);
    for (;;) {
      const { head, fence } = this.#store;
      let at: Seq | undefined;
      let isThere = true;
      await this.#store.storage.commit({
        durability: "relaxed",
        isRepeatable: true,
        reserve: "all",
        stores: ["meta"],
        reads: [readSnapshot(name), ...tailReads(head.seq)],
        writes: ([row, ...tail]) => {
          const bytes = valueOf(row);
          isThere = bytes !== undefined;
          at = undefined;
          if (!bytes || followed(tail, head, fence).status === "reload") return undefined;
          at = decodeSnapshot(bytes, name).seq;
          return [putHold(id, at)];
        },
      });
      if (!isThere) throw notFound(name);
      if (at === undefined) {
        await this.#store.reload();
        continue;
      }
      const hold = this.#holds.opened(id, at);
      if (this.#store.head.seq < at) await this.#store.follow();
      return hold;
    }
  }

  /** The view has ended. What cannot be deleted now goes with the tab. */
  async release(hold: Hold): Promise<void> {
    this.#holds.closed(hold);
    const batch = { durability: "relaxed", isRepeatable: true, writes: [deleteRow(hold.id)] } as const;
    await this.#store.storage.commit(batch).catch(() => undefined);
  }
}

const isSame = (a: SnapshotRow, b: SnapshotRow | undefined): boolean => a.seq === b?.seq && a.stamp === b.stamp;

const notFound = (name: string): TidemarkError =>
  new TidemarkError("NOT_FOUND", `There is no snapshot '${name}'`, { snapshot: name });
