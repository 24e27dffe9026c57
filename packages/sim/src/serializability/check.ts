/**
 * Whether a history is strictly serializable: whether there is one order of its transactions in which each reads what
 * those before it left, and in which whoever began after another had ended comes after it. There is one if, and only if,
 * nothing that must come before itself can be found (Adya; Papadimitriou, "The Serializability of Concurrent Database
 * Updates", 1979). Takes time in proportion to what was read, and to the transactions, sorted.
 */
import { type Cycle, cycleWithOne, Part, shortCycle } from "./cycles.ts";
import { type EdgeKind, type Graph, graphOf } from "./graph.ts";
import type { Anomaly, History, Kind } from "./history.ts";
import { versionsOf } from "./versions.ts";
import { explain } from "./words.ts";

export interface Options {
  /** By how much clocks of tabs may differ. Default 0. */
  readonly clockErrorMs?: number;
}

/** What is wrong with a history; nothing, if it is strictly serializable. At most one cycle is told of those that meet. */
export function check(history: History, { clockErrorMs = 0 }: Options = {}): readonly Anomaly[] {
  const versions = versionsOf(history);
  const graph = graphOf(history, versions, { errorMs: clockErrorMs });
  const cycles = cyclesOf(graph);
  return [...versions.anomalies, ...cycles.map(([kind, cycle]) => explain(history, graph, kind, cycle))];
}

type Named = readonly [Kind, Cycle];

const flow: readonly EdgeKind[] = ["ww", "wr"];
const dependencies: readonly EdgeKind[] = [...flow, "rw", "range"];
/** By what a cycle is made of, the worst first. Where several would name it, the first does. */
const levels: readonly (readonly EdgeKind[])[] = [["ww"], flow, dependencies, [...dependencies, "rt"]];

function cyclesOf(graph: Graph): readonly Named[] {
  const told = new Set<number>();
  const flowing = new Part(graph, flow);
  return levels.flatMap((kinds) => {
    const part = new Part(graph, kinds);
    return part.components().flatMap((component): readonly Named[] => {
      if (component.some((node) => told.has(node))) return [];
      for (const node of component) told.add(node);
      const cycle =
        kinds === dependencies
          ? (cycleWithOne(part, flowing, component) ?? shortCycle(part, component))
          : shortCycle(part, component);
      return [[kindOf(graph, cycle), cycle]];
    });
  });
}

function kindOf(graph: Graph, cycle: Cycle): Kind {
  const kinds = cycle.map((edge) => graph.kinds[edge]!);
  if (kinds.includes("rt")) return "real-time violation";
  const counters = kinds.filter((kind) => kind === "rw" || kind === "range");
  if (counters.length > 1) return counters.includes("range") ? "G2" : "G2-item";
  if (counters.length === 1) return isLostUpdate(graph, cycle) ? "lost update" : "G-single";
  return kinds.includes("wr") ? "G1c" : "G0";
}

/** One read a key before the other's append, and appended to it after. */
function isLostUpdate(graph: Graph, cycle: Cycle): boolean {
  const [one, other] = cycle.map((edge) => graph.reasons[edge]);
  const hasOverwritten = cycle.some((edge) => graph.kinds[edge] === "ww");
  return cycle.length === 2 && hasOverwritten && one!.key === other!.key;
}
