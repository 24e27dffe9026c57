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
}

/** A component of a broken database may hold everything: shorter cycles are looked for until so many nodes were visited. */
const maxVisits = 1_000_000;

/** Looks for ways within one component. */
class Search {
  readonly #graph: Graph;
  readonly #isMember: Uint8Array;
  /** By which edge a node was reached, and in which search. */
  readonly #cameBy: Int32Array;
  readonly #reachedIn: Int32Array;
  #searches = 0;
  #visits = 0;

  constructor(graph: Graph, component: readonly number[]) {
    this.#graph = graph;
    this.#isMember = new Uint8Array(graph.nodes);
    for (const node of component) this.#isMember[node] = 1;
    this.#cameBy = new Int32Array(graph.nodes);
    this.#reachedIn = new Int32Array(graph.nodes);
  }

  get isTired(): boolean {
    return this.#visits > maxVisits;
  }

  isMember(node: number): boolean {
    return this.#isMember[node] === 1;
  }

  /** A shortest one; undefined where there is none. */
  way(part: Part, from: number, to: number): Cycle | undefined {
    const search = ++this.#searches;
    const line = [from];
    for (const node of line) {
      this.#visits++;
      for (const edge of part.from(node)) {
        const next = this.#graph.to[edge]!;
        if (this.#isMember[next] === 0 || this.#reachedIn[next] === search) continue;
        this.#reachedIn[next] = search;
        this.#cameBy[next] = edge;
        if (next === to) return this.#back(from, to);
        line.push(next);
      }
    }
    return undefined;
  }

  #back(from: number, to: number): Cycle {
    const way: number[] = [];
    let node = to;
    do {
      const edge = this.#cameBy[node]!;
      way.push(edge);
      node = this.#graph.from[edge]!;
    } while (node !== from);
    return way.reverse();
  }
}

const isShorter = (one: Cycle, other: Cycle | undefined): boolean => !other || one.length < other.length;

/** A short cycle of one component, which has one. */
export function shortCycle(part: Part, component: readonly number[]): Cycle {
  const search = new Search(part.graph, component);
  let shortest: Cycle | undefined;
  for (const node of component) {
    if (shortest && (shortest.length === 2 || search.isTired)) break;
    const cycle = search.way(part, node, node)!;
    if (isShorter(cycle, shortest)) shortest = cycle;
  }
  return shortest!;
}

/** A cycle with exactly one edge that is not in `rest`, if one is found. */
export function cycleWithOne(part: Part, rest: Part, component: readonly number[]): Cycle | undefined {
  const search = new Search(part.graph, component);
  const { kinds, from, to } = part.graph;
  let shortest: Cycle | undefined;
  const counters = component.flatMap((node) =>
    [...part.from(node)].filter((edge) => kinds[edge] === "rw" || kinds[edge] === "range"),
  );
  for (const edge of counters) {
    if (shortest?.length === 2 || search.isTired) break;
    if (!search.isMember(to[edge]!)) continue;
    const way = search.way(rest, to[edge]!, from[edge]!);
    if (way && isShorter([edge, ...way], shortest)) shortest = [edge, ...way];
  }
  return shortest;
}
