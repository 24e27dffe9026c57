/**
 * The order of versions of each key, and what is wrong with single reads. The longest list that was read is the order;
 * every other list must be a beginning of it.
 */
import type { Anomaly, History, Kind, List } from "./history.ts";
import { name, show } from "./words.ts";

/** An append that took effect, as far as anybody can tell. */
export interface Append {
  readonly transaction: number;
  readonly key: string;
  readonly element: number;
  /** Whether its transaction appends to this key no more. */
  readonly isLast: boolean;
}

/** One key in what one transaction read. */
export interface Seen {
  readonly transaction: number;
  readonly key: string;
  /** How many elements of the order it saw. */
  readonly length: number;
}

export interface Key {
  /** Appends by transactions that committed, in order, as far as any were read. */
  readonly order: readonly Append[];
  /** Committed, but never read. They come after all that was. */
  readonly unread: readonly Append[];
  /** How many more there may be, of which nobody was told, and which nobody read. */
  readonly unsure: number;
  readonly seen: readonly Seen[];
}

export interface Versions {
  readonly keys: ReadonlyMap<string, Key>;
  /** By transaction: whether it took effect. */
  readonly isCommitted: readonly boolean[];
  readonly anomalies: readonly Anomaly[];
}

/** A list that a transaction read, and which of its own appends it had made by then. */
interface Reading {
  readonly transaction: number;
  readonly key: string;
  readonly list: List;
  readonly own: List;
}

type Appends = ReadonlyMap<number, Append>;

export function versionsOf(history: History): Versions {
  const appends = appendsOf(history);
  const all = readingsOf(history);
  const isCommitted = committedOf(history, all, appends);
  const anomalies: Anomaly[] = [];
  const readings: Reading[] = [];
  for (const reading of all) {
    if (!isCommitted[reading.transaction]) continue;
    const fault = faultOf(reading, history, appends, isCommitted);
    if (fault) anomalies.push(fault);
    if (fault?.kind === "duplicate" || fault?.kind === "garbage read") continue;
    readings.push(ofOthers(reading, appends, isCommitted));
  }
  const longest = longestOf(readings);
  const keys = ordersOf(history, longest, appends, isCommitted);
  for (const reading of readings) {
    const { transaction, key, list } = reading;
    const longer = longest.get(key)!;
    if (list.every((element, i) => element === longer.list[i]))
      keys.get(key)!.seen.push({ transaction, key, length: list.length });
    else anomalies.push(incompatible(history, reading, longer));
  }
  return { keys, isCommitted, anomalies };
}

/** What it read of what others committed. */
function ofOthers(reading: Reading, appends: Appends, isCommitted: readonly boolean[]): Reading {
  const list = reading.list.filter((element) => {
    const { transaction } = appends.get(element)!;
    return isCommitted[transaction] && transaction !== reading.transaction;
  });
  return { ...reading, list };
}

/** Of each key, what was appended; `seen` is still empty. */
function ordersOf(
  history: History,
  longest: ReadonlyMap<string, Reading>,
  appends: Appends,
  isCommitted: readonly boolean[],
): Map<string, Key & { unread: Append[]; unsure: number; seen: Seen[] }> {
  const keys = new Map<string, Key & { unread: Append[]; unsure: number; seen: Seen[] }>();
  const ordered = new Set<Append>();
  for (const [key, { list }] of longest) {
    const order = list.map((element) => appends.get(element)!);
    for (const append of order) ordered.add(append);
    keys.set(key, { order, unread: [], unsure: 0, seen: [] });
  }
  for (const append of appends.values()) {
    if (ordered.has(append) || history[append.transaction]!.outcome === "aborted") continue;
    const key = keys.get(append.key) ?? { order: [], unread: [], unsure: 0, seen: [] };
    if (isCommitted[append.transaction]) key.unread.push(append);
    else key.unsure++;
    keys.set(append.key, key);
  }
  return keys;
}

function faultOf(
  { transaction, key, list, own }: Reading,
  history: History,
  appends: Appends,
  isCommitted: readonly boolean[],
): Anomaly | undefined {
  const fault = (kind: Kind, why: string, other?: number): Anomaly => ({
    kind,
    transactions: other === undefined ? [transaction] : [transaction, other],
    explanation: `${name(history, transaction)} read ${key} as ${show(list)}${why}`,
  });
  if (new Set(list).size < list.length) return fault("duplicate", ", with an element twice");
  const stranger = list.find((element) => appends.get(element)?.key !== key);
  if (stranger !== undefined) return fault("garbage read", `: nobody appended ${stranger} to it`);
  const isOwn = (element: number): boolean => appends.get(element)!.transaction === transaction;
  const end = list.slice(list.length - own.length);
  if (list.filter(isOwn).length !== own.length || !own.every((element, i) => element === end[i]))
    return fault("internal", `, having appended ${show(own)} itself`);
  const aborted = list.find((element) => !isOwn(element) && !isCommitted[appends.get(element)!.transaction]);
  if (aborted !== undefined) {
    const writer = appends.get(aborted)!.transaction;
    return fault("G1a", `: ${aborted} is of ${name(history, writer)}, which did not commit`, writer);
  }
  const last = list.length > own.length ? appends.get(list[list.length - own.length - 1]!)! : undefined;
  if (!last || last.isLast) return undefined;
  return fault("G1b", `: ${name(history, last.transaction)} appended more after ${last.element}`, last.transaction);
}

const incompatible = (history: History, one: Reading, other: Reading): Anomaly => ({
  kind: "incompatible orders",
  transactions: [one.transaction, other.transaction],
  explanation: `${name(history, one.transaction)} read ${one.key} as ${show(one.list)}, ${name(history, other.transaction)} as ${show(other.list)}`,
});

/** @throws where the history is none that lists can be inferred from. */
function appendsOf(history: History): Map<number, Append> {
  const appends = new Map<number, Append>();
  for (const [transaction, { operations }] of history.entries()) {
    const later = new Set<string>();
    for (const operation of operations.toReversed()) {
      if (operation.op !== "append") continue;
      const { key, element } = operation;
      if (appends.has(element)) throw new Error(`element ${element} is appended twice: a history must not do that`);
      appends.set(element, { transaction, key, element, isLast: !later.has(key) });
      later.add(key);
    }
  }
  return appends;
}

function readingsOf(history: History): readonly Reading[] {
  return history.flatMap(({ operations }, transaction) => {
    const appended = new Map<string, readonly number[]>();
    return operations.flatMap((operation): readonly Reading[] => {
      if (operation.op === "append") {
        appended.set(operation.key, [...(appended.get(operation.key) ?? []), operation.element]);
        return [];
      }
      const of = (key: string, list: List): Reading => ({ transaction, key, list, own: appended.get(key) ?? [] });
      if (operation.op === "read") return [of(operation.key, operation.list)];
      const found = operation.found.map(([key, list]) => of(key, list));
      if (operation.op === "lengths") return found;
      const known = new Set(found.map(({ key }) => key));
      const missed = [...appended.keys()].filter(
        (key) => operation.from <= key && key < operation.to && !known.has(key),
      );
      return [...found, ...missed.map((key) => of(key, []))];
    });
  });
}

/** Those told that they committed, and those told nothing whose appends were read by one of these, or of each other. */
function committedOf(history: History, readings: readonly Reading[], appends: Appends): readonly boolean[] {
  const isCommitted = history.map(({ outcome }) => outcome === "committed");
  const read = Map.groupBy(readings, ({ transaction }) => transaction);
  const toLook = history.flatMap((_, i) => (isCommitted[i] ? [i] : []));
  for (let reader = toLook.pop(); reader !== undefined; reader = toLook.pop()) {
    for (const element of new Set(read.get(reader)?.flatMap(({ list }) => list))) {
      const writer = appends.get(element)?.transaction;
      if (writer === undefined || isCommitted[writer] || history[writer]!.outcome !== "unknown") continue;
      isCommitted[writer] = true;
      toLook.push(writer);
    }
  }
  return isCommitted;
}

function longestOf(readings: readonly Reading[]): ReadonlyMap<string, Reading> {
  const longest = new Map<string, Reading>();
  for (const reading of readings) {
    if (reading.list.length >= (longest.get(reading.key)?.list.length ?? 0)) longest.set(reading.key, reading);
  }
  return longest;
}
