/**
 * The floor: the smallest seq any holder may still read at. It is durable and only rises. Creating a holder and
 * advancing the floor are serialised by storage: a joining tab pins the fence, or the floor where that has risen past
 * it, in one transaction, and the floor rises in another that reads all holders.
 *
 * An advance is a commit in the log (VG3, TB4): the transaction that finds the end of the log, the tenure, the floor and
 * the holders appends the entry and writes the rows. What is decided so depends on the log alone; every tab learns it in
 * order, and the release of a dead tab's rows is recorded as they go, not before and not later.
 */
import { type Seq, seq, type TabId } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { checksum } from "../base/checksum.ts";
import { TidemarkError } from "../base/errors.ts";
import type { CommitDone, Decided, Inside, Position } from "../mvcc/group.ts";
import { putLapsed } from "../mvcc/consumers.ts";
import { deleteRow, type Holder, holdersIn, isPoint, pinId, pointsOf, readHolders } from "../mvcc/holders.ts";
import {
  decodeFloorRecord,
  encodeFloorRecord,
  floorAfter,
  floorIn,
  type FloorRecord,
  putFloor,
  type ReadFloor,
  readFloor,
} from "../mvcc/read-floor.ts";
import { Reader } from "../mvcc/reader.ts";
import { floorKey } from "../mvcc/schema.ts";
import type { Store } from "../mvcc/store.ts";
import type { Found, Storage } from "../storage/contract.ts";
import type { Fence } from "../wal/log.ts";
import type { Basis } from "./journal.ts";
import { keptAdvances } from "./rule-under.ts";
import { readUpkeep, type Tenure } from "./tenure.ts";

/** `floor`: snapshots and holds bound the floor too. `interval`: they are points below it. */
export type Proof = "floor" | "interval";

/** So many rows are released at once: their ids stand in the record. The rest goes with the next advance. */
const maxRemoved = 500;

/** The floor that these holders allow, never below the present one. Where nobody holds anything it stays. */
export function floorOf(present: Seq, holders: readonly Holder[], proof: Proof): Seq {
  const bounding = proof === "floor" ? holders : holders.filter((h) => !isPoint(h));
  const lowest = bounding.reduce((low, h) => Math.min(low, h.seq), Infinity);
  return seq(Math.max(present, Number.isFinite(lowest) ? lowest : present));
}

/**
 * Whether anything can be reclaimed under `floor` that could not be before. Between the commit that recorded the present
 * floor and itself there is nothing but records of floors: to follow those would write one after the other for ever.
 */
export function isGain(present: ReadFloor, floor: Seq): boolean {
  const { seq: at, logSeq, previousLogSeq } = present;
  const isOnlyRecords = floor === logSeq && at === logSeq - 1 && at === previousLogSeq;
  return floor > at && !isOnlyRecords;
}

export interface DebtLimits {
  readonly maxBytes: number;
  readonly maxCommits: number;
}
export const defaultDebt: DebtLimits = { maxBytes: 64 * 1024 * 1024, maxCommits: 100_000 };

/** The pins and holds that hold back more than they may (TB5): by bytes and commits, never by age. Snapshots are asked for. */
export const overdue = (
  holders: readonly Holder[],
  bytesHeldBy: (holder: Holder) => number,
  head: Seq,
  { maxBytes, maxCommits }: DebtLimits,
): ReadonlySet<string> =>
  new Set(
    holders.flatMap((h) => {
      const isOver = head - h.seq > maxCommits || bytesHeldBy(h) > maxBytes;
      return h.kind !== "snapshot" && isOver ? [h.id] : [];
    }),
  );

/** Says whether two considered the same holders. */
export function digestOf(holders: readonly Holder[]): number {
  const out = new ByteWriter();
  for (const { id, seq: at } of holders) {
    out.text(id);
    out.varint(at);
  }
  return checksum(out.written());
}

/**
 * The tabs whose rows are left over: their lock is free. Rows are read before the locks are asked for, since a tab
 * takes its lock before it writes its pin: what is found without a lock then is dead for good.
 */
export async function deadTabs(
  storage: Storage,
  lockedTabs: () => Promise<ReadonlySet<TabId>>,
): Promise<ReadonlySet<TabId>> {
  const holders = holdersIn(await storage.read(readHolders));
  const live: ReadonlySet<string> = await lockedTabs();
  return new Set(holders.flatMap((h) => (!isOfTab(h) || live.has(h.owner) ? [] : [h.owner as TabId])));
}

const isOfTab = ({ kind }: Holder): boolean => kind === "pin" || kind === "hold";

const isLeftBehind = (dead: ReadonlySet<TabId>, holder: Holder): boolean =>
  isOfTab(holder) && dead.has(holder.owner as TabId);

/** What an advance would come to now; nothing is written. `as`: a holder as it would be by then. */
export async function foreseen(
  storage: Storage,
  lockedTabs: () => Promise<ReadonlySet<TabId>>,
  proof: Proof,
  as: (holder: Holder) => Holder = (holder) => holder,
): Promise<Advanced> {
  const dead = await deadTabs(storage, lockedTabs);
  const [floorRow, ...rows] = await storage.read([readFloor, ...readHolders]);
  const living = holdersIn(rows).filter((h) => !isLeftBehind(dead, h));
  return allowedBy(floorIn(floorRow).seq, living.map(as), proof);
}

/** The floor that these holders allow, and who may read then. */
const allowedBy = (present: Seq, holders: readonly Holder[], proof: Proof): Advanced => ({
  floor: floorOf(present, holders, proof),
  points: pointsOf(holders),
  holders,
  digest: digestOf(holders),
});

export interface Advance {
  readonly proof: Proof;
  /** Tabs whose lock is free. */
  readonly dead: ReadonlySet<TabId>;
  /** Holders to evict, by id. With a tab's pin its holds go too. */
  readonly evict?: ReadonlySet<string>;
  /** Further ones, chosen among those that are found. */
  readonly overdue?: (holders: readonly Holder[], head: Seq) => ReadonlySet<string>;
  /** Who has it done; "upkeep" where nobody says. */
  readonly by?: string;
}

export interface Advanced {
  readonly floor: Seq;
  readonly points: readonly Seq[];
  /** Those that are left. */
  readonly holders: readonly Holder[];
  readonly digest: number;
}

/** What upkeep may do once the floor was advanced in the log of `fence`. `nowMs`: for retention by age. */
export const basisOf = (
  { floor, points, digest }: Advanced,
  { database, incarnation }: Fence,
  nowMs: number,
): Basis => ({ floor, points, nowMs, holders: digest, log: { database, incarnation } });

/** Where commits that are decided inside their transaction go. */
export interface LogWriter {
  commitInside(inside: Inside): Promise<CommitDone>;
}

/**
 * Releases dead tabs' rows, evicts whom it is told to, and raises the floor to what the holders that are left allow.
 * Where all of that is as it should be nothing is written. `undefined`: the tenure is over.
 * @throws NOT_FOUND for a holder to evict that is not there, OPTIONS_INVALID for one that cannot be; nothing changed then
 */
export async function advanceFloor(log: LogWriter, tenure: Tenure, advance: Advance): Promise<Advanced | undefined> {
  let outcome: Advanced | TidemarkError | undefined;
  await log.commitInside({
    keys: [floorKey],
    stores: ["meta"],
    reserve: "all",
    reads: [readUpkeep, readFloor, ...readHolders],
    decide: ([upkeepRow, floorRow, ...holderRows], at) => {
      outcome = undefined;
      if (!tenure.lastsBy(upkeepRow)) return undefined;
      const decision = decide(floorRow, holdersIn(holderRows), advance, at);
      outcome = decision instanceof TidemarkError ? decision : decision.advanced;
      return decision instanceof TidemarkError ? undefined : decision.decided;
    },
  });
  if (outcome instanceof TidemarkError) throw outcome;
  return outcome;
}

function decide(
  floorRow: Found | undefined,
  holders: readonly Holder[],
  { proof, dead, evict = new Set(), overdue: choose, by = "upkeep" }: Advance,
  at: Position,
): { readonly advanced: Advanced; readonly decided: Decided | undefined } | TidemarkError {
  const refused = refusal(holders, evict);
  if (refused) return refused;
  const isDead = (h: Holder): boolean => isLeftBehind(dead, h);
  const living = holders.filter((h) => !isDead(h));
  const named = new Set([...evict, ...(choose?.(living, seq(at.seq - 1)) ?? [])]);
  const isEvicted = (h: Holder): boolean =>
    !isDead(h) && (named.has(h.id) || (h.kind === "hold" && named.has(pinId(h.owner))));
  const evicted = holders.filter(isEvicted);
  const released = holders.filter(isDead).slice(0, Math.max(0, maxRemoved - evicted.length));
  const removed = new Set([...evicted, ...released]);
  const left = holders.filter((h) => !removed.has(h));
  const present = floorIn(floorRow);
  const allowed = allowedBy(present.seq, left, proof);
  const { digest } = allowed;
  const floor = isGain(present, allowed.floor) ? allowed.floor : present.seq;
  const advanced = { ...allowed, floor };
  if (floor === present.seq && removed.size === 0) return { advanced, decided: undefined };
  const ids = (some: readonly Holder[]): string[] => some.map((h) => h.id);
  const { stamp } = at;
  const record = { floor, released: ids(released), evicted: ids(evicted), by, holders: digest, at: stamp };
  return { advanced, decided: decided(present, record, at, evicted) };
}

function decided(present: ReadFloor, record: FloorRecord, at: Position, whom: readonly Holder[]): Decided {
  const { released, evicted } = record;
  const lapsed = whom.flatMap((h) => (h.kind === "consumer" ? [putLapsed(h.owner, h.seq)] : []));
  return {
    writes: [{ kind: "put", key: floorKey, payload: encodeFloorRecord(record) }],
    rows: [putFloor(floorAfter(present, record, at.seq)), ...[...released, ...evicted].map(deleteRow), ...lapsed],
  };
}

/** The last advances, newest first: as many as are kept. */
export async function advancesIn(store: Store): Promise<readonly (FloorRecord & { readonly seq: Seq })[]> {
  const versions = await new Reader(store).chain(floorKey, store.head.seq);
  return versions
    .slice(0, keptAdvances)
    .flatMap(({ seq: at, payload }) => (payload === undefined ? [] : [{ seq: at, ...decodeFloorRecord(payload) }]));
}

/** What the engine itself needs to recover; it is no row. */
const ownHolders: ReadonlySet<string> = new Set(["checkpoint", "recovery"]);

function refusal(holders: readonly Holder[], evict: ReadonlySet<string>): TidemarkError | undefined {
  for (const id of evict) {
    const holder = holders.find((h) => h.id === id);
    if (ownHolders.has(id) || holder?.kind === "snapshot") {
      const why = holder ? "a snapshot stays until it is deleted" : "the database cannot recover without it";
      return new TidemarkError("OPTIONS_INVALID", `The holder '${id}' cannot be evicted: ${why}`, {
        option: "holderId",
        id,
      });
    }
    if (!holder) return new TidemarkError("NOT_FOUND", `There is no holder '${id}'`, { holder: id });
  }
  return undefined;
}
