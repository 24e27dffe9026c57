/**
 * Holders: whatever bounds the floor, each a durable row of store `meta`.
 *
 *   pin/<tab>        the tab may read at any seq ≥ p. Views open at the head, which is above the tab's pin, so opening
 *                    one writes nothing; a pin is written when a tab joins and when it is asked to raise it.
 *   snapshot/<name>  somebody keeps the state at exactly s, under a name.
 *   consumer/<name>  somebody was told of all changes up to p, and is to be told of those behind: see consumers.ts.
 *   hold/<tab>/<n>   a view of the tab reads at exactly s: it was opened on a snapshot, which may be deleted meanwhile.
 *
 * Snapshots and holds are points: of what lies below all pins they need one state each.
 */
import { type Seq, seq, type Stamp, stamp, type TabId } from "../base/brand.ts";
import {
  type Found,
  get,
  type Read,
  type Storage,
  type StoredValue,
  under,
  valueOf,
  type Write,
} from "../storage/contract.ts";
import { decodeFence, type Fence, readFence, sameLog } from "../wal/log.ts";
import { openRow, putRow } from "../wal/row.ts";
import { floorIn, readFloor } from "./read-floor.ts";

export interface Holder {
  /** The key of its row. */
  readonly id: string;
  readonly kind: "pin" | "snapshot" | "hold" | "consumer";
  /** A tab, or the name of a snapshot or a consumer. */
  readonly owner: string;
  readonly seq: Seq;
}

const rowsUnder = (prefix: string): Read => ({ kind: "range", store: "meta", range: under(prefix) });
const pinPrefix = "pin/";
const snapshotPrefix = "snapshot/";
const holdPrefix = "hold/";
const consumerPrefix = "consumer/";

export const pinId = (tab: string): string => pinPrefix + tab;
export const snapshotId = (name: string): string => snapshotPrefix + name;
export const holdId = (tab: TabId, n: number): string => `${holdPrefix}${tab}/${n}`;
export const consumerId = (name: string): string => consumerPrefix + name;

export const readPins: Read = rowsUnder(pinPrefix);
export const readSnapshots: Read = rowsUnder(snapshotPrefix);
export const readConsumers: Read = rowsUnder(consumerPrefix);
/** The reads that `holdersIn` understands. */
export const readHolders: readonly Read[] = [readPins, readSnapshots, rowsUnder(holdPrefix), readConsumers];

export const seqIn = (bytes: StoredValue, id: string, what: string): Seq => seq(openRow(bytes, id, what).varint());

/** All of them, in the order of their rows' keys within each kind. @throws CORRUPT */
export const holdersIn = ([pins, snapshots, holds, consumers]: readonly Found[]): readonly Holder[] => [
  ...(pins ?? []).map(({ key, value }): Holder => {
    const id = String(key);
    return { id, kind: "pin", owner: id.slice(pinPrefix.length), seq: seqIn(value, id, "pin") };
  }),
  ...(snapshots ?? []).map(({ key, value }): Holder => {
    const id = String(key);
    return { id, kind: "snapshot", owner: id.slice(snapshotPrefix.length), seq: seqIn(value, id, "snapshot") };
  }),
  ...(holds ?? []).map(({ key, value }): Holder => {
    const id = String(key);
    const owner = id.slice(holdPrefix.length, id.lastIndexOf("/"));
    return { id, kind: "hold", owner, seq: seqIn(value, id, "hold") };
  }),
  ...(consumers ?? []).map(({ key, value }): Holder => {
    const id = String(key);
    return { id, kind: "consumer", owner: id.slice(consumerPrefix.length), seq: seqIn(value, id, "consumer") };
  }),
];

/** Whether it reads at its seq alone, and not at any above. */
export const isPoint = ({ kind }: Pick<Holder, "kind">): boolean => kind === "snapshot" || kind === "hold";

/** The single states that somebody keeps, whatever the pins are: ascending, each once. */
export function pointsOf(holders: readonly Holder[]): readonly Seq[] {
  const points = new Set(holders.flatMap((h) => (isPoint(h) ? [h.seq] : [])));
  return [...points].toSorted((a, b) => a - b);
}

export const deleteRow = (id: string): Write => ({ kind: "delete", store: "meta", key: id });

export const putPin = (tab: TabId, at: Seq): Write => putRow(pinId(tab), (out) => out.varint(at));
export const readPin = (tab: TabId): Read => get("meta", pinId(tab));
export const putHold = (id: string, at: Seq): Write => putRow(id, (out) => out.varint(at));

export interface SnapshotRow {
  readonly seq: Seq;
  /** When it was made. */
  readonly stamp: Stamp;
}
export const putSnapshot = (name: string, { seq: at, stamp: made }: SnapshotRow): Write =>
  putRow(snapshotId(name), (out) => {
    out.varint(at);
    out.varint(made);
  });
export const readSnapshot = (name: string): Read => get("meta", snapshotId(name));

/** @throws CORRUPT */
export function decodeSnapshot(bytes: StoredValue, name: string): SnapshotRow {
  const row = openRow(bytes, snapshotId(name), "snapshot");
  return { seq: seq(row.varint()), stamp: stamp(row.varint()) };
}

/** Snapshots by name, with their names. @throws CORRUPT */
export const snapshotsIn = (found: Found | undefined): readonly (SnapshotRow & { readonly name: string })[] =>
  (found ?? []).map(({ key, value }) => {
    const name = String(key).slice(snapshotPrefix.length);
    return { name, ...decodeSnapshot(value, name) };
  });

/**
 * All that is above the end of a struck log comes down to it. A pin has to: the views of those commits that take the
 * struck seqs would not be held by it. A snapshot is written strict, behind the commits that it contains, so nothing
 * but damage to what was on the medium can leave one up there; it goes on as what is left of it, a state there was,
 * rather than as one of commits that it never contained. Whoever opens the database hears of the damage.
 */
export function lowered(found: readonly Found[], lastGood: Seq): readonly Write[] {
  const named = new Map(snapshotsIn(found[1]).map((s) => [s.name, s]));
  return holdersIn(found).flatMap(({ id, kind, owner, seq: at }) => {
    if (at <= lastGood) return [];
    if (kind === "snapshot") return [putSnapshot(owner, { ...named.get(owner)!, seq: lastGood })];
    return [putRow(id, (out) => out.varint(lastGood))];
  });
}

/** What a tab leaves behind when it leaves by itself: nothing. */
export const unpin = (tab: TabId): readonly Write[] => [
  deleteRow(pinId(tab)),
  { kind: "deleteRange", store: "meta", range: under(`${holdPrefix}${tab}/`) },
];

/**
 * Raises the tab's pin to `to`, a seq of the log of `known`. False where it has none any more, since it was evicted, or
 * where the log lost its end meanwhile: then `to` may be above the head.
 */
export async function raisePin(storage: Storage, tab: TabId, to: Seq, known: Fence): Promise<boolean> {
  const done = await storage.commit({
    durability: "relaxed",
    isRepeatable: true,
    reserve: "all",
    stores: ["meta"],
    reads: [readPin(tab), readFence],
    writes: ([pinRow, fenceRow]) => {
      const [pin, fence] = [valueOf(pinRow), valueOf(fenceRow)];
      if (!pin || !fence || !sameLog(decodeFence(fence), known)) return undefined;
      return seqIn(pin, pinId(tab), "pin") >= to ? [] : [putPin(tab, to)];
    },
  });
  return done.status === "committed";
}

/** Where a tab that joins, or goes on after it was evicted, may read from. */
export const pinAt = (fence: Seq, floor: Seq): Seq => (fence > floor ? fence : floor);

/** Pins a tab anew that was evicted, as if it joined. Nothing where its pin is there. */
export async function repin(storage: Storage, tab: TabId, known: Fence): Promise<void> {
  await storage.commit({
    durability: "relaxed",
    isRepeatable: true,
    reserve: "all",
    stores: ["meta"],
    reads: [readPin(tab), readFence, readFloor],
    writes: ([pinRow, fenceRow, floorRow]) => {
      const bytes = valueOf(fenceRow);
      const fence = bytes && decodeFence(bytes);
      if (valueOf(pinRow) || fence?.database !== known.database) return undefined;
      return [putPin(tab, pinAt(fence.seq, floorIn(floorRow).seq))];
    },
  });
}
