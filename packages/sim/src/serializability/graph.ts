/**
 * Which transaction must come before which, in any order that explains a history (Adya's direct serialization graph, and
 * real time):
 *
 *   ww   its append stands right before the other's
 *   wr   the other read its append, as the last one
 *   rw   it read a key without the other's append, which is the next one; "range", where that is known only from
 *        what a range did not hold
 *   rt   the other was begun after it had ended; within a tab, or in any
 *
 * Nodes are transactions, and after them moments: whoever ended before a moment comes before it, and the moment before
 * whoever began after. So real time takes as many edges as there are transactions, not as there are pairs of them.
 */
import type { History, Operation } from "./history.ts";
import type { Append, Key, Versions } from "./versions.ts";

type Scan = Extract<Operation, { readonly op: "scan" }>;
type Lengths = Extract<Operation, { readonly op: "lengths" }>;

export const edgeKinds = ["ww", "wr", "rw", "range", "rt"] as const;
export type EdgeKind = (typeof edgeKinds)[number];

export interface Graph {
  /** Nodes from here on are moments. */
  readonly transactions: number;
  readonly nodes: number;
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly kinds: readonly EdgeKind[];
  /** What an edge rests on; of `rt` nothing. */
  readonly reasons: readonly (Append | undefined)[];
}

class GraphBuilder implements Graph {
  readonly transactions: number;
  nodes: number;
  readonly from: number[] = [];
  readonly to: number[] = [];
  readonly kinds: EdgeKind[] = [];
  readonly reasons: (Append | undefined)[] = [];

  constructor(transactions: number) {
    this.transactions = transactions;
    this.nodes = transactions;
  }

  edge(from: number, to: number, kind: EdgeKind, reason?: Append): void {
    if (from === to) return; // nobody waits for himself
    this.from.push(from);
    this.to.push(to);
    this.kinds.push(kind);
    this.reasons.push(reason);
  }

  moment(): number {
    return this.nodes++;
  }
}

/** By how much clocks of different tabs may differ. */
export interface Clocks {
  readonly errorMs: number;
}

export function graphOf(history: History, versions: Versions, clocks: Clocks): Graph {
  const graph = new GraphBuilder(history.length);
  for (const key of versions.keys.values()) orderKey(graph, key);
  orderRanges(graph, history, versions);
  const tabs = Map.groupBy(history.keys(), (transaction) => history[transaction]!.tab);
  for (const ofTab of tabs.values()) orderByTime(graph, history, versions, ofTab, ofTab, { errorMs: 0 });
  const current = [...history.keys()].filter((transaction) => history[transaction]!.isStale !== true);
  orderByTime(graph, history, versions, current, history.keys(), clocks);
  return graph;
}

/** So many lost appends of one key tell as much as all of them. */
const maxUnread = 100;

function orderKey(graph: GraphBuilder, { order, unread, seen }: Key): void {
  const ends = unread.slice(0, maxUnread);
  for (const [i, append] of order.entries()) {
    const next = order[i + 1];
    if (next) graph.edge(append.transaction, next.transaction, "ww", next);
    else for (const end of ends) graph.edge(append.transaction, end.transaction, "ww", end);
  }
  for (const { transaction, length } of seen) {
    const last = order[length - 1];
    if (last) graph.edge(last.transaction, transaction, "wr", last);
    for (const next of length < order.length ? [order[length]!] : ends) {
      // An intermediate read: told as such.
      if (next.transaction !== last?.transaction) graph.edge(transaction, next.transaction, "rw", next);
    }
  }
}

/** Whoever did not find a key in a range comes before whoever brought it in. */
function orderRanges(graph: GraphBuilder, history: History, { keys, isCommitted }: Versions): void {
  const sorted = [...keys.keys()].toSorted();
  for (const [transaction, { operations }] of history.entries()) {
    if (!isCommitted[transaction]) continue;
    const own = new Set<string>();
    for (const operation of operations) {
      if (operation.op === "append") own.add(operation.key);
      if (operation.op === "append" || operation.op === "read") continue;
      const known = new Set([...own, ...operation.found.map(([key]) => key)]);
      for (const key of operation.op === "scan" ? within(sorted, operation) : sorted) {
        if (known.has(key)) continue;
        for (const first of broughtIn(keys.get(key)!, operation))
          graph.edge(transaction, first.transaction, "range", first);
      }
    }
  }
}

/** The append that brought a key into a range, which it was not in when that was read. */
function broughtIn({ order, unread, unsure }: Key, range: Scan | Lengths): readonly Append[] {
  if (range.op === "scan") return order.length > 0 ? order.slice(0, 1) : unread.slice(0, maxUnread);
  // Its list was too short, or too long: that is known only where it never became too long.
  return order.length + unread.length + unsure < range.to ? order.slice(range.from - 1, range.from) : [];
}

/** Of sorted keys, those in a range. */
function within(sorted: readonly string[], { from, to }: Scan): readonly string[] {
  return sorted.slice(lowerBound(sorted, from), lowerBound(sorted, to));
}

function lowerBound(sorted: readonly string[], key: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whoever ended comes before whoever began after. Who ended, and when, is known only where it was heard. */
function orderByTime(
  graph: GraphBuilder,
  history: History,
  { isCommitted }: Versions,
  began: Iterable<number>,
  ended: Iterable<number>,
  { errorMs }: Clocks,
): void {
  const taken = (of: Iterable<number>): number[] => [...of].filter((transaction) => isCommitted[transaction]);
  const ends = taken(ended)
    .filter((transaction) => history[transaction]!.outcome === "committed")
    .sort((a, b) => history[a]!.completedAt - history[b]!.completedAt);
  const begins = taken(began).sort((a, b) => history[a]!.invokedAt - history[b]!.invokedAt);
  let moment: number | undefined;
  let at = 0;
  for (const transaction of begins) {
    const isBefore = (other: number): boolean =>
      history[other]!.completedAt + errorMs < history[transaction]!.invokedAt;
    for (let isNew = true; at < ends.length && isBefore(ends[at]!); at++) {
      if (isNew) {
        const next = graph.moment();
        if (moment !== undefined) graph.edge(moment, next, "rt");
        moment = next;
        isNew = false;
      }
      graph.edge(ends[at]!, moment!, "rt");
    }
    if (moment !== undefined) graph.edge(moment, transaction, "rt");
  }
}
