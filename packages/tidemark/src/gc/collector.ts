/**
 * Garbage collection as upkeep drives it: advances the floor, decides when a cycle is worth while, and takes its steps.
 * What it decides is durable with the first step; whoever has the next tenure goes on with it.
 */
import type { Seq, TabId } from "../base/brand.ts";
import type { GenerationOptions } from "../codec/generations.ts";
import type { Store } from "../mvcc/store.ts";
import {
  beginCycle,
  cycleIn,
  deadToLookFor,
  type CycleState,
  type CycleTerms,
  endCycle,
  isOfLog,
  nothingDone,
  readCycle,
  stepCycle,
} from "./cycle.ts";
import {
  advanceFloor,
  basisOf,
  deadTabs,
  type DebtLimits,
  floorOf,
  type LogWriter,
  overdue,
  type Proof,
} from "./floor.ts";
import { chooseRun, type PerGeneration } from "./generations.ts";
import { type Basis, executionsIn, readExecutions } from "./journal.ts";
import { type DueSize, dueSizes } from "./plan.ts";
import { type Holder, holdersIn, pointsOf, readHolders } from "../mvcc/holders.ts";
import { floorIn, readFloor } from "../mvcc/read-floor.ts";
import { never } from "../segments/rule.ts";
import type { Tenure } from "./tenure.ts";
import type { WorkOptions } from "./work.ts";

export interface CollectorOptions {
  readonly proof: Proof;
  readonly debt: DebtLimits;
  readonly generations: GenerationOptions;
  /** False: cycles are run only where somebody asks for them. */
  readonly isAutomatic: boolean;
}

/** What the collector needs of the tab that it runs in. */
export interface CollectorSeams {
  readonly store: Store;
  readonly log: LogWriter;
  readonly now: () => number;
  /** Asks every tab to raise its pin, and waits a moment for those that do. */
  readonly raisePins: () => Promise<void>;
  readonly liveTabs: () => Promise<ReadonlySet<TabId>>;
  readonly bytesHeldBy: (holder: Holder) => number;
  /** A cycle began, went on, or ended. */
  readonly progress: (cycle: CycleState, phase: "sweep" | "done") => void;
}

/** Whom an advance of the floor evicts besides, and who has it done. */
export interface Eviction {
  readonly evict: ReadonlySet<string>;
  readonly by: string;
}

export class Collector {
  readonly #seams: CollectorSeams;
  readonly #options: CollectorOptions;
  #cycle: CycleState | undefined;
  #lastRun: { young: number; full: number } | undefined;

  constructor(seams: CollectorSeams, options: CollectorOptions) {
    this.#seams = seams;
    this.#options = options;
  }

  /** The cycle under way. */
  get cycle(): CycleState | undefined {
    return this.#cycle;
  }

  /** Whether any block holds what may go one day: if not, there is nothing to look after. */
  get hasGarbage(): boolean {
    const { manifest } = this.#seams.store;
    const isMarked = [...manifest.marks.values()].some((due) => due !== never);
    return isMarked || manifest.pages().some(({ due, pinned }) => due !== never || pinned > 0);
  }

  /** A tenure begins: the cycle that the one before left is gone on with, unless its log is no more. */
  async resume(tenure: Tenure): Promise<void> {
    const { store } = this.#seams;
    const [cycleRow, executionRows] = await store.storage.read([readCycle, readExecutions]);
    const cycle = cycleIn(cycleRow);
    const ended = executionsIn(executionRows).filter(({ status }) => status === "COMPLETED");
    const last = (types: readonly string[]): number =>
      ended.findLast(({ type }) => types.includes(type))?.completed ?? this.#seams.now();
    this.#lastRun = { young: last(["YOUNG_ONLY", "YOUNG_AND_MIDDLE", "FULL_GC"]), full: last(["FULL_GC"]) };
    this.#cycle = undefined;
    if (!cycle) return;
    if (isOfLog(store, cycle)) this.#cycle = cycle;
    else await endCycle(tenure, cycle, "CANCELLED", this.#seams.now(), "the log that it was decided on was struck");
  }

  /** The tenure is over: the cycle is another tab's. */
  leave(): void {
    this.#cycle = undefined;
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
    return basisOf(advanced, now());
  }

  /** Advances the floor where that is worth a cycle, or where somebody holds back more than he may. Only then it writes. */
  async gain(tenure: Tenure): Promise<Basis | undefined> {
    const { store, raisePins, liveTabs, bytesHeldBy } = this.#seams;
    const { proof, debt } = this.#options;
    if (this.#cycle || !(await this.#isWorthwhile(store.head.seq, []))) return undefined;
    await raisePins();
    const dead = await deadTabs(store.storage, liveTabs);
    const [floorRow, ...rows] = await store.storage.read([readFloor, ...readHolders]);
    const left = holdersIn(rows).filter(({ kind, owner }) => kind === "snapshot" || !dead.has(owner as TabId));
    const floor = floorOf(floorIn(floorRow).seq, left, proof);
    const isOverdue = overdue(left, bytesHeldBy, store.head.seq, debt).size > 0;
    const isWorthwhile = isOverdue || (await this.#isWorthwhile(floor, pointsOf(left)));
    return isWorthwhile ? await this.advance(tenure) : undefined;
  }

  async #isWorthwhile(floor: Seq, points: readonly Seq[]): Promise<boolean> {
    const basis = { floor, points, nowMs: this.#seams.now(), holders: 0 };
    return chooseRun(await this.#generations(basis), this.#options.generations).kind !== "NO_OP";
  }

  /** Begins a cycle where the generations say that one is worth while. Answers whether one is under way. */
  async consider(tenure: Tenure, basis: Basis, options: WorkOptions): Promise<boolean> {
    if (this.#cycle) return true;
    if (!this.#options.isAutomatic || !this.hasGarbage) return false;
    const { kind } = chooseRun(await this.#generations(basis), this.#options.generations);
    if (kind === "NO_OP") return false;
    await this.begin(tenure, { kind, basis, config: { kind }, before: nothingDone, isAsked: false }, options);
    return this.#cycle !== undefined;
  }

  async begin(tenure: Tenure, terms: CycleTerms, options: WorkOptions): Promise<CycleState | undefined> {
    this.#cycle = await beginCycle(this.#seams.store, tenure, terms, options);
    if (this.#cycle) this.#seams.progress(this.#cycle, "sweep");
    return this.#cycle;
  }

  /** Takes the next step of the cycle; "over" where there is none left, or none at all; "again": look anew. */
  async step(tenure: Tenure, options: WorkOptions): Promise<"went on" | "over" | "again"> {
    const cycle = this.#cycle;
    if (!cycle) return "over";
    const next = await stepCycle(this.#seams.store, tenure, cycle, options, this.#seams.now);
    if (next === undefined) return "again";
    if (next !== "over") {
      this.#cycle = next;
      this.#seams.progress(next, "sweep");
      return "went on";
    }
    this.#ended(cycle);
    return "over";
  }

  /** Gives the cycle up; what its steps removed stays removed. */
  async cancel(tenure: Tenure, status: "CANCELLED" | "FAILED", why?: string): Promise<void> {
    const cycle = this.#cycle;
    if (!cycle) return;
    await endCycle(tenure, cycle, status, this.#seams.now(), why);
    this.#cycle = undefined;
    this.#seams.progress(cycle, "done");
  }

  #ended(cycle: CycleState): void {
    const now = this.#seams.now();
    this.#lastRun = { young: now, full: cycle.kind === "FULL_GC" ? now : (this.#lastRun?.full ?? now) };
    this.#cycle = undefined;
    this.#seams.progress(cycle, "done");
  }

  async #generations(basis: Basis) {
    const { store, now } = this.#seams;
    const { manifest, fence } = store;
    const dead = await deadToLookFor(store, basis, fence.seq);
    const terms = { reach: Math.min(basis.floor, fence.seq), isReleased: false, dead };
    const due = perGeneration(
      dueSizes(manifest, terms),
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
