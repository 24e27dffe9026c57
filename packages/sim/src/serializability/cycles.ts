/**
 * Finds cycles. Strongly connected components (Tarjan, "Depth-First Search and Linear Graph Algorithms", 1972) tell where
 * there are any, in linear time; only within them is one looked for that is short, and as telling as possible.
 */
import type { EdgeKind, Graph } from "./graph.ts";

/** Positions of edges, each beginning where the one before ends. */
export type Cycle = readonly number[];

/** Edges of some kinds, by the node that they begin at. */
export class Part {
  readonly graph: Graph;
  readonly #starts: Int32Array;
  readonly #edges: Int32Array;

  constructor(graph: Graph, kinds: readonly EdgeKind[]) {
    this.graph = graph;
    const chosen = [...graph.kinds.keys()].filter((edge) => kinds.includes(graph.kinds[edge]!));
    this.#starts = new Int32Array(graph.nodes + 1);
    for (const edge of chosen) this.#starts[graph.from[edge]! + 1]!++;
    for (let node = 0; node < graph.nodes; node++) this.#starts[node + 1]! += this.#starts[node]!;
    this.#edges = new Int32Array(chosen.length);
    const filled = this.#starts.slice();
    for (const edge of chosen) this.#edges[filled[graph.from[edge]!]!++] = edge;
  }

  from(node: number): Int32Array {
    return this.#edges.subarray(this.#starts[node], this.#starts[node + 1]);
  }

  /** Those of more than one node. */
  components(): readonly (readonly number[])[] {
    const { nodes, to } = this.graph;
    const index = new Int32Array(nodes); // 0: not met yet
    const low = new Int32Array(nodes);
    const isOpen = new Uint8Array(nodes);
    const open: number[] = [];
    const found: number[][] = [];
    let met = 0;
    for (let root = 0; root < nodes; root++) {
      if (index[root]! > 0) continue;
      const path = [root];
      const nexts = [0];
      while (path.length > 0) {
        const node = path.at(-1)!;
        const edges = this.from(node);
        const next = nexts[nexts.length - 1]!++;
        if (next === 0) {
          index[node] = low[node] = ++met;
          isOpen[node] = 1;
          open.push(node);
        }
        if (next < edges.length) {
          const other = to[edges[next]!]!;
          if (index[other] === 0) {
            path.push(other);
            nexts.push(0);
          } else if (isOpen[other] === 1) low[node] = Math.min(low[node]!, index[other]!);
          continue;
        }
        path.pop();
        nexts.pop();
        const parent = path.at(-1);
        if (parent !== undefined) low[parent] = Math.min(low[parent]!, low[node]!);
        if (low[node] !== index[node]) continue;
        const component = open.splice(open.lastIndexOf(node));
        for (const member of component) isOpen[member] = 0;
        if (component.length > 1) found.push(component);
      }
    }
    return found;
  }

  /** A shortest way within `members`; undefined where there is none. */
  way(from: number, to: number, members: ReadonlySet<number>): Cycle | undefined {
    const { graph } = this;
    const cameBy = new Map<number, number>();
    const line = [from];
    for (const node of line) {
      for (const edge of this.from(node)) {
        const next = graph.to[edge]!;
        if (!members.has(next) || cameBy.has(next)) continue;
        cameBy.set(next, edge);
        if (next === to) return backFrom(graph, from, to, cameBy);
        line.push(next);
      }
    }
    return undefined;
  }
}

function backFrom(graph: Graph, from: number, to: number, cameBy: ReadonlyMap<number, number>): Cycle {
  const way: number[] = [];
  let node = to;
  do {
    const edge = cameBy.get(node)!;
    way.push(edge);
    node = graph.from[edge]!;
  } while (node !== from);
  return way.reverse();
}

/** From so many places, at most, a shorter cycle is looked for: a component of a broken database may hold everything. */
const maxTries = 200;

/** A short cycle of one component, which has one. */
export function shortCycle(part: Part, component: readonly number[]): Cycle {
  const members = new Set(component);
  let shortest: Cycle | undefined;
  for (const node of component.slice(0, maxTries)) {
    const cycle = part.way(node, node, members);
    if (cycle && (!shortest || cycle.length < shortest.length)) shortest = cycle;
    if (shortest?.length === 2) break;
  }
  return shortest!;
}

/** A cycle with exactly one edge that is not in `rest`. */
export function cycleWithOne(part: Part, rest: Part, component: readonly number[]): Cycle | undefined {
  const members = new Set(component);
  const { graph } = part;
  let shortest: Cycle | undefined;
  let tries = 0;
  for (const node of component) {
    for (const edge of part.from(node)) {
      const next = graph.to[edge]!;
      const kind = graph.kinds[edge]!;
      if ((kind !== "rw" && kind !== "range") || !members.has(next)) continue;
      if (++tries > maxTries) return shortest;
      const way = rest.way(next, node, members);
      if (way && (!shortest || way.length + 1 < shortest.length)) shortest = [edge, ...way];
      if (shortest?.length === 2) return shortest;
    }
  }
  return shortest;
}
