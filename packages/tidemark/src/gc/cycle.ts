/**
 * A cycle: everything that is due under one fixed floor is swept, a step at a time. Floor, points and time are fixed as
 * it begins; which blocks a step takes follows from what is stored and from the cursor alone (plan.ts), never from time.
 * Each step is published in one transaction with the cursor behind it. So a cycle survives any tab: whoever does upkeep
 * next goes on at its cursor, and it ends up the same.
 */
import { byteKey, type Seq, seq } from "../base/brand.ts";
import type { Store } from "../mvcc/store.ts";
import { Reader } from "../mvcc/reader.ts";
import { catalogAt } from "../mvcc/schema.ts";
import type { InternalKey } from "../segments/internal-key.ts";
import { aside } from "../segments/pace.ts";
import { sweep } from "../segments/sweep.ts";
import { type Found, get, type Read, type Write } from "../storage/contract.ts";
import { deletesOf } from "../wal/chunks.ts";
import { sameLog } from "../wal/log.ts";
import { deadTables, type Stretch } from "./dead-tables.ts";
import {
  type Basis,
  type Execution,
  type ExecutionStatus,
  jsonIn,
  putExecution,
  type RunKind,
  sealJson,
} from "./journal.ts";
import { type Cursor, nextStep, type PlanTerms, startOf } from "./plan.ts";
import type { Tenure } from "./tenure.ts";
import { published, type Tools, type WorkOptions } from "./work.ts";

/** What a cycle is, between two of its steps: as stored. */
export interface CycleState extends Tally {
  readonly id: number;
  readonly kind: RunKind;
  readonly basis: Basis;
  readonly checkpoint: Seq;
  /** Which log it was decided on. */
  readonly database: number;
  readonly incarnation: number;
  /** What keeps versions besides the floor, and whether any of it was released since a full cycle last looked. */
  readonly keepers: Keepers;
  readonly isReleased: boolean;
  readonly cursor: Cursor;
  readonly steps: number;
  readonly started: number;
  readonly config: Readonly<Record<string, unknown>>;
}

const cycleKey = "gc/cycle";
const keepersKey = "gc/keepers";
export const readCycle: Read = get("meta", cycleKey);
const readKeepers: Read = get("meta", keepersKey);
/** One step swaps so many blocks at most, all of them read. */
const maxStepBlocks = 64;
const defaultStepVersions = 10_000;

const putCycle = (state: CycleState): Write => ({ kind: "put", store: "meta", key: cycleKey, value: sealJson(state) });
const deleteCycle: Write = { kind: "delete", store: "meta", key: cycleKey };

/** Whether it was decided on the log that this store is of: in another one its floor may be above what somebody reads. */
export const isOfLog = ({ fence }: Store, { database, incarnation }: CycleState): boolean =>
  sameLog(fence, { ...fence, database, incarnation });

/** The cycle under way, if any. */
export function cycleIn(found: Found | undefined): CycleState | undefined {
  const state = jsonIn(found, "cycle") as CycleState | undefined;
  if (!state) return undefined;
  const { before } = state.cursor;
  const cursor = { ...state.cursor, before: before && revived(before) };
  return { ...state, cursor };
}
const revived = ({ key, seq: at }: InternalKey): InternalKey => ({ key: byteKey(key), seq: seq(at) });

/** What a run did before its cycle: the fold of its checkpoint is part of it. */
export interface Tally {
  readonly scanned: number;
  readonly versions: number;
  readonly bytes: number;
}
export const nothingDone: Tally = { scanned: 0, versions: 0, bytes: 0 };

export interface CycleTerms {
  readonly kind: RunKind;
  readonly basis: Basis;
  readonly config: Readonly<Record<string, unknown>>;
  readonly before: Tally;
  /** Somebody asked for it: it is written down even where nothing is due. */
  readonly isAsked: boolean;
}

/** A cycle over what is due now, its row written; `undefined` where nothing is due. Its execution says RUNNING. */
export async function beginCycle(
  store: Store,
  tenure: Tenure,
  { kind, basis, config, before, isAsked }: CycleTerms,
  options: WorkOptions,
): Promise<CycleState | undefined> {
  const { manifest, fence } = store;
  const { pace } = options;
  const { keepers, isReleased } = await aside(pace, lookAtKeepers(store, basis));
  const begun = {
    kind,
    basis,
    config,
    checkpoint: fence.seq,
    database: fence.database,
    incarnation: fence.incarnation,
    keepers,
    isReleased,
    cursor: startOf(manifest, kind),
    steps: 0,
    ...before,
    started: basis.nowMs,
  };
  const dead = await aside(pace, deadTables(store, basis, fence.seq));
  const isDue = nextStep(manifest, begun.cursor, planTerms(begun, dead, options)) !== undefined;
  if (!isDue && !isAsked) return undefined;
  const state: CycleState = { id: tenure.journal.nextExecution(), ...begun };
  const writes = [putCycle(state), ...putExecution(executionOf(state, "RUNNING"))];
  const written = tenure.write("relaxed", [], () => writes, ["meta"]);
  return (await aside(pace, written)) ? state : undefined;
}

/** Takes the next step. "over": nothing is left, it is ended. `undefined`: look anew, it may be another tab's by now. */
export async function stepCycle(
  store: Store,
  tenure: Tenure,
  state: CycleState,
  options: WorkOptions,
  nowMs: () => number,
): Promise<CycleState | "over" | undefined> {
  const { id, basis, checkpoint, steps } = state;
  const terms = {
    kind: "sweep",
    basis,
    fence: store.fence,
    checkpoint,
    reserve: "all",
    cycle: { id, step: steps + 1 },
  } as const;
  let isOver = false;
  const next = await published(store, tenure, terms, options, async (tools) => {
    const step = nextStep(tools.manifest, state.cursor, planTerms(state, tools.dead, options));
    isOver = step === undefined;
    if (!step) return undefined;
    const swept = await sweep({ ...tools, level: step.level, runs: step.runs });
    const done = advanced(state, step.cursor, swept.scanned, tools);
    const { removed, added, lost, cleared } = swept;
    return {
      edits: removed.length + added.length === 0 ? [] : [{ level: step.level, removed, added }],
      marks: { set: [], cleared },
      also: [...lost.flatMap((ref) => deletesOf(ref)), putCycle(done)],
      done,
    };
  });
  if (!isOver) return next;
  return (await aside(options.pace, endCycle(tenure, state, "COMPLETED", nowMs()))) ? "over" : undefined;
}

const advanced = (state: CycleState, cursor: Cursor, scanned: number, { removal }: Tools): CycleState => ({
  ...state,
  cursor,
  steps: state.steps + 1,
  scanned: state.scanned + scanned,
  versions: state.versions + removal.versions,
  bytes: state.bytes + removal.bytes,
});

/** Ends a cycle, finished or not, and writes down what became of it. False: the tenure is over. */
export function endCycle(
  tenure: Tenure,
  state: CycleState,
  status: Exclude<ExecutionStatus, "RUNNING">,
  nowMs: number,
  error?: string,
): Promise<boolean> {
  const isFull = status === "COMPLETED" && state.kind === "FULL_GC";
  const writes: readonly Write[] = [
    deleteCycle,
    ...putExecution({ ...executionOf(state, status), completed: nowMs, ...(error === undefined ? {} : { error }) }),
    ...(isFull ? [{ kind: "put", store: "meta", key: keepersKey, value: sealJson(state.keepers) } as const] : []),
  ];
  return tenure.write("relaxed", [], () => writes, ["meta"]);
}

const executionOf = (state: CycleState, status: ExecutionStatus): Execution => ({
  id: state.id,
  type: state.kind,
  started: state.started,
  status,
  scanned: state.scanned,
  marked: state.versions,
  swept: state.versions,
  bytes: state.bytes,
  config: state.config,
});

function planTerms(
  { basis, checkpoint, isReleased }: Omit<CycleState, "id">,
  dead: readonly Stretch[],
  { levels, maxStepVersions = defaultStepVersions }: WorkOptions,
): PlanTerms {
  const reach = Math.min(basis.floor, checkpoint);
  return { reach, isReleased, dead, maxStepBytes: levels.maxStepBytes, maxStepBlocks, maxStepVersions };
}

/** What keeps single versions, whatever the floor. */
interface Keepers {
  readonly points: readonly number[];
  /** By table, as text. */
  readonly retentions: string;
  /** Of retention by age: in which hour it was judged. */
  readonly hour: number;
}

/** Whether a full cycle would look at what only points and retention kept: some were released since the last. */
export const isAnyKeeperReleased = async (store: Store, basis: Basis): Promise<boolean> =>
  (await lookAtKeepers(store, basis)).isReleased;

async function lookAtKeepers(
  store: Store,
  basis: Basis,
): Promise<{ readonly keepers: Keepers; readonly isReleased: boolean }> {
  const keepers = await keepersNow(store, basis);
  const [row] = await store.storage.read([readKeepers]);
  const former = jsonIn(row, "what kept versions") as Keepers | undefined;
  return { keepers, isReleased: former === undefined || isAnyReleased(former, keepers) };
}

async function keepersNow(store: Store, { points, nowMs }: Basis): Promise<Keepers> {
  const { collections } = await catalogAt(new Reader(store), store.fence.seq);
  const retained = Object.values(collections).filter(({ retention }) => retention !== undefined);
  const retentions = JSON.stringify(retained.map(({ table, retention }) => [table, retention]));
  const isTimed = retained.some(({ retention }) => retention?.forMs !== undefined);
  return { points, retentions, hour: isTimed ? Math.floor(nowMs / hourMs) : 0 };
}
const hourMs = 3_600_000;

const isAnyReleased = (former: Keepers, now: Keepers): boolean =>
  former.retentions !== now.retentions ||
  former.hour !== now.hour ||
  former.points.some((p) => !now.points.includes(p));
