import type { Graph } from "./graph.ts";
import type { Anomaly, History, Kind, List } from "./history.ts";

export const name = (history: History, transaction: number): string =>
  `T${transaction} of ${history[transaction]!.tab}`;

const maxShown = 8;

export const show = (list: List): string =>
  list.length <= maxShown ? `[${list.join(" ")}]` : `[… ${list.slice(-maxShown).join(" ")}]`;

/** Says of each step of a cycle why the one must come before the other. */
export function explain(history: History, graph: Graph, kind: Kind, cycle: readonly number[]): Anomaly {
  const isTransaction = (node: number): boolean => node < graph.transactions;
  // From a transaction on; moments in between are left out.
  const start = cycle.findIndex((edge) => isTransaction(graph.from[edge]!));
  const turned = [...cycle.slice(start), ...cycle.slice(0, start)];
  const steps: string[] = [];
  const transactions: number[] = [];
  for (const edge of turned) {
    const [from, to] = [graph.from[edge]!, graph.to[edge]!];
    if (isTransaction(from)) transactions.push(from);
    if (isTransaction(to)) steps.push(step(history, graph, edge, transactions.at(-1)!, to));
  }
  return { kind, transactions, explanation: steps.join("; ") };
}

function step(history: History, graph: Graph, edge: number, from: number, to: number): string {
  const [one, other] = [name(history, from), name(history, to)];
  const { key, element } = graph.reasons[edge] ?? {};
  switch (graph.kinds[edge]!) {
    case "ww":
      return `${other} appended ${element} to ${key} right after what ${one} had`;
    case "wr":
      return `${other} read ${element} in ${key}, which ${one} appended`;
    case "rw":
      return `${one} read ${key} without ${element}, which ${other} appended`;
    case "range":
      return `${one} read a range without ${key}, which ${other} brought into it by ${element}`;
    default:
      return `${one} had ended at ${history[from]!.completedAt}, before ${other} began at ${history[to]!.invokedAt}`;
  }
}
