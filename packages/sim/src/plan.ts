/** What happens in a world, all of it drawn from one seed. A plan with steps left out is a plan, so failures can be shrunk. */
import { Random } from "./random.ts";

export type TabStep =
  | "write"
  | "read"
  | "transaction"
  | "increments"
  | "burst"
  | "view"
  | "viewRead"
  | "release"
  | "live"
  | "snapshot"
  | "history"
  | "feed"
  | "checkpoint"
  | "collect"
  | "job"
  | "look"
  | "evict"
  | "reopen"
  | "upgrade";

export type NatureStep =
  | "freeze"
  | "kill"
  | "crashWorker"
  | "power"
  | "loseConnection"
  | "fillDisk"
  | "stealLock"
  | "jumpClock"
  | "weather"
  | "hide"
  | "damage";

export interface Step {
  /** Which tab; -1 is nature. */
  readonly who: number;
  readonly waitMs: number;
  readonly kind: TabStep | NatureStep;
  /** What else there is to it is drawn from this. */
  readonly seed: number;
  /** Whether what the tab does next waits for it. */
  readonly isAwaited: boolean;
}

export interface Plan {
  readonly seed: number;
  readonly tabs: number;
  readonly memtableMaxBytes: number;
  readonly cacheMaxBytes: number;
  readonly proof: "floor" | "interval";
  readonly debtMaxCommits: number;
  readonly isStrict: boolean;
  /** No tab hears of another. */
  readonly isSilent: boolean;
  readonly steps: readonly Step[];
}

const ofTabs: readonly (readonly [number, TabStep])[] = [
  [26, "write"],
  [14, "read"],
  [14, "transaction"],
  [2, "increments"],
  [3, "burst"],
  [5, "view"],
  [9, "viewRead"],
  [4, "release"],
  [3, "live"],
  [4, "snapshot"],
  [3, "history"],
  [5, "feed"],
  [4, "checkpoint"],
  [5, "collect"],
  [1.5, "job"],
  [3, "look"],
  [1, "evict"],
  [1.5, "reopen"],
];

/** Worlds differ in what goes wrong in them. */
const troubles: readonly (readonly [weight: number, Partial<Record<NatureStep, number>>])[] = [
  [2, {}],
  [4, { freeze: 3, kill: 3, crashWorker: 1, stealLock: 1, hide: 1, weather: 1 }],
  [3, { power: 3, kill: 1, weather: 1 }],
  [2, { loseConnection: 3, freeze: 1, kill: 1 }],
  [2, { fillDisk: 3, kill: 1 }],
  [2, { jumpClock: 2, weather: 2, freeze: 1, stealLock: 1 }],
  [1, { damage: 2, kill: 1, freeze: 1 }],
  [
    3,
    {
      freeze: 2,
      kill: 2,
      crashWorker: 1,
      power: 1,
      loseConnection: 1,
      fillDisk: 1,
      stealLock: 1,
      jumpClock: 1,
      weather: 1,
      hide: 1,
    },
  ],
];

export function planOf(seed: number): Plan {
  const random = new Random(seed);
  const tabs = 1 + random.below(4);
  const trouble = Object.entries(random.weighted(troubles)).map(([kind, n]) => [n, kind as NatureStep] as const);
  const length = 20 + random.below(70);
  const steps: Step[] = [];
  for (let i = 0; i < length; i++) {
    const who = random.below(tabs);
    const waitMs = random.chance(0.4) ? 0 : random.below(random.chance(0.1) ? 3000 : 60);
    steps.push({ who, waitMs, kind: random.weighted(ofTabs), seed: random.seed(), isAwaited: random.chance(0.8) });
  }
  if (random.chance(0.3)) {
    const at = random.below(steps.length);
    steps.splice(at, 0, { who: random.below(tabs), waitMs: 10, kind: "upgrade", seed: random.seed(), isAwaited: true });
  }
  const events = trouble.length === 0 ? 0 : 1 + random.below(6);
  for (let i = 0; i < events; i++) {
    const kind = random.weighted(trouble);
    steps.push({ who: -1, waitMs: random.below(800), kind, seed: random.seed(), isAwaited: true });
  }
  return {
    seed,
    tabs,
    memtableMaxBytes: random.pick([65_536, 65_536, 65_536, 150_000, 1_000_000]),
    cacheMaxBytes: random.pick([65_536, 1_000_000]),
    proof: random.pick(["floor", "interval"]),
    debtMaxCommits: random.pick([100_000, 100_000, 100_000, 40, 15]),
    isStrict: random.chance(0.25),
    isSilent: random.chance(0.1),
    steps,
  };
}
