/**
 * Which part of the store a run of garbage collection looks at (GM6). Pure: what it is told decides, and nothing else.
 *
 * Young is what the store naturally has on top: the log, the memtable and the uppermost level. Old is the bottom level,
 * and middle the levels between. Ages, times and pressure choose what to look at, and in which order; which versions are
 * reclaimable is for the rule to say, and knows nothing of them (VG6).
 */
import { defaultGenerations, type GenerationOptions } from "../codec/generations.ts";

export type Generation = "young" | "middle" | "old";
export type RunKind = "YOUNG_ONLY" | "YOUNG_AND_MIDDLE" | "FULL_GC" | "NO_OP";
export type RunReason =
  /** Room is short. */
  | "pressure"
  /** So many reclaimable versions are known in the generation that the kind of run is for. */
  | "size"
  /** The oldest of them was superseded so long ago. */
  | "age"
  /** The last such run was so long ago. */
  | "frequency"
  /** So large a share of what is stored is reclaimable. */
  | "space"
  /** Of a NO_OP. */
  | "nothing reclaimable"
  | "below every threshold";

export type PerGeneration = Readonly<Record<Generation, number>>;

export interface GenerationState {
  /** Reclaimable versions known. */
  readonly sizes: PerGeneration;
  /** Since when, in wall time, the oldest of them is superseded; absent where that is not known. */
  readonly oldestAt?: Partial<PerGeneration>;
  /** Which share of all that is stored could go, by generation; absent where that is not known. */
  readonly garbage?: PerGeneration;
  /** When the last run was that looked at the young generation, and at everything; before the first, the opening. */
  readonly lastRun: { readonly young: number; readonly full: number };
  readonly now: number;
  /** The share of the room, of the quota or the disk, that is in use: 0 to 1. */
  readonly pressure: number;
}

export interface Choice {
  readonly kind: RunKind;
  readonly reason: RunReason;
  /** The generations that the run looks at, in this order. */
  readonly order: readonly Generation[];
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const monthMs = 30 * dayMs;
const aggressiveShare = 0.1;

/** Of a level in use. Where there is one level only, it is the uppermost: small, and cheap to look at. */
export function generationOf(level: number, uppermost: number, bottom: number): Generation {
  if (level <= uppermost) return "young";
  return level === bottom ? "old" : "middle";
}

export function chooseRun(state: GenerationState, options: GenerationOptions = defaultGenerations): Choice {
  const { sizes } = state;
  if (sizes.young + sizes.middle + sizes.old === 0) return noRun("nothing reclaimable");
  const limits = limitsOf(options);
  for (const { kind, generations } of runs) {
    const reason = reasonFor(kind, generations.at(-1)!, state, limits);
    if (reason) return { kind, reason, order: inOrder(generations, state, limits) };
  }
  return noRun("below every threshold");
}

/** The largest first. Each is for the last of its generations. */
const runs: readonly { readonly kind: RunKind; readonly generations: readonly Generation[] }[] = [
  { kind: "FULL_GC", generations: ["young", "middle", "old"] },
  { kind: "YOUNG_AND_MIDDLE", generations: ["young", "middle"] },
  { kind: "YOUNG_ONLY", generations: ["young"] },
];

const noRun = (reason: RunReason): Choice => ({ kind: "NO_OP", reason, order: [] });

interface Limits {
  readonly sizes: PerGeneration;
  readonly agesMs: PerGeneration;
  readonly youngEveryMs: number;
  readonly fullEveryMs: number;
  readonly pressureAt: number;
  readonly garbageAt: number;
}

function limitsOf(o: GenerationOptions): Limits {
  const share = o.aggressiveMode ? aggressiveShare : 1;
  return {
    sizes: { young: o.youngSize * share, middle: o.middleSize * share, old: o.oldSize * share },
    agesMs: {
      young: o.youngAgeHours * hourMs * share,
      middle: o.middleAgeDays * dayMs * share,
      old: o.oldAgeMonths * monthMs * share,
    },
    youngEveryMs: o.youngEveryMinutes * minuteMs * share,
    fullEveryMs: o.fullEveryHours * hourMs * share,
    pressureAt: o.pressureAt,
    garbageAt: o.garbageAt * share,
  };
}

function reasonFor(
  kind: RunKind,
  generation: Generation,
  state: GenerationState,
  limits: Limits,
): RunReason | undefined {
  const { sizes, lastRun, now, pressure } = state;
  const known = sizes[generation];
  if (known > 0 && pressure >= limits.pressureAt) return "pressure";
  if (known > 0 && known >= limits.sizes[generation]) return "size";
  if (known > 0 && (state.garbage?.[generation] ?? 0) >= limits.garbageAt) return "space";
  if (ripeness(generation, state, limits) >= 1) return "age";
  if (kind === "FULL_GC" && hasPassed(limits.fullEveryMs, lastRun.full, now)) return "frequency";
  if (kind === "YOUNG_ONLY" && known > 0 && hasPassed(limits.youngEveryMs, lastRun.young, now)) return "frequency";
  return undefined;
}

/** A clock that was set back must not put a run off for good. */
const hasPassed = (ms: number, since: number, now: number): boolean => now - since >= ms || now < since;

/** The age of a generation's oldest garbage, as a share of what it may be. */
function ripeness(generation: Generation, { sizes, oldestAt, now }: GenerationState, { agesMs }: Limits): number {
  const since = oldestAt?.[generation];
  if (since === undefined || sizes[generation] === 0) return 0;
  return Math.max(0, now - since) / agesMs[generation];
}

/** What has lain longest, for its generation, comes first; otherwise from the top down. */
function inOrder(generations: readonly Generation[], state: GenerationState, limits: Limits): readonly Generation[] {
  const isRipe = (g: Generation): number => {
    const share = ripeness(g, state, limits);
    return share >= 1 ? share : 0;
  };
  return generations.toSorted((a, b) => isRipe(b) - isRipe(a));
}
