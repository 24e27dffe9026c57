/**
 * From what is stored to a state to work in. Reading decides everything in one transaction; only damage makes recovery
 * write, and that is one transaction again, so it may be killed at any point and run again.
 */
import { type Seq, seq, stamp, type TabId } from "../base/brand.ts";
import type { Random } from "../base/clock.ts";
import { TidemarkError } from "../base/errors.ts";
import { Manifest } from "../segments/manifest.ts";
import { type Found, get, type Read, type Storage, storeNames, valueOf, type Write } from "../storage/contract.ts";
import type { LogEntry } from "../wal/entry.ts";
import { chainFrom, decodeFence, isOnlyStray, type Fence, putFence, readFence, tailReads } from "../wal/log.ts";
import { floorIn, pinsIn, putFloor, putPin, readFloor, readPins } from "./pins.ts";

/** The storage format this build writes, and the only one it reads. */
const formatVersion = 1;

export interface Recovered {
  readonly fence: Fence;
  readonly manifest: Manifest;
  /** The log after the fence, chained. */
  readonly entries: readonly LogEntry[];
  /** Whether a part of the log was damaged and has been struck. */
  readonly struck: boolean;
}

const readFormat: Read = get("meta", "format");
export const readManifest: Read = get("meta", "manifest");
export const putManifest = (m: Manifest): Write => ({ kind: "put", store: "meta", key: "manifest", value: m.encode() });
const stateReads: readonly Read[] = [...tailReads(seq(0)), readManifest, readFormat];

/** Set while a deleted database could not be removed physically, because a tab still had it open. */
const droppedKey = "dropped";

/** Writes the first rows of a new database, unless they are there; a deleted one begins anew. */
export async function create(storage: Storage, random: Random): Promise<void> {
  const found = await storage.read([readFence, get("meta", droppedKey)]);
  if (valueOf(found[0]) && !valueOf(found[1])) return;
  await storage.commit({
    durability: "strict",
    isRepeatable: true,
    stores: ["log", "meta"],
    reads: [readFence],
    writes: ([row]) => [...(valueOf(row) ? [] : firstRows(random)), { kind: "delete", store: "meta", key: droppedKey }],
  });
}

/** Empties a database in one transaction: every tab that still has it open finds another database in its place. */
export async function drop(storage: Storage, random: Random): Promise<void> {
  await storage.commit({
    durability: "strict",
    reserve: "all",
    writes: [
      ...storeNames.map((store): Write => ({ kind: "deleteRange", store, range: {} })),
      ...firstRows(random),
      { kind: "put", store: "meta", key: droppedKey, value: Uint8Array.of(1) },
    ],
  });
}

export const isDropped = async (storage: Storage): Promise<boolean> => {
  const [fence, dropped] = await storage.read([readFence, get("meta", droppedKey)]);
  return valueOf(fence) === undefined || valueOf(dropped) !== undefined;
};

/** The first entry chains to the database's number, so that none of a deleted namesake can ever follow. */
function firstRows(random: Random): readonly Write[] {
  const database = Math.floor(random.next() * 0xffff_ffff);
  return [
    { kind: "put", store: "meta", key: "format", value: Uint8Array.of(formatVersion) },
    putManifest(Manifest.empty),
    putFence({ database, incarnation: 0, seq: seq(0), checksum: database, stamp: stamp(0) }),
  ];
}

/** Reads the whole state; a damaged end of the log is struck durably before anybody may commit behind it. */
export async function recover(storage: Storage): Promise<Recovered> {
  let struck = false;
  for (;;) {
    const { broken, ...state } = judge(await storage.read(stateReads));
    if (!broken) return { ...state, struck };
    if (await strike(storage)) struck = true;
  }
}

/**
 * Like `recover` for a tab that joins: its pin is registered in the transaction that reads the state. Where tabs cannot
 * coordinate (`isLone`) that transaction begins a new incarnation too, and whoever had the database open finds out at
 * its next look at the log.
 */
export async function join(storage: Storage, tab: TabId, isLone: boolean): Promise<Recovered> {
  const { struck } = await recover(storage);
  const done = await storage.commit({
    durability: "relaxed",
    isRepeatable: true,
    reserve: "all",
    stores: ["meta", "log"],
    reads: [...stateReads, readFloor],
    writes: (found) => {
      const bytes = valueOf(found[0]);
      if (!bytes) return undefined;
      const fence = decodeFence(bytes);
      // The floor rises before the fence follows: whoever joins in between pins the floor.
      const pin = putPin(tab, laterOf(fence.seq, floorIn(found[stateReads.length])));
      return isLone ? [pin, putFence(succeeding(fence))] : [pin];
    },
  });
  if (done.status !== "committed") throw new TidemarkError("STORAGE_LOST", "The database vanished while it was opened");
  const { broken, ...state } = judge(done.found);
  if (!broken) return { ...state, fence: isLone ? succeeding(state.fence) : state.fence, struck };
  const again = await join(storage, tab, isLone);
  return { ...again, struck: struck || again.struck };
}

export const succeeding = (fence: Fence): Fence => ({ ...fence, incarnation: fence.incarnation + 1 });

const laterOf = (a: Seq, b: Seq): Seq => (a > b ? a : b);

function judge(found: readonly Found[]): Omit<Recovered, "struck"> & { broken: boolean } {
  const [fenceRow, log, manifestRow, formatRow] = found;
  const format = valueOf(formatRow)?.[0];
  if (format !== undefined && format !== formatVersion) {
    throw new TidemarkError(
      "FORMAT_UNSUPPORTED",
      `This database has storage format ${format}; this build of Tidemark reads ${formatVersion}. Reload to get the build that wrote it.`,
      { found: format, supported: formatVersion },
    );
  }
  const fenceBytes = valueOf(fenceRow);
  const manifestBytes = valueOf(manifestRow);
  if (!fenceBytes || !manifestBytes) {
    throw new TidemarkError("STORAGE_LOST", "The database is gone from storage (cleared by the user or the browser)");
  }
  const fence = decodeFence(fenceBytes);
  return { fence, manifest: Manifest.decode(manifestBytes), ...chainFrom(log ?? [], fence) };
}

/**
 * Removes what lies behind the break, under a new incarnation. Floor and pins may speak of commits that are gone: they
 * come down with the head, or the views of those that take their seqs would not be held. Tells whether it was damage.
 */
async function strike(storage: Storage): Promise<boolean> {
  let isDamage = false;
  await storage.commit({
    durability: "strict",
    isRepeatable: true,
    reserve: "all",
    stores: ["log", "meta"],
    reads: [...stateReads, readFloor, readPins],
    writes: (found) => {
      const { fence, entries, broken } = judge(found);
      if (!broken) return undefined;
      const lastGood = entries.at(-1)?.lastSeq ?? fence.seq;
      const rest: Write = { kind: "deleteRange", store: "log", range: { from: lastGood + 1 } };
      isDamage = !isOnlyStray(found[1] ?? [], lastGood, fence.database);
      if (!isDamage) return [rest];
      const [floorRow, pinRows] = found.slice(stateReads.length);
      return [
        rest,
        ...(floorIn(floorRow) > lastGood ? [putFloor(lastGood)] : []),
        ...pinsIn(pinRows ?? []).flatMap((p) => (p.seq > lastGood ? [putPin(p.tab, lastGood)] : [])),
        putFence(succeeding(fence)),
      ];
    },
  });
  return isDamage;
}
