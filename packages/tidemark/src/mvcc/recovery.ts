/**
 * From what is stored to a state to work in. Reading decides everything in one transaction; only damage makes recovery
 * write, and that is one transaction again, so it may be killed at any point and run again.
 */
import { seq, stamp, type TabId, tabId } from "../base/brand.ts";
import type { Random } from "../base/clock.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { wholeFormat } from "../codec/formats.ts";
import { decodeRoot, Manifest, type Root } from "../segments/manifest.ts";
import { upgradedFrom1 } from "../segments/manifest-1.ts";
import { manifestOf, putManifest, putRoot, readPages, readRoot } from "../segments/manifest-rows.ts";
import { type Found, get, type Read, type Storage, storeNames, valueOf, type Write } from "../storage/contract.ts";
import { deletesOf, loadValues } from "../wal/chunks.ts";
import { encodeEntry, type LogEntry, wholeEntry } from "../wal/entry.ts";
import {
  bodiesBehind,
  chainFrom,
  decodeFence,
  isOnlyStray,
  type Fence,
  putFence,
  readFence,
  tailReads,
} from "../wal/log.ts";
import { damaged } from "../wal/envelope.ts";
import { lastGeneration, putGeneration, readGenerations } from "../wal/generations.ts";
import { lowered, pinAt, putPin, readHolders } from "./holders.ts";
import { floorIn, loweredFloor, putFloor, type ReadFloor, readFloor } from "./read-floor.ts";
import type { GarbageLedger } from "./ledger.ts";
import { ledgerIn, readLedger } from "./ledger-row.ts";

export interface Recovered {
  readonly fence: Fence;
  readonly manifest: Manifest;
  /** As of the fence. */
  readonly ledger: GarbageLedger;
  /** The log after the fence, chained. */
  readonly entries: readonly LogEntry[];
  /** Of when the manifest was: nothing in it was collected above this floor. */
  readonly floor: ReadFloor;
  /** Whether a part of the log was damaged and has been struck. */
  readonly struck: boolean;
  /** Whether it was of an older format. */
  readonly upgraded: boolean;
}

/** What one transaction finds: the manifest's pages are read by and by. */
type StateFound = Omit<Recovered, "struck" | "upgraded" | "manifest"> & {
  readonly root: Root;
  readonly broken: boolean;
};

export const readFormat: Read = get("meta", "format");
const putFormat: Write = { kind: "put", store: "meta", key: "format", value: Uint8Array.of(wholeFormat.format) };
const stateReads: readonly Read[] = [...tailReads(seq(0)), readRoot, readFormat, readFloor, readLedger];
/** Where the pages stand that were read with the state. */
const pagesAt = stateReads.length;

/** Set while a deleted database could not be removed physically, because a tab still had it open. */
const droppedKey = "dropped";
const readDropped: Read = get("meta", droppedKey);
const isDroppedIn = (found: readonly Found[]): boolean => valueOf(found[pagesAt + 1]) !== undefined;

/**
 * Writes the first rows of a new database, unless they are there; a deleted one begins anew.
 * @throws CORRUPT where there is one that lost its fence: to begin anew would be to lose the rest as well
 */
export async function create(storage: Storage, random: Random): Promise<void> {
  const [fence, dropped, root] = await storage.read([readFence, readDropped, readRoot]);
  if (valueOf(fence) && !valueOf(dropped)) return;
  if (!valueOf(fence) && valueOf(root)) throw damaged({ what: "fence" }, "is lost");
  await storage.commit({
    durability: "strict",
    isRepeatable: true,
    stores: ["log", "meta"],
    reads: [readFence],
    writes: ([row]) => [...(valueOf(row) ? [] : firstRows(random)), { kind: "delete", store: "meta", key: droppedKey }],
  });
}

/**
 * Empties a database in one transaction: every tab that still has it open finds another database in its place. Its
 * generations stay given out, so that such a tab's ids are never those of the other database.
 */
export async function drop(storage: Storage, random: Random): Promise<void> {
  await storage.commit({
    durability: "strict",
    reserve: "all",
    stores: storeNames,
    reads: readGenerations,
    writes: (found) => [
      ...storeNames.map((store): Write => ({ kind: "deleteRange", store, range: {} })),
      ...firstRows(random),
      putGeneration(lastGeneration(found)),
      { kind: "put", store: "meta", key: droppedKey, value: Uint8Array.of(1) },
    ],
  });
}

export const isDropped = async (storage: Storage): Promise<boolean> => {
  const [fence, dropped] = await storage.read([readFence, readDropped]);
  return valueOf(fence) === undefined || valueOf(dropped) !== undefined;
};

/** The first entry chains to the database's number, so that none of a deleted namesake can ever follow. */
function firstRows(random: Random): readonly Write[] {
  const database = Math.floor(random.next() * 0xffff_ffff);
  return [
    putFormat,
    putRoot(Manifest.empty),
    putFence({ database, incarnation: 0, seq: seq(0), checksum: database, stamp: stamp(0) }),
  ];
}

/**
 * Reads the whole state; a damaged end of the log is struck durably before anybody may commit behind it. Pages of the
 * manifest that `known` has are not read again.
 */
export async function recover(storage: Storage, known: Manifest = Manifest.empty): Promise<Recovered> {
  let [struck, upgraded] = [false, false];
  let wanted: number | undefined;
  for (;;) {
    const isFirst = wanted === undefined && known === Manifest.empty;
    const found = await storage.read(isFirst ? [...stateReads, readPages] : stateReads);
    if (isOlder(found)) {
      await upgrade(storage);
      upgraded = true;
      continue;
    }
    const { broken, root, ...state } = judge(found);
    if (broken) {
      if (await strike(storage)) struck = true;
      continue;
    }
    const entries = await wholeEntries(storage, state.entries);
    if (entries === undefined) {
      if (await strike(storage, await firstLost(storage, state))) struck = true;
      continue;
    }
    const manifest = await manifestOf(storage, root, known, found[pagesAt]);
    if (manifest) return { ...state, entries, manifest, struck, upgraded };
    // An edit came between. If none did, a page is lost.
    if (wanted === root.version) throw damaged({ what: "manifest page" }, "is lost");
    wanted = root.version;
  }
}

/**
 * Like `recover` for a tab that joins: its pin is registered in the transaction that reads the state. Where tabs cannot
 * coordinate (`isLone`) that transaction begins a new incarnation too, and whoever had the database open finds out at
 * its next look at the log. Where there is no database `make` makes it; without that, none is made.
 */
export async function join(
  storage: Storage,
  tab: TabId,
  isLone: boolean,
  make?: () => Promise<void>,
): Promise<Recovered> {
  for (let isMade = false; ;) {
    const registered = await register(storage, tab, isLone, make !== undefined && !isMade);
    if (registered) {
      const state = await joined(storage, registered.found, isLone);
      return { ...state, upgraded: registered.upgraded || state.upgraded };
    }
    isMade = true;
    await make?.();
  }
}

/** What is there, this tab's pin registered; `undefined`: it has to be created, and nothing was written. */
async function register(
  storage: Storage,
  tab: TabId,
  isLone: boolean,
  mayCreate = false,
): Promise<{ readonly found: readonly Found[]; readonly upgraded: boolean } | undefined> {
  for (let upgraded = false; ;) {
    const done = await storage.commit({
      durability: "relaxed",
      isRepeatable: true,
      reserve: "all",
      stores: ["meta", "log"],
      reads: [...stateReads, readPages, readDropped],
      writes: (found) => {
        const bytes = valueOf(found[0]);
        if (!bytes || !isPresent(found) || (mayCreate && isDroppedIn(found))) return undefined;
        const fence = decodeFence(bytes);
        // The floor rises before the fence follows: whoever joins in between pins the floor.
        const pin = putPin(tab, pinAt(fence.seq, presentFloor(found).seq));
        return isLone ? [pin, putFence(succeeding(fence))] : [pin];
      },
    });
    if (done.status === "committed") return { found: done.found, upgraded };
    const found = done.status === "declined" ? done.found : [];
    if (mayCreate && (!valueOf(found[0]) || isDroppedIn(found))) return undefined;
    if (isOlder(found)) {
      await upgrade(storage);
      upgraded = true;
    } else judge(found); // it tells why not
  }
}

/** The state that `found` is. Where it is damaged it is recovered: the pin holds what is read then all the more. */
async function joined(storage: Storage, found: readonly Found[], isLone: boolean): Promise<Recovered> {
  const { broken, root, ...state } = judge(found);
  const manifest = broken ? undefined : await manifestOf(storage, root, Manifest.empty, found[pagesAt]);
  const entries = manifest && (await wholeEntries(storage, state.entries));
  if (!entries) return recover(storage, manifest);
  const fence = isLone ? succeeding(state.fence) : state.fence;
  return { ...state, fence, entries, manifest, struck: false, upgraded: false };
}

export const succeeding = (fence: Fence): Fence => ({ ...fence, incarnation: fence.incarnation + 1 });

const formatIn = (found: readonly Found[]): number | undefined => valueOf(found[3])?.[0];
const presentFloor = (found: readonly Found[]): ReadFloor => floorIn(found[4]);
const isPresent = (found: readonly Found[]): boolean => isOurs(formatIn(found));
const isOurs = (format: number | undefined): boolean => (format ?? wholeFormat.format) === wholeFormat.format;
const isOlder = (found: readonly Found[]): boolean => {
  const format = formatIn(found) ?? wholeFormat.format;
  return format >= wholeFormat.oldest && format < wholeFormat.format;
};

/**
 * Everything in one transaction, and under a new incarnation: tabs of the older build notice when they look at the log.
 * One that appends without looking finds its position taken, so nothing that it writes ever counts.
 */
async function upgrade(storage: Storage): Promise<void> {
  await storage.commit({
    durability: "strict",
    stores: ["log", "meta"],
    reads: stateReads,
    writes: (found) => {
      const [fenceRow, manifestRow] = [valueOf(found[0]), valueOf(found[2])];
      if (!isOlder(found)) return undefined; // another tab was here first
      if (!fenceRow || !manifestRow) throw databaseIsGone();
      const steps = formatIn(found) === 1 ? putManifest(Manifest.empty, upgradedFrom1(manifestRow)) : [];
      const fence = decodeFence(fenceRow);
      return [putFormat, ...steps, putFence(succeeding(fence)), ...nextTaken(found[1]!, fence)];
    },
  });
}

/** Takes the next position of the log with a commit of nothing; where its end is damaged it is struck first of all. */
function nextTaken(log: Found, fence: Fence): readonly Write[] {
  const { entries, broken } = chainFrom(log, fence);
  if (broken) return [];
  const last = entries.at(-1);
  const [before, made] = last ? [last.lastSeq, last.commits.at(-1)!.stamp] : [fence.seq, fence.stamp];
  const nothing = { seq: seq(before + 1), stamp: stamp(made + 1), id: 0, tag: "", writes: [] };
  const entry = encodeEntry(fence.database, (last ?? fence).checksum, tabId("upgrade"), [nothing]);
  return [{ kind: "add", store: "log", key: nothing.seq, value: entry }];
}

const databaseIsGone = (): TidemarkError =>
  new TidemarkError("STORAGE_LOST", "The database is gone from storage (cleared by the user or the browser)");

/** By what `readFormat` found. @throws FORMAT_UNSUPPORTED where that is not what this build writes */
export function refuseOtherFormat(row: Found | undefined): void {
  const format = valueOf(row)?.[0];
  if (isOurs(format)) return;
  throw new TidemarkError(
    "FORMAT_UNSUPPORTED",
    `This database has storage format ${format}; this build of Tidemark reads ${wholeFormat.format}. Reload to get the build that wrote it.`,
    { found: format, supported: wholeFormat.format },
  );
}

function judge(found: readonly Found[]): StateFound {
  const [fenceRow, log, rootRow] = found;
  refuseOtherFormat(found[3]);
  const fenceBytes = valueOf(fenceRow);
  const rootBytes = valueOf(rootRow);
  if (!fenceBytes || !rootBytes) {
    throw databaseIsGone();
  }
  const fence = decodeFence(fenceBytes);
  const ledger = ledgerIn(found[5], fence);
  const floor = presentFloor(found);
  return { fence, root: decodeRoot(rootBytes), floor, ledger, ...chainFrom(log ?? [], fence) };
}

/** Entries with their writes, wherever those lie; `undefined` where some are damaged, or gone with a checkpoint. */
export async function wholeEntries(
  storage: Storage,
  entries: readonly LogEntry[],
): Promise<readonly LogEntry[] | undefined> {
  const whole: LogEntry[] = [];
  for (const entry of entries) {
    const filled = await wholeOne(storage, entry);
    if (filled === undefined) return undefined;
    whole.push(filled);
  }
  return whole;
}

async function wholeOne(storage: Storage, entry: LogEntry): Promise<LogEntry | undefined> {
  if (entry.isWhole || !entry.body) return entry;
  try {
    const [body] = await loadValues(storage, [entry.body]);
    return body && wholeEntry(entry, body);
  } catch (e) {
    if (isTidemarkError(e, "CORRUPT")) return undefined;
    throw e;
  }
}

/** The first entry whose writes are not to be had: lost, if it still is in the log. */
async function firstLost(
  storage: Storage,
  { entries }: { entries: readonly LogEntry[] },
): Promise<LogEntry | undefined> {
  for (const entry of entries) if ((await wholeOne(storage, entry)) === undefined) return entry;
  return undefined;
}

/**
 * Removes what lies behind the break, under a new incarnation. Floor and holders may speak of commits that are gone: they
 * come down with the head, or the views of those that take their seqs would not be held. Tells whether it was damage.
 * `lost`: an entry that chains, but whose writes are lost, breaks the log as well; unless a checkpoint took it
 * meanwhile, or it was struck and another stands in its place.
 */
async function strike(storage: Storage, lost?: LogEntry): Promise<boolean> {
  let isDamage = false;
  await storage.commit({
    durability: "strict",
    isRepeatable: true,
    reserve: "all",
    stores: ["log", "meta", "blobs"],
    reads: [...stateReads, ...readHolders],
    writes: (found) => {
      const { fence, entries, broken } = judge(found);
      const isLost =
        lost !== undefined && entries.some((e) => e.firstSeq === lost.firstSeq && e.checksum === lost.checksum);
      if (!broken && !isLost) return undefined;
      const good = isLost ? entries.filter((e) => e.firstSeq < lost.firstSeq) : entries;
      const lastGood = good.at(-1)?.lastSeq ?? fence.seq;
      const rest: Write = { kind: "deleteRange", store: "log", range: { from: lastGood + 1 } };
      isDamage = isLost || !isOnlyStray(found[1] ?? [], lastGood, fence.database);
      if (!isDamage) return [rest];
      const floor = presentFloor(found);
      return [
        rest,
        ...bodiesBehind(found[1] ?? [], lastGood).flatMap((body) => deletesOf(body)),
        ...(floor.logSeq > lastGood || floor.seq > lastGood ? [putFloor(loweredFloor(floor, lastGood))] : []),
        ...lowered(found.slice(stateReads.length), lastGood),
        putFence(succeeding(fence)),
      ];
    },
  });
  return isDamage;
}
