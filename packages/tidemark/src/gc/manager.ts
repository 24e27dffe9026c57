/**
 * Garbage collection as upkeep drives it: advances the floor, decides when a cycle is worth while, and has every strategy
 * that collects. What it decides is durable with the first step; whoever has the next tenure goes on with it.
 */
import type { Seq, TabId } from "../base/brand.ts";
import type { GenerationOptions } from "../codec/generations.ts";
import type { Store } from "../mvcc/store.ts";
import { compaction } from "./compaction.ts";
import { type CycleProgress, type CycleState, isAnyKeeperReleased } from "./cycle.ts";
import {
  advanceFloor,
  basisOf,
  deadTabs,
  type DebtLimits,
  foreseen,
  type LogWriter,
  overdue,
  type Proof,
} from "./floor.ts";
import { chooseRun, type GenerationState, type PerGeneration } from "./generations.ts";
import { type Basis, executionsIn, readExecutions, type RunKind } from "./journal.ts";
import { type DueSize, dueSizes } from "./plan.ts";
import type { Holder } from "../mvcc/holders.ts";
import { decodeRoot } from "../segments/manifest.ts";
import { readRoot } from "../segments/manifest-rows.ts";
import { aside, type Pace } from "../segments/pace.ts";
import { never } from "../segments/rule.ts";
import { valueOf } from "../storage/contract.ts";
import { clearedTables } from "./reclaim.ts";
import { type GcStrategy, nothingDone } from "./strategy.ts";
import { Leftovers } from "./sweep.ts";
import type { Tenure } from "./tenure.ts";
import { Versions } from "./versions.ts";
import type { WorkOptions } from "./work.ts";

export interface GcManagerOptions {
  readonly proof: Proof;
  readonly debt: DebtLimits;
  readonly generations: GenerationOptions;
  /** False: cycles are run only where somebody asks for them. */
  readonly isAutomatic: boolean;
}

/** What the manager needs of the tab that it runs in. */
export interface GcManagerSeams {
  readonly store: Store;
  readonly log: LogWriter;
  readonly now: () => number;
  /** Asks every tab to raise its pin, and waits a moment for those that do. */
  readonly raisePins: () => Promise<void>;
  readonly liveTabs: () => Promise<ReadonlySet<TabId>>;
  readonly bytesHeldBy: (holder: Holder) => number;
  /** A cycle began, went on, or ended. */
  readonly progress: (cycle: CycleProgress, phase: "sweep" | "done") => void;
}

/** Whom an advance of the floor evicts besides, and who has it done. */
export interface Eviction {
  readonly evict: ReadonlySet<string>;
  readonly by: string;
}

export class GcManager {
  readonly #seams: GcManagerSeams;
  readonly #options: GcManagerOptions;
  readonly versions: Versions;
  /** In the order in which a run takes them. */
  readonly strategies: readonly GcStrategy[];
  #lastRun: { young: number; full: number } | undefined;
  /** Points may have been released since it was last looked at what only they kept. */
  #mayBeReleased = true;

  constructor(seams: GcManagerSeams, options: GcManagerOptions) {
    this.#seams = seams;
    this.#options = options;
    const { store, now, progress, liveTabs } = seams;
    this.versions = new Versions({ store, now, progress, completed: (cycle) => this.#completed(cycle) });
    const leftovers = new Leftovers(store.storage, liveTabs);
    this.strategies = [clearedTables(store), this.versions, compaction(store), leftovers];
  }

  /** Whether any block holds what may go once the floor rises, or now: if not, there is nothing to look after. */
  get hasGarbage(): boolean {
    const { manifest } = this.#seams.store;
    const isReleased = this.#mayBeReleased;
    const isMarked = [...manifest.marks.values()].some((due) => due !== never);
    return isMarked || manifest.pages().some((p) => p.due !== never || (isReleased && p.pinned > 0));
  }

  /** A point was released: what only it kept may go. */
  released(): void {
    this.#mayBeReleased = true;
  }

  /** A tenure begins: the cycle that the one before left is gone on with, unless its log is no more. */
  async resume(tenure: Tenure): Promise<void> {
    const { store } = this.#seams;
    const [executionRows, rootRow] = await store.storage.read([readExecutions, readRoot]);
    // Upkeep elsewhere may have moved the manifest on untold. From here on nobody else does.
    const root = valueOf(rootRow);
    if (root && decodeRoot(root).version !== store.manifest.version) await store.reload();
    const ended = executionsIn(executionRows).filter(({ status }) => status === "COMPLETED");
    const last = (types: readonly string[]): number =>
      ended.findLast(({ type }) => types.includes(type))?.completed ?? this.#seams.now();
    this.#lastRun = { young: last(["YOUNG_ONLY", "YOUNG_AND_MIDDLE", "FULL_GC"]), full: last(["FULL_GC"]) };
    await this.versions.resume(tenure);
  }

  /** The tenure is over: the cycle is another tab's. */
  leave(): void {
    this.versions.leave();
  }

  /** The floor as it can be now, and who may read; evicts who holds back more than he may. `undefined`: deposed. */
  async advance(tenure: Tenure, eviction?: Eviction): Promise<Basis | undefined> {
    const { store, log, now, raisePins, liveTabs, bytesHeldBy } = this.#seams;
    const { proof, debt } = this.#options;
    if (!eviction) await raisePins(); // who is refused has changed nothing
    const dead = await deadTabs(store.storage, liveTabs);
    const advanced = await advanceFloor(log, tenure, {
      proof,
      dead,
      ...eviction,
      overdue: (holders, head) => overdue(holders, bytesHeldBy, head, debt),
    });
    if (!advanced) return undefined;
    store.ledger.points(advanced.points);
    return basisOf(advanced, store.fence, now());
  }

  /** Advances the floor where that is worth a cycle, or where somebody holds back more than he may. Only then it writes. */
  async gain(tenure: Tenure, { pace }: WorkOptions): Promise<Basis | undefined> {
    const { store, raisePins, liveTabs, bytesHeldBy } = this.#seams;
    const { proof, debt } = this.#options;
    if (this.versions.cycle || !(await this.#isWorthwhile(store.head.seq, [], pace))) return undefined;
    await aside(pace, raisePins());
    const { floor, points, holders } = await aside(pace, foreseen(store.storage, liveTabs, proof));
    const isOverdue = overdue(holders, bytesHeldBy, store.head.seq, debt).size > 0;
    const isWorthwhile = isOverdue || (await this.#isWorthwhile(floor, points, pace));
    if (!isWorthwhile) this.#mayBeReleased = false;
    return isWorthwhile ? await aside(pace, this.advance(tenure)) : undefined;
  }

  async #isWorthwhile(floor: Seq, points: readonly Seq[], pace: Pace): Promise<boolean> {
    const basis = { floor, points, nowMs: this.#seams.now(), holders: 0 };
    return (await this.#choose(basis, pace)) !== "NO_OP";
  }

  /** What points and retention kept is looked at by full cycles alone: these note what keeps from now on. */
  async #choose(basis: Basis, pace: Pace): Promise<RunKind | "NO_OP"> {
    const isReleased = this.#mayBeReleased && (await aside(pace, isAnyKeeperReleased(this.#seams.store, basis)));
    const { kind } = chooseRun(await this.#generations(basis, isReleased, pace), this.#options.generations);
    return kind === "NO_OP" || !isReleased ? kind : "FULL_GC";
  }

  /** Begins a cycle where the generations say that one is worth while. Answers whether one is under way. */
  async consider(tenure: Tenure, basis: Basis, options: WorkOptions): Promise<boolean> {
    if (this.versions.cycle) return true;
    if (!this.#options.isAutomatic || !this.hasGarbage) return false;
    const kind = await this.#choose(basis, options.pace);
    if (kind === "NO_OP") return false;
    const terms = { kind, basis, config: { kind }, before: nothingDone, isAsked: false };
    return this.versions.plan(tenure, terms, options);
  }

  #completed(cycle: CycleState): void {
    const now = this.#seams.now();
    const isFull = cycle.kind === "FULL_GC";
    this.#lastRun = { young: now, full: isFull ? now : (this.#lastRun?.full ?? now) };
    if (isFull) this.#mayBeReleased = false;
  }

  /** Dead tables do not count: of them only blocks at their borders are left, for the next full cycle. */
  async #generations(basis: Basis, isReleased: boolean, pace: Pace): Promise<GenerationState> {
    const { store, now } = this.#seams;
    const { manifest, fence } = store;
    const terms = { reach: Math.min(basis.floor, fence.seq), isReleased, dead: [] };
    const due = perGeneration(
      await dueSizes(manifest, terms, pace),
      manifest.levels.findIndex(({ length }) => length > 0),
    );
    const stored = Math.max(1, manifest.sizeBytes);
    const share = (of: DueSize): number => of.bytes / stored;
    return {
      sizes: { young: due.young.versions, middle: due.middle.versions, old: due.old.versions },
      garbage: { young: share(due.young), middle: share(due.middle), old: share(due.old) } satisfies PerGeneration,
      lastRun: this.#lastRun ?? { young: now(), full: now() },
      now: now(),
      pressure: 0,
    };
  }
}

function perGeneration(sizes: readonly DueSize[], filled: number): Record<keyof PerGeneration, DueSize> {
  const sum = (from: number, to: number): DueSize =>
    sizes
      .slice(from, to)
      .reduce((all, one) => ({ versions: all.versions + one.versions, bytes: all.bytes + one.bytes }), {
        versions: 0,
        bytes: 0,
      });
  const uppermost = Math.max(0, filled);
  const lowest = sizes.length - 1;
  return {
    young: sum(uppermost, uppermost + 1),
    middle: sum(uppermost + 1, lowest),
    old: uppermost === lowest ? { versions: 0, bytes: 0 } : sum(lowest, lowest + 1),
  };
}
